//! Seeded test data: activations, weight matrices in every stored form, documents.

use bitgauge_core::format::keep_blocks;
use bitgauge_core::format::{Layout, bits};
use bitgauge_core::{Bitpacked, BlockType, Dense, Matrix, RowSlot, Values};
use bitgauge_eval::Batch;
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
    Bits {
        bases: usize,
        scale_group: usize,
        rescue: Rescue,
    },
    F32,
    F16,
    Bf16,
    /// One of ggml's types that are kept as they are; columns are whole blocks.
    Blocks(BlockType),
}

impl Form {
    /// Every number of bases with both scale layouts and each kind of rescue, and the dense types.
    pub fn all() -> Vec<Self> {
        let mut forms = vec![Self::F32, Self::F16, Self::Bf16];
        forms.extend([BlockType::Q4K, BlockType::Q5K, BlockType::Q6K].map(Self::Blocks));
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
            Self::Blocks(BlockType::Q4K) => Codec::Q4K,
            Self::Blocks(BlockType::Q5K) => Codec::Q5K,
            Self::Blocks(_) => Codec::Q6K,
        }
    }

    /// So many columns, or as many more as whole blocks have.
    pub fn columns(self, cols: usize) -> usize {
        match self {
            Self::Blocks(block) => cols.next_multiple_of(block.values() as usize),
            _ => cols,
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
            return Matrix::Bitpacked(packed((rows, cols), bases, scale_group, rescue, scale, &mut random));
        }
        Form::Blocks(block) => return blocks(block, rows, cols, scale, &mut random),
        Form::F32 => Values::F32(values),
        Form::F16 => Values::F16(values.into_iter().map(f16::from_f32).collect()),
        Form::Bf16 => Values::BF16(values.into_iter().map(bf16::from_f32).collect()),
    };
    Matrix::Dense(Dense { rows, cols, values })
}

/// Random blocks, with scales that make values of about `scale`.
fn blocks(block: BlockType, rows: usize, cols: usize, scale: f32, random: &mut Random) -> Matrix {
    let count = rows * cols / block.values() as usize;
    let mut bytes: Vec<u8> = (0..count * block.bytes() as usize).map(|_| random.word() as u8).collect();
    // Where the halves of scales stand, and the largest integer that multiplies each.
    let halves: &[(usize, f32)] = match block {
        BlockType::Q4K => &[(0, 63.0 * 15.0), (2, 63.0)],
        BlockType::Q5K => &[(0, 63.0 * 31.0), (2, 63.0)],
        _ => &[(208, 128.0 * 32.0)],
    };
    for block in bytes.chunks_exact_mut(block.bytes() as usize) {
        for (at, most) in halves {
            let value = f16::from_f32(random.signed() * 2.0 * scale / most);
            block[*at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
    }
    keep_blocks(block, [rows as u64, cols as u64], &bytes).expect("sound blocks")
}

fn packed(
    (rows, cols): (usize, usize),
    bases: usize,
    scale_group: usize,
    rescue: Rescue,
    scale: f32,
    random: &mut Random,
) -> Bitpacked {
    let rescue_rows: Vec<u32> = match rescue {
        Rescue::None => Vec::new(),
        Rescue::Some => (1..rows as u32).filter(|row| row % 5 == 2 || *row + 1 == rows as u32).collect(),
        Rescue::All => (0..rows as u32).collect(),
    };
    let bases = if rescue_rows.len() == rows { 0 } else { bases };
    let sizes = [rows, cols, bases, rescue_rows.len(), scale_group].map(|size| size as u64);
    let layout = Layout::new(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]).expect("a sound layout");
    let mut packed = Bitpacked { rescue_rows, ..Bitpacked::zeroed(layout) };
    packed.scale.fill_with(|| f16::from_f32(random.signed().abs() * scale));
    packed.rescue_scale.fill_with(|| f16::from_f32(random.signed().abs() * (scale / 4.0)));
    let words = cols.div_ceil(bits::WORD_COLUMNS);
    for (i, word) in packed.sign.iter_mut().enumerate() {
        let used = (cols - i % words * bits::WORD_COLUMNS).min(bits::WORD_COLUMNS);
        *word = (random.word() as u32) & (u32::MAX >> (bits::WORD_COLUMNS - used));
    }
    let mut code = |c: usize| if c < cols { random.below(15) as i8 - 7 } else { 0 };
    for (i, byte) in packed.rescue_code.iter_mut().enumerate() {
        let column = 2 * (i % cols.div_ceil(2));
        *byte = bits::code_byte(code(column), code(column + 1));
    }
    packed
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
        Matrix::Blocks(blocks) => {
            let (at, bit) = match blocks.block {
                BlockType::Q4K => (16, 8),
                BlockType::Q5K => (16, 1),
                _ => (128, 2),
            };
            blocks.bytes[row * (blocks.cols / 256) * blocks.block.bytes() as usize + at] ^= bit;
        }
        Matrix::Bitpacked(packed) => match packed.slots()[row] {
            RowSlot::Binary(m) => {
                let word = m as usize * packed.cols().div_ceil(bits::WORD_COLUMNS);
                packed.sign[word] ^= 1;
            }
            RowSlot::Rescue(r) => {
                let byte = r as usize * packed.cols().div_ceil(2);
                packed.rescue_code[byte] ^= 1;
            }
        },
    }
    matrix
}

/// Documents of these lengths, all of the id 0.
pub fn batch(lengths: &[usize]) -> Batch {
    let mut batch = Batch::default();
    lengths.iter().for_each(|&length| batch.push(&vec![0; length]));
    batch
}

/// One document with these targets.
pub fn with_targets(targets: &[u32]) -> Batch {
    let mut batch = batch(&[targets.len()]);
    batch.targets = targets.to_vec();
    batch
}
