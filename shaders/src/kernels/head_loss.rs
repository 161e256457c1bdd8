//! The loss of each token, a block of logits at a time.

use super::prelude::*;
use bitgauge_core::Matrix;

params! { HeadLoss { first_token: u32, first_row: u32, columns: u32, stride: u32, starts: u32 } }

/// Logits as of `matmul`, whose errors the logarithm of the sum averages out.
pub const BOUND: f64 = 2e-6;

pub(super) fn declare() -> Declaration {
    let parts = vec![Part::new(include_str!("../../wgsl/parts/reduce.wgsl"))];
    Declaration { parts, ..Declaration::new::<HeadLoss>(&[Uniform, Read, Read, Write]) }
}

/// Marks a row that has no next token to predict.
pub const NO_TARGET: u32 = u32::MAX;

/// Per row, `ln Σ_v exp(x · head[v]) - x · head[target]` in nats, and 0 where the target is
/// [`NO_TARGET`]. x is `[T, H]` f32, head is `[V, H]` in any stored form, targets is `[T]`.
pub fn twin(x: &[f32], head: &Matrix, targets: &[u32]) -> Vec<f32> {
    let (v, h) = (head.rows(), head.cols());
    assert_eq!(x.len(), targets.len() * h);
    let head = head.to_f32();
    let mut losses = vec![0.0; targets.len()];
    for (t, &target) in targets.iter().enumerate() {
        if target == NO_TARGET {
            continue;
        }
        let mut logits = vec![0.0f64; v];
        for (n, logit) in logits.iter_mut().enumerate() {
            for c in 0..h {
                *logit += f64::from(x[t * h + c]) * f64::from(head[n * h + c]);
            }
        }
        let max = logits.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let sum: f64 = logits.iter().map(|logit| (logit - max).exp()).sum();
        losses[t] = (max + sum.ln() - logits[target as usize]) as f32;
    }
    losses
}
