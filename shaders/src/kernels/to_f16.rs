//! Activations as the tiles of f16 that cooperative matrices take.

use super::prelude::*;
use half::f16;

params! { ToF16 { tokens: u32, columns: u32, x_stride: u32, tiles_across: u32 } }

/// The conversion rounds once.
pub const BOUND: f64 = 0.0;

/// Tokens, and columns, of a tile.
pub const TILE: u32 = 16;
/// Tiles of one workgroup.
const GROUP_TILES: u32 = 4;

pub(super) fn declare() -> Declaration {
    let shared = Part::new("").with("TILE", TILE).with("GROUP_TILES", GROUP_TILES);
    let bindings = &[Uniform, Read, Write];
    Declaration { parts: vec![shared], ..Declaration::new::<ToF16>(bindings) }
}

/// The workgroups for so many tokens, and tiles from 16 tokens to the next.
pub fn grid(tokens: usize, tiles_across: usize) -> [usize; 3] {
    [tiles_across / GROUP_TILES as usize, tokens.div_ceil(TILE as usize), 1]
}

/// Activations as tiles of 16 tokens x 16 columns, `[ceil(T / 16), tiles_across, 16, 16]`: place `p`
/// of every 32 columns holds column `p / 2 + 16 * (p % 2)`, and places past the last token or column
/// hold 0. x is `[T, columns]` f32.
pub fn twin(x: &[f32], columns: usize, tiles_across: usize) -> Vec<f16> {
    let tokens = x.len() / columns;
    let mut tiles = Vec::new();
    for band in 0..tokens.div_ceil(16) {
        for tile in 0..tiles_across {
            for token in 16 * band..16 * (band + 1) {
                for place in 16 * tile..16 * (tile + 1) {
                    let column = place / 32 * 32 + place % 32 / 2 + 16 * (place % 2);
                    let is_there = token < tokens && column < columns;
                    tiles.push(f16::from_f32(if is_there { x[token * columns + column] } else { 0.0 }));
                }
            }
        }
    }
    tiles
}
