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
    let mut scales = |count: usize| -> Vec<f16> {
        (0..count).map(|_| f16::from_bits(random.u16(0x2000..0x3000))).collect()
    };
    let bases = if rescued == rows { 0 } else { bases };
    let (binary, groups) = (rows - rescued, if scale_group == 0 { 1 } else { cols.div_ceil(scale_group) });
    let scale = scales(bases * binary * groups);
    let rescue_scale = scales(rescued * cols.div_ceil(128));
    let code =
        |random: &mut fastrand::Rng| [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15][random.usize(..14)];
    let row_codes = |random: &mut fastrand::Rng| -> Vec<u8> {
        let mut codes: Vec<u8> = (0..cols).map(|_| code(random)).collect();
        codes.resize(cols.next_multiple_of(2), 0);
        codes.chunks(2).map(|pair| pair[0] | pair[1] << 4).collect()
    };
    let last_word = u32::MAX >> (cols.next_multiple_of(32) - cols);
    let row_signs = |random: &mut fastrand::Rng| -> Vec<u32> {
        let mut words: Vec<u32> = (0..cols.div_ceil(32)).map(|_| random.u32(..)).collect();
        words.last_mut().into_iter().for_each(|word| *word &= last_word);
        words
    };
    Bitpacked {
        layout: Layout::new(rows as u64, cols as u64, bases as u64, rescued as u64, scale_group as u64)
            .unwrap(),
        sign: (0..bases * binary).flat_map(|_| row_signs(&mut random)).collect(),
        scale,
        rescue_rows: (0..rescued).map(|i| (i * rows / rescued) as u32).collect(),
        rescue_code: (0..rescued).flat_map(|_| row_codes(&mut random)).collect(),
        rescue_scale,
    }
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
