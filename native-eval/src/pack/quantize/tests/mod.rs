//! The quantizer through its functions, and the worked example of FORMAT.md.

mod format_md;
mod gptq;
mod quantizing;

use bitgauge_core::{Bitpacked, Dense, Result, Values};

use super::{Settings, quantize_block};

/// A weight like a model's: a sum of four uniform numbers, standard deviation about 0.02.
fn weight(random: &mut fastrand::Rng) -> f32 {
    (0..4).map(|_| random.f32() - 0.5).sum::<f32>() * 0.035
}

fn dense(rows: usize, cols: usize, seed: u64) -> Dense {
    let mut random = fastrand::Rng::with_seed(seed);
    let values = (0..rows * cols).map(|_| weight(&mut random)).collect();
    Dense { rows, cols, values: Values::F32(values) }
}

/// Packs a whole matrix by its weights alone.
fn quantize(matrix: &Dense, rescue_rows: &[u32], settings: Settings) -> Result<Bitpacked> {
    quantize_block(matrix, 0, rescue_rows, settings, None)
}
