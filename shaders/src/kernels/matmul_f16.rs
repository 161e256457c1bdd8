//! Products with weights, with factors of f16.

use super::prelude::*;
use crate::kernels::matmul::{self, Matmul};
use bitgauge_core::{Dense, Matrix, Values};
use half::f16;

/// Sums of 8 products in f16: a few units in its last place (5e-4) of a step, over many steps.
pub const BOUND: f64 = 2e-3;

pub(super) fn declare(codec: Codec) -> Declaration {
    let bindings = &[Uniform, Read, Write];
    let parts = vec![Part::new("enable f16;"), codec.part(), matmul::shared()];
    Declaration { codec: Some(codec), parts, ..Declaration::new::<Matmul>(bindings) }
}

/// `out = x · wᵀ` with both factors rounded to f16: what matmul_f16.wgsl and matmul_coop.wgsl compute,
/// the first of them up to sums of 8 products in f16. x is `[T, K]` f32, w is `[N, K]` in any stored
/// form, out is `[T, N]` f32.
pub fn twin(x: &[f32], w: &Matrix, out: &mut [f32]) {
    let (rows, cols) = (w.rows(), w.cols());
    let w = Matrix::Dense(Dense { rows, cols, values: Values::F32(rounded(&w.to_f32())) });
    super::matmul::twin(&rounded(x), &w, out);
}

fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|value| f16::from_f32(*value).to_f32()).collect()
}
