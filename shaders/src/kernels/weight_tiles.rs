//! Weights as the tiles of f16 that cooperative matrices take.

use super::prelude::*;
use crate::kernels::matmul_coop::COLUMN_BLOCK;
use bitgauge_core::Matrix;
use half::f16;

params! { WeightTiles { first_row: u32, rows: u32, columns: u32, blocks_across: u32 } }

/// The codecs are exact, and the conversion rounds once.
pub const BOUND: f64 = 0.0;

/// Rows of a tile.
pub const TILE: u32 = 16;

pub(super) fn declare(codec: Codec) -> Declaration {
    let shared = Part::new("").with("TILE", TILE).with("COLUMN_BLOCK", COLUMN_BLOCK);
    let bindings = &[Uniform, Write];
    let parts = vec![codec.part(), shared];
    Declaration {
        codec: Some(codec),
        parts,
        repeats: vec![("Q", 4)],
        ..Declaration::new::<WeightTiles>(bindings)
    }
}

/// The workgroups for so many rows and columns.
pub fn grid(rows: usize, columns: usize) -> [usize; 3] {
    [columns.div_ceil(COLUMN_BLOCK as usize), rows.div_ceil(TILE as usize), 1]
}

/// Weights as tiles, `[ceil(N / 16), columns, 16, 4]` with whole blocks of columns: the quads of 16 rows lie side by side.
/// Place `p` of every 32 columns holds column `p / 2 + 16 * (p % 2)`, as in `to_f16`, and places past the last row or column
/// hold 0.
pub fn twin(w: &Matrix) -> Vec<f16> {
    let (rows, columns) = (w.rows(), w.cols());
    let values = w.to_f32();
    let mut tiles = Vec::new();
    for band in 0..rows.div_ceil(16) {
        for quad in 0..columns.next_multiple_of(COLUMN_BLOCK as usize) / 4 {
            for row in 16 * band..16 * (band + 1) {
                for place in 4 * quad..4 * (quad + 1) {
                    let column = place / 32 * 32 + place % 32 / 2 + 16 * (place % 2);
                    let is_there = row < rows && column < columns;
                    tiles.push(f16::from_f32(if is_there { values[row * columns + column] } else { 0.0 }));
                }
            }
        }
    }
    tiles
}
