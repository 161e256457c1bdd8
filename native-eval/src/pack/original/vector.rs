//! Weights that are no matrices, in the checkpoint's form.

use bitgauge_core::format::{decode_blocks, decode_values};
use bitgauge_core::model::{Decoder, ExpectedTensor, LayerPart, Role};
use bitgauge_core::plan::Convention;
use bitgauge_core::{Dtype, Error, ErrorKind, Result};

use super::order::Order;

/// Bytes of a tensor that is kept.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::pack) struct Kept {
    pub(in crate::pack) dtype: Dtype,
    pub(in crate::pack) bytes: Vec<u8>,
}

/// What a checkpoint stores for the stored bytes of a vector or convolution: those where nothing differs, else F32.
///
/// # Errors
/// A type that is not read; a decay rate that has no logarithm.
pub(super) fn kept(
    expected: &ExpectedTensor,
    dtype: Dtype,
    bytes: Vec<u8>,
    (decoder, convention): (&Decoder, Convention),
) -> Result<Kept> {
    if !is_changed(expected, dtype, (decoder, convention)) {
        return Ok(Kept { dtype, bytes });
    }
    let [order, _] = Order::of(expected.role, decoder, convention);
    let stored = match dtype {
        Dtype::Block(block) => {
            decode_blocks(&expected.name, block, [1, expected.elements()], &bytes)?.to_f32()
        }
        _ => decode_values(&expected.name, dtype, &bytes)?.to_f32(),
    };
    let rows = expected.shape.first().map_or(1, |&rows| rows as usize).max(1);
    let cols = stored.len() / rows;
    let mut values: Vec<f32> =
        (0..rows).flat_map(|row| &stored[order.place(row) * cols..][..cols]).copied().collect();
    match change(expected.role, decoder, convention) {
        Change::None => {}
        Change::LessOne => values.iter_mut().for_each(|value| *value -= 1.0),
        Change::Logarithm => {
            if let Some(rate) = values.iter().find(|rate| rate.is_nan() || **rate >= 0.0) {
                return Err(Error::new(ErrorKind::BadValue, "a decay rate has no logarithm")
                    .within(&expected.name)
                    .expected_found("-e^A_log, below 0", rate));
            }
            values.iter_mut().for_each(|value| *value = (-*value).ln());
        }
    }
    Ok(Kept { dtype: Dtype::F32, bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect() })
}

/// Whether a checkpoint stores other bytes.
pub(super) fn is_changed(
    expected: &ExpectedTensor,
    dtype: Dtype,
    (decoder, convention): (&Decoder, Convention),
) -> bool {
    let [order, _] = Order::of(expected.role, decoder, convention);
    let change = change(expected.role, decoder, convention);
    order != Order::Same || !matches!(change, Change::None) || matches!(dtype, Dtype::Block(_))
}

/// What makes a stored value the checkpoint's.
enum Change {
    None,
    /// Norms are stored whole, and the checkpoint has their difference from 1.
    LessOne,
    /// Rates are stored, and the checkpoint has the logarithms of their sizes.
    Logarithm,
}

fn change(role: Role, decoder: &Decoder, convention: Convention) -> Change {
    use LayerPart::{DecayLog, InputNorm, KNorm, PostAttentionNorm, QNorm};
    let is_norm = matches!(
        role,
        Role::FinalNorm | Role::Layer { part: InputNorm | PostAttentionNorm | QNorm | KNorm, .. }
    );
    let is_whole = convention != Convention::Checkpoint && decoder.family.defaults().centred_norms;
    match role {
        _ if is_norm && is_whole => Change::LessOne,
        Role::Layer { part: DecayLog, .. } if convention == Convention::LlamaCpp => Change::Logarithm,
        _ => Change::None,
    }
}
