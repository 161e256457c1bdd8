//! Seeded weights and the parts that they pack into.

use bitgauge_core::container::TensorEntry;
use bitgauge_core::format::{Layout, Part, Parts, encode};
use bitgauge_core::{Bitpacked, Dense, Values};
use half::f16;

/// A weight like a model's: a sum of four uniform numbers, standard deviation about 0.02.
pub fn weight(random: &mut fastrand::Rng) -> f32 {
    (0..4).map(|_| random.f32() - 0.5).sum::<f32>() * 0.035
}

pub fn dense(rows: usize, cols: usize, seed: u64) -> Dense {
    let mut random = fastrand::Rng::with_seed(seed);
    let values = (0..rows * cols).map(|_| weight(&mut random)).collect();
    Dense { rows, cols, values: Values::F32(values) }
}

/// A packed matrix of random bits whose rescue rows are spread over all rows. No scale and no code is 0.
pub fn packed(rows: usize, cols: usize, rescued: usize, bases: usize, scale_group: usize) -> Bitpacked {
    let mut random = fastrand::Rng::with_seed((rows * 1009 + cols * 31 + rescued * 7 + bases) as u64);
    let bases = if rescued == rows { 0 } else { bases };
    let [n, k, b, r, group] = [rows, cols, bases, rescued, scale_group].map(|size| size as u64);
    let mut packed = Bitpacked::zeroed(Layout::new(n, k, b, r, group).unwrap());
    packed.rescue_rows = (0..rescued).map(|i| (i * rows / rescued) as u32).collect();
    packed.scale.fill_with(|| f16::from_bits(random.u16(0x2000..0x3000)));
    packed.rescue_scale.fill_with(|| f16::from_bits(random.u16(0x2000..0x3000)));
    let words = cols.div_ceil(32);
    for (i, word) in packed.sign.iter_mut().enumerate() {
        let used = (cols - i % words * 32).min(32);
        *word = random.u32(..) >> (32 - used);
    }
    let mut code = |c: usize| if c < cols { random.u8(1..8) + 8 * random.u8(0..2) } else { 0 };
    for (i, byte) in packed.rescue_code.iter_mut().enumerate() {
        let c = i % cols.div_ceil(2) * 2;
        *byte = code(c) | code(c + 1) << 4;
    }
    packed
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
    let matrix = packed(7, 133, 3, 2, 128);
    let bytes = encode(&matrix);
    (matrix.clone(), matrix.layout, bytes)
}
