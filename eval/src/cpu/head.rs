//! The output head folded with the loss: logits exist one block of rows and vocabulary at a time.

use rayon::prelude::*;

use super::isa::{Isa, vectorised};
use super::product::split;
use super::rows;
use super::weights::Weights;
use crate::batch::NO_TARGET;

/// Vocabulary rows whose logits exist at once: 1 MiB of them for a full block of rows. Sums begin anew with
/// each chunk and are joined in the order of the vocabulary, so that a token's loss does not depend on how the
/// work is cut, hence on what else is in the batch.
const CHUNK: usize = 1024;

/// What a row knows of the logits seen so far.
#[derive(Clone, Copy)]
struct Running {
    maximum: f32,
    /// `Σ exp(logit - maximum)`.
    sum: f64,
    /// The target's logit, once seen.
    target: f32,
}

impl Running {
    const START: Self = Self { maximum: f32::NEG_INFINITY, sum: 0.0, target: f32::NAN };

    /// Takes in the logits of vocabulary rows `first ..`; they are used up.
    #[inline(always)]
    fn take_in(&mut self, logits: &mut [f32], first: usize, target: u32) {
        if let Some(logit) = (target as usize).checked_sub(first).and_then(|i| logits.get(i)) {
            self.target = *logit;
        }
        let maximum = self.maximum.max(rows::max(logits));
        let sum = f64::from(rows::exp_and_sum(logits, maximum));
        self.merge(Self { maximum, sum, target: f32::NAN });
    }

    /// Adds what another range of the vocabulary found for the same row.
    #[inline(always)]
    fn merge(&mut self, other: Self) {
        let maximum = self.maximum.max(other.maximum);
        let fade = |part: Self| match part.sum {
            0.0 => 0.0,
            sum => sum * f64::from(part.maximum - maximum).exp(),
        };
        self.sum = fade(*self) + fade(other);
        self.maximum = maximum;
        if !other.target.is_nan() {
            self.target = other.target;
        }
    }

    /// `ln Σ exp(logit) - target`, in nats.
    fn loss(self) -> f32 {
        (f64::from(self.maximum) + self.sum.ln() - f64::from(self.target)) as f32
    }
}

vectorised! {
    /// Takes in the logits of vocabulary rows `first ..` for a block of rows.
    fn take_in(running: &mut [Running], lines: &mut [&mut [f32]], first: usize, targets: &[u32]) {
        for ((running, line), target) in running.iter_mut().zip(lines).zip(targets) {
            running.take_in(line, first, *target);
        }
    }
}

/// The loss per row; x is `[T, H]`, head is `[V, H]`, targets is `[T]` and below V or
/// [`NO_TARGET`].
pub(super) fn head_loss(isa: Isa, x: &[f32], head: &Weights, targets: &[u32]) -> Vec<f32> {
    let (vocabulary, hidden) = (head.rows(), head.cols());
    let (heights, width) = split(isa, targets.len(), vocabulary, rayon::current_num_threads());
    let width = width.next_multiple_of(CHUNK);
    let starts = (0..vocabulary).step_by(width);
    let tasks: Vec<(usize, usize, usize)> = heights
        .iter()
        .scan(0, |row, &height| Some((std::mem::replace(row, *row + height), height)))
        .flat_map(|(row, height)| starts.clone().map(move |start| (row, height, start)))
        .collect();

    let partial: Vec<((usize, usize), Vec<Running>)> = tasks
        .into_par_iter()
        .map(|(row, height, start)| {
            let x = &x[row * hidden..][..height * hidden];
            let end = vocabulary.min(start + width);
            ((row, height), scan_range(isa, x, head, &targets[row..][..height], start..end))
        })
        .collect();

    let mut total = vec![Running::START; targets.len()];
    for ((row, height), found) in partial {
        for chunk in found.chunks_exact(height) {
            total[row..].iter_mut().zip(chunk).for_each(|(total, found)| total.merge(*found));
        }
    }
    let loss = |(total, &target): (Running, &u32)| if target == NO_TARGET { 0.0 } else { total.loss() };
    total.into_iter().zip(targets).map(loss).collect()
}

/// Runs one block of rows over one range of the vocabulary: what each chunk of it gives, `[chunks, rows]`.
fn scan_range(
    isa: Isa,
    x: &[f32],
    head: &Weights,
    targets: &[u32],
    range: std::ops::Range<usize>,
) -> Vec<Running> {
    let mut found = vec![Running::START; targets.len() * range.len().div_ceil(CHUNK)];
    let mut logits = vec![0.0; targets.len() * CHUNK.min(range.len())];
    for (start, running) in range.clone().step_by(CHUNK).zip(found.chunks_exact_mut(targets.len())) {
        let end = range.end.min(start + CHUNK);
        let mut lines: Vec<&mut [f32]> = logits.chunks_exact_mut(end - start).take(targets.len()).collect();
        head.multiply(isa, x, start..end, &mut lines);
        take_in(isa, running, &mut lines, start, targets);
    }
    found
}
