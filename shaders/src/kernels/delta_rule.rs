//! The gated delta rule.

use super::prelude::*;

params! {
    DeltaRule {
        key_dim: u32, value_dim: u32, group: u32, key_heads: u32, first_document: u32, first_token: u32,
        mixed_stride: u32, gate_stride: u32, matrix_stride: u32, out_stride: u32, scale: f32,
    }
}

/// Sums of up to 128 products, through a triangular system of 64 rows and several chunks.
pub const BOUND: f64 = 2e-6;

/// Channels of the values that one workgroup takes.
const BLOCK: u32 = 32;
/// Most channels of a query or key: what the state has rows for.
pub const MAX_KEY_DIM: u32 = 128;

pub(super) fn declare(heads: Heads) -> Declaration {
    let shared = Part::new("").with("BLOCK", BLOCK).with("MAX_KEY_DIM", MAX_KEY_DIM);
    let parts = [heads.parts(super::delta_chunk::CHUNK), vec![shared]].concat();
    Declaration { parts, ..Declaration::new::<DeltaRule>(&[Uniform, Read, Read, Read, Read, Write]) }
}

/// The workgroups for heads of values of so many channels, and documents.
pub fn grid(value_dim: usize, value_heads: usize, documents: usize) -> [usize; 3] {
    [value_dim.div_ceil(BLOCK as usize), value_heads, documents]
}

/// The gated delta rule as a recurrence over each document's tokens, per value head, from a state S of
/// zeros, `[key_dim, value_dim]`:
///
/// ```text
/// S = e^decay S
/// d = beta (v - Sᵀ k)
/// S = S + k dᵀ
/// out = Sᵀ q / sqrt(key_dim)
/// ```
///
/// mixed is `[T, 2 * key_heads * key_dim + value_heads * value_dim]` f32: queries, keys, values; decay
/// and beta are `[T, value_heads]`, positions is `[T]`, out is `[T, value_heads * value_dim]`. Value head
/// j uses key head `j / (value_heads / key_heads)`, or `j % key_heads` when `interleaved`.
#[allow(clippy::too_many_arguments, reason = "the order of the kernel's bindings")]
pub fn twin(
    mixed: &[f32],
    decay: &[f32],
    beta: &[f32],
    positions: &[u32],
    [key_heads, value_heads, key_dim, value_dim]: [usize; 4],
    interleaved: bool,
    out: &mut [f32],
) {
    let (tokens, keys) = (positions.len(), key_heads * key_dim);
    let width = 2 * keys + value_heads * value_dim;
    assert_eq!(value_heads % key_heads, 0);
    assert_eq!((mixed.len(), out.len()), (tokens * width, tokens * value_heads * value_dim));
    assert_eq!((decay.len(), beta.len()), (tokens * value_heads, tokens * value_heads));
    for head in 0..value_heads {
        let key_head = if interleaved { head % key_heads } else { head / (value_heads / key_heads) };
        let mut state = vec![0.0f64; key_dim * value_dim];
        for t in 0..tokens {
            if positions[t] == 0 {
                state.fill(0.0);
            }
            let row = &mixed[t * width..][..width];
            let q = &row[key_head * key_dim..][..key_dim];
            let k = &row[keys + key_head * key_dim..][..key_dim];
            let v = &row[2 * keys + head * value_dim..][..value_dim];
            let keep = f64::from(decay[t * value_heads + head]).exp();
            state.iter_mut().for_each(|s| *s *= keep);
            for j in 0..value_dim {
                let known: f64 = (0..key_dim).map(|i| state[i * value_dim + j] * f64::from(k[i])).sum();
                let d = f64::from(beta[t * value_heads + head]) * (f64::from(v[j]) - known);
                (0..key_dim).for_each(|i| state[i * value_dim + j] += f64::from(k[i]) * d);
                let read: f64 = (0..key_dim).map(|i| state[i * value_dim + j] * f64::from(q[i])).sum();
                out[(t * value_heads + head) * value_dim + j] = (read / (key_dim as f64).sqrt()) as f32;
            }
        }
    }
}
