//! Seeded weights and the parts that they pack into.

use bitgauge_core::container::TensorEntry;
use bitgauge_core::format::{Fit, Layout, Part, Parts, Settings, encode, quantize};
use bitgauge_core::{Bitpacked, Dense, Values};

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A weight like a model's: a sum of four uniform numbers, standard deviation about 0.02.
    pub fn weight(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32 - 0.5).sum();
        sum * 0.035
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

pub fn dense(rows: usize, cols: usize, seed: u64) -> Dense {
    let mut random = Random(seed);
    let values = (0..rows * cols).map(|_| random.weight()).collect();
    Dense { rows, cols, values: Values::F32(values) }
}

/// A packed matrix whose rescue rows are spread over all rows.
pub fn packed(rows: usize, cols: usize, rescued: usize, settings: Settings) -> Bitpacked {
    let seed = (rows * 1009 + cols * 31 + rescued * 7 + settings.bases) as u64;
    let rescue_rows: Vec<u32> = (0..rescued).map(|i| (i * rows / rescued) as u32).collect();
    quantize(&dense(rows, cols, seed), &rescue_rows, settings).unwrap()
}

/// The tensors of a packed weight as a safetensors header would list them.
pub fn entries(name: &str, layout: &Layout) -> Vec<TensorEntry> {
    let stored = Part::ALL.into_iter().filter(|&part| layout.has(part));
    stored.map(|part| entry(&format!("{name}.{}", part.suffix()), part, layout)).collect()
}

fn entry(name: &str, part: Part, layout: &Layout) -> TensorEntry {
    TensorEntry {
        name: name.to_owned(),
        dtype: part.dtype(),
        shape: layout.shape(part),
        member: 0,
        offset: 0,
        bytes: layout.part_bytes(part),
    }
}

/// A small weight with everything in it: padding bits and nibbles, two bases, rescue rows.
pub fn small() -> (Bitpacked, Layout, Parts<Vec<u8>>) {
    let matrix = packed(7, 133, 3, Settings { scale_group: 128, bases: 2, fit: Fit::Mean });
    let layout = Layout::of(&matrix).unwrap();
    let bytes = encode(&matrix);
    (matrix, layout, bytes)
}
