//! What packing a model would give and take, without packing it.

mod sample;

use std::path::Path;

use bitgauge_core::format::Layout;
use bitgauge_core::{Error, ErrorKind, Result};

use super::plan::Plan;
use super::progress::Progress;
use super::target::Target;
use super::{PackMix, PackSettings, budget, safetensors, side_files};
use crate::source::Source;

/// What packing a model would give and take.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct PackOutlook {
    /// Bytes of the artifact: exact without rescue rows; with them, and under a budget, the most that it may have.
    pub bytes: u64,
    /// Most bytes that it may have, when packed under a budget.
    pub budget_bytes: Option<u64>,
    /// Distinct parameters of the model.
    pub parameters: u64,
    /// Weights that are packed.
    pub packed: u64,
    /// Tensors that are kept as they are.
    pub kept: u64,
    /// Bytes of those.
    pub kept_bytes: u64,
    /// Tensors of the source that are left out.
    pub dropped: Vec<String>,
    /// Bytes of the source's tensors.
    pub source_bytes: u64,
    /// How long it takes, in seconds: an estimate from a small model that was packed the same way for it. Nothing where
    /// every weight is stored as it is.
    pub seconds: Option<f64>,
}

/// What [`super::pack`] would do with these arguments, and how long it would take on this machine. Of the source are read
/// the headers, and as much of each weight as tells whether it can be stored as it is; nothing is written but a small model in the system's folder for temporary files.
///
/// # Errors
/// Those of [`super::pack`] that come before the weights are read.
pub fn outlook(source: &mut Source, out: &Path, settings: &PackSettings) -> Result<PackOutlook> {
    let target = Target::check(out, settings.force, &[])?;
    let mut untold = |_, _, _| {};
    let mut progress = Progress::new(0, &mut untold);
    let (plan, bytes, budget_bytes) = match settings.mix {
        PackMix::Uniform { scale_group, rescue_fraction, bases } => {
            let mut plan = Plan::new(source, &mut progress)?;
            let scale_group = plan.keep_exact(source, Some(scale_group), &mut progress)?[0];
            let files = side_files(source, scale_group)?;
            let relaid = |layout: &Layout| {
                let rescued = (layout.rows() as f64 * rescue_fraction) as u64;
                let bases = if rescued == layout.rows() { 0 } else { bases as u64 };
                Layout::new(layout.rows(), layout.cols(), bases, rescued, scale_group as u64)
            };
            let layouts = plan.layouts().map(relaid).collect::<Result<Vec<_>>>()?;
            let bytes = target.bytes(&files, safetensors::file_bytes(plan.output_with(&layouts)))?;
            (plan, bytes, None)
        }
        PackMix::Budget { pack, scale_group } => {
            let mut plan = Plan::new(source, &mut progress)?;
            let groups = plan.keep_exact(source, scale_group, &mut progress)?;
            let files = groups.iter().map(|&group| side_files(source, group)).collect::<Result<Vec<_>>>()?;
            let caps = budget::caps(&plan, pack);
            budget::check_smallest(&plan, &groups, &files, caps, &target)?;
            (plan, caps.artifact_bytes, Some(caps.artifact_bytes))
        }
    };
    let summary = plan.summary();
    let seconds = match plan.has_errors() {
        true => Some(sample::seconds_per_parameter(settings)? * summary.parameters as f64),
        false => None,
    };
    Ok(PackOutlook {
        bytes,
        budget_bytes,
        parameters: summary.parameters,
        packed: summary.packed,
        kept: summary.kept,
        kept_bytes: summary.kept_bytes,
        dropped: summary.dropped,
        source_bytes: source.artifact().tensors.iter().map(|tensor| tensor.bytes).sum(),
        seconds,
    })
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the small model that times packing can't be written")
        .within(std::env::temp_dir().display())
        .expected_found("room for some 20 MB", error)
        .hint("TMPDIR names another folder")
}
