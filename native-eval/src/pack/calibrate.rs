//! Runs the dense model over some tokens and keeps the second moments of every weight's inputs.

mod moments;
mod recorder;
#[cfg(test)]
mod tests;

use bitgauge_core::format::decode_values;
use bitgauge_core::model::{Decoder, Role};
use bitgauge_core::plan::Convention;
use bitgauge_core::{Dense, Error, ErrorKind, Matrix, Result};
use bitgauge_eval::weights::{LoadError, ModelBuilder};
use bitgauge_eval::{Backend, BackendError, Batch, Model, Stage};
use pollster::block_on;

use crate::pack::plan::{Plan, Planned};
use crate::pack::progress::Progress;
use crate::source::Source;
use crate::threads::open_cpu;
pub(super) use moments::MomentStore;
use recorder::{Recorder, placeholder};

/// Tokens that go through the model together: the weights are read once for all of them.
const BATCH_TOKENS: usize = 2048;
/// Most tokens of documents that are used: the first ones.
const MOST_TOKENS: usize = 16_384;
/// Tokens of a vocabulary of byte pairs that come before the pairs, in no order.
const SINGLE_BYTES: usize = 256;
/// How much of the mean moment is added to each. Far more than the 0.01 of Frantar et al.: with few bits, what earlier
/// weights err is a large part of a weight's inputs, and the moments are of a model that errs nowhere. Text shows what
/// the inputs will be, random tokens only roughly. Measured on two models (docs/packing.md).
const TEXT_DAMPING: f64 = 1.0;
const RANDOM_DAMPING: f64 = 3.0;
/// Seed of the random tokens.
const SEED: u64 = 0x6269_7467_6175_6765;

/// Which tokens tell the packer what the weights' inputs look like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Calibration {
    /// None: all inputs count the same, and the model is not run.
    None,
    /// 2,048 random ones.
    #[default]
    RandomTokens,
    /// Documents of token ids, up to 16,384 tokens, 512 of each.
    Documents(Vec<Vec<u32>>),
}

impl Calibration {
    /// Longest document in tokens; of a longer one the beginning is used.
    pub const DOCUMENT_TOKENS: usize = 512;

    fn damping(&self) -> f64 {
        if matches!(self, Self::Documents(_)) { TEXT_DAMPING } else { RANDOM_DAMPING }
    }

    /// How often each token is expected, 1 on average: as often as in the documents, and once more. Without documents
    /// by Zipf's law, for vocabularies of byte pairs number their tokens by how often they occurred.
    fn token_weights(&self, documents: &[Vec<u32>], vocabulary: usize) -> Vec<f32> {
        let mut weights: Vec<f64> = match self {
            Self::Documents(_) => vec![1.0; vocabulary],
            _ => (0..vocabulary).map(|id| 1.0 / (id + SINGLE_BYTES) as f64).collect(),
        };
        if let Self::Documents(_) = self {
            documents.iter().flatten().for_each(|&id| weights[id as usize] += 1.0);
        }
        let mean = weights.iter().sum::<f64>() / vocabulary as f64;
        weights.into_iter().map(|weight| (weight / mean) as f32).collect()
    }

    /// The documents to run, cut to what is used.
    fn documents(&self, vocabulary: usize) -> Result<Vec<Vec<u32>>> {
        let documents = match self {
            Self::None => Vec::new(),
            Self::RandomTokens => {
                let mut state = SEED;
                let mut document =
                    || (0..Self::DOCUMENT_TOKENS).map(|_| random_below(&mut state, vocabulary)).collect();
                (0..BATCH_TOKENS / Self::DOCUMENT_TOKENS).map(|_| document()).collect()
            }
            Self::Documents(documents) => {
                let mut left = MOST_TOKENS;
                let cut = |ids: &Vec<u32>| {
                    let ids = &ids[..ids.len().min(Self::DOCUMENT_TOKENS).min(left)];
                    left -= ids.len();
                    ids.to_vec()
                };
                documents.iter().map(cut).filter(|ids| !ids.is_empty()).collect()
            }
        };
        match documents.iter().flatten().find(|&&id| id as usize >= vocabulary) {
            None => Ok(documents),
            Some(id) => Err(Error::new(ErrorKind::BadValue, "a calibration document does not fit the model")
                .expected_found(format!("token ids below {vocabulary}"), id)
                .hint("the tokenizer belongs to another model")),
        }
    }
}

/// SplitMix64.
fn random_below(state: &mut u64, end: usize) -> u32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % end as u64) as u32
}

/// Runs the model and leaves the moments in `store`. Each weight is read when it is multiplied by, once per 2,048
/// tokens, and only one is in memory. `progress` is told the layers.
///
/// # Errors
/// A model of no known family, token ids outside the vocabulary, weights that can't be read.
pub(super) fn run(
    source: &mut Source,
    plan: &Plan,
    calibration: &Calibration,
    store: &mut MomentStore,
    progress: &mut Progress,
) -> Result<()> {
    if *calibration == Calibration::None {
        return Ok(());
    }
    let decoder = &plan.model.0;
    if let Some(why) = &decoder.not_evaluated {
        return Err(Error::new(ErrorKind::Unsupported, "the model can't be run for calibration")
            .expected_found("a supported forward pass", why)
            .hint("--fit least-squares packs without calibration"));
    }
    let vocabulary = decoder.vocabulary as usize;
    let documents = calibration.documents(vocabulary)?;
    store.weigh(calibration.token_weights(&documents, vocabulary), calibration.damping());
    if store.resume()? {
        return Ok(());
    }
    let batches = batches(documents);
    let mut recorder = Recorder::new(open_cpu(None).map_err(failed)?, source, store);
    let model = model(&mut recorder, decoder, plan)?;
    let (mut done, total) = (0, (model.layers.len() * batches.len()) as u64);
    for batch in &batches {
        let advance = &mut |stage: Stage| {
            if let Stage::Layer(_) = stage {
                done += 1;
                progress.set_layers(done, total);
            }
        };
        block_on(model.losses(&mut recorder, batch, advance)).map_err(failed)?;
    }
    drop((model, recorder));
    store.finish()
}

fn failed(error: BackendError) -> Error {
    error.0.within("calibration")
}

/// Documents together, as many as fit.
fn batches(documents: Vec<Vec<u32>>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for ids in documents {
        match batches.last_mut() {
            Some(batch) if batch.tokens() + ids.len() <= BATCH_TOKENS => batch.push(&ids),
            _ => {
                let mut batch = Batch::default();
                batch.push(&ids);
                batches.push(batch);
            }
        }
    }
    batches
}

/// The model with its vectors loaded and its matrices still on disk.
fn model<'a, B: Backend>(
    recorder: &mut Recorder<'a, B>,
    decoder: &Decoder,
    plan: &Plan,
) -> Result<Model<Recorder<'a, B>>> {
    let mut builder = ModelBuilder::new(decoder, Convention::Checkpoint);
    let loading = |error: LoadError| match error {
        LoadError::Artifact(error) | LoadError::NotFinite(error) => error,
        LoadError::Backend(error) => failed(error),
    };
    for Planned { original, .. } in &plan.tensors {
        let expected = &original.expected;
        if matches!(expected.role, Role::Embedding | Role::Head) {
            recorder.store().has_token_rows(&original.name);
        }
        let matrix = if expected.matrix().is_some() {
            recorder.announce(original);
            placeholder()
        } else {
            let kept = original.kept(recorder.source(), (&plan.model.0, plan.model.1))?;
            let values = decode_values(&original.name, kept.dtype, &kept.bytes)?;
            Matrix::Dense(Dense { rows: 1, cols: values.len(), values })
        };
        builder.put(recorder, expected, matrix).map_err(loading)?;
    }
    builder.finish(recorder).map_err(loading)
}
