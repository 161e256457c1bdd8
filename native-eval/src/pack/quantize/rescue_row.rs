//! 4-bit codes and scales of one rescue row.

use bitgauge_core::format::bits;
use half::f16;

use super::lanes::{LANES, sum};
use super::scales::storable_scale;
use super::settings::Fit;
use bitgauge_core::{Bitpacked, RESCUE_GROUP};

/// Largest magnitude of a rescue code.
const CODE_MAX: f64 = 7.0;
/// 1.5 * 2^52: adding it to a small f64 and taking it away again rounds half to even, because its
/// own last bit counts ones. The library's function is a call per weight on plain x86-64.
const ROUNDS_TO_ONES: f64 = 6_755_399_441_055_744.0;
/// The same for f32: 1.5 * 2^23.
const ROUNDS_TO_ONES_F32: f32 = 12_582_912.0;
/// Parts of the full scale that are tried: a smaller one limits the largest weights and codes all
/// others more finely. 128 weights of a bell curve are best served by about 0.9.
const SCALES_TRIED: [f64; 5] = [0.95, 0.9, 0.85, 0.8, 0.72];
/// Least-squares scales tried after those.
const SOLVING_ROUNDS: usize = 2;

/// Appends the codes and scales of a row.
pub(super) fn push(row: &[f32], fit: Fit, packed: &mut Bitpacked) {
    let scales: Vec<f16> = row.chunks(RESCUE_GROUP).map(|group| scale_of(group, fit).0).collect();
    let code = |(c, &value): (usize, &f32)| rounded(value, scales[c / RESCUE_GROUP].to_f64()) as i8;
    let codes: Vec<i8> = row.iter().enumerate().map(code).collect();
    store(&codes, &scales, packed);
}

/// Appends a row whose codes and scales are chosen.
pub(super) fn store(codes: &[i8], scales: &[f16], packed: &mut Bitpacked) {
    let bytes = codes.chunks(2).map(|pair| bits::code_byte(pair[0], pair.get(1).copied().unwrap_or(0)));
    packed.rescue_code.extend(bytes);
    packed.rescue_scale.extend_from_slice(scales);
}

/// The squared errors of a row that is kept as 4-bit codes, each times its column's importance.
pub(super) fn weighted_error(row: &[f32], fit: Fit, importance: &[f32]) -> f64 {
    let of = |(group, importance): (&[f32], &[f32])| {
        let scale = scale_of(group, fit).0.to_f64();
        let squared = |(&value, &importance): (&f32, &f32)| {
            let error = f64::from(value) - rounded(value, scale) * scale;
            error * error * f64::from(importance)
        };
        group.iter().zip(importance).map(squared).sum::<f64>()
    };
    row.chunks(RESCUE_GROUP).zip(importance.chunks(RESCUE_GROUP)).map(of).sum()
}

/// Squared error of a row that is kept as 4-bit codes.
pub(super) fn error(row: &[f32], fit: Fit) -> f64 {
    row.chunks(RESCUE_GROUP).map(|group| scale_of(group, fit).1).sum()
}

/// The scale of one group of codes, and the squared error that it leaves.
pub(super) fn scale_of(group: &[f32], fit: Fit) -> (f16, f64) {
    let full = full_scale(group);
    let plain = (full, group_error(group, full));
    if fit == Fit::Mean {
        return plain;
    }
    let mut best = (full, rough_error(group, full));
    let mut consider = |scale: f64| {
        let scale = storable_scale(scale);
        let error = rough_error(group, scale);
        let better = error < best.1;
        if better {
            best = (scale, error);
        }
        better.then_some(scale)
    };
    let mut chosen = full;
    for part in SCALES_TRIED {
        chosen = consider(full.to_f64() * part).unwrap_or(chosen);
    }
    for _ in 0..SOLVING_ROUNDS {
        match consider(solved_scale(group, chosen)) {
            Some(scale) => chosen = scale,
            None => break,
        }
    }
    let best = (chosen, group_error(group, chosen));
    if best.1 < plain.1 { best } else { plain }
}

/// A seventh of the largest magnitude as f16, and 1 where that is 0 or infinite. It is the
/// competition validator's own choice.
fn full_scale(group: &[f32]) -> f16 {
    let largest = group.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    let scale = f16::from_f64(f64::from(largest) / CODE_MAX);
    if scale > f16::ZERO && scale.is_finite() { scale } else { f16::ONE }
}

/// The code of one weight: rounded half to even, -7 to 7.
pub(super) fn rounded(value: f32, scale: f64) -> f64 {
    (f64::from(value) / scale).clamp(-CODE_MAX, CODE_MAX) + ROUNDS_TO_ONES - ROUNDS_TO_ONES
}

/// The scale of least squared error for the codes that `scale` gives.
fn solved_scale(group: &[f32], scale: f16) -> f64 {
    let inverse = scale.to_f32().recip();
    let [along, square] = sum(group, |value| {
        let code = f64::from(roughly_rounded(value, inverse));
        [code * f64::from(value), code * code]
    });
    if square > 0.0 { along / square } else { scale.to_f64() }
}

/// [`rounded`] in f32, to compare scales by: it may round the other way where a weight lies between two codes.
fn roughly_rounded(value: f32, inverse_scale: f32) -> f32 {
    let limit = CODE_MAX as f32;
    (value * inverse_scale).clamp(-limit, limit) + ROUNDS_TO_ONES_F32 - ROUNDS_TO_ONES_F32
}

/// [`group_error`] in f32, to compare scales by.
fn rough_error(group: &[f32], scale: f16) -> f32 {
    let scale = scale.to_f32();
    let inverse = scale.recip();
    let mut sums = [0.0; LANES];
    let mut add = |values: &[f32]| {
        for (sum, &value) in sums.iter_mut().zip(values) {
            let error = value - roughly_rounded(value, inverse) * scale;
            *sum += error * error;
        }
    };
    let (full, last) = group.as_chunks::<LANES>();
    full.iter().for_each(|values| add(values));
    add(last);
    sums.iter().sum()
}

/// Squared error of a group.
fn group_error(group: &[f32], scale: f16) -> f64 {
    let scale = scale.to_f64();
    let [error] = sum(group, |value| {
        let error = f64::from(value) - rounded(value, scale) * scale;
        [error * error]
    });
    error
}
