//! What the delta rule needs of each chunk of tokens by itself, through cooperative matrices: the first half of
//! `delta_rule_coop`, and tested with it.

use super::prelude::*;
use crate::kernels::matmul_coop::ENABLE;

pub use super::delta_chunk::grid;
pub use super::delta_rule_coop::{BOUND, twin};

params! {
    DeltaChunkCoop {
        group: u32, key_heads: u32, first_chunk: u32, first_token: u32, gate_stride: u32, tile_stride: u32,
        matrix_stride: u32, fade_stride: u32, scale: f32,
    }
}

pub(super) fn declare(tiles: KeyTiles) -> Declaration {
    let sums = Part::new(include_str!("../../wgsl/parts/chunk_sums.wgsl"));
    let shared = Part::new("").with("KEY_TILES", u32::from(tiles.count()));
    Declaration {
        is_cooperative: true,
        parts: vec![Part::new(ENABLE), sums.with("CHUNK", super::delta_chunk::CHUNK), shared],
        repeats: vec![("J", 4)],
        ..Declaration::new::<DeltaChunkCoop>(&[Uniform, Read, Read, Read, Read, Write, Write])
    }
}
