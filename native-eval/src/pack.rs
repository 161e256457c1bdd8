//! Packs a dense model into the format of FORMAT.md.
//!
//! The source is read twice, one tensor in memory at a time: once to choose the rescue rows, which
//! settles every size in the safetensors header, and once to write. The same model and options give
//! the same bytes: tensors and files have a fixed order, and nothing records the time.

mod config;
mod model;
mod plan;
mod safetensors;
mod stage;
#[cfg(test)]
mod tests;

use std::path::Path;

use bitgauge_core::Result;
use bitgauge_core::codec::Bits;

use crate::source::Source;
use plan::Plan;

pub(crate) use config::add_packing;
pub(crate) use plan::part_name;
pub(crate) use safetensors::{TensorSpec, Writer};
pub(crate) use stage::{Stage, check_target, write_error};

/// How to pack.
#[derive(Debug, Clone, PartialEq)]
pub struct PackSettings {
    /// Columns per scale of a binary row: 128, or 0 for one scale per row.
    pub scale_group: usize,
    /// Largest part of each matrix's rows that is kept as 4-bit codes, 0 to 1.
    pub rescue_fraction: f64,
    /// Additive sign bases of a binary row, 1 to 4.
    pub bases: usize,
    /// Replace what is at the target.
    pub force: bool,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct PackSummary {
    /// Bytes of the archive, or of all files of the folder.
    pub bytes: u64,
    /// Distinct parameters of the model.
    pub parameters: u64,
    /// All bits of the artifact, tokenizer and headers included, per parameter.
    pub bits_per_parameter: f64,
    /// Weights that were packed.
    pub packed: u64,
    /// Tensors that were kept as they are.
    pub kept: u64,
    /// Bytes of those.
    pub kept_bytes: u64,
    /// Tensors of the source that were left out: a tied model's copy of the head, the vision tower, the
    /// head for multi-token prediction.
    pub dropped: Vec<String>,
    /// Binary parameters; each additive basis counts again.
    pub binary_parameters: u64,
    /// Parameters in rescue rows.
    pub rescue_parameters: u64,
    /// Where the bits of the packed weights go.
    pub bits: Bits,
}

/// Packs the dense model in `source` and writes it to `out`: a zip when the name ends in `.zip`,
/// else a folder. Every 2-D weight is packed, every other tensor is kept as stored, and config.json
/// and the tokenizer's files come along. `progress` is told how many more bytes of the source's
/// tensors are done; in all it is told the bytes of all tensors.
///
/// Everything is written beside `out` first and then renamed, so `out` is complete or untouched.
///
/// # Errors
/// A source that is packed already, of a family that is not known, or whose tensors are not those
/// of its family; a target that exists (unless `force`); settings out of range; weights that are
/// NaN or infinite; and what the operating system says.
pub fn pack(
    source: &mut Source,
    out: &Path,
    settings: &PackSettings,
    progress: &mut dyn FnMut(u64),
) -> Result<PackSummary> {
    stage::check_target(out, settings.force)?;
    let config = config::add_packing(source.artifact().expect_config()?, settings.scale_group)?;
    let plan = Plan::new(source, settings, progress)?;

    let stage = stage::Stage::beside(out)?;
    model::write(source, &plan, &config, settings, stage.folder(), progress)?;
    let bytes = stage.publish(out, settings.force)?;
    let summary = plan.summary();
    let bits_per_parameter = 8.0 * bytes as f64 / summary.parameters as f64;
    Ok(PackSummary { bytes, bits_per_parameter, ..summary })
}
