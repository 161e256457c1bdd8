//! Scales of one group of weights in one, two or more bases.
//!
//! One basis is at its least-squares optimum with the mean magnitude. Two are two levels of magnitudes, split where
//! the first scale lies, so no sign has to be known to find them.

use half::f16;

use super::lanes::{LANES, nearest, sum};
use super::settings::Fit;
use super::solve::eliminate;

/// Smallest positive f16: the scale of a group whose mean magnitude rounds to 0, because the
/// format has no zero scale. It is subnormal, 2^-24.
pub(super) const SMALLEST_SCALE: f16 = f16::from_bits(1);
/// Sign patterns of one column in four bases.
pub(super) const PATTERNS: usize = 16;
/// Most rounds of refining; nearly all groups stop getting better before.
const REFINING_ROUNDS: usize = 8;
/// Pivots below this part of the number of columns mean that two bases are the same.
const SINGULAR: f64 = 1e-9;

/// Scales of a group in up to four bases, and the squared error that they leave.
pub(super) struct Scales {
    pub(super) of_bases: [f16; 4],
    pub(super) error: f64,
}

/// The nearest f16 that the format can store: finite and greater than 0.
pub(super) fn storable_scale(scale: f64) -> f16 {
    f16::from_f64(scale).max(SMALLEST_SCALE).min(f16::MAX)
}

/// What each sign pattern adds up to, as the format evaluates it.
pub(super) fn levels(scales: &[f16]) -> [f32; PATTERNS] {
    let mut levels = [0.0; PATTERNS];
    for (pattern, level) in levels.iter_mut().enumerate() {
        for (b, scale) in scales.iter().enumerate() {
            let step = scale.to_f32();
            *level += if pattern >> b & 1 == 1 { step } else { -step };
        }
    }
    levels
}

/// Magnitudes of at least `threshold` count as `high`, others as `low`.
pub(super) struct Split {
    threshold: f32,
    low: f32,
    high: f32,
}

impl Split {
    /// What one or two bases do to magnitudes.
    pub(super) fn of(scales: &[f16]) -> Self {
        let (first, second) = (scales[0].to_f32(), scales.get(1).map_or(0.0, |scale| scale.to_f32()));
        Self { threshold: first, low: first - second, high: first + second }
    }

    /// The sign pattern of a weight: bit b is its sign in basis b.
    pub(super) fn pattern(&self, value: f32) -> u8 {
        let rest = value - if value >= 0.0 { self.threshold } else { -self.threshold };
        u8::from(value >= 0.0) | u8::from(rest >= 0.0) << 1
    }

    /// Squared errors of some weights, each times its column's importance.
    pub(super) fn weighted_error(&self, values: &[f32], importance: &[f32]) -> f64 {
        let mut sums = [0.0; 8];
        for (values, importance) in values.chunks(8).zip(importance.chunks(8)) {
            for ((sum, value), importance) in sums.iter_mut().zip(values).zip(importance) {
                let magnitude = value.abs();
                let level = if magnitude >= self.threshold { self.high } else { self.low };
                let error = f64::from(magnitude) - f64::from(level);
                *sum += error * error * f64::from(*importance);
            }
        }
        sums.iter().sum()
    }
}

/// The mean magnitude.
pub(super) fn one_basis(values: &[f32]) -> Scales {
    let [sum, square] = magnitudes(values);
    let count = values.len() as f64;
    let scale = storable_scale(sum / count);
    let step = scale.to_f64();
    let error = square - 2.0 * step * sum + count * step * step;
    Scales { of_bases: [scale, SMALLEST_SCALE, SMALLEST_SCALE, SMALLEST_SCALE], error: error.max(0.0) }
}

/// Sums of magnitudes and of their squares.
fn magnitudes(values: &[f32]) -> [f64; 2] {
    sum(values, |value| {
        let magnitude = f64::from(value.abs());
        [magnitude, magnitude * magnitude]
    })
}

/// The mean magnitude and the mean of what it leaves over; by [`Fit::LeastSquares`] then the means of both levels in
/// turn with the split between them, while the error falls.
pub(super) fn two_bases(values: &[f32], fit: Fit) -> Scales {
    let [total, square] = magnitudes(values);
    let count = values.len() as f64;
    let split = |first: f16| {
        let threshold = first.to_f32();
        // One that lies between both levels goes to either, by its sign: they shall not all move the same level.
        let is_high = |value: f32| value > threshold || value <= -threshold;
        sum(values, |value| if is_high(value) { [1.0, f64::from(value.abs())] } else { [0.0; 2] })
    };
    let error = |[first, second]: [f16; 2], [high_count, high_sum]: [f64; 2]| {
        let (low, high) = (first.to_f64() - second.to_f64(), first.to_f64() + second.to_f64());
        let of_high = high_count * high * high - 2.0 * high * high_sum;
        let of_low = (count - high_count) * low * low - 2.0 * low * (total - high_sum);
        (square + of_high + of_low).max(0.0)
    };
    let first = storable_scale(total / count);
    let step = first.to_f32();
    let [left_over] = sum(values, |value| [f64::from((value.abs() - step).abs())]);
    let mut scales = [first, storable_scale(left_over / count)];
    let mut above = split(first);
    let mut best = error(scales, above);
    let rounds = if fit == Fit::LeastSquares { REFINING_ROUNDS } else { 0 };
    for _ in 0..rounds {
        let [high_count, high_sum] = above;
        if high_count == 0.0 || high_count == count {
            break;
        }
        let (high, low) = (high_sum / high_count, (total - high_sum) / (count - high_count));
        let trial = [storable_scale((high + low) / 2.0), storable_scale((high - low) / 2.0)];
        let trial_above = split(trial[0]);
        let trial_error = error(trial, trial_above);
        if trial_error >= best {
            break;
        }
        (scales, above, best) = (trial, trial_above, trial_error);
    }
    Scales { of_bases: [scales[0], scales[1], SMALLEST_SCALE, SMALLEST_SCALE], error: best }
}

/// Each basis takes the mean magnitude of what those before it left over. By [`Fit::LeastSquares`] the least-squares
/// scales for the signs and the nearest signs for the scales then take turns while the error falls. Writes the sign
/// patterns.
pub(super) fn more_bases(values: &[f32], bases: usize, fit: Fit, patterns: &mut [u8]) -> Scales {
    let mut scales = [SMALLEST_SCALE; 4];
    let mut rest = values.to_vec();
    patterns.fill(0);
    for (b, scale) in scales.iter_mut().enumerate().take(bases) {
        let [sum] = sum(&rest, |rest| [f64::from(rest.abs())]);
        *scale = storable_scale(sum / rest.len() as f64);
        let step = scale.to_f32();
        for (rest, pattern) in rest.iter_mut().zip(patterns.iter_mut()) {
            *pattern |= u8::from(*rest >= 0.0) << b;
            *rest -= if *rest >= 0.0 { step } else { -step };
        }
    }
    let [mut error] = sum(&rest, |rest| [f64::from(rest) * f64::from(rest)]);
    let rounds = if fit == Fit::LeastSquares { REFINING_ROUNDS } else { 0 };
    let mut nearer = vec![0; values.len()];
    for _ in 0..rounds {
        let Some(solved) = solve_scales(values, patterns, bases) else { break };
        let mut trial = [SMALLEST_SCALE; 4];
        for (trial, solved) in trial.iter_mut().zip(solved).take(bases) {
            // A scale below 0 is the same basis with its signs turned, and all signs are chosen anew.
            *trial = storable_scale(solved.abs());
        }
        let trial_error = nearest_signs(values, &trial[..bases], &mut nearer);
        if trial_error >= error {
            break;
        }
        (scales, error) = (trial, trial_error);
        patterns.copy_from_slice(&nearer);
    }
    Scales { of_bases: scales, error }
}

/// Writes the nearest pattern of each column, and returns the squared error.
fn nearest_signs(values: &[f32], scales: &[f16], patterns: &mut [u8]) -> f64 {
    let levels = &levels(scales).map(|level| [level; LANES])[..1 << scales.len()];
    let mut sums = [0.0; LANES];
    for (values, patterns) in values.chunks(LANES).zip(patterns.chunks_mut(LANES)) {
        let mut padded = [0.0; LANES];
        padded[..values.len()].copy_from_slice(values);
        let (nearest, numbers) = nearest(&padded, levels);
        patterns.iter_mut().zip(numbers).for_each(|(pattern, number)| *pattern = number as u8);
        for ((sum, value), nearest) in sums.iter_mut().zip(values).zip(nearest) {
            let error = f64::from(*value) - f64::from(nearest);
            *sum += error * error;
        }
    }
    sums.iter().sum()
}

/// The scales of least squared error for these signs, or `None` where two bases are the same.
fn solve_scales(values: &[f32], patterns: &[u8], bases: usize) -> Option<[f64; 5]> {
    // Columns of the same pattern stand in the same equations.
    let (mut counts, mut totals) = ([0.0; PATTERNS], [0.0; PATTERNS]);
    for (&value, &pattern) in values.iter().zip(patterns) {
        counts[usize::from(pattern)] += 1.0;
        totals[usize::from(pattern)] += f64::from(value);
    }
    let sign = |pattern: usize, b: usize| if pattern >> b & 1 == 1 { 1.0 } else { -1.0 };
    let mut rows = [[0.0; 5]; 4];
    for (i, row) in rows.iter_mut().enumerate().take(bases) {
        for pattern in 0..1 << bases {
            for (j, entry) in row.iter_mut().enumerate().take(bases) {
                *entry += counts[pattern] * sign(pattern, i) * sign(pattern, j);
            }
            row[4] += totals[pattern] * sign(pattern, i);
        }
    }
    eliminate(&mut rows[..bases], SINGULAR * values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bell curve of sorts.
    fn values(count: usize, seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..count).map(|_| 0.04 * (0..4).map(|_| random.f32() - 0.5).sum::<f32>()).collect()
    }

    fn error_of(values: &[f32], scales: &[f16]) -> f64 {
        let split = Split::of(scales);
        let squared = |&value: &f32| {
            let pattern = usize::from(split.pattern(value)) & ((1 << scales.len()) - 1);
            (f64::from(value) - f64::from(levels(scales)[pattern])).powi(2)
        };
        values.iter().map(squared).sum()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (a + b)
    }

    /// Splitting magnitudes gives what solving for scales and signs gives, with the error that it says.
    #[test]
    fn two_levels_are_two_bases() {
        for seed in 0..40 {
            let values = values(1 + 53 * seed as usize, seed);
            for fit in [Fit::Mean, Fit::LeastSquares] {
                let found = two_bases(&values, fit);
                let mut patterns = vec![0; values.len()];
                let solved = more_bases(&values, 2, fit, &mut patterns);
                assert!(close(found.error, error_of(&values, &found.of_bases[..2])), "{seed} {fit:?}");
                assert!(close(found.error, error_of(&values, &solved.of_bases[..2])), "{seed} {fit:?}");
                let importance = vec![1.0; values.len()];
                let weighted = Split::of(&found.of_bases[..2]).weighted_error(&values, &importance);
                assert!(close(found.error, weighted));
            }
            if seed > 5 {
                let [mean, least] = [Fit::Mean, Fit::LeastSquares].map(|fit| two_bases(&values, fit));
                assert!(least.error < mean.error && !close(least.error, mean.error), "{seed}");
                let mut other = least.of_bases;
                other[0] = f16::from_bits(other[0].to_bits() + 300);
                assert!(error_of(&values, &other[..2]) > least.error, "another scale is noticed");
            }
        }
    }

    #[test]
    fn the_error_of_one_basis_is_that_of_its_signs() {
        for seed in 0..20 {
            let values = values(1 + 53 * seed as usize, seed);
            let found = one_basis(&values);
            let actual = error_of(&values, &found.of_bases[..1]);
            let weighted = Split::of(&found.of_bases[..1]).weighted_error(&values, &vec![2.0; values.len()]);
            assert!(close(found.error, actual) && close(2.0 * actual, weighted), "{seed}");
            assert!(!close(found.error, 1.001 * actual));
        }
    }
}
