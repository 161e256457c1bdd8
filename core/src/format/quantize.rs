//! From dense weights to packed ones.
//!
//! Everything here is deterministic and evaluated in the order that is written down, so the same
//! weights give the same bytes on every machine.

use super::binary_row::BinaryRow;
use super::carried::Panel;
use super::carry::Carry;
use super::lanes::LANES;
use super::layout::Layout;
use super::rescue_row;
use super::scales::SMALLEST_SCALE;
use crate::tensor::{Bitpacked, Dense};
use crate::{Error, ErrorKind, Result};

/// How signs, codes and scales are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Signs with mean magnitudes, one basis after the other, and codes up to the largest weight.
    Mean,
    /// Whatever gives the least squared error: the bases of a row are solved together, and the
    /// scale of codes is searched. Never worse than [`Fit::Mean`].
    #[default]
    LeastSquares,
}

/// How to pack a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Columns per scale of a binary row; 0 means one scale per row.
    pub scale_group: usize,
    /// Additive sign bases of a binary row, 1 to 4.
    pub bases: usize,
    /// How signs, codes and scales are chosen.
    pub fit: Fit,
}

/// Packs `matrix`, keeping `rescue_rows` (strictly increasing) as 4-bit codes.
///
/// A basis is the sign of what the bases before it left over (`>= 0` is +) times the mean
/// magnitude of that rest in each scale group, which is the least-squares scale for these signs,
/// rounded to f16. The next basis starts from what the rounded scale left over. By
/// [`Fit::LeastSquares`] two or more bases are then solved together, in turn for their scales and
/// for their signs.
///
/// # Errors
/// A weight that is NaN or infinite, a number of bases outside 1 to 4, rescue rows that are out of
/// order or range.
pub fn quantize(matrix: &Dense, rescue_rows: &[u32], settings: Settings) -> Result<Bitpacked> {
    check_rows(rescue_rows, matrix.rows)?;
    quantize_block(matrix, 0, rescue_rows, settings, None)
}

/// [`quantize`] for some rows of a matrix: `block` holds those from `first_row` on, and
/// `rescue_rows` are numbers of rows of the whole matrix, all of them in the block.
///
/// With `carry` the outputs are to err least instead of the weights: every column makes up for what those before
/// it err, from the scales that a row has without it, and the scales are then solved for the chosen signs.
///
/// # Errors
/// A weight that is NaN or infinite, a number of bases outside 1 to 4.
pub fn quantize_block(
    block: &Dense,
    first_row: usize,
    rescue_rows: &[u32],
    settings: Settings,
    carry: Option<&Carry>,
) -> Result<Bitpacked> {
    if let Some(carry) = carry.filter(|carry| carry.cols != block.cols) {
        return Err(Error::new(ErrorKind::WrongShape, "the moments are of another weight")
            .expected(format!("{} columns", block.cols), carry.cols));
    }
    let mut packed = Bitpacked {
        rows: block.rows,
        cols: block.cols,
        bases: if rescue_rows.len() == block.rows { 0 } else { settings.bases },
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
    let mut m = 0;
    let mut store = |code: &BinaryRow, packed: &mut Bitpacked| {
        for b in 0..packed.bases {
            let at = b * binary_rows + m;
            packed.sign[at * words..][..words].copy_from_slice(code.sign(b));
            packed.scale[at * groups..][..groups].copy_from_slice(code.scale(b));
        }
        m += 1;
    };
    let mut row = vec![0.0; block.cols];
    let is_rescued = |r: usize| rescue_rows.binary_search(&((first_row + r) as u32)).is_ok();
    let Some(carry) = carry else {
        let mut code = BinaryRow::new(block.cols, settings);
        for r in 0..block.rows {
            read_finite_row(block, first_row, r, &mut row)?;
            if is_rescued(r) {
                rescue_row::push(&row, settings.fit, &mut packed);
            } else {
                code.fit(&row);
                store(&code, &mut packed);
            }
        }
        return Ok(packed);
    };
    let (rescued, binary): (Vec<usize>, Vec<usize>) = (0..block.rows).partition(|&r| is_rescued(r));
    let mut panel = Panel::new(carry);
    for (rows, rescue) in [(rescued, true), (binary, false)] {
        for rows in rows.chunks(LANES) {
            panel.clear();
            for &r in rows {
                read_finite_row(block, first_row, r, &mut row)?;
                panel.push(&row);
            }
            if rescue {
                panel.rescue(settings.fit, |codes, scales| rescue_row::store(codes, scales, &mut packed));
            } else {
                panel.binary(settings, |code| store(code, &mut packed));
            }
        }
    }
    Ok(packed)
}

/// Squared errors of some rows of a matrix, one number a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowErrors {
    /// Of binary rows, for each of the settings asked for.
    pub binary: Vec<Vec<f32>>,
    /// Of rescue rows.
    pub rescue: Vec<f32>,
}

/// What each row of `block`, the rows of a matrix from `first_row` on, loses as a binary row by each
/// of `settings` and as a rescue row. All settings have the same [`Fit`]. With `importance` `[K]` each column's
/// squared error counts so many times.
///
/// # Errors
/// A weight that is NaN or infinite, a number of bases outside 1 to 4.
pub fn row_errors(
    block: &Dense,
    first_row: usize,
    settings: &[Settings],
    importance: Option<&[f32]>,
) -> Result<RowErrors> {
    for Settings { scale_group, bases, .. } in settings {
        let [rows, cols, bases, group] =
            [block.rows, block.cols, *bases, *scale_group].map(|size| size as u64);
        Layout::new(rows, cols, bases, 0, group)?;
    }
    let fit = settings.first().map_or(Fit::default(), |settings| settings.fit);
    let mut codes: Vec<_> = settings.iter().map(|&settings| BinaryRow::new(block.cols, settings)).collect();
    let mut errors = RowErrors { binary: vec![Vec::new(); settings.len()], ..RowErrors::default() };
    let mut row = vec![0.0; block.cols];
    for r in 0..block.rows {
        read_finite_row(block, first_row, r, &mut row)?;
        for (code, errors) in codes.iter_mut().zip(&mut errors.binary) {
            let plain = code.fit_scales(&row);
            errors.push(importance.map_or(plain, |importance| code.weighted_error(&row, importance)) as f32);
        }
        let rescue = importance.map_or_else(
            || rescue_row::error(&row, fit),
            |importance| rescue_row::weighted_error(&row, fit, importance),
        );
        errors.rescue.push(rescue as f32);
    }
    Ok(errors)
}

/// The rows that are best kept as 4-bit codes: at most `fraction` of all rows (rounded down).
///
/// A rescue row costs the same extra bits in every row of a matrix, so the rows whose squared
/// error falls most give the most per bit. Of equal rows the first is taken, and a row that would
/// not get better is never taken. The result is ascending.
///
/// # Errors
/// A fraction outside 0 to 1.
pub fn choose_rescue_rows(binary: &[f32], rescue: &[f32], fraction: f64) -> Result<Vec<u32>> {
    if !(0.0..=1.0).contains(&fraction) {
        return Err(Error::new(ErrorKind::BadValue, "the rescue fraction is out of range")
            .expected("a number from 0 to 1", fraction));
    }
    let gains = binary.iter().zip(rescue).zip(0..).map(|((binary, rescue), row)| (binary - rescue, row));
    let mut gains: Vec<(f32, u32)> = gains.filter(|&(gain, _)| gain > 0.0).collect();
    gains.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    gains.truncate((binary.len() as f64 * fraction) as usize);
    let mut rows: Vec<u32> = gains.into_iter().map(|(_, row)| row).collect();
    rows.sort_unstable();
    Ok(rows)
}

fn read_finite_row(block: &Dense, first_row: usize, r: usize, row: &mut [f32]) -> Result<()> {
    block.values.read(r * block.cols, row);
    match row.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(c) => Err(Error::new(ErrorKind::BadValue, "a weight is not a finite number")
            .expected("finite weights", format!("{} in row {}, column {c}", row[c], first_row + r))),
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
