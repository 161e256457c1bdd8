use half::f16;

/// Activations as tiles of 16 tokens x 16 columns, `[ceil(T / 16), tiles_across, 16, 16]`: place `p`
/// of every 32 columns holds column `p / 2 + 16 * (p % 2)`, and places past the last token or column
/// hold 0. x is `[T, columns]` f32.
pub fn to_f16(x: &[f32], columns: usize, tiles_across: usize) -> Vec<f16> {
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
