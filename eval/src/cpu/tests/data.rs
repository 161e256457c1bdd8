//! Random test data from one small seeded generator.

use bitgauge_core::format::{Layout, bits};
use bitgauge_core::{Bitpacked, Dense, Matrix, Values};
use half::{bf16, f16};

use crate::batch::Batch;

/// Numbers of the kinds that the tests need.
pub struct Random(fastrand::Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0.usize(..n)
    }

    /// Uniform in `[low, high)`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0.f32()
    }

    pub fn vec(&mut self, n: usize, low: f32, high: f32) -> Vec<f32> {
        (0..n).map(|_| self.between(low, high)).collect()
    }
}

/// How a random matrix is stored.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    F32,
    F16,
    Bf16,
    Bitpacked { bases: usize, group: usize, rescued: usize },
}

/// Every form that the kernels tell apart; `rescued` is the stride between rescue rows, 0 for none.
pub const FORMS: [Form; 11] = [
    Form::F32,
    Form::F16,
    Form::Bf16,
    Form::Bitpacked { bases: 1, group: 128, rescued: 0 },
    Form::Bitpacked { bases: 1, group: 0, rescued: 0 },
    Form::Bitpacked { bases: 2, group: 128, rescued: 0 },
    Form::Bitpacked { bases: 1, group: 128, rescued: 7 },
    Form::Bitpacked { bases: 3, group: 0, rescued: 3 },
    Form::Bitpacked { bases: 4, group: 128, rescued: 2 },
    Form::Bitpacked { bases: 2, group: 32, rescued: 5 },
    Form::Bitpacked { bases: 0, group: 128, rescued: 1 },
];

/// A random matrix `[rows, cols]`.
pub fn matrix(random: &mut Random, form: Form, rows: usize, cols: usize) -> Matrix {
    let values = random.vec(rows * cols, -1.0, 1.0);
    let values = match form {
        Form::F32 => Values::F32(values),
        Form::F16 => Values::F16(values.into_iter().map(f16::from_f32).collect()),
        Form::Bf16 => Values::BF16(values.into_iter().map(bf16::from_f32).collect()),
        Form::Bitpacked { bases, group, rescued } => {
            return Matrix::Bitpacked(packed(random, [rows, cols], bases, group, rescued));
        }
    };
    Matrix::Dense(Dense { rows, cols, values })
}

fn packed(
    random: &mut Random,
    [rows, cols]: [usize; 2],
    bases: usize,
    group: usize,
    every: usize,
) -> Bitpacked {
    let rescue_rows: Vec<u32> =
        (0..rows as u32).filter(|row| every > 0 && *row as usize % every == every - 1).collect();
    let sizes = [rows, cols, bases, rescue_rows.len(), group].map(|size| size as u64);
    let layout = Layout::new(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]).unwrap();
    let mut packed = Bitpacked { rescue_rows, ..Bitpacked::zeroed(layout) };
    packed.scale.fill_with(|| f16::from_f32(random.between(0.01, 0.04)));
    packed.rescue_scale.fill_with(|| f16::from_f32(random.between(0.01, 0.04)));
    let mut code = |c: usize| if c < cols { random.below(15) as i8 - 7 } else { 0 };
    for (i, byte) in packed.rescue_code.iter_mut().enumerate() {
        let column = 2 * (i % cols.div_ceil(2));
        *byte = bits::code_byte(code(column), code(column + 1));
    }
    let pad = cols.next_multiple_of(bits::WORD_COLUMNS) - cols;
    packed.sign.fill_with(|| random.0.u32(..));
    let last_words = packed.sign.iter_mut().skip(cols / 32).step_by(cols.div_ceil(32));
    if pad > 0 {
        last_words.for_each(|word| *word = *word << pad >> pad);
    }
    packed
}

/// The same matrix with one stored weight changed: a sign bit flipped, a rescue code or dense
/// value negated.
pub fn mutate(mut matrix: Matrix) -> Matrix {
    match &mut matrix {
        Matrix::Bitpacked(p) if !p.sign.is_empty() => p.sign[0] ^= 1,
        Matrix::Bitpacked(p) => p.rescue_code[0] ^= 1,
        Matrix::Blocks(blocks) => blocks.bytes[16] ^= 8,
        Matrix::Dense(d) => match &mut d.values {
            Values::F32(v) => v[0] = -v[0],
            Values::F16(v) => v[0] = -v[0],
            Values::BF16(v) => v[0] = -v[0],
        },
    }
    matrix
}

/// Documents of these lengths.
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
