//! Products with weights, in f32.

use super::prelude::*;
use bitgauge_core::Matrix;

params! {
    Matmul {
        tokens: u32, columns: u32, x_stride: u32, first_row: u32, rows: u32, out_quad: u32, out_stride: u32,

    }
}

/// Up to 257 products, each sum rounded to f32: a few dozen units in the last place (6e-8).
pub const BOUND: f64 = 2e-6;

/// Tokens, and rows of weights, of one workgroup.
pub const TILE: u32 = 64;

pub(super) fn declare(codec: Codec) -> Declaration {
    let bindings = &[Uniform, Read, Write];
    let parts = vec![codec.part(), shared()];
    Declaration { codec: Some(codec), parts, ..Declaration::new::<Matmul>(bindings) }
}

/// What the kernels without cooperative matrices share.
pub(super) fn shared() -> Part {
    Part::new(include_str!("../../wgsl/parts/matmul.wgsl")).with("TILE", TILE)
}

/// The workgroups for so many tokens and rows of weights; also those of `matmul_f16`.
pub fn grid(tokens: usize, rows: usize) -> [usize; 3] {
    [rows.div_ceil(TILE as usize), tokens.div_ceil(TILE as usize), 1]
}

/// `out = x · wᵀ`. x is `[T, K]` f32, w is `[N, K]` in any stored form, out is `[T, N]` f32.
pub fn twin(x: &[f32], w: &Matrix, out: &mut [f32]) {
    let (n, k) = (w.rows(), w.cols());
    let t = x.len() / k;
    assert_eq!(x.len(), t * k);
    assert_eq!(out.len(), t * n);
    let w = w.to_f32();
    for t in 0..t {
        for row in 0..n {
            let mut sum = 0.0f64;
            for c in 0..k {
                sum += f64::from(x[t * k + c]) * f64::from(w[row * k + c]);
            }
            out[t * n + row] = sum as f32;
        }
    }
}
