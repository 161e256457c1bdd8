//! Heads as f16 tiles, chunk by chunk, for `attention_coop`, `delta_chunk_coop` and `delta_rule_coop`, and tested
//! with them.

use super::prelude::*;

pub use super::delta_rule_coop::{BOUND, twin};

params! {
    ChunkTiles { head_tiles: u32, first_chunk: u32, first_token: u32, x_stride: u32, out_stride: u32 }
}

pub(super) fn declare() -> Declaration {
    Declaration::new::<ChunkTiles>(&[Uniform, Read, Read, Write])
}

/// The workgroups for so many chunks, and heads.
pub fn grid(chunks: usize, heads: usize) -> [usize; 3] {
    [chunks, heads, 1]
}
