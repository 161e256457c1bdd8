//! GPTQ: error feedback from a rounded column to the columns behind it.
//!
//! The squared error of a row's outputs is (w - q)ᵀ H (w - q): w the weights, q what is stored, and H the Hessian, the
//! mean of x xᵀ over inputs x. When one column is rounded, the best correction of the columns behind it follows from H
//! (Frantar et al., "Optimal Brain Compression", 2022, and "GPTQ", 2023).

use std::ops::Range;

use super::lanes::{LANES, Lanes, products};
use bitgauge_core::{Error, ErrorKind, Result};

/// Columns that are coded one by one before their errors reach the columns behind them.
const TILE_COLUMNS: usize = 16;

/// The moments of one block of columns, a diagonal block of the Hessian.
pub struct MomentsBlock<'a> {
    pub(super) columns: Range<usize>,
    /// `[n, n]`, of which the lower half is meaningful.
    pub(super) values: &'a [f32],
}

impl MomentsBlock<'_> {
    /// The moment of columns i and j, j not above i.
    pub(super) fn at(&self, i: usize, j: usize) -> f32 {
        self.values[i * self.columns.len() + j]
    }
}

/// The error feedback among the columns of one block.
#[derive(Debug, Clone)]
pub struct FeedbackBlock {
    pub(super) columns: Range<usize>,
    /// Damped moments `[n, n]`, scaled so that their diagonal has the mean 1.
    pub(super) moments: Vec<f32>,
    /// `[n, n]`, its lower half: row j holds, for each column before j, what is taken from j per unit of the
    /// column's error.
    factors: Vec<f32>,
}

/// The error feedback from each column of a weight to the columns behind it in its block.
#[derive(Debug, Clone)]
pub struct Feedback {
    pub(super) cols: usize,
    pub(super) blocks: Vec<FeedbackBlock>,
}

impl FeedbackBlock {
    /// Factors and inverts one block, after adding to its diagonal `damping` (above 0) times the diagonal's mean: few
    /// inputs say little about rare directions, and inputs of another kind little about all of them.
    ///
    /// # Errors
    /// A moment that is NaN or infinite.
    pub fn of(moments: &MomentsBlock, damping: f64) -> Result<Self> {
        let (columns, n) = (moments.columns.clone(), moments.columns.len());
        let at = |i: usize, j: usize| f64::from(moments.at(i.max(j), i.min(j)));
        let mean = (0..n).map(|i| at(i, i)).sum::<f64>() / n as f64;
        if !mean.is_finite() {
            return Err(Error::new(ErrorKind::BadValue, "the inputs of a weight are not finite")
                .expected_found("finite activations", mean));
        }
        // Inputs that are always 0 say nothing: every column counts the same.
        let scale = if mean > 0.0 { 1.0 / mean } else { 0.0 };
        let damping = if mean > 0.0 { damping } else { 1.0 };
        let mut matrix: Vec<f64> = (0..n * n).map(|i| scale * at(i / n, i % n)).collect();
        for i in 0..n {
            matrix[i * n + i] += damping;
        }
        let moments = matrix.iter().map(|&value| value as f32).collect();
        factor_backwards(&mut matrix, n);
        let inverse = invert_lower(&matrix, n);
        let mut factors = vec![0.0; n * n];
        for c in 0..n {
            for j in c + 1..n {
                factors[j * n + c] = (inverse[j * n + c] / inverse[c * n + c]) as f32;
            }
        }
        Ok(Self { columns, moments, factors })
    }
}

/// Replaces the lower half of a positive definite A `[n, n]` by the lower triangular L with A = Lᵀ L.
fn factor_backwards(matrix: &mut [f64], n: usize) {
    for k in (0..n).rev() {
        let (before, row) = matrix.split_at_mut(k * n);
        // Damping keeps pivots positive; rounding must not make one of them 0.
        let pivot = row[k].max(f64::EPSILON).sqrt();
        row[k] = pivot;
        row[..k].iter_mut().for_each(|value| *value /= pivot);
        for i in 0..k {
            let factor = row[i];
            before[i * n..=i * n + i]
                .iter_mut()
                .zip(&row[..])
                .for_each(|(value, row)| *value -= factor * row);
        }
    }
}

/// The inverse of a lower triangular matrix `[n, n]`.
fn invert_lower(lower: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; n * n];
    for i in 0..n {
        let (before, row) = inverse.split_at_mut(i * n);
        let pivot = lower[i * n + i];
        for k in 0..i {
            let factor = lower[i * n + k] / pivot;
            row[..=k].iter_mut().zip(&before[k * n..=k * n + k]).for_each(|(value, z)| *value -= factor * z);
        }
        row[i] = 1.0 / pivot;
    }
    inverse
}

impl FeedbackBlock {
    /// Goes through the columns of some rows `[n]`, side by side. `choose(c, values)` gives what is stored for the
    /// values of column c; its error is carried to the columns behind it.
    pub(super) fn walk(&self, rows: &[Lanes], mut choose: impl FnMut(usize, &Lanes) -> Lanes) {
        let n = self.columns.len();
        let mut errors = vec![[0.0; LANES]; n];
        let mut carried = [[0.0; LANES]; TILE_COLUMNS];
        for start in (0..n).step_by(TILE_COLUMNS) {
            let tile = start..n.min(start + TILE_COLUMNS);
            products(&self.factors, n, tile.clone(), 0, &errors[..start], |j, sum| carried[j - start] = *sum);
            for c in tile {
                let mut values = rows[c];
                products(&self.factors, n, c..c + 1, start, &errors[start..c], |_, near| {
                    for ((value, far), near) in values.iter_mut().zip(&carried[c - start]).zip(near) {
                        *value -= far + near;
                    }
                });
                let stored = choose(c, &values);
                for ((error, value), stored) in errors[c].iter_mut().zip(values).zip(stored) {
                    *error = value - stored;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::Moments;
    use super::super::moments::tests::{inputs, moments};
    use super::*;

    /// Of all changes to the columns behind one that errs, the one made leaves the least error of outputs: there the
    /// gradient is 0.
    #[test]
    fn the_correction_is_the_best_one() {
        let (cols, damping) = (9, 0.1);
        let source = moments(&inputs(50, cols), cols);
        let feedback = source.feedback(damping).unwrap();
        let FeedbackBlock { moments, factors, .. } = &feedback.blocks[0];
        for c in 0..cols {
            for j in c + 1..cols {
                let later: f32 = (c + 1..cols).map(|k| moments[j * cols + k] * factors[k * cols + c]).sum();
                let gradient = later + moments[j * cols + c];
                assert!(gradient.abs() < 1e-5, "column {c}, {j}: {gradient}");
                let without = later - moments[j * cols + j] * factors[j * cols + c] + moments[j * cols + c];
                assert!(without.abs() > 1e-4, "a factor left out is noticed");
            }
        }
    }

    /// Tiles of columns carry what one column after the other would, in every row.
    #[test]
    fn errors_reach_every_column_behind() {
        let cols = 3 * TILE_COLUMNS + 5;
        let source = moments(&inputs(200, cols), cols);
        let feedback = source.feedback(0.1).unwrap();
        let FeedbackBlock { factors, .. } = &feedback.blocks[0];
        let rows: Vec<Lanes> = inputs(cols, LANES).as_chunks().0.to_vec();
        let mut walked = Vec::new();
        feedback.blocks[0].walk(&rows, |c, values| {
            assert_eq!(c, walked.len());
            walked.push(*values);
            values.map(f32::round)
        });
        let one_by_one = |r: usize, skipped: usize| {
            let mut row: Vec<f64> = rows.iter().map(|lanes| f64::from(lanes[r])).collect();
            for c in 0..cols {
                let error = row[c] - row[c].round();
                for j in (c + 1..cols).filter(|&j| j - c != skipped) {
                    row[j] -= error * f64::from(factors[j * cols + c]);
                }
            }
            row
        };
        let differs = |r: usize, expected: &[f64]| {
            walked.iter().zip(expected).any(|(lanes, value)| (f64::from(lanes[r]) - value).abs() > 1e-4)
        };
        for r in 0..LANES {
            assert!(!differs(r, &one_by_one(r, 0)), "row {r}");
            assert!(differs(r, &one_by_one(r, 1)) && differs(r, &one_by_one(r, TILE_COLUMNS)), "row {r}");
        }
    }

    #[test]
    fn inputs_that_say_nothing_correct_nothing() {
        let feedback = Moments::new(5).feedback(0.03);
        assert!(feedback.unwrap().blocks[0].factors.iter().all(|&factor| factor == 0.0));
        let bad = Moments::from_values(1, vec![f32::NAN]).unwrap();
        let refused = bad.feedback(0.03);
        assert_eq!(refused.unwrap_err().kind, ErrorKind::BadValue);
    }
}
