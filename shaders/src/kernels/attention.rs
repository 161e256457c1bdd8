//! Causal softmax attention.

use super::prelude::*;

params! {
    Attention {
        queries: u32, first_query: u32, first_key: u32, group: u32, head_dim: u32, q_stride: u32,
        kv_stride: u32, scale: f32,
    }
}

/// Scores of up to 256 products, exponentials, and up to 257 weighted values.
pub const BOUND: f64 = 2e-6;

/// Queries of one workgroup, and keys that it takes at a time.
pub const BLOCK: u32 = 32;
/// Most channels of a head: what an invocation can accumulate.
pub const MAX_HEAD_DIM: u32 = 256;

pub(super) fn declare() -> Declaration {
    let shared = Part::new("").with("BLOCK", BLOCK).with("MAX_HEAD_DIM", MAX_HEAD_DIM);
    let bindings = &[Uniform, Read, Read, Read, Read, Write];
    Declaration { parts: vec![shared], ..Declaration::new::<Attention>(bindings) }
}

/// The workgroups for so many queries and heads.
pub fn grid(queries: usize, heads: usize) -> [usize; 3] {
    [queries.div_ceil(BLOCK as usize), heads, 1]
}

/// Causal softmax attention within each document: token `t` attends to rows
/// `t - positions[t] ..= t`, and query head `j` uses key/value head `j / (heads / kv_heads)`.
/// The softmax scale is `head_dim^(-1/2)`.
///
/// q and out are `[T, heads * head_dim]` f32, k and v are `[T, kv_heads * head_dim]`, positions
/// is `[T]`.
#[allow(clippy::too_many_arguments, reason = "the order of the kernel's bindings")]
pub fn twin(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    positions: &[u32],
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    out: &mut [f32],
) {
    let (tokens, d) = (positions.len(), head_dim);
    assert_eq!(heads % kv_heads, 0);
    assert_eq!((q.len(), out.len()), (tokens * heads * d, tokens * heads * d));
    assert_eq!((k.len(), v.len()), (tokens * kv_heads * d, tokens * kv_heads * d));
    for (t, &position) in positions.iter().enumerate() {
        let first = t - position as usize;
        for head in 0..heads {
            let kv_head = head / (heads / kv_heads);
            let query = (t * heads + head) * d;

            let mut scores = Vec::new();
            for s in first..=t {
                let key = (s * kv_heads + kv_head) * d;
                let channels = q[query..][..d].iter().zip(&k[key..][..d]);
                let dot: f64 = channels.map(|(&q, &k)| f64::from(q) * f64::from(k)).sum();
                scores.push(dot / (d as f64).sqrt());
            }

            let max = scores.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for i in 0..d {
                let mut mix = 0.0f64;
                for (s, weight) in (first..=t).zip(&weights) {
                    mix += weight / sum * f64::from(v[(s * kv_heads + kv_head) * d + i]);
                }
                out[query + i] = mix as f32;
            }
        }
    }
}
