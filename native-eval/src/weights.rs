//! From an artifact to a model on a device, one weight at a time.

mod builder;
mod feed;

use std::borrow::Cow;
use std::time::Instant;

use bitgauge_core::container::Artifact;
use bitgauge_core::format::layouts::{self, Bytes, Piece};
use bitgauge_core::format::{self, Form};
use bitgauge_core::inventory::{Inventory, Stored, Weight};
use bitgauge_core::model::{Architecture, Decoder, LayerPart, Quantization, Role};
use bitgauge_core::scan::{Digest, Sha256};
use bitgauge_core::{Dense, Dtype, Error, ErrorKind, Matrix, Values};
use half::f16;

use crate::backend::{Backend, BackendError};
use crate::forward::{Model, Shape};
use crate::source::Source;
pub(crate) use builder::{Convention, ModelBuilder};
use feed::Feed;

/// Values that are compared at a time.
const VALUES_AT_ONCE: usize = 4096;

/// Why a model could not be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The artifact is faulty or holds no model that can be evaluated.
    Artifact(Error),
    /// A weight is not finite, so no loss would be.
    NotFinite(Error),
    /// The device refused.
    Backend(BackendError),
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Artifact(error) | Self::NotFinite(error) => error.fmt(f),
            Self::Backend(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Artifact(error)
    }
}

impl From<BackendError> for LoadError {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

/// Where the time of loading goes, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoadTimes {
    /// Reading, all threads together.
    pub reading: f64,
    /// Decoding, all threads together.
    pub decoding: f64,
    /// What the device's thread waited for weights.
    pub idle: f64,
    /// What it took to hand weights to the device.
    pub uploading: f64,
}

/// Loads every weight that the forward pass needs and waits until the device is ready to run. Weights are read
/// and decoded on several threads, ahead of the device; few are in memory at once. `progress` is told
/// the stored bytes of each weight done.
///
/// # Errors
/// An artifact without a known architecture, with missing or misshapen weights or invalid payload;
/// a device that runs out of memory.
pub fn load<B: Backend>(
    backend: &mut B,
    source: &mut Source,
    inventory: &Inventory,
    progress: &mut dyn FnMut(u64),
) -> Result<Model<B>, LoadError> {
    let (model, _) = load_timed(backend, source, inventory, progress)?;
    backend.ready()?;
    Ok(model)
}

/// Tells the device what a model will ask for, so that it can get ready while something else is done.
///
/// # Errors
/// Those of [`load`] that show in the headers.
pub fn prepare<B: Backend>(backend: &mut B, inventory: &Inventory) -> Result<(), LoadError> {
    let shape = Shape::from(decoder(inventory)?);
    Ok(backend.prepare(shape.attention, shape.delta_rule)?)
}

/// [`load`] without waiting for the device.
pub(crate) fn load_timed<B: Backend>(
    backend: &mut B,
    source: &Source,
    inventory: &Inventory,
    progress: &mut dyn FnMut(u64),
) -> Result<(Model<B>, LoadTimes), LoadError> {
    prepare(backend, inventory)?;
    let rounds_inputs = rounds_inputs(inventory)?;
    let mut builder = ModelBuilder::<B>::new(decoder(inventory)?, convention(inventory));
    let feed = Feed::new(inventory, source, backend.rounds_weights());
    let mut times = LoadTimes::default();
    // The first in storage order of several failures, whichever came up first.
    let mut failure: Option<(usize, LoadError)> = None;
    std::thread::scope(|scope| {
        let weights = feed.start(scope, source)?;
        let mut since = Instant::now();
        for fed in weights {
            times.idle += lap(&mut since);
            let result = match fed.matrix {
                Ok(matrix) if failure.is_none() => builder.put(backend, fed.expected, matrix),
                other => other.map(drop).map_err(LoadError::from),
            };
            times.uploading += lap(&mut since);
            match result {
                Ok(()) => progress(fed.stored_bytes),
                Err(error) => {
                    feed.stop();
                    if failure.as_ref().is_none_or(|(index, _)| fed.index < *index) {
                        failure = Some((fed.index, error));
                    }
                }
            }
        }
        Ok::<_, BackendError>(())
    })?;
    [times.reading, times.decoding] = feed.times();
    match failure {
        None => {
            let mut model = builder.finish(backend)?;
            model.shape.rounds_inputs = rounds_inputs;
            Ok((model, times))
        }
        Some((_, error)) => Err(error),
    }
}

/// Seconds since `since`, which becomes now.
fn lap(since: &mut Instant) -> f64 {
    let now = Instant::now();
    (now - std::mem::replace(since, now)).as_secs_f64()
}

/// Whether a dense model that says its head is its embedding holds two matrices whose values differ: transformers 5
/// then keeps both. One of them is in memory at a time.
///
/// # Errors
/// Weights that can't be read.
pub fn heads_differ(source: &mut Source, inventory: &Inventory) -> Result<bool, Error> {
    let mut bytes = Vec::new();
    let mut hash = |index: usize| {
        let tensor = &inventory.artifact.tensors[index];
        source.read_tensor_into(tensor, &mut bytes)?;
        let values = format::decode_values(&tensor.name, tensor.dtype, &bytes)?;
        let (mut hash, mut piece) = (Sha256::new(), [0.0; VALUES_AT_ONCE]);
        for start in (0..values.len()).step_by(VALUES_AT_ONCE) {
            let piece = &mut piece[..VALUES_AT_ONCE.min(values.len() - start)];
            values.read(start, piece);
            // -0 is 0.
            piece.iter().for_each(|value| hash.update((value + 0.0).to_le_bytes()));
        }
        Ok::<_, Error>(hash.finalize())
    };
    match inventory.tied_pair {
        Some([embedding, head]) => Ok(hash(embedding)? != hash(head)?),
        None => Ok(false),
    }
}

/// What an artifact holds to the source's version of transformers, with a head of its own where [`heads_differ`].
///
/// # Errors
/// Those of [`Inventory::of_version`] and [`heads_differ`].
pub fn loaded_inventory<'a>(source: &mut Source, artifact: &'a Artifact) -> Result<Inventory<'a>, Error> {
    let inventory = Inventory::of_version(artifact, source.transformers())?;
    Ok(if heads_differ(source, &inventory)? { inventory.untied() } else { inventory })
}

/// The model, or why it can't be evaluated.
fn decoder<'a>(inventory: &'a Inventory) -> Result<&'a Decoder, Error> {
    let unsupported = |why: String| {
        Error::new(ErrorKind::Unsupported, "the artifact holds no model that bitgauge can evaluate")
            .expected_found("dense or bitpack weights of a known architecture", why)
            .hint("`bitgauge inspect` shows what can be judged without evaluating it")
    };
    if let Some(why) = &inventory.opaque {
        return Err(unsupported(why.clone()));
    }
    if let Some(error) = inventory.misshapen.first() {
        return Err(error.clone());
    }
    if let Some(name) = inventory.missing.first() {
        return Err(Error::new(ErrorKind::Missing, "a weight is missing")
            .expected_found(name, format!("{} weights missing", inventory.missing.len())));
    }
    match inventory.config.as_ref().map(|config| config.architecture()) {
        Some(Architecture::Decoder(decoder)) => match &decoder.not_evaluated {
            None => Ok(decoder),
            Some(why) => Err(unsupported(why.clone())),
        },
        _ => Err(unsupported("no config.json".into())),
    }
}

/// Whether the linear layers round their inputs: all of them, or none.
fn rounds_inputs(inventory: &Inventory) -> Result<bool, Error> {
    let coded = inventory.config.as_ref().and_then(|config| config.coded());
    if coded.is_none_or(|coded| !coded.scheme.rounds_inputs) {
        return Ok(false);
    }
    let is_linear = |weight: &&Weight| {
        let expected = weight.expected.as_ref();
        expected.is_some_and(|e| matches!(e.role, Role::Layer { .. }) && e.matrix().is_some())
    };
    let dense =
        inventory.weights.iter().filter(is_linear).find(|weight| matches!(weight.form, Form::Plain { .. }));
    dense.map_or(Ok(true), |weight| {
        Err(Error::new(ErrorKind::Unsupported, "some linear layers round their inputs, others do not")
            .within(&weight.name)
            .expected_found("every linear layer packed", "one that is not"))
    })
}

/// Whose conventions the stored values follow.
pub(crate) fn convention(inventory: &Inventory) -> Convention {
    match inventory.config.as_ref().map(|config| &config.quantization) {
        Some(Quantization::Gguf) => Convention::LlamaCpp,
        Some(Quantization::Coded(config)) if config.scheme.is_mlx => Convention::Mlx,
        _ => Convention::Checkpoint,
    }
}

/// Rows of a head whose halves llama.cpp has shuffled into each other, for the tensors that it does so to:
/// llama's queries and keys.
fn turned_heads(inventory: &Inventory, role: Role) -> Option<usize> {
    use LayerPart::{KBias, KProj, QBias, QProj};
    let Role::Layer { part: QProj | QBias | KProj | KBias, .. } = role else { return None };
    let decoder = decoder(inventory).ok()?;
    let is_turned =
        decoder.family.defaults().gguf_pairs_channels && convention(inventory) == Convention::LlamaCpp;
    is_turned.then_some(decoder.head_dim as usize)
}

/// Undoes llama.cpp's order of the rows of llama's queries and keys: rows 2 i and 2 i + 1 of a head are its
/// rows i and i + d / 2.
fn turn_back(bytes: &[u8], rows: usize, head_dim: usize) -> Vec<u8> {
    let row_bytes = bytes.len() / rows.max(1);
    let half = head_dim / 2;
    let source = |row: usize| {
        let (head, within) = (row / head_dim * head_dim, row % head_dim);
        head + within % half * 2 + within / half
    };
    (0..rows).flat_map(|row| &bytes[source(row) * row_bytes..][..row_bytes]).copied().collect()
}

/// Reads the stored bytes of one weight, of all tensors that hold it, into the first of `stored`, whose buffers are used
/// again. Gives how many.
fn read(
    source: &mut Source,
    inventory: &Inventory,
    weight: &Weight,
    stored: &mut Vec<(usize, Vec<u8>)>,
) -> Result<usize, Error> {
    let wanted = weight.form.tensors();
    stored.resize_with(stored.len().max(wanted.len()), Default::default);
    for (&index, (of, bytes)) in wanted.iter().zip(stored) {
        *of = index;
        source.read_tensor_into(&inventory.artifact.tensors[index], bytes)?;
    }
    Ok(wanted.len())
}

/// Decodes what [`read`] gave. A vector comes as a matrix of one row. `turned` is that of
/// [`turned_heads`].
fn decode(
    inventory: &Inventory,
    weight: &Weight,
    stored: &[(usize, Vec<u8>)],
    turned: Option<usize>,
) -> Result<Matrix, Error> {
    match (&weight.form, &weight.stored) {
        (Form::Bitpacked { parts: indices }, Stored::Bitpacked(layout)) => {
            let mut parts: format::Parts<&[u8]> = format::Parts::default();
            for (part, index) in indices.iter() {
                parts[part] = bytes_of(stored, *index);
            }
            format::decode(&weight.name, layout, &parts).map(Matrix::Bitpacked)
        }
        (Form::Plain { index }, Stored::Plain { dtype, shape }) => {
            let name = &inventory.artifact.tensors[*index].name;
            let mut bytes = stored.first().map_or(Cow::default(), |(_, bytes)| Cow::from(bytes));
            if let (Some(head_dim), Some(&rows)) = (turned, shape.first()) {
                bytes = turn_back(&bytes, rows as usize, head_dim).into();
            }
            let cols = shape.last().copied().unwrap_or(1).max(1);
            if let Dtype::Block(block) = dtype {
                let rows = shape.iter().product::<u64>() / cols;
                return format::decode_blocks(name, *block, [rows, cols], &bytes);
            }
            let values = format::decode_values(name, *dtype, &bytes)?;
            Ok(Matrix::Dense(Dense { rows: values.len() / cols as usize, cols: cols as usize, values }))
        }
        (Form::Coded { pieces }, Stored::Coded(coded)) => {
            let tensor = |&(piece, index): &(Piece, usize)| Bytes {
                piece,
                dtype: inventory.artifact.tensors[index].dtype,
                bytes: bytes_of(stored, Some(index)),
            };
            let tensors: Vec<Bytes> = pieces.0.iter().map(tensor).collect();
            layouts::decode(&weight.name, coded, &tensors)
        }
        _ => Err(Error::new(ErrorKind::WrongShape, "the stored parts do not fit the architecture")
            .within(&weight.name)),
    }
}

/// A matrix of values that take f32, as f16: half the bytes where products take no more. Values beyond f16's range keep
/// it as it is.
fn rounded(matrix: Matrix) -> Matrix {
    match matrix {
        Matrix::Dense(Dense { rows, cols, values: Values::F32(values) })
            if values.iter().all(|value| value.abs() <= f16::MAX.to_f32()) =>
        {
            let values = Values::F16(values.iter().map(|value| f16::from_f32(*value)).collect());
            Matrix::Dense(Dense { rows, cols, values })
        }
        other => other,
    }
}

/// The bytes of a tensor among those that were read.
fn bytes_of(stored: &[(usize, Vec<u8>)], index: Option<usize>) -> &[u8] {
    stored.iter().find(|(of, _)| Some(*of) == index).map_or(&[], |(_, bytes)| bytes)
}

fn stored_bytes(inventory: &Inventory, weight: &Weight) -> u64 {
    weight.form.tensors().iter().map(|&index| inventory.artifact.tensors[index].bytes).sum()
}

/// Bytes that a weight takes at most on its way, as stored or as decoded.
fn most_bytes(inventory: &Inventory, weight: &Weight) -> u64 {
    let decoded = match weight.stored {
        Stored::Plain { dtype: Dtype::Block(_), .. } => size_of::<f32>() as u64 * weight.stored.parameters(),
        _ => 0,
    };
    stored_bytes(inventory, weight).max(decoded)
}
