//! Some rows of a packed weight by themselves, so that a large one is read piece by piece.

use std::ops::Range;

use super::layout::Layout;
use super::part::{Part, Parts};
use crate::Result;

/// Consecutive rows of a packed weight as a weight of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedRows {
    /// How they lie.
    pub layout: Layout,
    /// The ranges of each part's tensor that make up their part, in order, in bytes. The rescue rows have new numbers:
    /// those of `rescue_rows` stand for them.
    pub ranges: Parts<Vec<Range<u64>>>,
    /// The part [`Part::RescueRows`], as it is stored.
    pub rescue_rows: Vec<u8>,
}

impl Layout {
    /// Some of the rows, at least one; `rescue_rows` are the bytes of the part [`Part::RescueRows`] of the whole weight.
    ///
    /// # Errors
    /// Numbers of rescue rows that do not increase.
    pub fn some_rows(&self, rows: Range<u64>, rescue_rows: &[u8]) -> Result<PackedRows> {
        let numbers =
            rescue_rows.as_chunks::<4>().0.iter().map(|number| u64::from(u32::from_le_bytes(*number)));
        let before = |row: u64| numbers.clone().take_while(|number| *number < row).count() as u64;
        let rescue = before(rows.start)..before(rows.end);
        let binary = rows.start - rescue.start..(rows.end - rescue.end).max(rows.start - rescue.start);
        let own: Vec<u8> = numbers
            .clone()
            .skip(rescue.start as usize)
            .take((rescue.end - rescue.start) as usize)
            .flat_map(|number| (number.saturating_sub(rows.start) as u32).to_le_bytes())
            .collect();
        let bases = if binary.is_empty() { 0 } else { self.bases() };
        let rescued = rescue.end - rescue.start;
        let layout = Self::new(rows.end - rows.start, self.cols(), bases, rescued, self.scale_group())?;
        let mut ranges = Parts::<Vec<Range<u64>>>::default();
        for part in [Part::Sign, Part::Scale] {
            let bytes = self.row_bytes(part);
            let plane = |basis: u64| {
                let first = basis * self.binary_rows();
                (first + binary.start) * bytes..(first + binary.end) * bytes
            };
            ranges[part] = (0..bases).map(plane).collect();
        }
        for part in [Part::RescueCode, Part::RescueScale] {
            let bytes = self.row_bytes(part);
            ranges[part].push(rescue.start * bytes..rescue.end * bytes);
        }
        Ok(PackedRows { layout, ranges, rescue_rows: own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::decode;

    fn cut(bytes: &[u8], ranges: &[Range<u64>]) -> Vec<u8> {
        ranges.iter().flat_map(|range| &bytes[range.start as usize..range.end as usize]).copied().collect()
    }

    /// The rows of a weight, cut anywhere, have the values that they have in the whole.
    #[test]
    fn rows_by_themselves_are_the_rows_of_the_whole() {
        let (rows, cols, group) = (11, 70, 32);
        for (bases, rescued) in
            [(1, &[][..]), (2, &[0, 4, 5, 10]), (3, &[7]), (0, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])]
        {
            let layout = Layout::new(rows, cols, bases, rescued.len() as u64, group).unwrap();
            let mut random = fastrand::Rng::with_seed(3);
            let mut parts = Parts::<Vec<u8>>::default();
            for part in Part::ALL {
                let count = match part {
                    Part::Sign | Part::Scale => bases * layout.binary_rows(),
                    Part::RescueRows | Part::RescueCode | Part::RescueScale => layout.rescued(),
                };
                parts[part] = match part {
                    Part::RescueRows => rescued.iter().flat_map(|row: &u32| row.to_le_bytes()).collect(),
                    // Two words and six columns of a third.
                    Part::Sign => (0..count)
                        .flat_map(|_| [random.u32(..), random.u32(..), random.u32(..) & 0x3f])
                        .flat_map(u32::to_le_bytes)
                        .collect(),
                    Part::RescueCode => (0..count * layout.row_bytes(part))
                        .map(|_| random.u8(..8) * 16 + random.u8(..8))
                        .collect(),
                    Part::Scale | Part::RescueScale => (0..count * layout.row_bytes(part) / 2)
                        .flat_map(|_| half::f16::from_f32(random.f32()).to_le_bytes())
                        .collect(),
                };
            }
            let whole = decode("w", &layout, &parts.map(Vec::as_slice)).unwrap();
            let values = crate::Matrix::Bitpacked(whole).to_f32();
            for start in 0..rows {
                for end in start + 1..=rows {
                    let some = layout.some_rows(start..end, &parts[Part::RescueRows]).unwrap();
                    let mut own = Parts::<Vec<u8>>::default();
                    for part in Part::ALL {
                        own[part] = cut(&parts[part], &some.ranges[part]);
                    }
                    own[Part::RescueRows] = some.rescue_rows;
                    let some = decode("w", &some.layout, &own.map(Vec::as_slice)).unwrap();
                    let found = crate::Matrix::Bitpacked(some).to_f32();
                    let cols = cols as usize;
                    assert_eq!(found, values[start as usize * cols..end as usize * cols], "{start}..{end}");
                }
            }
        }
    }

    #[test]
    fn numbers_out_of_order_are_an_error_or_found_by_decoding() {
        let layout = Layout::new(8, 32, 1, 3, 0).unwrap();
        let numbers: Vec<u8> = [6_u32, 1, 2].into_iter().flat_map(u32::to_le_bytes).collect();
        for (start, end) in [(0, 4), (1, 8), (4, 8)] {
            if let Ok(some) = layout.some_rows(start..end, &numbers) {
                assert_eq!(some.layout.rows(), end - start);
            }
        }
    }
}
