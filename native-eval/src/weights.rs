//! From an artifact to a model on a device, one weight at a time.

mod builder;

use std::sync::mpsc::sync_channel;

use bitgauge_core::codec::{self, Form, Part};
use bitgauge_core::inventory::{Inventory, Stored, Weight};
use bitgauge_core::model::{Architecture, Decoder, Family, LayerPart, Presence, Quantization, Role};
use bitgauge_core::{Dense, Error, ErrorKind, Matrix};

use crate::backend::{Backend, BackendError};
use crate::forward::{Model, Shape};
use crate::source::Source;
pub(crate) use builder::{Convention, ModelBuilder};

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

/// Loads every weight that the forward pass needs, in storage order, so that the artifact is read
/// once from front to back. While the device takes one weight, the next is decoded and the one after it read; no more
/// than a few are in memory. `progress` is told the stored bytes of each weight done.
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
    let decoder = decoder(inventory)?;
    let shape = Shape::from(decoder);
    backend.prepare(shape.attention, shape.delta_rule)?;
    let mut builder = ModelBuilder::<B>::new(decoder, convention(inventory));
    let (bytes_sender, bytes_receiver) = sync_channel(1);
    let (matrix_sender, matrix_receiver) = sync_channel(1);
    std::thread::scope(|scope| {
        // Either thread ends early when the one after it hangs up, as it does after a failure.
        scope.spawn(move || {
            let wanted = inventory.weights.iter().filter_map(|weight| {
                let expected = weight.expected.as_ref()?;
                (expected.presence != Presence::TiedCopy).then_some((weight, expected))
            });
            for (weight, expected) in wanted {
                let bytes = read(source, inventory, weight);
                if bytes_sender.send((weight, expected, bytes)).is_err() {
                    return;
                }
            }
        });
        scope.spawn(move || {
            for (weight, expected, bytes) in bytes_receiver {
                let turned = turned_heads(decoder, inventory, expected.role);
                let matrix = bytes.and_then(|bytes| decode(inventory, weight, bytes, turned));
                if matrix_sender.send((weight, expected, matrix)).is_err() {
                    return;
                }
            }
        });
        for (weight, expected, matrix) in matrix_receiver {
            builder.put(backend, expected, matrix?)?;
            progress(stored_bytes(inventory, weight));
        }
        builder.finish(backend)
    })
}

/// The model, or why it can't be evaluated.
fn decoder<'a>(inventory: &'a Inventory) -> Result<&'a Decoder, Error> {
    let unsupported = |why: String| {
        Error::new(ErrorKind::Unsupported, "the artifact holds no model that bitgauge can evaluate")
            .expected("dense or bitpack weights of a known architecture", why)
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
            .expected(name, format!("{} weights missing", inventory.missing.len())));
    }
    match inventory.config.as_ref().map(|config| config.architecture()) {
        Some(Architecture::Decoder(decoder)) => Ok(decoder),
        _ => Err(unsupported("no config.json".into())),
    }
}

/// Whose conventions the stored values follow.
fn convention(inventory: &Inventory) -> Convention {
    match inventory.config.as_ref().map(|config| &config.quantization) {
        Some(Quantization::Gguf) => Convention::LlamaCpp,
        _ => Convention::Checkpoint,
    }
}

/// Rows of a head whose halves llama.cpp has shuffled into each other, for the tensors that it does so to:
/// llama's queries and keys.
fn turned_heads(decoder: &Decoder, inventory: &Inventory, role: Role) -> Option<usize> {
    use LayerPart::{KBias, KProj, QBias, QProj};
    let Role::Layer { part: QProj | QBias | KProj | KBias, .. } = role else { return None };
    let is_turned = decoder.family == Family::Llama && convention(inventory) == Convention::LlamaCpp;
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

/// The stored bytes of one weight: of its parts, or of the one tensor that it is.
fn read(source: &mut Source, inventory: &Inventory, weight: &Weight) -> Result<Vec<(Part, Vec<u8>)>, Error> {
    let tensors = &inventory.artifact.tensors;
    match &weight.form {
        Form::Packed { parts } => {
            let mut stored: Vec<_> =
                parts.iter().filter_map(|(part, index)| Some((part, (*index)?))).collect();
            stored.sort_by_key(|&(_, index)| index);
            stored.into_iter().map(|(part, index)| Ok((part, source.read_tensor(&tensors[index])?))).collect()
        }
        // The part has no meaning for a weight that is not packed.
        Form::Plain { index } => Ok(vec![(Part::Sign, source.read_tensor(&tensors[*index])?)]),
    }
}

/// Decodes what [`read`] gave. A vector comes as a matrix of one row. `turned` is that of
/// [`turned_heads`].
fn decode(
    inventory: &Inventory,
    weight: &Weight,
    stored: Vec<(Part, Vec<u8>)>,
    turned: Option<usize>,
) -> Result<Matrix, Error> {
    match (&weight.form, &weight.stored) {
        (Form::Packed { .. }, Stored::Packed(layout)) => {
            let mut parts: codec::Parts<&[u8]> = codec::Parts::default();
            stored.iter().for_each(|(part, bytes)| parts[*part] = bytes);
            codec::decode(&weight.name, layout, &parts).map(Matrix::Packed)
        }
        (Form::Plain { index }, Stored::Plain { dtype, shape }) => {
            let name = &inventory.artifact.tensors[*index].name;
            let mut bytes = stored.into_iter().next().map(|(_, bytes)| bytes).unwrap_or_default();
            if let (Some(head_dim), Some(&rows)) = (turned, shape.first()) {
                bytes = turn_back(&bytes, rows as usize, head_dim);
            }
            let cols = shape.last().copied().unwrap_or(1).max(1);
            if dtype.block_elements() > 1 {
                let rows = shape.iter().product::<u64>() / cols;
                return codec::decode_blocks(name, *dtype, [rows, cols], &bytes);
            }
            let values = codec::decode_values(name, *dtype, &bytes)?;
            Ok(Matrix::Dense(Dense { rows: values.len() / cols as usize, cols: cols as usize, values }))
        }
        _ => Err(Error::new(ErrorKind::WrongShape, "the stored parts do not fit the architecture")
            .within(&weight.name)),
    }
}

fn stored_bytes(inventory: &Inventory, weight: &Weight) -> u64 {
    let tensors = &inventory.artifact.tensors;
    match &weight.form {
        Form::Plain { index } => tensors[*index].bytes,
        Form::Packed { parts } => parts.iter().filter_map(|(_, i)| *i).map(|i| tensors[i].bytes).sum(),
    }
}
