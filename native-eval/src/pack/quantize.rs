//! The quantizer: from dense weights to bitpacked ones.
//!
//! Everything here is deterministic and evaluated in the order that is written down, so the same
//! weights give the same bytes on every machine.

mod binary_row;
mod gptq;
mod lanes;
mod moments;
mod panel;
mod rescue_row;
mod scales;
mod settings;
mod solve;
#[cfg(test)]
mod tests;

use bitgauge_core::format::Layout;
use bitgauge_core::{Bitpacked, Dense, Error, ErrorKind, Result};

use binary_row::BinaryRow;
use lanes::LANES;
use panel::Panel;

pub(super) use gptq::Feedback;
pub(super) use moments::Moments;
pub use settings::Fit;
pub(super) use settings::Settings;

/// Packs some rows of a matrix: `block` holds those from `first_row` on, and `rescue_rows` (strictly increasing numbers
/// of rows of the whole matrix, all of them in the block) are kept as 4-bit codes.
///
/// A basis is the sign of what the bases before it left over (`>= 0` is +) times the mean
/// magnitude of that rest in each scale group, which is the least-squares scale for these signs,
/// rounded to f16. The next basis starts from what the rounded scale left over. By
/// [`Fit::LeastSquares`] two or more bases are then solved together, in turn for their scales and
/// for their signs.
///
/// With `feedback` the error of the outputs is minimised instead of the error of the weights (GPTQ, [`gptq`]): every
/// column makes up for the errors of those before it, from the scales that a row has without it, and the scales are
/// then solved for the chosen signs.
///
/// # Errors
/// A weight that is NaN or infinite, a number of bases outside 1 to 4, rescue rows that are out of order or range,
/// moments of another weight.
pub(super) fn quantize_block(
    block: &Dense,
    first_row: usize,
    rescue_rows: &[u32],
    settings: Settings,
    feedback: Option<&Feedback>,
) -> Result<Bitpacked> {
    check_rows(rescue_rows, first_row..first_row + block.rows)?;
    if let Some(feedback) = feedback.filter(|feedback| feedback.cols != block.cols) {
        return Err(Error::new(ErrorKind::WrongShape, "the moments are of another weight")
            .expected_found(format!("{} columns", block.cols), feedback.cols));
    }
    let bases = if rescue_rows.len() == block.rows { 0 } else { settings.bases };
    let sizes = [block.rows, block.cols, bases, rescue_rows.len(), settings.scale_group];
    let [rows, cols, bases, rescued, scale_group] = sizes.map(|size| size as u64);
    let layout = Layout::new(rows, cols, bases, rescued, scale_group)?;
    let mut packed = Bitpacked {
        rescue_rows: rescue_rows.to_vec(),
        rescue_code: Vec::new(),
        rescue_scale: Vec::new(),
        ..Bitpacked::zeroed(layout)
    };
    let mut m = 0;
    let mut store = |code: &BinaryRow, packed: &mut Bitpacked| {
        for b in 0..packed.bases() {
            let at = b * layout.binary_rows() as usize + m;
            let (signs, scales) = (code.sign(b), code.scale(b));
            packed.sign[at * signs.len()..][..signs.len()].copy_from_slice(signs);
            packed.scale[at * scales.len()..][..scales.len()].copy_from_slice(scales);
        }
        m += 1;
    };
    let mut row = vec![0.0; block.cols];
    let is_rescued = |r: usize| rescue_rows.binary_search(&((first_row + r) as u32)).is_ok();
    let Some(feedback) = feedback else {
        let mut code = BinaryRow::new(&layout, settings);
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
    let mut panel = Panel::new(feedback, layout);
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
pub(super) struct RowErrors {
    /// Of binary rows, for each of the settings asked for.
    pub(super) binary: Vec<Vec<f32>>,
    /// Of rescue rows.
    pub(super) rescue: Vec<f32>,
}

/// What each row of `block`, the rows of a matrix from `first_row` on, loses as a binary row by each
/// of `settings` and as a rescue row. All settings have the same [`Fit`]. With `importance` `[K]` each column's
/// squared error counts so many times.
///
/// # Errors
/// A weight that is NaN or infinite, a number of bases outside 1 to 4.
pub(super) fn row_errors(
    block: &Dense,
    first_row: usize,
    settings: &[Settings],
    importance: Option<&[f32]>,
) -> Result<RowErrors> {
    let code = |&settings: &Settings| {
        let sizes = [block.rows, block.cols, settings.bases, 0, settings.scale_group];
        let [rows, cols, bases, rescued, scale_group] = sizes.map(|size| size as u64);
        Ok(BinaryRow::new(&Layout::new(rows, cols, bases, rescued, scale_group)?, settings))
    };
    let mut codes = settings.iter().map(code).collect::<Result<Vec<_>>>()?;
    let fit = settings.first().map_or(Fit::default(), |settings| settings.fit);
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
pub(super) fn choose_rescue_rows(binary: &[f32], rescue: &[f32], fraction: f64) -> Result<Vec<u32>> {
    if !(0.0..=1.0).contains(&fraction) {
        return Err(Error::new(ErrorKind::BadValue, "the rescue fraction is out of range")
            .expected_found("a number from 0 to 1", fraction));
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
            .expected_found("finite weights", format!("{} in row {}, column {c}", row[c], first_row + r))),
    }
}

fn check_rows(rescue_rows: &[u32], rows: std::ops::Range<usize>) -> Result<()> {
    let increasing = rescue_rows.windows(2).all(|pair| pair[0] < pair[1]);
    if increasing && rescue_rows.iter().all(|&row| rows.contains(&(row as usize))) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::BadValue, "the rescue rows can't be used").expected_found(
        format!("strictly increasing rows from {} to {}", rows.start, rows.end),
        format!("{rescue_rows:?}"),
    ))
}
