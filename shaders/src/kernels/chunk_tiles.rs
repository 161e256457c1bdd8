//! Queries and keys as f16 tiles, chunk by chunk, for `delta_chunk_coop` and `delta_rule_coop`, and tested with
//! them.

use super::prelude::*;

pub use super::delta_rule_coop::{BOUND, twin};

params! {
    ChunkTiles { key_tiles: u32, first_chunk: u32, first_token: u32, mixed_stride: u32, out_stride: u32 }
}

pub(super) fn declare() -> Declaration {
    Declaration::new::<ChunkTiles>(&[Uniform, Read, Read, Write])
}

/// The workgroups for so many chunks, and heads of queries and keys together.
pub fn grid(chunks: usize, heads: usize) -> [usize; 3] {
    [chunks, heads, 1]
}
