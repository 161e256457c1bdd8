//! The stored bytes of weights, whole or some of their rows.

use std::ops::Range;

use bitgauge_core::format::{Form, Part};
use bitgauge_core::inventory::{Stored, Weight};
use bitgauge_core::plan::{Plan, turned_heads};
use bitgauge_core::{Error, ErrorKind, Matrix, Result};
use bitgauge_eval::WeightForms;
use bitgauge_eval::weights::{decode_stored, forms_of};

use crate::source::Source;

/// Some rows of a weight, or all.
pub struct Rows {
    /// They as a weight of their own.
    pub weight: Weight,
    /// The bytes of its tensors, each with its number in the plan.
    pub stored: Vec<(usize, Vec<u8>)>,
}

impl Rows {
    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.stored.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// The matrix that they are, in the most compact of these forms.
    ///
    /// # Errors
    /// Bytes that are not what their format allows.
    pub fn decode(&self, plan: &Plan, forms: WeightForms) -> Result<Matrix> {
        let expected = self.weight.expected.as_ref().ok_or_else(|| misfit(&self.weight))?;
        let name = match self.weight.form {
            Form::Plain { index } => &plan.tensors[index].name,
            Form::Bitpacked { .. } | Form::Coded { .. } => &self.weight.name,
        };
        let turned = turned_heads(&plan.decoder, plan.convention, expected.role);
        decode_stored(&self.weight, name, &self.stored, turned, forms_of(expected, forms))
    }
}

/// A weight whose form is none that plans hold.
fn misfit(weight: &Weight) -> Error {
    Error::new(ErrorKind::WrongShape, "the stored parts do not fit the architecture").within(&weight.name)
}

/// Bytes of a row as it is stored, the mean of a packed weight's; nothing where rows are not whole bytes.
pub fn row_bytes(plan: &Plan, weight: &Weight) -> Option<u64> {
    let [rows, _] = weight.expected.as_ref()?.matrix()?;
    match (&weight.stored, &weight.form) {
        (Stored::Plain { .. }, Form::Plain { index }) => {
            let bytes = plan.tensors[*index].bytes;
            bytes.is_multiple_of(rows).then(|| bytes / rows)
        }
        (Stored::Bitpacked(layout), Form::Bitpacked { .. }) => Some(layout.bits().total() / 8 / rows),
        _ => None,
    }
}

/// A range of a tensor's bytes; `files` holds one for each of the plan.
async fn read(plan: &Plan, index: usize, range: Range<u64>, files: &[Source]) -> Result<Vec<u8>> {
    let tensor = &plan.tensors[index];
    let len = range.end.saturating_sub(range.start);
    let bytes = files[tensor.file].range(tensor.offset + range.start, len).await;
    bytes.map_err(|error| error.within(&tensor.name))
}

/// All of a weight.
pub async fn whole(plan: &Plan, weight: &Weight, files: &[Source]) -> Result<Rows> {
    let mut stored = Vec::new();
    for index in weight.form.tensors() {
        stored.push((index, read(plan, index, 0..plan.tensors[index].bytes, files).await?));
    }
    Ok(Rows { weight: weight.clone(), stored })
}

/// The numbers of a packed weight's rescue rows as they are stored; empty for others.
pub async fn rescue_rows(plan: &Plan, weight: &Weight, files: &[Source]) -> Result<Vec<u8>> {
    let Form::Bitpacked { parts } = &weight.form else { return Ok(Vec::new()) };
    match parts[Part::RescueRows] {
        Some(index) => read(plan, index, 0..plan.tensors[index].bytes, files).await,
        None => Ok(Vec::new()),
    }
}

/// Some rows of a matrix; `rescue_rows` is what [`rescue_rows`] gave.
pub async fn rows(
    plan: &Plan,
    weight: &Weight,
    rows: Range<u64>,
    rescue_rows: &[u8],
    files: &[Source],
) -> Result<Rows> {
    let mut stored = Vec::new();
    let how = match (&weight.stored, &weight.form) {
        (Stored::Plain { dtype, shape }, Form::Plain { index }) => {
            let bytes = row_bytes(plan, weight).ok_or_else(|| misfit(weight))?;
            stored.push((*index, read(plan, *index, rows.start * bytes..rows.end * bytes, files).await?));
            let cols = shape.last().copied().unwrap_or(1);
            Stored::Plain { dtype: *dtype, shape: vec![rows.end - rows.start, cols] }
        }
        (Stored::Bitpacked(layout), Form::Bitpacked { parts }) => {
            let some = layout.some_rows(rows, rescue_rows)?;
            for (part, index) in parts.iter() {
                let Some(index) = *index else { continue };
                let mut bytes = Vec::new();
                for range in &some.ranges[part] {
                    bytes.extend(read(plan, index, range.clone(), files).await?);
                }
                if part == Part::RescueRows {
                    bytes.clone_from(&some.rescue_rows);
                }
                stored.push((index, bytes));
            }
            Stored::Bitpacked(some.layout)
        }
        _ => return Err(misfit(weight)),
    };
    Ok(Rows { weight: Weight { stored: how, ..weight.clone() }, stored })
}
