//! Causal softmax attention through cooperative matrices.

use super::prelude::*;
use crate::kernels::matmul_coop::ENABLE;

pub use super::attention::twin;

params! {
    AttentionCoop {
        tokens: u32, first_tile: u32, group: u32, q_stride: u32, kv_stride: u32, out_stride: u32, scale: f32,

    }
}

/// Weights rounded to f16 (5e-4 of each), most of which averages out.
pub const BOUND: f64 = 5e-4;

pub(super) fn declare(tiles: HeadTiles) -> Declaration {
    let head = Part::new("").with("HEAD_TILES", u32::from(tiles.count()));
    Declaration {
        is_cooperative: true,
        parts: vec![Part::new(ENABLE), head],
        repeats: vec![("T", tiles.count())],
        ..Declaration::new::<AttentionCoop>(&[Uniform, Read, Read, Read, Read, Write])
    }
}

/// The workgroups for so many times 16 queries, and heads.
pub fn grid(tiles: usize, heads: usize) -> [usize; 3] {
    [tiles, heads, 1]
}
