//! A matrix as BitNet's codes: -1, 0 and 1 in two bits each, and one scale.

use bitgauge_core::contract::Rules;
use bitgauge_core::{Dense, Error, ErrorKind, Result};

use super::CODES_PER_BYTE;
use crate::pack::blocks;
use crate::pack::original::Original;
use crate::source::Source;

/// What a code stands for is this much less.
const ZERO: u8 = 1;
/// Below this part of the mean magnitude a ternary code is zero.
const ZERO_BELOW: f64 = 0.5;

/// The magnitudes in a matrix.
#[derive(Debug, Default)]
pub(super) struct Magnitudes {
    sum: f64,
    count: u64,
    /// The only one beside zero so far.
    one: Option<f32>,
    has_others: bool,
}

impl Magnitudes {
    /// Reads the matrix once.
    ///
    /// # Errors
    /// A weight that is NaN or infinite.
    pub(super) fn of(source: &mut Source, original: &Original) -> Result<Self> {
        let mut all = Self::default();
        let of_rows = |block: Dense, _: usize| {
            let values = block.values.to_f32();
            values.chunks_exact(block.cols).map(Self::of_row).collect::<Result<Vec<_>>>()
        };
        blocks::for_each(source, original, of_rows, |rows| {
            rows.into_iter().for_each(|row| all.merge(&row));
            Ok(())
        })?;
        Ok(all)
    }

    fn of_row(row: &[f32]) -> Result<Self> {
        let mut all = Self { count: row.len() as u64, ..Self::default() };
        for value in row {
            let size = value.abs();
            all.sum += f64::from(size);
            if size != 0.0 {
                all.has_others |= *all.one.get_or_insert(size) != size;
            }
        }
        if all.sum.is_finite() {
            return Ok(all);
        }
        Err(Error::new(ErrorKind::BadValue, "a weight is not a finite number")
            .expected_found("finite weights", "another"))
    }

    fn merge(&mut self, row: &Self) {
        self.sum += row.sum;
        self.count += row.count;
        self.has_others |= row.has_others || matches!((self.one, row.one), (Some(a), Some(b)) if a != b);
        self.one = self.one.or(row.one);
    }

    /// Whether codes and a scale hold the matrix as it is.
    pub(super) fn is_exact(&self) -> bool {
        !self.has_others
    }

    fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

/// A matrix of codes.
pub(super) struct Codes {
    /// A quarter of the rows: byte r holds rows r, r + out / 4, r + 2 out / 4 and r + 3 out / 4, the first in the lowest bits.
    pub(super) bytes: Vec<u8>,
    /// What the codes are multiplied by.
    pub(super) scale: f32,
}

impl Codes {
    /// Reads the matrix once more.
    pub(super) fn of(
        source: &mut Source,
        original: &Original,
        magnitudes: &Magnitudes,
        pack: Rules,
    ) -> Result<Self> {
        let [rows, cols] = original.expected.matrix().unwrap_or_default().map(|side| side as usize);
        let quarter = rows / CODES_PER_BYTE as usize;
        let least = match (magnitudes.is_exact(), pack) {
            (true, _) => f64::MIN_POSITIVE,
            (false, Rules::Ternary) => ZERO_BELOW * magnitudes.mean(),
            (false, _) => 0.0,
        };
        let code = |value: &f32| match f64::from(value.abs()) >= least {
            false => ZERO,
            true if *value >= 0.0 => ZERO + 1,
            true => ZERO - 1,
        };
        let mut bytes = vec![0; quarter * cols];
        let (mut sum, mut count) = (0.0, 0_u64);
        let of_rows = |block: Dense, first: usize| {
            let values = block.values.to_f32();
            let kept = |value: &&f32| f64::from(value.abs()) >= least;
            let sums: Vec<f64> = values
                .chunks_exact(block.cols)
                .map(|row| row.iter().filter(kept).map(|value| f64::from(value.abs())).sum())
                .collect();
            let count = values.iter().filter(kept).count() as u64;
            Ok((first, values.iter().map(code).collect::<Vec<u8>>(), sums, count))
        };
        blocks::for_each(source, original, of_rows, |(first, codes, sums, kept)| {
            for (row, codes) in (first..).zip(codes.chunks_exact(cols)) {
                let shift = 2 * (row / quarter);
                let bytes = &mut bytes[row % quarter * cols..][..cols];
                bytes.iter_mut().zip(codes).for_each(|(byte, code)| *byte |= code << shift);
            }
            sum = sums.iter().fold(sum, |sum, row| sum + row);
            count += kept;
            Ok(())
        })?;
        let mean = (sum / count.max(1) as f64) as f32;
        let scale = if magnitudes.is_exact() { magnitudes.one.unwrap_or(1.0) } else { mean };
        Ok(Self { bytes, scale })
    }
}

/// Rounds a row to its signs times its mean magnitude.
pub(super) fn to_signs(row: &mut [f32]) {
    let sum: f64 = row.iter().map(|value| f64::from(value.abs())).sum();
    let mean = (sum / row.len().max(1) as f64) as f32;
    row.iter_mut().for_each(|value| *value = if *value >= 0.0 { mean } else { -mean });
}
