//! The quantizer through its functions, and the worked example of FORMAT.md.

mod format_md;
mod gptq;
mod quantizing;

use bitgauge_core::{Bitpacked, Dense, Result, Values};

use super::{Settings, quantize_block};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A weight like a model's: a sum of four uniform numbers, standard deviation about 0.02.
    fn weight(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32 - 0.5).sum();
        sum * 0.035
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn dense(rows: usize, cols: usize, seed: u64) -> Dense {
    let mut random = Random(seed);
    let values = (0..rows * cols).map(|_| random.weight()).collect();
    Dense { rows, cols, values: Values::F32(values) }
}

/// Packs a whole matrix by its weights alone.
fn quantize(matrix: &Dense, rescue_rows: &[u32], settings: Settings) -> Result<Bitpacked> {
    quantize_block(matrix, 0, rescue_rows, settings, None)
}
