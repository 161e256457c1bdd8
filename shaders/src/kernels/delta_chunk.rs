//! What the delta rule needs of each chunk of tokens by itself: the first half of `delta_rule`, and tested
//! with it.

use super::prelude::*;

pub use super::delta_rule::{BOUND, twin};

params! {
    DeltaChunk {
        key_dim: u32, group: u32, key_heads: u32, first_chunk: u32, first_token: u32, mixed_stride: u32,
        gate_stride: u32, out_stride: u32, scale: f32,
    }
}

/// Tokens of a chunk.
pub const CHUNK: u32 = 64;

pub(super) fn declare(heads: Heads) -> Declaration {
    let bindings = &[Uniform, Read, Read, Read, Read, Write];
    Declaration { parts: heads.parts(CHUNK), ..Declaration::new::<DeltaChunk>(bindings) }
}

/// The workgroups for so many chunks and heads of values.
pub fn grid(chunks: usize, value_heads: usize) -> [usize; 3] {
    [chunks, value_heads, 1]
}
