//! Perplexity of a model on tokenized documents.

mod queue;
mod tally;

use bitgauge_core::report::Evaluation;
use bitgauge_core::{Error, ErrorKind};

use crate::backend::{Backend, BackendError};
use crate::batch::Batch;
use crate::clock::Moment;
use crate::forward::{Model, Observer, Stage};

pub use queue::Queue;
pub use tally::{Finished, Tally};

/// The validator's cap on the exponent of a perplexity.
pub const MAX_MEAN_NATS: f64 = 700.0;

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
pub async fn evaluate<B: Backend>(
    backend: &mut B,
    model: &Model<B>,
    documents: &[Vec<u32>],
    options: &EvaluateOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Evaluation, BackendError> {
    let queue = Queue::new(documents, 0..documents.len(), 1);
    let mut tally = Tally::of(documents);
    let start = Moment::now();
    let finished = &mut |batch: Vec<Finished>| {
        tally.extend(batch);
        Ok::<_, BackendError>(())
    };
    work(backend, model, &queue, options.tokens_in_flight, finished, progress).await?;
    tally.evaluation(options, backend.precision(), start.seconds())
}

/// Evaluates what a queue hands out until it is empty, as one of the devices that share it. `finished`
/// is told the losses of each batch, `progress` `(done, total)` of all devices together in token-layers.
///
/// # Errors
/// Those of [`evaluate`] and of `finished`; the queue hands out nothing more then.
pub async fn work<B: Backend, E: From<BackendError>>(
    backend: &mut B,
    model: &Model<B>,
    queue: &Queue<'_>,
    tokens_in_flight: Option<usize>,
    finished: &mut dyn FnMut(Vec<Finished>) -> Result<(), E>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), E> {
    let in_flight = tokens_in_flight
        .unwrap_or_else(|| backend.preferred_tokens(model.shape.hidden_size, model.shape.intermediate_size));
    let _guard = queue.stop_on_drop();
    check_ids(queue.documents(), model.shape.vocab_size).map_err(BackendError::from)?;
    let device = backend.describe();
    while let Some(group) = queue.take(in_flight) {
        let (batch, start) = (Batch::of(group.iter().map(|&i| queue.document(i))), Moment::now());
        let advance = &mut |stage: Stage| {
            if let Stage::Layer(_) = stage {
                let done = queue.advance(batch.tokens() as u64);
                progress(done, queue.tokens() * model.layers.len() as u64);
            }
        };
        let losses = model.losses(backend, &batch, advance).await?;
        if losses.iter().any(|loss| !loss.is_finite()) {
            return Err(find_first_non_finite(backend, model, &batch).await?.into());
        }
        let seconds_per_token = start.seconds() / batch.tokens() as f64;
        let documents = group.iter().zip(batch.documents()).map(|(&document, tokens)| {
            let scored = &losses[tokens.start + queue.context(document)..tokens.end - 1];
            Finished {
                document: document as u64,
                tokens: scored.len() as u64,
                nats: scored.iter().map(|&loss| f64::from(loss)).sum(),
                seconds: tokens.len() as f64 * seconds_per_token,
                device: device.clone(),
            }
        });
        finished(documents.collect())?;
    }
    Ok(())
}

/// Whether a model with so many rows in its vocabulary has every token id of these documents.
///
/// # Errors
/// One that it has not.
pub fn check_ids(documents: &[Vec<u32>], vocabulary: usize) -> Result<(), Error> {
    for (number, ids) in documents.iter().enumerate() {
        if let Some(id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
            let what = format!("document {} has the token id {id}", number + 1);
            return Err(Error::new(ErrorKind::BadValue, what)
                .expected_found(format!("ids below the {vocabulary} rows of the model's vocabulary"), id)
                .hint("the tokenizer belongs to another model (see --tokenizer)"));
        }
    }
    Ok(())
}

/// The first stage whose activations are not finite.
#[derive(Default)]
struct FirstNonFinite(Option<Stage>);

impl Observer for FirstNonFinite {
    fn reached(&mut self, _: Stage) -> bool {
        self.0.is_none()
    }

    fn see(&mut self, stage: Stage, values: Vec<f32>) {
        self.0 = values.iter().any(|x| !x.is_finite()).then_some(stage);
    }
}

/// Runs the batch again, looking at every stage, to name the first one that is not finite.
async fn find_first_non_finite<B: Backend>(
    backend: &mut B,
    model: &Model<B>,
    batch: &Batch,
) -> Result<BackendError, BackendError> {
    let mut first = FirstNonFinite::default();
    model.losses(backend, batch, &mut first).await?;
    let place = match first.0 {
        Some(Stage::Embedding) => "in the embedding".to_owned(),
        Some(Stage::Mixer(layer)) => format!("in the attention or DeltaNet of layer {layer}"),
        Some(Stage::Layer(layer)) => format!("in the MLP of layer {layer}"),
        Some(Stage::FinalNorm) => "in the final norm".to_owned(),
        None => "in the output head".to_owned(),
    };
    let what = format!("the loss is not finite: values became infinite or NaN {place}");
    Ok(Error::new(ErrorKind::BadValue, what).into())
}
