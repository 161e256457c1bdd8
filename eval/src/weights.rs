//! From the stored bytes of weights to a model on a device, one weight at a time.

mod builder;

use std::borrow::Cow;

use bitgauge_core::format::layouts::{self, Bytes, Piece};
use bitgauge_core::format::{self, Form};
use bitgauge_core::inventory::{Inventory, Stored, Weight};
use bitgauge_core::model::{ExpectedTensor, Role};
use bitgauge_core::plan::{convention, decoder, turned_heads};
use bitgauge_core::{Dense, Dtype, Error, ErrorKind, Matrix};

use crate::backend::{Backend, BackendError, WeightForms};
use crate::forward::Shape;

pub use builder::ModelBuilder;

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

/// Tells the device what a model will ask for, so that it can get ready while something else is done.
///
/// # Errors
/// An artifact without a known architecture, or with missing or misshapen weights.
pub fn prepare<B: Backend>(backend: &mut B, inventory: &Inventory) -> Result<(), LoadError> {
    let shape = Shape::from(decoder(inventory)?);
    Ok(backend.prepare(shape.attention, shape.delta_rule)?)
}

/// Decodes the stored bytes of one weight, each tensor with its number in the artifact. A vector comes as a matrix of one
/// row. `forms` are those that every device which gets it takes.
///
/// # Errors
/// Bytes that are not what their format allows.
pub fn decode_wanted(
    inventory: &Inventory,
    (weight, expected): (&Weight, &ExpectedTensor),
    stored: &[(usize, Vec<u8>)],
    forms: WeightForms,
) -> Result<Matrix, Error> {
    if let Some(decoded) = decode_coded(inventory, weight, stored) {
        return decoded;
    }
    let turned = turned_heads(decoder(inventory)?, convention(inventory), expected.role);
    let name = match weight.form {
        Form::Plain { index } => &inventory.artifact.tensors[index].name,
        Form::Bitpacked { .. } | Form::Coded { .. } => &weight.name,
    };
    decode_stored(weight, name, stored, turned, forms_of(expected, forms))
}

/// The forms in which one weight may come: rows that are looked up keep all of their values, and a vector comes as numbers.
pub fn forms_of(expected: &ExpectedTensor, forms: WeightForms) -> WeightForms {
    let is_matrix = expected.matrix().is_some();
    let rounded = forms.rounded && expected.role != Role::Embedding;
    WeightForms { rounded: rounded && is_matrix, blocks: forms.blocks && is_matrix }
}

/// Whether the linear layers round their inputs: all of them, or none.
fn rounds_inputs(inventory: &Inventory) -> Result<bool, Error> {
    let coded = inventory.config.as_ref().and_then(|config| config.coded());
    if coded.is_none_or(|coded| !coded.scheme.rounds_inputs) {
        return Ok(false);
    }
    inventory.expect_no_scaled_bias()?;
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

/// Decodes the bytes of a weight's tensors in another writer's format.
fn decode_coded(
    inventory: &Inventory,
    weight: &Weight,
    stored: &[(usize, Vec<u8>)],
) -> Option<Result<Matrix, Error>> {
    let (Form::Coded { pieces }, Stored::Coded(coded)) = (&weight.form, &weight.stored) else { return None };
    let tensor = |&(piece, index): &(Piece, usize)| Bytes {
        piece,
        dtype: inventory.artifact.tensors[index].dtype,
        bytes: bytes_of(stored, Some(index)),
    };
    let tensors: Vec<Bytes> = pieces.0.iter().map(tensor).collect();
    Some(layouts::decode(&weight.name, coded, &tensors))
}

/// Decodes the bytes of the tensors of a weight that is dense, bitpacked or in ggml's blocks. A vector comes as a matrix of
/// one row. `name` is that of a dense weight's tensor, `turned` that of [`turned_heads`]; ggml's types come in the most
/// compact of `forms`.
///
/// # Errors
/// Bytes that are not what their format allows.
pub fn decode_stored(
    weight: &Weight,
    name: &str,
    stored: &[(usize, Vec<u8>)],
    turned: Option<usize>,
    forms: WeightForms,
) -> Result<Matrix, Error> {
    match (&weight.form, &weight.stored) {
        (Form::Bitpacked { parts: indices }, Stored::Bitpacked(layout)) => {
            let mut parts: format::Parts<&[u8]> = format::Parts::default();
            for (part, index) in indices.iter() {
                parts[part] = bytes_of(stored, *index);
            }
            format::decode(&weight.name, layout, &parts).map(Matrix::Bitpacked)
        }
        (Form::Plain { .. }, Stored::Plain { dtype, shape }) => {
            let mut bytes = stored.first().map_or(Cow::default(), |(_, bytes)| Cow::from(bytes));
            if let (Some(head_dim), Some(&rows)) = (turned, shape.first()) {
                bytes = turn_back(&bytes, rows as usize, head_dim).into();
            }
            let cols = shape.last().copied().unwrap_or(1).max(1);
            if let Dtype::Block(block) = dtype {
                let shape = [shape.iter().product::<u64>() / cols, cols];
                let kept = forms.blocks.then(|| format::keep_blocks(*block, shape, &bytes)).flatten();
                let read = if forms.rounded { format::round_blocks } else { format::decode_blocks };
                return kept.map_or_else(|| read(name, *block, shape, &bytes), Ok);
            }
            let values = format::decode_values(name, *dtype, &bytes)?;
            Ok(Matrix::Dense(Dense { rows: values.len() / cols as usize, cols: cols as usize, values }))
        }
        _ => Err(Error::new(ErrorKind::WrongShape, "the stored parts do not fit the architecture")
            .within(&weight.name)),
    }
}

/// The bytes of a tensor among those that were read.
fn bytes_of(stored: &[(usize, Vec<u8>)], index: Option<usize>) -> &[u8] {
    stored.iter().find(|(of, _)| Some(*of) == index).map_or(&[], |(_, bytes)| bytes)
}

/// Bytes of a weight in the artifact.
pub fn stored_bytes(inventory: &Inventory, weight: &Weight) -> u64 {
    weight.form.tensors().iter().map(|&index| inventory.artifact.tensors[index].bytes).sum()
}

/// Bytes that a weight takes at most on its way, as stored or as decoded, where devices take these forms.
pub fn most_bytes(
    inventory: &Inventory,
    (weight, expected): (&Weight, &ExpectedTensor),
    forms: WeightForms,
) -> u64 {
    let forms = forms_of(expected, forms);
    let decoded_bytes = match weight.stored {
        Stored::Plain { dtype: Dtype::Block(block), .. } if forms.blocks && format::is_kept(block) => 0,
        Stored::Plain { dtype: Dtype::Block(_), .. } if forms.rounded => size_of::<u16>(),
        Stored::Plain { dtype: Dtype::Block(_), .. } => size_of::<f32>(),
        _ => 0,
    };
    stored_bytes(inventory, weight).max(decoded_bytes as u64 * weight.stored.parameters())
}
