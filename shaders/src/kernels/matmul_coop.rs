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
/// Columns of which whole blocks are read.
pub const COLUMN_BLOCK: u32 = 128;

pub(super) fn declare(staging: Staging) -> Declaration {
    let bindings: &[Access] = match staging {
        Staging::Tiles => &[Uniform, Read, Write, Read],
        Staging::Signs(_) => &[Uniform, Read, Write],
    };
    let tile = Part::new("").with("TILE_TOKENS", TILE_TOKENS).with("TILE_ROWS", tile_rows(staging));
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

/// Rows of weights of one workgroup. Weights that are f16 already weigh on the cache, so more of them are kept together.
pub const fn tile_rows(staging: Staging) -> u32 {
    match staging {
        Staging::Tiles => 128,
        Staging::Signs(_) => 64,
    }
}

/// The workgroups for so many tokens and rows of weights.
pub fn grid(staging: Staging, tokens: usize, rows: usize) -> [usize; 3] {
    [rows.div_ceil(tile_rows(staging) as usize), tokens.div_ceil(TILE_TOKENS as usize), 1]
}
