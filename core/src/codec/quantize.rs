//! From dense weights to packed ones.
//!
//! Everything here is deterministic and evaluated in the order that is written down, so the same
//! weights give the same bytes on every machine.

use half::f16;

use super::layout::Layout;
use crate::tensor::{Dense, Packed, RESCUE_GROUP};
use crate::{Error, ErrorKind, Result};

/// Largest magnitude of a rescue code.
const CODE_MAX: f64 = 7.0;
/// 1.5 * 2^52: adding it to a small f64 and taking it away again rounds half to even, because its
/// own last bit counts ones. The library's function is a call per weight on plain x86-64.
const ROUNDS_TO_ONES: f64 = 6_755_399_441_055_744.0;
/// Smallest positive f16: the scale of a group whose mean magnitude rounds to 0, because the
/// format has no zero scale. It is subnormal, 2^-24.
const SMALLEST_SCALE: f16 = f16::from_bits(1);

/// How to pack a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Columns per scale of a binary row; 0 means one scale per row.
    pub scale_group: usize,
    /// Additive sign bases of a binary row, 1 to 4.
    pub bases: usize,
}

/// Packs `matrix`, keeping `rescue_rows` (strictly increasing) as 4-bit codes.
///
/// A basis is the sign of what the bases before it left over (`>= 0` is +) times the mean
/// magnitude of that rest in each scale group, which is the least-squares scale for these signs,
/// rounded to f16. The next basis starts from what the rounded scale left over.
///
/// # Errors
/// A weight that is NaN or infinite, a number of bases outside 1 to 4, rescue rows that are out of
/// order or range.
pub fn quantize(matrix: &Dense, rescue_rows: &[u32], settings: Settings) -> Result<Packed> {
    check_rows(rescue_rows, matrix.rows)?;
    let mut packed = Packed {
        rows: matrix.rows,
        cols: matrix.cols,
        bases: if rescue_rows.len() == matrix.rows { 0 } else { settings.bases },
        scale_group: settings.scale_group,
        sign: Vec::new(),
        scale: Vec::new(),
        rescue_rows: rescue_rows.to_vec(),
        rescue_code: Vec::new(),
        rescue_scale: Vec::new(),
    };
    Layout::of(&packed)?;
    let (words, groups, binary_rows) = (packed.sign_words(), packed.scale_groups(), packed.binary_rows());
    packed.sign = vec![0; packed.bases * binary_rows * words];
    packed.scale = vec![SMALLEST_SCALE; packed.bases * binary_rows * groups];
    let mut row = vec![0.0; matrix.cols];
    let (mut rescued, mut m) = (rescue_rows.iter().peekable(), 0);
    for r in 0..matrix.rows {
        read_finite_row(matrix, r, &mut row)?;
        if rescued.next_if(|&&rescue| rescue as usize == r).is_some() {
            push_rescue_row(&row, &mut packed);
            continue;
        }
        for b in 0..packed.bases {
            let at = b * binary_rows + m;
            let sign = &mut packed.sign[at * words..][..words];
            let scale = &mut packed.scale[at * groups..][..groups];
            take_basis(&mut row, settings.scale_group, sign, scale);
        }
        m += 1;
    }
    Ok(packed)
}

/// The rows that are best kept as 4-bit codes: at most `fraction` of all rows (rounded down).
///
/// A rescue row costs the same extra bits in every row of a matrix, so the rows whose squared
/// error falls most give the most per bit. Of equal rows the first is taken, and a row that would
/// not get better is never taken. The result is ascending.
///
/// # Errors
/// A weight that is NaN or infinite, or a fraction outside 0 to 1.
pub fn choose_rescue_rows(matrix: &Dense, fraction: f64, settings: Settings) -> Result<Vec<u32>> {
    if !(0.0..=1.0).contains(&fraction) {
        return Err(Error::new(ErrorKind::BadValue, "the rescue fraction is out of range")
            .expected("a number from 0 to 1", fraction));
    }
    let keep = (matrix.rows as f64 * fraction) as usize;
    if keep == 0 {
        return Ok(Vec::new());
    }
    let groups = if settings.scale_group == 0 { 1 } else { matrix.cols.div_ceil(settings.scale_group) };
    let (mut sign, mut scale) = (vec![0; matrix.cols.div_ceil(32)], vec![SMALLEST_SCALE; groups]);
    let mut row = vec![0.0; matrix.cols];
    let mut gains = Vec::with_capacity(matrix.rows);
    for r in 0..matrix.rows {
        read_finite_row(matrix, r, &mut row)?;
        let rescue_error = rescue_error(&row);
        for _ in 0..settings.bases {
            take_basis(&mut row, settings.scale_group, &mut sign, &mut scale);
        }
        let binary_error: f64 = row.iter().map(|&rest| f64::from(rest) * f64::from(rest)).sum();
        gains.push((binary_error - rescue_error, r as u32));
    }
    gains.retain(|&(gain, _)| gain > 0.0);
    gains.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    gains.truncate(keep);
    let mut rows: Vec<u32> = gains.into_iter().map(|(_, row)| row).collect();
    rows.sort_unstable();
    Ok(rows)
}

/// Writes one basis of `rest` into `sign` and `scale`, and leaves in `rest` what remains.
fn take_basis(rest: &mut [f32], scale_group: usize, sign: &mut [u32], scale: &mut [f16]) {
    for (word, values) in sign.iter_mut().zip(rest.chunks(32)) {
        let bits = values.iter().enumerate();
        *word = bits.fold(0, |word, (c, value)| word | u32::from(*value >= 0.0) << c);
    }
    let group = if scale_group == 0 { rest.len() } else { scale_group };
    for (rest, scale) in rest.chunks_mut(group).zip(scale) {
        let sum: f64 = rest.iter().map(|&value| f64::from(value.abs())).sum();
        *scale = storable_scale(sum / rest.len() as f64);
        let step = scale.to_f32();
        for value in rest {
            *value -= if *value >= 0.0 { step } else { -step };
        }
    }
}

/// The nearest f16 that the format can store: finite and greater than 0.
fn storable_scale(mean: f64) -> f16 {
    f16::from_f64(mean).max(SMALLEST_SCALE).min(f16::MAX)
}

/// The scale of one group of rescue codes: a seventh of the largest magnitude as f16, and 1 where
/// that is 0 or infinite. It is the competition validator's own choice.
fn rescue_scale(group: &[f32]) -> f16 {
    let largest = group.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    let scale = f16::from_f64(f64::from(largest) / CODE_MAX);
    if scale > f16::ZERO && scale.is_finite() { scale } else { f16::ONE }
}

/// The code of one weight: rounded half to even, -7 to 7.
fn rescue_code(value: f32, scale: f16) -> i8 {
    let limited = (f64::from(value) / scale.to_f64()).clamp(-CODE_MAX, CODE_MAX);
    (limited + ROUNDS_TO_ONES - ROUNDS_TO_ONES) as i8
}

fn push_rescue_row(row: &[f32], packed: &mut Packed) {
    let start = packed.rescue_code.len();
    packed.rescue_code.resize(start + row.len().div_ceil(2), 0);
    let codes = &mut packed.rescue_code[start..];
    for (g, group) in row.chunks(RESCUE_GROUP).enumerate() {
        let scale = rescue_scale(group);
        packed.rescue_scale.push(scale);
        for (i, &value) in group.iter().enumerate() {
            let c = g * RESCUE_GROUP + i;
            codes[c / 2] |= (rescue_code(value, scale) as u8 & 0xf) << (4 * (c % 2));
        }
    }
}

/// Squared error of `row` when it is kept as 4-bit codes.
fn rescue_error(row: &[f32]) -> f64 {
    let groups = row.chunks(RESCUE_GROUP).map(|group| {
        let scale = rescue_scale(group);
        group.iter().map(move |&value| {
            let error = f64::from(value) - f64::from(rescue_code(value, scale)) * scale.to_f64();
            error * error
        })
    });
    groups.flatten().sum()
}

fn read_finite_row(matrix: &Dense, r: usize, row: &mut [f32]) -> Result<()> {
    matrix.values.read(r * matrix.cols, row);
    match row.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(c) => Err(Error::new(ErrorKind::BadValue, "a weight is not a finite number")
            .expected("finite weights", format!("{} in row {r}, column {c}", row[c]))),
    }
}

fn check_rows(rescue_rows: &[u32], rows: usize) -> Result<()> {
    let increasing = rescue_rows.windows(2).all(|pair| pair[0] < pair[1]);
    if increasing && rescue_rows.last().is_none_or(|&last| (last as usize) < rows) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::BadValue, "the rescue rows can't be used")
        .expected(format!("strictly increasing rows below {rows}"), format!("{rescue_rows:?}")))
}
