//! The validator's scorers: which tokens are scored together, in which windows, and what goes wrong.
//!
//! Padding never reaches the device. Right padding can't change a real token under a causal mask, so a
//! padded batch is its documents one by one; what padding does change is counted here: windows over the
//! longest row, and the padding's own id, which must be in the embedding.

use std::ops::Range;

use bitgauge_core::contract::direct::Scorer;
use bitgauge_core::contract::python::{Exception, Raised};
use bitgauge_eval::{Backend, BackendError, Batch, MAX_MEAN_NATS, Model};
use pollster::block_on;

/// What the validator says of a loss that is NaN or infinite.
pub(crate) const NOT_FINITE: &str = "direct model evaluation produced non-finite cross entropy";

/// Settings of a scoring.
#[derive(Debug, Clone)]
pub struct ScoreSettings {
    /// How documents are batched.
    pub scorer: Scorer,
    /// Documents of one padded batch.
    pub batch_size: usize,
    /// The id that padding has.
    pub pad_id: u32,
    /// What the model returns of its logits.
    pub logits: LogitLimits,
}

/// Logits that a model holds back: what custom code may do, here for testing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogitLimits {
    /// Only the first so many positions of a row.
    pub positions: Option<usize>,
    /// Only the first so many columns.
    pub vocabulary: Option<usize>,
}

/// What the validator measures.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Mean loss in nats per scored token.
    pub mean_nats: f64,
    /// exp(min(mean, 700)).
    pub perplexity: f64,
    /// Documents with a scored token.
    pub documents: u64,
    /// Scored tokens.
    pub tokens: u64,
    /// Passes through the model that gave enough logits.
    pub passes: u64,
    /// Shortest window, where a pass gave too few.
    pub window_tokens: Option<u64>,
}

/// Why there is no score.
#[derive(Debug)]
pub enum ScoreError {
    /// The validator's own failure.
    Raised(Raised),
    /// The device's.
    Backend(BackendError),
}

impl From<BackendError> for ScoreError {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

impl From<Raised> for ScoreError {
    fn from(raised: Raised) -> Self {
        Self::Raised(raised)
    }
}

/// Everything to send through the model, up to the first batch that fails before it gets there.
struct ScorePlan<'d> {
    /// Pieces of documents, each of which the model sees by itself.
    windows: Vec<&'d [u32]>,
    passes: u64,
    window_tokens: Option<u64>,
    /// Why the batch behind the last window fails.
    failure: Option<Raised>,
}

/// Scores documents of token ids, as `settings` batch them. Documents of fewer than two tokens have
/// nothing to score. `progress` is told `(done, total)` in tokens.
///
/// # Errors
/// What the validator raises, from the first batch that fails; a device failure.
pub fn score<B: Backend>(
    backend: &mut B,
    model: &Model<B>,
    documents: &[Vec<u32>],
    settings: &ScoreSettings,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Score, ScoreError> {
    let scored: Vec<&[u32]> = documents.iter().map(Vec::as_slice).filter(|ids| ids.len() >= 2).collect();
    let plan = plan(&scored, model.shape.vocab_size, settings);
    let nats = losses(backend, model, &plan.windows, settings.logits.vocabulary, progress)?;
    if nats.iter().any(|nats| !nats.is_finite()) {
        return Err(Raised::runtime(NOT_FINITE).into());
    }
    if let Some(failure) = plan.failure {
        return Err(failure.into());
    }
    let tokens: u64 = scored.iter().map(|ids| ids.len() as u64 - 1).sum();
    if tokens == 0 {
        return Err(Raised::runtime("direct model evaluation produced no scored tokens").into());
    }
    let mean_nats = nats.iter().sum::<f64>() / tokens as f64;
    Ok(Score {
        mean_nats,
        perplexity: mean_nats.min(MAX_MEAN_NATS).exp(),
        documents: scored.len() as u64,
        tokens,
        passes: plan.passes,
        window_tokens: plan.window_tokens,
    })
}

fn plan<'d>(documents: &[&'d [u32]], vocabulary: usize, settings: &ScoreSettings) -> ScorePlan<'d> {
    let mut plan = ScorePlan { windows: Vec::new(), passes: 0, window_tokens: None, failure: None };
    let batch_size = if settings.scorer == Scorer::Padded { settings.batch_size.max(1) } else { 1 };
    for batch in documents.chunks(batch_size) {
        if let Err(raised) = plan_batch(&mut plan, batch, vocabulary, settings) {
            plan.failure = Some(raised);
            break;
        }
    }
    plan
}

fn plan_batch<'d>(
    plan: &mut ScorePlan<'d>,
    batch: &[&'d [u32]],
    vocabulary: usize,
    settings: &ScoreSettings,
) -> Result<(), Raised> {
    let longest = batch.iter().map(|ids| ids.len()).max().unwrap_or(0);
    check_embedded(batch, longest, vocabulary, settings.pad_id)?;
    let columns = settings.logits.vocabulary.map_or(vocabulary, |limit| limit.min(vocabulary));
    let positions = settings.logits.positions.map_or(longest, |limit| limit.min(longest));
    if positions >= longest {
        plan.passes += 1;
        check_targets(batch, columns)?;
        plan.windows.extend(batch);
        return Ok(());
    }
    if positions < 2 {
        let (rows, message) =
            (batch.len(), "direct model evaluation logits shape does not cover input tokens");
        return Err(Raised::new(
            Exception::LogitsCoverageError,
            format!(
                "{message}: logits_shape=({rows}, {positions}, {columns}) input_shape=({rows}, {longest})"
            ),
        ));
    }
    plan.window_tokens = Some(plan.window_tokens.unwrap_or(u64::MAX).min(positions as u64));
    for range in windows(longest, positions) {
        let cut = |ids: &&'d [u32]| &ids[range.start.min(ids.len())..range.end.min(ids.len())];
        let pieces: Vec<&[u32]> = batch.iter().map(cut).filter(|ids| ids.len() >= 2).collect();
        plan.passes += 1;
        check_targets(&pieces, columns)?;
        plan.windows.extend(pieces);
    }
    Ok(())
}

/// Windows of at most `size` tokens over `length` tokens, each beginning at the last token of the one
/// before.
fn windows(length: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length - 1).step_by(size - 1).map(move |start| start..(start + size).min(length))
}

/// Every id, the padding's too, must be a row of the embedding.
fn check_embedded(batch: &[&[u32]], longest: usize, rows: usize, pad_id: u32) -> Result<(), Raised> {
    let is_padded = batch.iter().any(|ids| ids.len() < longest);
    let mut ids = batch.iter().flat_map(|ids| ids.iter().copied()).chain(is_padded.then_some(pad_id));
    if ids.any(|id| id as usize >= rows) {
        return Err(Raised::new(Exception::IndexError, "index out of range in self"));
    }
    Ok(())
}

/// Every target must be a column of the logits.
fn check_targets(batch: &[&[u32]], columns: usize) -> Result<(), Raised> {
    let targets = || batch.iter().flat_map(|ids| ids.iter().skip(1).copied());
    match (targets().min(), targets().max()) {
        (Some(min), Some(max)) if max as usize >= columns => Err(Raised::runtime(format!(
            "direct model evaluation target token id outside logits vocabulary: \
             min_label={min} max_label={max} vocab_size={columns}"
        ))),
        _ => Ok(()),
    }
}

/// Sum of losses of each window, in nats.
fn losses<B: Backend>(
    backend: &mut B,
    model: &Model<B>,
    windows: &[&[u32]],
    columns: Option<usize>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<f64>, BackendError> {
    let in_flight = backend.preferred_tokens(model.shape.hidden_size, model.shape.intermediate_size);
    let total: usize = windows.iter().map(|window| window.len()).sum();
    let (mut nats, mut done, mut rest) = (Vec::with_capacity(windows.len()), 0, windows);
    while !rest.is_empty() {
        let mut batch = Batch::default();
        let mut taken = 0;
        while let Some(window) = rest.get(taken) {
            if taken > 0 && batch.tokens() + window.len() > in_flight {
                break;
            }
            batch.push(window);
            taken += 1;
        }
        let losses = match columns {
            None => block_on(model.losses(backend, &batch, &mut ()))?,
            Some(columns) => narrow_losses(backend, model, &batch, columns)?,
        };
        nats.extend(batch.nats(&losses));
        done += batch.tokens();
        progress(done as u64, total as u64);
        rest = &rest[taken..];
    }
    Ok(nats)
}

/// Losses where only the first `columns` logits of a token exist. Materialises all of them.
fn narrow_losses<B: Backend>(
    backend: &mut B,
    model: &Model<B>,
    batch: &Batch,
    columns: usize,
) -> Result<Vec<f32>, BackendError> {
    let logits = block_on(model.logits(backend, batch, &mut ()))?;
    let loss = |(row, &target): (&[f32], &u32)| {
        let row = &row[..columns.min(row.len())];
        let Some(&wanted) = row.get(target as usize) else { return 0.0 };
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row.iter().map(|&logit| f64::from(logit - max).exp()).sum();
        (sum.ln() + f64::from(max - wanted)) as f32
    };
    Ok(logits.chunks_exact(model.shape.vocab_size).zip(&batch.targets).map(loss).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_overlap_by_one_token() {
        let all = |length, size| windows(length, size).map(|r| (r.start, r.end)).collect::<Vec<_>>();
        assert_eq!(all(10, 4), [(0, 4), (3, 7), (6, 10)]);
        assert_eq!(all(8, 4), [(0, 4), (3, 7), (6, 8)]);
        assert_eq!(all(3, 2), [(0, 2), (1, 3)]);
    }

    #[test]
    fn the_first_batch_that_fails_decides() {
        let documents: [&[u32]; 4] = [&[1, 2, 3], &[1, 2], &[4, 9], &[1, 2]];
        let settings = ScoreSettings {
            scorer: Scorer::Padded,
            batch_size: 2,
            pad_id: 0,
            logits: LogitLimits { positions: None, vocabulary: Some(5) },
        };
        let plan = plan(&documents, 10, &settings);
        assert_eq!((plan.windows.len(), plan.passes), (2, 2));
        assert!(
            plan.failure
                .is_some_and(|raised| raised.message.ends_with("min_label=2 max_label=9 vocab_size=5"))
        );
        // The padding's id counts where there is padding, and only there.
        let padded = ScoreSettings { pad_id: 10, ..settings };
        assert_eq!(
            super::plan(&documents, 10, &padded).failure.map(|r| r.exception),
            Some(Exception::IndexError)
        );
        assert!(super::plan(&documents[3..], 10, &padded).failure.is_none());
    }
}
