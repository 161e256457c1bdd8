use bitgauge_core::{Dense, Matrix, Values};
use half::f16;

use super::matmul;

/// `out = x · wᵀ` with both factors rounded to f16: what matmul_f16.wgsl and matmul_coop.wgsl compute,
/// the first of them up to sums of 8 products in f16. x is `[T, K]` f32, w is `[N, K]` in any stored
/// form, out is `[T, N]` f32.
pub fn matmul_f16(x: &[f32], w: &Matrix, out: &mut [f32]) {
    let (rows, cols) = (w.rows(), w.cols());
    let w = Matrix::Dense(Dense { rows, cols, values: Values::F32(rounded(&w.to_f32())) });
    matmul(&rounded(x), &w, out);
}

fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|value| f16::from_f32(*value).to_f32()).collect()
}
