//! Codes of rows whose outputs err least, given the moments of their inputs.

use half::f16;

use super::binary_row::{BinaryRow, PATTERNS, eliminate, storable_scale, sums};
use super::moments::{Carry, CarryBlock};
use super::quantize::{Fit, Settings};
use super::rescue_row;
use crate::tensor::RESCUE_GROUP;

/// Rows that go through the columns together, so that each factor is loaded once for all of them.
pub(super) const PANEL_ROWS: usize = 8;
/// Most scales that are solved together: four bases of the four groups in a block of columns.
const UNKNOWNS: usize = 16;
/// Pivots below this part of the number of columns mean that two bases are the same.
const SINGULAR: f64 = 1e-9;

/// Up to [`PANEL_ROWS`] rows in work.
pub(super) struct Panel<'a> {
    carry: &'a Carry,
    /// Original weights `[R, K]`.
    weights: Vec<f32>,
    /// The weights with what was carried to them.
    work: Vec<f32>,
    /// Bit b is the sign of a weight in basis b `[R, K]`.
    patterns: Vec<u8>,
}

/// The equations that the scales of least error satisfy; the right side is the last column.
type Equations = [[f64; UNKNOWNS + 1]; UNKNOWNS];

impl<'a> Panel<'a> {
    pub(super) fn new(carry: &'a Carry) -> Self {
        Self { carry, weights: Vec::new(), work: Vec::new(), patterns: Vec::new() }
    }

    /// Begins with no rows.
    pub(super) fn clear(&mut self) {
        self.weights.clear();
    }

    pub(super) fn push(&mut self, row: &[f32]) {
        self.weights.extend_from_slice(row);
    }

    /// Codes the rows as 4-bit codes and hands each one's codes `[K]` and scales to `take`.
    pub(super) fn rescue(&mut self, fit: Fit, mut take: impl FnMut(&[i8], &[f16])) {
        let cols = self.carry.cols;
        let groups = cols.div_ceil(RESCUE_GROUP);
        let scales: Vec<f16> = (self.weights.chunks_exact(cols))
            .flat_map(|row| row.chunks(RESCUE_GROUP).map(|group| rescue_row::scale_of(group, fit).0))
            .collect();
        let mut codes = vec![0; self.weights.len()];
        self.work.clone_from(&self.weights);
        self.carry.walk(&mut self.work, |r, c, value| {
            let scale = scales[r * groups + c / RESCUE_GROUP].to_f64();
            let code = rescue_row::rounded(value, scale);
            codes[r * cols + c] = code as i8;
            (code * scale) as f32
        });
        codes
            .chunks_exact(cols)
            .zip(scales.chunks_exact(groups))
            .for_each(|(codes, scales)| take(codes, scales));
    }

    /// Codes the rows as binary rows and hands each one's code to `take`.
    pub(super) fn binary(&mut self, settings: Settings, mut take: impl FnMut(&BinaryRow)) {
        let cols = self.carry.cols;
        let mut codes: Vec<BinaryRow> = Vec::new();
        for row in self.weights.chunks_exact(cols) {
            let mut code = BinaryRow::new(cols, settings);
            code.fit(row);
            codes.push(code);
        }
        let group = if settings.scale_group == 0 { cols } else { settings.scale_group };
        let levels: Vec<Vec<[f32; PATTERNS]>> = codes
            .iter()
            .map(|code| (0..cols.div_ceil(group)).map(|g| sums(&code.scales_of(g))).collect())
            .collect();
        self.work.clone_from(&self.weights);
        self.patterns.clear();
        self.patterns.resize(self.weights.len(), 0);
        let (patterns, count) = (&mut self.patterns, 1 << settings.bases);
        self.carry.walk(&mut self.work, |r, c, value| {
            let levels = &levels[r][c / group][..count];
            let nearest = nearest(value, levels);
            patterns[r * cols + c] = nearest as u8;
            levels[nearest]
        });
        self.solve_scales(settings, &mut codes);
        for (code, patterns) in codes.iter_mut().zip(self.patterns.chunks_exact(cols)) {
            code.set_patterns(patterns);
            take(code);
        }
    }

    /// Sets the scales of least output error for the chosen signs.
    fn solve_scales(&self, settings: Settings, codes: &mut [BinaryRow]) {
        let whole_row = settings.scale_group == 0;
        let none: Vec<Equations> = vec![[[0.0; UNKNOWNS + 1]; UNKNOWNS]; codes.len()];
        let mut equations = none.clone();
        for block in &self.carry.blocks {
            let group = if whole_row { block.columns.len() } else { settings.scale_group };
            self.add_equations(block, group, settings.bases, &mut equations);
            if !whole_row {
                let groups = block.columns.start / group..block.columns.end.div_ceil(group);
                codes
                    .iter_mut()
                    .zip(&equations)
                    .for_each(|(code, equations)| improve(code, groups.clone(), equations));
                equations.clone_from(&none);
            }
        }
        if whole_row {
            codes.iter_mut().zip(&equations).for_each(|(code, equations)| improve(code, 0..1, equations));
        }
    }

    /// Adds what one block of columns says about the scales of its groups: unknown `g * bases + b` is the scale of
    /// basis b in the block's group g.
    fn add_equations(&self, block: &CarryBlock, group: usize, bases: usize, equations: &mut [Equations]) {
        let (cols, n) = (self.carry.cols, block.columns.len());
        let sign = |pattern: u8, b: usize| if pattern >> b & 1 == 1 { 1.0_f32 } else { -1.0 };
        let mut images = vec![0.0_f32; equations.len() * n];
        for (g, start) in (0..n).step_by(group).enumerate() {
            for b in 0..bases {
                // H s, s the signs of this basis within this group.
                images.fill(0.0);
                for c in start..n.min(start + group) {
                    let moments = &block.moments[c * n..][..n];
                    for (r, image) in images.chunks_exact_mut(n).enumerate() {
                        let sign = sign(self.patterns[r * cols + block.columns.start + c], b);
                        image.iter_mut().zip(moments).for_each(|(sum, moment)| *sum += sign * moment);
                    }
                }
                for (r, (image, equations)) in images.chunks_exact(n).zip(equations.iter_mut()).enumerate() {
                    let patterns = &self.patterns[r * cols..][block.columns.clone()];
                    let weights = &self.weights[r * cols..][block.columns.clone()];
                    let equation = &mut equations[g * bases + b];
                    let products = image.iter().zip(weights).map(|(image, weight)| f64::from(image * weight));
                    equation[UNKNOWNS] += products.sum::<f64>();
                    for (h, (image, patterns)) in image.chunks(group).zip(patterns.chunks(group)).enumerate()
                    {
                        for (d, entry) in equation[h * bases..][..bases].iter_mut().enumerate() {
                            let products = image.iter().zip(patterns);
                            *entry += products
                                .map(|(image, &pattern)| f64::from(image * sign(pattern, d)))
                                .sum::<f64>();
                        }
                    }
                }
            }
        }
    }
}

/// Gives the scales of `groups` those that solve the equations, if the error falls.
fn improve(code: &mut BinaryRow, groups: std::ops::Range<usize>, equations: &Equations) {
    let bases = code.bases();
    let unknowns = groups.len() * bases;
    let mut rows = *equations;
    let smallest = SINGULAR * equations[0][0].abs();
    let Some(solved) = eliminate(&mut rows[..unknowns], smallest) else { return };
    let mut before = [0.0; UNKNOWNS];
    let mut after = [f16::ONE; UNKNOWNS];
    for (i, (before, after)) in before.iter_mut().zip(&mut after).enumerate().take(unknowns) {
        *before = code.scale(i % bases)[groups.start + i / bases].to_f64();
        *after = storable_scale(solved[i]);
    }
    // The error but for what does not depend on the scales.
    let error = |scales: &[f64]| {
        let of = |(i, equation): (usize, &[f64; UNKNOWNS + 1])| {
            let image: f64 = equation.iter().zip(scales).map(|(entry, scale)| entry * scale).sum();
            scales[i] * (image - 2.0 * equation[UNKNOWNS])
        };
        equations[..unknowns].iter().enumerate().map(of).sum::<f64>()
    };
    let stored: Vec<f64> = after[..unknowns].iter().map(|scale| scale.to_f64()).collect();
    if error(&stored) < error(&before[..unknowns]) {
        for (i, scale) in after[..unknowns].iter().enumerate() {
            code.set_scale(i % bases, groups.start + i / bases, *scale);
        }
    }
}

/// Index of the level nearest to a value, of equals the last: 0 is minus with one basis, and 0.0 counts as plus.
fn nearest(value: f32, levels: &[f32]) -> usize {
    let (mut nearest, mut least) = (0, f32::INFINITY);
    for (i, level) in levels.iter().enumerate() {
        let error = (value - level).abs();
        if error <= least {
            (nearest, least) = (i, error);
        }
    }
    nearest
}
