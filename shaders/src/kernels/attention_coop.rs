//! Causal softmax attention through cooperative matrices.

use super::prelude::*;
use crate::kernels::matmul_coop::ENABLE;

pub use super::attention::twin;

params! {
    AttentionCoop {
        first_chunk: u32, group: u32, q_stride: u32, kv_stride: u32, out_stride: u32, scale: f32,
    }
}

/// Weights rounded to f16 (5e-4 of each), most of which averages out.
pub const BOUND: f64 = 5e-4;

pub(super) fn declare(tiles: HeadTiles) -> Declaration {
    let side = tiles.count().div_ceil(2);
    let head = Part::new("")
        .with("CHUNK", super::delta_chunk::CHUNK)
        .with("HEAD_TILES", u32::from(tiles.count()))
        .with("SIDE_TILES", u32::from(side));
    Declaration {
        is_cooperative: true,
        parts: vec![Part::new(ENABLE), head],
        repeats: vec![("U", 2), ("W", 4), ("H", side)],
        ..Declaration::new::<AttentionCoop>(&[Uniform, Read, Read, Read, Read, Read, Write])
    }
}

/// The workgroups for so many chunks of queries, and heads.
pub fn grid(chunks: usize, heads: usize) -> [usize; 3] {
    [chunks, heads, 1]
}
