//! Codes up to 16 rows by GPTQ: the error of their outputs is minimised, given the moments of their inputs.

use bitgauge_core::RESCUE_GROUP;
use bitgauge_core::format::Layout;
use half::f16;

use super::binary_row::BinaryRow;
use super::gptq::{Feedback, FeedbackBlock};
use super::lanes::{LANES, Lanes, nearest, products, sum};
use super::rescue_row;
use super::scales::{self, storable_scale};
use super::settings::{Fit, Settings};
use super::solve::eliminate;

/// Most scales that are solved together: four bases of the four groups in a block of columns.
const UNKNOWNS: usize = 16;
/// Pivots below this part of the number of columns mean that two bases are the same.
const SINGULAR: f64 = 1e-9;

/// Columns whose products are added up in f32 before they are in f64.
const SUMMED_COLUMNS: usize = 16;

/// Up to [`LANES`] rows in work.
pub(super) struct Panel<'a> {
    feedback: &'a Feedback,
    layout: Layout,
    /// Original weights `[R, K]`.
    weights: Vec<f32>,
    /// Bit b is the sign of a weight in basis b `[R, K]`.
    patterns: Vec<u8>,
}

/// The equations that the scales of least error satisfy; the right side is the last column.
type Equations = [[f64; UNKNOWNS + 1]; UNKNOWNS];

impl<'a> Panel<'a> {
    pub(super) fn new(feedback: &'a Feedback, layout: Layout) -> Self {
        Self { feedback, layout, weights: Vec::new(), patterns: Vec::new() }
    }

    /// Begins with no rows.
    pub(super) fn clear(&mut self) {
        self.weights.clear();
    }

    pub(super) fn push(&mut self, row: &[f32]) {
        self.weights.extend_from_slice(row);
    }

    fn rows(&self) -> usize {
        self.weights.len() / self.feedback.cols
    }

    /// The rows side by side in the columns of a block `[n]`; where there is no row, zeros.
    fn side_by_side(&self, block: &FeedbackBlock) -> Vec<Lanes> {
        let mut columns = vec![[0.0; LANES]; block.columns.len()];
        for (r, row) in self.weights.chunks_exact(self.feedback.cols).enumerate() {
            columns.iter_mut().zip(&row[block.columns.clone()]).for_each(|(lanes, value)| lanes[r] = *value);
        }
        columns
    }

    /// Codes the rows as 4-bit codes and hands each one's codes `[K]` and scales to `take`.
    pub(super) fn rescue(&mut self, fit: Fit, mut take: impl FnMut(&[i8], &[f16])) {
        let (cols, rows) = (self.feedback.cols, self.rows());
        let groups = self.layout.rescue_groups() as usize;
        let scales: Vec<f16> = (self.weights.chunks_exact(cols))
            .flat_map(|row| row.chunks(RESCUE_GROUP).map(|group| rescue_row::scale_of(group, fit).0))
            .collect();
        let mut codes = vec![0; self.weights.len()];
        for block in &self.feedback.blocks {
            block.walk(&self.side_by_side(block), |c, values| {
                let c = block.columns.start + c;
                let mut stored = *values;
                for (r, stored) in stored.iter_mut().enumerate().take(rows) {
                    let scale = scales[r * groups + c / RESCUE_GROUP].to_f64();
                    let code = rescue_row::rounded(*stored, scale);
                    codes[r * cols + c] = code as i8;
                    *stored = (code * scale) as f32;
                }
                stored
            });
        }
        let rows = codes.chunks_exact(cols).zip(scales.chunks_exact(groups));
        rows.for_each(|(codes, scales)| take(codes, scales));
    }

    /// Codes the rows as binary rows and hands each one's code to `take`.
    pub(super) fn binary(&mut self, settings: Settings, mut take: impl FnMut(&BinaryRow)) {
        let cols = self.feedback.cols;
        let (mut codes, mut kept) = (Vec::new(), [1.0; LANES]);
        for (row, kept) in self.weights.chunks_exact(cols).zip(&mut kept) {
            let mut code = BinaryRow::new(&self.layout, settings);
            *kept = part_kept(row, code.fit_scales(row));
            codes.push(code);
        }
        self.patterns.clear();
        self.patterns.resize(self.weights.len(), 0);
        let whole_row = settings.scale_group == 0;
        let none: Equations = [[0.0; UNKNOWNS + 1]; UNKNOWNS];
        let mut equations = vec![none; codes.len()];
        for block in &self.feedback.blocks {
            let n = block.columns.len();
            let weights = self.side_by_side(block);
            let shrunk: Vec<Lanes> =
                weights.iter().map(|column| std::array::from_fn(|r| column[r] * kept[r])).collect();
            let signs = self.choose_signs(block, &shrunk, &codes);
            add_equations(
                block,
                if whole_row { n } else { settings.scale_group },
                &weights,
                &signs,
                &mut equations,
            );
            if !whole_row {
                let groups = block.columns.start / settings.scale_group
                    ..block.columns.end.div_ceil(settings.scale_group);
                for (code, equations) in codes.iter_mut().zip(&mut equations) {
                    improve(code, groups.clone(), equations);
                    *equations = none;
                }
            }
        }
        if whole_row {
            codes.iter_mut().zip(&equations).for_each(|(code, equations)| improve(code, 0..1, equations));
        }
        for (code, patterns) in codes.iter_mut().zip(self.patterns.chunks_exact(cols)) {
            code.set_patterns(patterns);
            take(code);
        }
    }

    /// Chooses the sign patterns in a block of columns by the scales that the codes have. Returns the signs side by
    /// side, `[B, n]`.
    fn choose_signs(&mut self, block: &FeedbackBlock, weights: &[Lanes], codes: &[BinaryRow]) -> Vec<Lanes> {
        let (cols, n) = (self.feedback.cols, weights.len());
        let (bases, group) = codes.first().map_or((0, 1), |code| (code.bases(), code.group()));
        let first = block.columns.start / group;
        let levels: Vec<Vec<Lanes>> =
            (first..block.columns.end.div_ceil(group)).map(|g| levels_of(codes, g)).collect();
        let mut signs = vec![[0.0; LANES]; bases * n];
        block.walk(weights, |c, values| {
            let column = block.columns.start + c;
            let (stored, numbers) = nearest(values, &levels[column / group - first]);
            for (b, signs) in signs.chunks_exact_mut(n).enumerate() {
                signs[c] = numbers.map(|number| if number >> b & 1 == 1 { 1.0 } else { -1.0 });
            }
            let of_rows = self.patterns.iter_mut().skip(column).step_by(cols);
            of_rows.zip(numbers).for_each(|(pattern, number)| *pattern = number as u8);
            stored
        });
        signs
    }
}

/// The part of a row's weights that is left in a code with this squared error: of a bell curve's, in one basis, 64 %.
///
/// With scales of least error, a code is this part of the weights, and noise that has nothing to do with them. Only
/// the noise is fed back. Feeding back the missing part, too, would restore the strongest inputs and leave all others
/// shrunk; norms make up for outputs that are shrunk alike.
fn part_kept(row: &[f32], error: f64) -> f32 {
    let [energy] = sum(row, |weight| [f64::from(weight) * f64::from(weight)]);
    if energy > 0.0 { (1.0 - error / energy).max(0.0) as f32 } else { 1.0 }
}

/// What each sign pattern of group `g` stands for in each row.
fn levels_of(codes: &[BinaryRow], g: usize) -> Vec<Lanes> {
    let of_rows: Vec<_> = codes.iter().map(|code| scales::levels(&code.scales_of(g))).collect();
    let patterns = 1 << codes.first().map_or(0, BinaryRow::bases);
    let of_pattern =
        |pattern: usize| std::array::from_fn(|r| of_rows.get(r).map_or(0.0, |levels| levels[pattern]));
    (0..patterns).map(of_pattern).collect()
}

/// Adds what one block of columns says about the scales of its groups, which have `group` columns: unknown
/// `g * bases + b` is the scale of basis b in the block's group g. `weights` `[n]` and `signs` `[B, n]` hold the rows
/// side by side.
fn add_equations(
    block: &FeedbackBlock,
    group: usize,
    weights: &[Lanes],
    signs: &[Lanes],
    equations: &mut [Equations],
) {
    let n = weights.len();
    let bases = signs.len() / n;
    let mut image = vec![[0.0; LANES]; n];
    for (g, start) in (0..n).step_by(group).enumerate() {
        for b in 0..bases {
            // H s, s the signs of this basis within this group.
            let signs_of_group = &signs[b * n..][start..n.min(start + group)];
            products(&block.moments, n, 0..n, start, signs_of_group, |i, sum| image[i] = *sum);
            let mut add = |entry: usize, products: [f64; LANES]| {
                for (equations, product) in equations.iter_mut().zip(products) {
                    equations[g * bases + b][entry] += product;
                }
            };
            add(UNKNOWNS, inner_products(&image, weights));
            for (h, image) in image.chunks(group).enumerate() {
                for d in 0..bases {
                    add(h * bases + d, inner_products(image, &signs[d * n + h * group..]));
                }
            }
        }
    }
}

/// The inner product of each row in `a` and `b`, as long as `a` is.
fn inner_products(a: &[Lanes], b: &[Lanes]) -> [f64; LANES] {
    let mut totals = [0.0; LANES];
    for (a, b) in a.chunks(SUMMED_COLUMNS).zip(b.chunks(SUMMED_COLUMNS)) {
        let mut sums = [0.0; LANES];
        for (a, b) in a.iter().zip(b) {
            sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
        }
        totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += f64::from(sum));
    }
    totals
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
