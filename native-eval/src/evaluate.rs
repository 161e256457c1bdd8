//! Perplexity of a model on tokenized documents.

use std::ops::Range;
use std::time::Instant;

use bitgauge_core::report::{DocumentLoss, Evaluation};

use crate::backend::{Backend, BackendError};
use crate::forward::{Batch, Model, Stage};

/// The validator's cap on the exponent of a perplexity.
pub(crate) const MAX_MEAN_NATS: f64 = 700.0;

/// Settings of an evaluation.
#[derive(Debug, Clone, Default)]
pub struct EvaluateOptions {
    /// Longest document in tokens, as it was cut when tokenizing; recorded in the report.
    pub max_tokens: usize,
    /// Tokens that go through the model together; the backend's preference when `None`.
    pub tokens_in_flight: Option<usize>,
    /// SHA-256 of the documents' texts; recorded in the report.
    pub documents_sha256: String,
}

/// Evaluates documents of token ids. Documents of fewer than two tokens have nothing to score and
/// are skipped. `progress` is told `(done, total)` in token-layers.
///
/// # Errors
/// A token id outside the vocabulary, no scored token at all, a device failure, or a loss that is
/// not finite, naming the layer where the values went wrong.
pub fn evaluate<B: Backend>(
    backend: &mut B,
    model: &Model<B>,
    documents: &[Vec<u32>],
    options: &EvaluateOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Evaluation, BackendError> {
    check_ids(documents, model.shape.vocab_size)?;
    let in_flight = options
        .tokens_in_flight
        .unwrap_or_else(|| backend.preferred_tokens(model.shape.hidden_size, model.shape.intermediate_size));
    let scored: Vec<usize> = (0..documents.len()).filter(|&i| documents[i].len() >= 2).collect();
    let tokens: usize = scored.iter().map(|&i| documents[i].len()).sum();
    let total = (tokens * model.layers.len()) as u64;
    let mut losses = vec![DocumentLoss { tokens: 0, nats: 0.0 }; documents.len()];
    let (mut done, start) = (0, Instant::now());
    for group in batches(&scored, documents, in_flight) {
        let mut batch = Batch::default();
        group.iter().for_each(|&i| batch.push(&documents[i]));
        let nats = model.losses(backend, &batch, &mut |stage, _, _| {
            if let Stage::Layer(_) = stage {
                done += batch.tokens() as u64;
                progress(done, total);
            }
            Ok(())
        })?;
        if nats.iter().any(|loss| !loss.is_finite()) {
            return Err(find_first_non_finite(backend, model, &batch)?);
        }
        let mut rest = nats.as_slice();
        for &i in group {
            let (own, others) = rest.split_at(documents[i].len());
            rest = others;
            let nats = own.iter().map(|&loss| f64::from(loss)).sum();
            losses[i] = DocumentLoss { tokens: documents[i].len() as u64 - 1, nats };
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    summarise(losses, tokens, seconds, options, (backend.describe(), backend.precision()))
}

fn summarise(
    documents: Vec<DocumentLoss>,
    tokens: usize,
    seconds: f64,
    options: &EvaluateOptions,
    (device, precision): (String, &'static str),
) -> Result<Evaluation, BackendError> {
    let scored_tokens: u64 = documents.iter().map(|d| d.tokens).sum();
    if scored_tokens == 0 {
        return Err(BackendError("no document has two tokens or more, so there is nothing to score".into()));
    }
    let mean = documents.iter().map(|d| d.nats).sum::<f64>() / scored_tokens as f64;
    Ok(Evaluation {
        heldout_ppl: mean.min(MAX_MEAN_NATS).exp(),
        cross_entropy_nats: mean,
        scored_documents: documents.iter().filter(|d| d.tokens > 0).count() as u64,
        scored_tokens,
        max_tokens: options.max_tokens as u64,
        documents_sha256: options.documents_sha256.clone(),
        device,
        precision: precision.into(),
        seconds,
        tokens_per_second: tokens as f64 / seconds.max(f64::MIN_POSITIVE),
        documents,
    })
}

fn check_ids(documents: &[Vec<u32>], vocabulary: usize) -> Result<(), BackendError> {
    for (number, ids) in documents.iter().enumerate() {
        if let Some(id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
            return Err(BackendError(format!(
                "document {} has the token id {id}, but the model's vocabulary has {vocabulary} rows: \
                 the tokenizer belongs to another model (see --tokenizer)",
                number + 1
            )));
        }
    }
    Ok(())
}

/// Consecutive documents together, as many as fit into `in_flight` tokens, at least one.
fn batches<'a>(scored: &'a [usize], documents: &[Vec<u32>], in_flight: usize) -> Vec<&'a [usize]> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut tokens = 0;
    for (at, &i) in scored.iter().enumerate() {
        tokens += documents[i].len();
        match groups.last_mut() {
            Some(group) if tokens <= in_flight => group.end = at + 1,
            _ => {
                groups.push(at..at + 1);
                tokens = documents[i].len();
            }
        }
    }
    groups.into_iter().map(|group| &scored[group]).collect()
}

/// Runs the batch again, looking at every stage, to name the first one that is not finite.
fn find_first_non_finite<B: Backend>(
    backend: &mut B,
    model: &Model<B>,
    batch: &Batch,
) -> Result<BackendError, BackendError> {
    let mut first = None;
    model.losses(backend, batch, &mut |stage, backend, buffer| {
        if first.is_none() && backend.read(buffer)?.iter().any(|x| !x.is_finite()) {
            first = Some(stage);
        }
        Ok(())
    })?;
    let place = match first {
        Some(Stage::Embedding) => "in the embedding".to_owned(),
        Some(Stage::Mixer(layer)) => format!("in the attention or DeltaNet of layer {layer}"),
        Some(Stage::Layer(layer)) => format!("in the MLP of layer {layer}"),
        Some(Stage::FinalNorm) => "in the final norm".to_owned(),
        None => "in the output head".to_owned(),
    };
    Ok(BackendError(format!("the loss is not finite: values became infinite or NaN {place}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fill_up_to_the_tokens_in_flight_and_keep_the_order() {
        let documents: Vec<Vec<u32>> = [3, 4, 9, 1, 2, 2].iter().map(|&n| vec![0; n]).collect();
        let scored = [0, 1, 2, 4, 5];
        let groups: Vec<_> = batches(&scored, &documents, 8).iter().map(|g| g.to_vec()).collect();
        assert_eq!(groups, [vec![0, 1], vec![2], vec![4, 5]]);
    }
}
