//! Matrices that sign planes hold as they are: each group of columns has one magnitude (one basis), or two (two bases, since
//! `±a±b` has the magnitudes `a + b` and `a - b`; with `a = b` one of them is 0). Single rows that are of no such kind may be
//! rescue rows, where their codes are -1, 0 and 1.
//!
//! Scales are f16. A scale that f16 does not hold is rounded to it, signs and zeros stay.

use bitgauge_core::format::{Layout, bits};
use bitgauge_core::{Bitpacked, Dense, RESCUE_GROUP, Result};
use half::f16;

use super::blocks;
use super::original::Original;
use crate::source::Source;

/// Columns that may share a scale, the most first; 0 is the whole row.
const GROUPS: [usize; 4] = [0, 128, 64, 32];
/// How far a level may be from its value: half a unit of f16's last place.
const ROUNDING: f32 = 1.0 / 2048.0;
/// The smallest positive f16.
const SMALLEST: f16 = f16::from_bits(1);

/// What a row can be, a bit for each of [`GROUPS`] in three places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Forms(u16);

impl Forms {
    const ONE: u32 = 0;
    const TWO: u32 = 4;
    /// A scale of it is rounded.
    const ROUNDED: u32 = 8;
    const RESCUE: u16 = 1 << 12;

    fn has(self, kind: u32, group: usize) -> bool {
        self.0 >> (kind + group as u32) & 1 == 1
    }

    /// The forms of one row.
    fn of(row: &[f32]) -> Self {
        let mut forms = 0;
        let mut sizes: Vec<Sizes> = row.chunks(GROUPS[3]).map(Sizes::of).collect();
        for (group, columns) in GROUPS.iter().enumerate().rev() {
            if *columns == 0 {
                sizes = vec![Sizes::merged(&sizes)];
            } else if *columns > GROUPS[3] {
                sizes = sizes.chunks(2).map(Sizes::merged).collect();
            }
            if *columns == RESCUE_GROUP && sizes.iter().all(|sizes| sizes.has_one_beside_zero()) {
                forms |= Self::RESCUE;
            }
            let one = sizes.iter().all(|sizes| sizes.one().is_some());
            let two = one || sizes.iter().all(|sizes| sizes.two().is_some());
            let is_exact =
                sizes.iter().all(|sizes| if one { sizes.is_one_exact() } else { sizes.is_two_exact() });
            for (kind, holds) in [(Self::ONE, one), (Self::TWO, two), (Self::ROUNDED, two && !is_exact)] {
                forms |= u16::from(holds) << (kind + group as u32);
            }
            if !two {
                break;
            }
        }
        Self(forms)
    }
}

/// The magnitudes in a run of columns.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// The larger first, once there are two.
    values: [f32; 2],
    /// How many; 3 stands for more than two.
    count: u8,
}

impl Sizes {
    fn of(values: &[f32]) -> Self {
        let mut sizes = Self { values: [0.0; 2], count: 0 };
        for value in values {
            sizes.add(value.abs());
            if sizes.count > 2 {
                break;
            }
        }
        sizes
    }

    fn merged(all: &[Self]) -> Self {
        let mut sizes = Self { values: [0.0; 2], count: 0 };
        for other in all {
            other.values.iter().take(other.count.into()).for_each(|size| sizes.add(*size));
            sizes.count = sizes.count.max(if other.count > 2 { 3 } else { 0 });
        }
        sizes
    }

    fn add(&mut self, size: f32) {
        let [first, second] = self.values;
        match self.count {
            0 => (self.values[0], self.count) = (size, 1),
            1 if first == size => {}
            1 => (self.values, self.count) = ([first.max(size), first.min(size)], 2),
            2 if first == size || second == size => {}
            _ => self.count = 3,
        }
    }

    /// The scale of one basis.
    fn one(self) -> Option<f16> {
        let scale = f16::from_f32(self.values[0]);
        (self.count == 1 && is_level(scale.to_f32(), self.values[0]) && scale > f16::ZERO).then_some(scale)
    }

    /// The scales of two bases.
    fn two(self) -> Option<[f16; 2]> {
        let [large, small] = self.both()?;
        if large == 0.0 {
            return Some([SMALLEST; 2]);
        }
        let scales = [f16::from_f32(0.5 * (large + small)), f16::from_f32(0.5 * (large - small))];
        let scales = if self.count == 1 { [f16::from_f32(0.5 * large); 2] } else { scales };
        let [a, b] = scales.map(f16::to_f32);
        let holds = is_level(a + b, large) && (self.count == 1 || is_level(a - b, small));
        (b > 0.0 && holds).then_some(scales)
    }

    /// The larger and the smaller one; the same twice where there is one.
    fn both(self) -> Option<[f32; 2]> {
        match self.count {
            1 => Some([self.values[0]; 2]),
            2 => Some(self.values),
            _ => None,
        }
    }

    fn is_one_exact(self) -> bool {
        self.one().is_some_and(|scale| scale.to_f32() == self.values[0])
    }

    fn is_two_exact(self) -> bool {
        let exact = |[a, b]: [f16; 2]| {
            let [a, b] = [a.to_f32(), b.to_f32()];
            a + b == self.values[0] && (self.count == 1 || a - b == self.values[1])
        };
        self.values[0] == 0.0 || self.two().is_some_and(exact)
    }

    /// Whether codes of -1, 0 and 1 hold it exactly.
    fn has_one_beside_zero(self) -> bool {
        let large = self.values[0];
        (self.count == 1 || self.count == 2 && self.values[1] == 0.0)
            && f16::from_f32(large).to_f32() == large
    }
}

/// Whether a level is a value, but for the rounding of f16.
fn is_level(level: f32, value: f32) -> bool {
    level.is_finite() && (level - value).abs() <= ROUNDING * value
}

/// What the rows of a matrix can be.
pub(super) struct Exact {
    rows: Vec<Forms>,
    cols: u64,
}

/// How a matrix is stored exactly.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub(super) layout: Layout,
    pub(super) rescue_rows: Vec<u32>,
    /// Whether scales are rounded to f16.
    pub(super) is_rounded: bool,
}

impl Exact {
    /// The forms of all rows; nothing where a row has none. Reads the matrix once, up to such a row.
    pub(super) fn of(source: &mut Source, original: &Original) -> Result<Option<Self>> {
        let [_, cols] = original.expected.matrix().unwrap_or_default();
        let forms = |dense: Dense| -> Vec<Forms> {
            let mut row = vec![0.0; dense.cols];
            let form = |r| {
                dense.values.read(r * dense.cols, &mut row);
                Forms::of(&row)
            };
            (0..dense.rows).map(form).collect()
        };
        let (mut rows, mut has_all) = (Vec::new(), true);
        blocks::for_each_while(
            source,
            original,
            |block, _| Ok(forms(block)),
            |mut forms| {
                has_all = !forms.contains(&Forms(0));
                rows.append(&mut forms);
                Ok(has_all)
            },
        )?;
        Ok(has_all.then_some(Self { rows, cols }))
    }

    /// The scale group that takes the fewest bytes, of equal ones that of the most columns.
    pub(super) fn scale_group(&self) -> Option<usize> {
        let bytes = |group: &usize| Some((self.at(*group)?.layout.bits().total(), *group));
        let all = GROUPS.iter().filter_map(bytes);
        all.reduce(|best, other| if other.0 < best.0 { other } else { best }).map(|(_, group)| group)
    }

    /// How the matrix is stored with this scale group, if it can be: in the fewest bytes.
    pub(super) fn at(&self, scale_group: usize) -> Option<Stored> {
        let group = GROUPS.iter().position(|known| *known == scale_group)?;
        let with_bases = |(kind, bases): (u32, u64)| {
            let others = (0..).zip(&self.rows).filter(|(_, forms)| !forms.has(kind, group));
            let is_rescue = |(row, forms): (u32, &Forms)| (forms.0 & Forms::RESCUE != 0).then_some(row);
            let rescue_rows: Vec<u32> = others.map(is_rescue).collect::<Option<_>>()?;
            let rescued = rescue_rows.len() as u64;
            let bases = if rescued == self.rows.len() as u64 { 0 } else { bases };
            let layout =
                Layout::new(self.rows.len() as u64, self.cols, bases, rescued, scale_group as u64).ok()?;
            let is_rounded = self.rows.iter().any(|forms| forms.has(Forms::ROUNDED, group));
            Some(Stored { layout, rescue_rows, is_rounded })
        };
        let all = [(Forms::ONE, 1), (Forms::TWO, 2)].into_iter().filter_map(with_bases);
        all.min_by_key(|stored| stored.layout.bits().total())
    }
}

/// The coarsest scale group that serves where one needs this and the other that.
pub(super) fn finer(one: usize, other: usize) -> usize {
    if one == 0 || other == 0 { one.max(other) } else { one.min(other) }
}

/// Some rows of a matrix, from `first_row` on, as they are stored. `rescue_rows` are those among them.
pub(super) fn code(block: &Dense, first_row: usize, rescue_rows: &[u32], of: &Layout) -> Result<Bitpacked> {
    let (rows, rescued) = (block.rows as u64, rescue_rows.len() as u64);
    let bases = if rows == rescued { 0 } else { of.bases().max(1) };
    let layout = Layout::new(rows, of.cols(), bases, rescued, of.scale_group())?;
    let mut packed = Bitpacked::zeroed(layout);
    packed.rescue_rows = rescue_rows.to_vec();
    packed.rescue_code.clear();
    packed.rescue_scale.clear();
    let mut row = vec![0.0; block.cols];
    let mut binary = 0;
    for r in 0..block.rows {
        block.values.read(r * block.cols, &mut row);
        if rescue_rows.binary_search(&((first_row + r) as u32)).is_ok() {
            push_rescue_row(&row, &mut packed);
        } else {
            put_binary_row(&row, binary, &mut packed);
            binary += 1;
        }
    }
    Ok(packed)
}

fn push_rescue_row(row: &[f32], packed: &mut Bitpacked) {
    let code = |value: f32| if value == 0.0 { 0 } else { value.signum() as i8 };
    for group in row.chunks(RESCUE_GROUP) {
        let largest = group.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        packed.rescue_scale.push(if largest > 0.0 { f16::from_f32(largest) } else { f16::ONE });
    }
    let bytes = row.chunks(2).map(|pair| bits::code_byte(code(pair[0]), pair.get(1).map_or(0, |v| code(*v))));
    packed.rescue_code.extend(bytes);
}

/// Writes the row that is the `m`th binary one.
fn put_binary_row(row: &[f32], m: usize, packed: &mut Bitpacked) {
    let layout = packed.layout;
    let (words, groups) = (row.len().div_ceil(bits::WORD_COLUMNS), layout.scale_groups() as usize);
    let binary_rows = layout.binary_rows() as usize;
    let columns = layout.scale_columns() as usize;
    let mut middles = vec![0.0; groups];
    for (g, values) in row.chunks(columns).enumerate() {
        let sizes = Sizes::of(values);
        let scales = if layout.bases() == 1 {
            [sizes.one().unwrap_or(SMALLEST); 2]
        } else {
            sizes.two().unwrap_or([SMALLEST; 2])
        };
        for (basis, scale) in scales.iter().take(layout.bases() as usize).enumerate() {
            packed.scale[(basis * binary_rows + m) * groups + g] = *scale;
        }
        // A magnitude above this is that of signs that agree. One alone is, unless it is 0.
        middles[g] = if sizes.count == 1 { 0.0 } else { 0.5 * (sizes.values[0] + sizes.values[1]) };
    }
    for (word, values) in row.chunks(bits::WORD_COLUMNS).enumerate() {
        let is_plus = |value: f32| value.is_sign_positive();
        let agree =
            |(at, value): (usize, f32)| value.abs() > middles[(word * bits::WORD_COLUMNS + at) / columns];
        let first = values.iter().map(|value| is_plus(*value));
        let second = values.iter().enumerate().map(|(at, value)| is_plus(*value) == agree((at, *value)));
        packed.sign[m * words + word] = bits::sign_word(first);
        if layout.bases() > 1 {
            packed.sign[(binary_rows + m) * words + word] = bits::sign_word(second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitgauge_core::Values;

    /// The values that a matrix of these rows is stored as, with the scale group and the bases.
    fn stored(rows: &[Vec<f32>], scale_group: Option<usize>) -> Option<(Vec<f32>, Stored)> {
        let cols = rows[0].len();
        let forms: Vec<Forms> = rows.iter().map(|row| Forms::of(row)).collect();
        let exact = Exact { rows: forms, cols: cols as u64 };
        let stored = exact.at(scale_group.or_else(|| exact.scale_group())?)?;
        let dense = Dense { rows: rows.len(), cols, values: Values::F32(rows.concat()) };
        let packed = code(&dense, 0, &stored.rescue_rows, &stored.layout).unwrap();
        Some((bitgauge_core::Matrix::Bitpacked(packed).to_f32(), stored))
    }

    fn row(cols: usize, level: impl Fn(usize) -> f32) -> Vec<f32> {
        (0..cols).map(level).collect()
    }

    fn sign(at: usize) -> f32 {
        if at * at % 7 < 3 { -1.0 } else { 1.0 }
    }

    #[test]
    fn few_values_are_kept_as_they_are() {
        let scale = |at: usize, columns: usize| (1 + at / columns) as f32 / 64.0;
        let two_valued = |columns| row(300, |at| sign(at) * scale(at, columns));
        let three_valued = row(300, |at| sign(at) * (at % 3).min(1) as f32 * scale(at, 128));
        // Two numbers that are not each other's opposites.
        let apart = row(300, |at| 0.25 + 0.5 * sign(at));
        let sparse = row(300, |at| if at < 128 { 0.0 } else { sign(at) });
        for (name, rows, group, bases, rescued) in [
            ("per row", vec![two_valued(300); 40], 0, 1, 0),
            ("per 128", vec![two_valued(128); 40], 128, 1, 0),
            ("per 64", vec![two_valued(64); 40], 64, 1, 0),
            ("per 32", vec![two_valued(32); 40], 32, 1, 0),
            ("three values", vec![three_valued; 40], 128, 2, 0),
            ("apart", vec![apart; 40], 0, 2, 0),
            ("some of three", [vec![two_valued(128); 40], vec![sparse.clone()]].concat(), 128, 1, 1),
            ("zeros", vec![vec![0.0; 300]; 3], 0, 2, 0),
        ] {
            let (values, stored) = stored(&rows, None).expect(name);
            assert_eq!(values, rows.concat(), "{name}");
            let layout = stored.layout;
            let found = (layout.scale_group(), layout.bases(), layout.rescued(), stored.is_rounded);
            assert_eq!(found, (group, bases, rescued, false), "{name}");
        }
    }

    #[test]
    fn what_planes_do_not_hold_is_not_taken() {
        let third = |at: usize| {
            if at == 200 { 0.75 } else { sign(at) * if at.is_multiple_of(2) { 0.5 } else { 0.25 } }
        };
        assert!(stored(&[row(300, third)], None).is_none());
        assert!(stored(&[row(300, |at| sign(at) * 1e-9)], None).is_none(), "below f16");
        assert!(stored(&[row(300, |at| sign(at) * 1e6)], None).is_none(), "above f16");
        assert!(stored(&[row(300, |_| f32::NAN)], None).is_none());
        let per_64 = row(256, |at| sign(at) * (1 + at / 64) as f32);
        assert!(
            stored(std::slice::from_ref(&per_64), Some(128)).is_some_and(|(values, _)| values == per_64),
            "two bases"
        );
        assert!(stored(&[per_64], Some(0)).is_none());
    }

    #[test]
    fn scales_beyond_f16_are_rounded_and_said_to_be() {
        let (values, stored) = stored(&[row(128, |at| sign(at) * 0.1)], Some(128)).unwrap();
        assert!(stored.is_rounded);
        let rounded = f16::from_f32(0.1).to_f32();
        assert!(values.iter().enumerate().all(|(at, value)| *value == sign(at) * rounded));
    }
}
