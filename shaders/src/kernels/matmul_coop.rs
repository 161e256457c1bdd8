//! Products with weights through cooperative matrices.

use super::prelude::*;
use crate::kernels::matmul::Matmul;

pub use super::matmul_f16::twin;

/// f32 sums of exact products, in the order of the hardware.
pub const BOUND: f64 = 5e-6;

/// What the kernels for cooperative matrices enable.
pub(super) const ENABLE: &str = "enable f16;\nenable wgpu_cooperative_matrix;\n";
/// Tokens of one workgroup.
const TILE_TOKENS: u32 = 128;
/// Rows of weights of one workgroup.
const TILE_ROWS: u32 = 64;
/// Columns of which whole blocks are read.
pub const COLUMN_BLOCK: u32 = 128;

pub(super) fn declare(staging: Staging) -> Declaration {
    let bindings: &[Access] = match staging {
        Staging::Tiles => &[Uniform, Read, Write, Read],
        Staging::Signs(_) => &[Uniform, Read, Write],
    };
    let tile = Part::new("").with("TILE_TOKENS", TILE_TOKENS).with("TILE_ROWS", TILE_ROWS);
    let shared = tile.with("COLUMN_BLOCK", COLUMN_BLOCK);
    let codec = staging.codec().map(Codec::part);
    Declaration {
        codec: staging.codec(),
        is_cooperative: true,
        parts: [Part::new(ENABLE)].into_iter().chain(codec).chain([staging.part(), shared]).collect(),
        repeats: vec![("I", 4), ("J", 4)],
        ..Declaration::new::<Matmul>(bindings)
    }
}

/// The workgroups for so many tokens and rows of weights.
pub fn grid(tokens: usize, rows: usize) -> [usize; 3] {
    [rows.div_ceil(TILE_ROWS as usize), tokens.div_ceil(TILE_TOKENS as usize), 1]
}
