//! Seeded test data: activations, weight matrices in every stored form, documents.

use bitgauge_core::{Dense, Matrix, Packed, RowSlot, Values};
use bitgauge_shaders::Codec;
use half::{bf16, f16};

pub use bitgauge_shaders::trial::Random;

/// Which rows of a packed matrix are rescued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rescue {
    None,
    Some,
    All,
}

/// How a test matrix is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Bits { bases: usize, scale_group: usize, rescue: Rescue },
    F32,
    F16,
    Bf16,
}

impl Form {
    /// Every number of bases with both scale layouts and each kind of rescue, and the dense types.
    pub fn all() -> Vec<Self> {
        let mut forms = vec![Self::F32, Self::F16, Self::Bf16];
        for bases in 1..=4 {
            for scale_group in [0, 128] {
                for rescue in [Rescue::None, Rescue::Some, Rescue::All] {
                    forms.push(Self::Bits { bases, scale_group, rescue });
                }
            }
        }
        forms
    }

    /// The codec that decodes it.
    pub fn codec(self) -> Codec {
        match self {
            Self::Bits { .. } => Codec::Bits,
            Self::F32 => Codec::F32,
            Self::F16 => Codec::F16,
            Self::Bf16 => Codec::Bf16,
        }
    }
}

/// A matrix `[rows, cols]` with values of about `scale`.
pub fn matrix(form: Form, rows: usize, cols: usize, scale: f32, seed: u64) -> Matrix {
    let mut random = Random(seed);
    let mut values = random.values(rows * cols);
    values.iter_mut().for_each(|v| *v *= scale);
    // A subnormal f16, and a pattern whose lower half must not leak into a bf16's neighbour.
    values[rows * cols / 2] = 3.0e-5;
    let values = match form {
        Form::Bits { bases, scale_group, rescue } => {
            return Matrix::Packed(packed((rows, cols), bases, scale_group, rescue, scale, &mut random));
        }
        Form::F32 => Values::F32(values),
        Form::F16 => Values::F16(values.into_iter().map(f16::from_f32).collect()),
        Form::Bf16 => Values::BF16(values.into_iter().map(bf16::from_f32).collect()),
    };
    Matrix::Dense(Dense { rows, cols, values })
}

fn packed(
    (rows, cols): (usize, usize),
    bases: usize,
    scale_group: usize,
    rescue: Rescue,
    scale: f32,
    random: &mut Random,
) -> Packed {
    let rescue_rows: Vec<u32> = match rescue {
        Rescue::None => Vec::new(),
        Rescue::Some => (1..rows as u32).filter(|row| row % 5 == 2 || *row + 1 == rows as u32).collect(),
        Rescue::All => (0..rows as u32).collect(),
    };
    let binary_rows = rows - rescue_rows.len();
    let bases = if binary_rows == 0 { 0 } else { bases };
    let groups = if scale_group == 0 { 1 } else { cols.div_ceil(scale_group) };
    let mut scales =
        |count: usize, by: f32| (0..count).map(|_| f16::from_f32(random.signed().abs() * by)).collect();
    let scale_values = scales(bases * binary_rows * groups, scale);
    let rescue_scale = scales(rescue_rows.len() * cols.div_ceil(128), scale / 4.0);
    let words = cols.div_ceil(32);
    let sign = (0..bases * binary_rows * words)
        .map(|i| {
            let used = (cols - i % words * 32).min(32);
            (random.word() as u32) & (u32::MAX >> (32 - used))
        })
        .collect();
    let mut rescue_code = Vec::new();
    for _ in 0..rescue_rows.len() {
        let mut nibble = |used: bool| if used { (random.below(15) as i8 - 7) as u8 & 15 } else { 0 };
        rescue_code.extend((0..cols.div_ceil(2)).map(|j| nibble(true) | nibble(2 * j + 1 < cols) << 4));
    }
    Packed {
        rows,
        cols,
        bases,
        scale_group,
        sign,
        scale: scale_values,
        rescue_rows,
        rescue_code,
        rescue_scale,
    }
}

/// The same matrix with one bit flipped in column 0 of `row`: a sign, or a code's lowest bit.
pub fn flip(matrix: &Matrix, row: usize) -> Matrix {
    let mut matrix = matrix.clone();
    match &mut matrix {
        Matrix::Dense(dense) => match &mut dense.values {
            Values::F32(v) => v[row * dense.cols] = -v[row * dense.cols],
            Values::F16(v) => v[row * dense.cols] = -v[row * dense.cols],
            Values::BF16(v) => v[row * dense.cols] = -v[row * dense.cols],
        },
        Matrix::Packed(packed) => match packed.slots()[row] {
            RowSlot::Binary(m) => {
                let word = m as usize * packed.sign_words();
                packed.sign[word] ^= 1;
            }
            RowSlot::Rescue(r) => {
                let byte = r as usize * packed.cols.div_ceil(2);
                packed.rescue_code[byte] ^= 1;
            }
        },
    }
    matrix
}

/// Positions of documents of these lengths, laid end to end.
pub fn positions(lengths: &[usize]) -> Vec<u32> {
    lengths.iter().flat_map(|len| 0..*len as u32).collect()
}
