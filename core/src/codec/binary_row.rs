//! Signs and scales of one binary row.

use half::f16;

use super::quantize::{Fit, Settings};

/// Smallest positive f16: the scale of a group whose mean magnitude rounds to 0, because the
/// format has no zero scale. It is subnormal, 2^-24.
pub(super) const SMALLEST_SCALE: f16 = f16::from_bits(1);
/// Most rounds of refining; nearly all groups stop getting better before.
const REFINING_ROUNDS: usize = 8;
/// Sign patterns of one column in four bases.
pub(super) const PATTERNS: usize = 16;
/// Pivots below this part of the number of columns mean that two bases are the same.
const SINGULAR: f64 = 1e-9;

/// The code of one row in all bases, and memory to compute it in.
pub(super) struct BinaryRow {
    settings: Settings,
    words: usize,
    groups: usize,
    /// Sign words `[B, words]`.
    sign: Vec<u32>,
    /// Scales `[B, groups]`.
    scale: Vec<f16>,
    /// What the bases so far leave over.
    rest: Vec<f32>,
    /// Bit b is the sign of column c in basis b.
    patterns: Vec<u8>,
}

impl BinaryRow {
    pub(super) fn new(cols: usize, settings: Settings) -> Self {
        let groups = if settings.scale_group == 0 { 1 } else { cols.div_ceil(settings.scale_group) };
        let words = cols.div_ceil(32);
        Self {
            settings,
            words,
            groups,
            sign: vec![0; settings.bases * words],
            scale: vec![SMALLEST_SCALE; settings.bases * groups],
            rest: Vec::with_capacity(cols),
            patterns: Vec::with_capacity(cols),
        }
    }

    /// Sign words of basis `b`.
    pub(super) fn sign(&self, b: usize) -> &[u32] {
        &self.sign[b * self.words..][..self.words]
    }

    /// Scales of basis `b`.
    pub(super) fn scale(&self, b: usize) -> &[f16] {
        &self.scale[b * self.groups..][..self.groups]
    }

    /// Number of bases.
    pub(super) fn bases(&self) -> usize {
        self.settings.bases
    }

    /// The scales of group `g` in all bases.
    pub(super) fn scales_of(&self, g: usize) -> Vec<f16> {
        self.scale.chunks(self.groups).map(|plane| plane[g]).collect()
    }

    pub(super) fn set_scale(&mut self, b: usize, g: usize, scale: f16) {
        self.scale[b * self.groups + g] = scale;
    }

    /// Replaces all signs: bit b of a column's pattern is its sign in basis b.
    pub(super) fn set_patterns(&mut self, patterns: &[u8]) {
        self.patterns.clear();
        self.patterns.extend_from_slice(patterns);
        self.write_patterns();
    }

    /// The squared errors of the code that [`BinaryRow::fit`] gave `row`, each times its column's importance.
    pub(super) fn weighted_error(&mut self, row: &[f32], importance: &[f32]) -> f64 {
        self.read_patterns(row.len());
        let group = if self.settings.scale_group == 0 { row.len() } else { self.settings.scale_group };
        let mut total = 0.0;
        for g in 0..row.len().div_ceil(group) {
            let sums = sums(&self.scales_of(g));
            for c in g * group..row.len().min((g + 1) * group) {
                let error = f64::from(row[c]) - f64::from(sums[usize::from(self.patterns[c])]);
                total += error * error * f64::from(importance[c]);
            }
        }
        total
    }

    /// Codes `row` and returns the squared error that is left.
    pub(super) fn fit(&mut self, row: &[f32]) -> f64 {
        self.rest.clear();
        self.rest.extend_from_slice(row);
        for b in 0..self.settings.bases {
            let sign = &mut self.sign[b * self.words..][..self.words];
            let scale = &mut self.scale[b * self.groups..][..self.groups];
            take_basis(&mut self.rest, self.settings.scale_group, sign, scale);
        }
        if self.settings.fit == Fit::LeastSquares && self.settings.bases > 1 {
            return self.refine(row);
        }
        self.rest.iter().map(|&rest| f64::from(rest) * f64::from(rest)).sum()
    }

    /// Refines the code of each scale group of `row`, and returns the squared error.
    fn refine(&mut self, row: &[f32]) -> f64 {
        self.read_patterns(row.len());
        let group = if self.settings.scale_group == 0 { row.len() } else { self.settings.scale_group };
        let bases = self.settings.bases;
        let mut error = 0.0;
        for (g, (values, patterns)) in row.chunks(group).zip(self.patterns.chunks_mut(group)).enumerate() {
            let mut scales = [SMALLEST_SCALE; 4];
            for (scale, plane) in scales.iter_mut().zip(self.scale.chunks(self.groups)) {
                *scale = plane[g];
            }
            error += refine_group(values, patterns, &mut scales[..bases]);
            for (scale, plane) in scales.iter().zip(self.scale.chunks_mut(self.groups)) {
                plane[g] = *scale;
            }
        }
        self.write_patterns();
        error
    }

    fn read_patterns(&mut self, cols: usize) {
        self.patterns.clear();
        self.patterns.resize(cols, 0);
        for b in 0..self.settings.bases {
            let sign = &self.sign[b * self.words..][..self.words];
            for (c, pattern) in self.patterns.iter_mut().enumerate() {
                *pattern |= ((sign[c / 32] >> (c % 32) & 1) as u8) << b;
            }
        }
    }

    fn write_patterns(&mut self) {
        for b in 0..self.settings.bases {
            let sign = &mut self.sign[b * self.words..][..self.words];
            for (word, patterns) in sign.iter_mut().zip(self.patterns.chunks(32)) {
                let bits = patterns.iter().enumerate();
                *word = bits.fold(0, |word, (c, pattern)| word | u32::from(pattern >> b & 1) << c);
            }
        }
    }
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
pub(super) fn storable_scale(scale: f64) -> f16 {
    f16::from_f64(scale).max(SMALLEST_SCALE).min(f16::MAX)
}

/// Alternates between the least-squares scales for the signs and the nearest signs for the scales
/// while the squared error falls. Returns that error.
fn refine_group(values: &[f32], patterns: &mut [u8], scales: &mut [f16]) -> f64 {
    let mut best = error_of(values, patterns, scales);
    for _ in 0..REFINING_ROUNDS {
        let Some(solved) = solve_scales(values, patterns, scales.len()) else { break };
        let mut trial = [SMALLEST_SCALE; 4];
        for (trial, solved) in trial.iter_mut().zip(solved) {
            // A scale below 0 is the same basis with its signs turned, and all signs are chosen anew.
            *trial = storable_scale(solved.abs());
        }
        let trial = &trial[..scales.len()];
        let error = nearest_signs(values, trial, |_, _| {});
        if error >= best {
            break;
        }
        best = nearest_signs(values, trial, |c, pattern| patterns[c] = pattern);
        scales.copy_from_slice(trial);
    }
    best
}

/// What each sign pattern adds up to, as the format evaluates it.
pub(super) fn sums(scales: &[f16]) -> [f32; PATTERNS] {
    let mut sums = [0.0; PATTERNS];
    for (pattern, sum) in sums.iter_mut().enumerate() {
        for (b, scale) in scales.iter().enumerate() {
            let step = scale.to_f32();
            *sum += if pattern >> b & 1 == 1 { step } else { -step };
        }
    }
    sums
}

fn error_of(values: &[f32], patterns: &[u8], scales: &[f16]) -> f64 {
    let sums = sums(scales);
    let errors = values.iter().zip(patterns).map(|(&value, &pattern)| {
        let error = f64::from(value) - f64::from(sums[usize::from(pattern)]);
        error * error
    });
    errors.sum()
}

/// Hands the nearest pattern of each column to `take`, of equals the first, and returns the squared error.
fn nearest_signs(values: &[f32], scales: &[f16], mut take: impl FnMut(usize, u8)) -> f64 {
    let sums = sums(scales);
    let sums = &sums[..1 << scales.len()];
    let mut total = 0.0;
    for (c, &value) in values.iter().enumerate() {
        let (mut nearest, mut least) = (0, f64::INFINITY);
        for (pattern, &sum) in sums.iter().enumerate() {
            let error = (f64::from(value) - f64::from(sum)).abs();
            if error < least {
                (nearest, least) = (pattern as u8, error);
            }
        }
        take(c, nearest);
        total += least * least;
    }
    total
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

/// Gaussian elimination with the largest pivot of each column; the right side is the last column, W - 1.
pub(super) fn eliminate<const W: usize>(rows: &mut [[f64; W]], smallest_pivot: f64) -> Option<[f64; W]> {
    let unknowns = rows.len();
    for i in 0..unknowns {
        let largest = (i..unknowns).max_by(|&a, &b| rows[a][i].abs().total_cmp(&rows[b][i].abs()))?;
        rows.swap(i, largest);
        let pivot = rows[i];
        if pivot[i].abs() <= smallest_pivot {
            return None;
        }
        for (j, row) in rows.iter_mut().enumerate() {
            if j != i {
                let factor = row[i] / pivot[i];
                for (entry, pivot) in row.iter_mut().zip(pivot) {
                    *entry -= factor * pivot;
                }
            }
        }
    }
    let mut solved = [0.0; W];
    for (i, row) in rows.iter().enumerate() {
        solved[i] = row[W - 1] / row[i];
    }
    Some(solved)
}
