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

use bitgauge_core::codec::Bits;
use bitgauge_core::model::{Architecture, Config, Manifest, Quantization};
use bitgauge_core::{Error, ErrorKind, Result};

use crate::source::Source;
use plan::Plan;

/// How to pack.
#[derive(Debug, Clone, PartialEq)]
pub struct PackOptions {
    /// Columns per scale of a binary row: 128, or 0 for one scale per row.
    pub scale_group: usize,
    /// Largest part of each matrix's rows that is kept as 4-bit codes, 0 to 1.
    pub rescue_fraction: f64,
    /// Additive sign bases of a binary row, 1 to 4.
    pub bases: usize,
    /// Replace what is at the target.
    pub force: bool,
}

/// What packing does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Choosing the rescue rows.
    Choosing,
    /// Quantizing and writing.
    Writing,
}

/// How far packing is; reported before each tensor.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// What is being done.
    pub step: Step,
    /// The tensor that comes next.
    pub tensor: &'a str,
    /// Bytes of the source that this step is done with.
    pub done_bytes: u64,
    /// Bytes of the source that this step reads in all.
    pub total_bytes: u64,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct PackSummary {
    /// Distinct parameters of the model.
    pub parameters: u64,
    /// Weights that were packed.
    pub packed_weights: u64,
    /// Binary parameters; each additive basis counts again.
    pub binary_parameters: u64,
    /// Parameters in rescue rows.
    pub rescue_parameters: u64,
    /// Where the bits of the packed weights go.
    pub bits: Bits,
    /// Tensors that were kept as they are.
    pub kept_tensors: u64,
    /// Bytes of those.
    pub kept_bytes: u64,
    /// Tensors of the source that were left out: a tied model's copy of the head.
    pub dropped: Vec<String>,
    /// Bytes of the archive, or of all files of the folder.
    pub size_bytes: u64,
}

/// Packs the dense Qwen3 model in `source` and writes it to `out`: a zip when the name ends in
/// `.zip`, else a folder. Every 2-D weight is packed, every other tensor is kept as stored, and
/// config.json and the tokenizer's files come along.
///
/// Everything is written beside `out` first and then renamed, so `out` is complete or untouched.
///
/// # Errors
/// A source that is packed already, of a family that is not known, or whose tensors are not those
/// of its family; a target that exists (unless `force`); options out of range; weights that are
/// NaN or infinite; and what the operating system says.
pub fn pack(
    source: &mut Source,
    out: &Path,
    options: &PackOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PackSummary> {
    stage::check_target(out, options.force)?;
    let manifest = dense_manifest(source)?;
    let config = config::add_quantization(source.artifact().expect_config()?, options.scale_group)?;
    let plan = Plan::new(source, &manifest, options, progress)?;

    let stage = stage::Stage::beside(out)?;
    model::write(source, &plan, &config, options, stage.folder(), progress)?;
    let size_bytes = stage.publish(out, options.force)?;
    Ok(PackSummary { parameters: manifest.parameter_count(), size_bytes, ..plan.summary() })
}

/// The tensors that the source must consist of.
fn dense_manifest(source: &Source) -> Result<Manifest> {
    let config = Config::parse(source.artifact().expect_config()?)?;
    let refuse = |what: &str, wanted: &str, found: String| {
        Err(Error::new(ErrorKind::Unsupported, what).within("config.json").expected(wanted, found))
    };
    match &config.quantization {
        Quantization::None => {}
        Quantization::Bitpack(_) => return refuse("the model is packed already", "a dense model", "bitpack".into()),
        Quantization::Unknown { method } => {
            return refuse("only a dense model can be packed", "no quantization_config", method.clone());
        }
    }
    match (Manifest::new(config.architecture()), config.architecture()) {
        (Some(manifest), _) => Ok(manifest),
        (None, Architecture::Unknown { model_type }) => {
            refuse("the model's family is not known", "`model_type` qwen3", model_type.clone())
        }
        (None, known) => refuse("the model's family can't be packed", "`model_type` qwen3", format!("{known:?}")),
    }
}
