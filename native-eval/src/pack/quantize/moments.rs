//! Second moments of a weight's inputs.

use std::ops::Range;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::gptq::{Feedback, FeedbackBlock, MomentsBlock};
use bitgauge_core::{Error, ErrorKind, Result};

/// Columns whose moments are known together. Between blocks inputs count as independent.
pub const MOMENT_BLOCK: usize = 512;
/// Tokens that are added together.
const TOKENS_AT_ONCE: usize = 4;

/// Sums of x xᵀ over inputs x `[K]`, in diagonal blocks of [`MOMENT_BLOCK`] columns. Only the lower half of each
/// block is meaningful.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    cols: usize,
    values: Vec<f32>,
}

fn column_blocks(cols: usize) -> impl Iterator<Item = Range<usize>> {
    (0..cols).step_by(MOMENT_BLOCK).map(move |start| start..cols.min(start + MOMENT_BLOCK))
}

impl Moments {
    /// Numbers that the moments of a weight with `cols` columns have.
    pub fn count(cols: usize) -> usize {
        column_blocks(cols).map(|block| block.len() * block.len()).sum()
    }

    /// Of no inputs.
    pub fn new(cols: usize) -> Self {
        Self { cols, values: vec![0.0; Self::count(cols)] }
    }

    /// From what [`Moments::values`] gave.
    ///
    /// # Errors
    /// Another number of values than `cols` columns have.
    pub fn from_values(cols: usize, values: Vec<f32>) -> Result<Self> {
        if values.len() == Self::count(cols) {
            return Ok(Self { cols, values });
        }
        Err(Error::new(ErrorKind::WrongShape, "the moments have the wrong size")
            .expected_found(Self::count(cols), values.len()))
    }

    /// All blocks, one after the other.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Pieces that can be added to independently: columns, and their block `[n, n]`.
    pub fn blocks_mut(&mut self) -> Vec<(Range<usize>, &mut [f32])> {
        let mut rest = self.values.as_mut_slice();
        let mut blocks = Vec::new();
        for columns in column_blocks(self.cols) {
            let (block, others) = rest.split_at_mut(columns.len() * columns.len());
            blocks.push((columns, block));
            rest = others;
        }
        blocks
    }

    /// Adds the inputs `[T, K]` to the rows of a block from its column `first` on, in the order of the tokens.
    /// `rows` holds whole rows of the block.
    pub fn add(rows: &mut [f32], columns: Range<usize>, first: usize, inputs: &[f32], cols: usize) {
        for tokens in inputs.chunks(TOKENS_AT_ONCE * cols) {
            let inputs: Vec<&[f32]> = tokens.chunks_exact(cols).map(|x| &x[columns.clone()]).collect();
            for (i, row) in (first..).zip(rows.chunks_exact_mut(columns.len())) {
                let row = &mut row[..=i];
                if let [a, b, c, d] = inputs[..] {
                    let (ai, bi, ci, di) = (a[i], b[i], c[i], d[i]);
                    let others = a.iter().zip(b).zip(c).zip(d);
                    for (sum, (((a, b), c), d)) in row.iter_mut().zip(others) {
                        *sum += (ai * a + bi * b) + (ci * c + di * d);
                    }
                } else {
                    for x in &inputs {
                        let factor = x[i];
                        row.iter_mut().zip(*x).for_each(|(sum, x)| *sum += factor * x);
                    }
                }
            }
        }
    }

    fn blocks(&self) -> impl Iterator<Item = MomentsBlock<'_>> {
        let mut start = 0;
        column_blocks(self.cols).map(move |columns| {
            let values = &self.values[start..][..columns.len() * columns.len()];
            start += values.len();
            MomentsBlock { columns, values }
        })
    }

    /// The second moment of each input, `[K]`, up to a factor.
    pub fn importance(&self) -> Vec<f32> {
        self.blocks().flat_map(|block| (0..block.columns.len()).map(move |i| block.at(i, i))).collect()
    }

    /// The error feedback by these moments; `damping` is that of [`FeedbackBlock::of`].
    ///
    /// # Errors
    /// A moment that is NaN or infinite.
    pub fn feedback(&self, damping: f64) -> Result<Feedback> {
        let blocks: Vec<MomentsBlock> = self.blocks().collect();
        let blocks = blocks.par_iter().map(|block| FeedbackBlock::of(block, damping));
        Ok(Feedback { cols: self.cols, blocks: blocks.collect::<Result<Vec<_>>>()? })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Inputs that move together `[T, cols]`.
    pub(in crate::pack::quantize) fn inputs(tokens: usize, cols: usize) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut next = || random.f32() - 0.5;
        let mut token = || {
            let common = next();
            (0..cols).map(|c| next() + common * (1.0 + c as f32 / 3.0)).collect::<Vec<f32>>()
        };
        (0..tokens).flat_map(|_| token()).collect()
    }

    pub(in crate::pack::quantize) fn moments(inputs: &[f32], cols: usize) -> Moments {
        let mut moments = Moments::new(cols);
        for (columns, block) in moments.blocks_mut() {
            // In two stripes, as threads would.
            let (first, second) = block.split_at_mut(columns.len() / 2 * columns.len());
            Moments::add(first, columns.clone(), 0, inputs, cols);
            Moments::add(second, columns.clone(), columns.len() / 2, inputs, cols);
        }
        moments
    }

    #[test]
    fn moments_are_sums_of_products_within_a_block() {
        let cols = MOMENT_BLOCK + 3;
        let inputs = inputs(7, cols);
        let moments = moments(&inputs, cols);
        let sum =
            |i: usize, j: usize| inputs.chunks(cols).map(|x| f64::from(x[i]) * f64::from(x[j])).sum::<f64>();
        for (i, j, found) in [
            (5, 2, moments.values()[5 * MOMENT_BLOCK + 2]),
            (511, 511, moments.importance()[511]),
            (514, 512, moments.values()[MOMENT_BLOCK * MOMENT_BLOCK + 2 * 3]),
        ] {
            assert!(
                (sum(i, j) - f64::from(found)).abs() < 1e-6 * (1.0 + sum(i, j).abs()),
                "{i} {j}: {found} instead of {}",
                sum(i, j)
            );
            assert!((sum(i, j) - f64::from(found) - sum(i, 3)).abs() > 1e-3, "one product more is noticed");
        }
        assert_eq!(Moments::from_values(cols, moments.values().to_vec()).unwrap(), moments);
        assert_eq!(
            Moments::from_values(cols + 1, moments.values().to_vec()).unwrap_err().kind,
            ErrorKind::WrongShape
        );
    }
}
