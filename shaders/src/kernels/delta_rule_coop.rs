//! The gated delta rule through cooperative matrices.

use super::prelude::*;
use crate::kernels::matmul_coop::ENABLE;

pub use super::delta_rule::twin;

params! {
    DeltaRuleCoop {
        value_dim: u32, group: u32, key_heads: u32, first_document: u32, first_token: u32, first_chunk: u32,
        mixed_stride: u32, tile_stride: u32, matrix_stride: u32, fade_stride: u32, out_stride: u32, scale: f32,
    }
}

/// Four factors on the way from a value to what is read of it are rounded to f16 (5e-4 of each).
pub const BOUND: f64 = 2e-3;

/// Channels of the values that one workgroup takes.
const BLOCK: u32 = 32;

pub(super) fn declare(tiles: KeyTiles) -> Declaration {
    let state_tiles = tiles.count().div_ceil(4);
    let shared = Part::new("")
        .with("CHUNK", super::delta_chunk::CHUNK)
        .with("BLOCK", BLOCK)
        .with("KEY_TILES", u32::from(tiles.count()))
        .with("STATE_TILES", u32::from(state_tiles));
    Declaration {
        is_cooperative: true,
        parts: vec![Part::new(ENABLE), shared],
        repeats: vec![("N", 4), ("R", state_tiles), ("J", 2)],
        ..Declaration::new::<DeltaRuleCoop>(&[Uniform, Read, Read, Read, Read, Read, Write])
    }
}

/// The workgroups for heads of values of so many channels, and documents.
pub fn grid(value_dim: usize, value_heads: usize, documents: usize) -> [usize; 3] {
    [value_dim.div_ceil(BLOCK as usize), value_heads, documents]
}
