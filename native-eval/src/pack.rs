//! Packs a model, dense or in another writer's format, into the format of FORMAT.md.
//!
//! The source is read twice, a block of rows in memory at a time: once to choose what is spent on
//! which row, which settles every size in the safetensors header, and once to write. The same model
//! and options give the same bytes: tensors and files have a fixed order, and nothing records the time.

mod archive;
#[cfg(test)]
mod archive_tests;
mod blocks;
mod budget;
#[cfg(test)]
mod budget_tests;
mod calibrate;
mod config;
mod exact;
mod files;
mod library;
mod mix;
mod model;
mod original;
mod outlook;
mod plan;
mod progress;
mod quantize;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod resume_tests;
mod safetensors;
mod stage;
mod target;
#[cfg(test)]
mod tests;
mod work;

use std::path::{Path, PathBuf};

use bitgauge_core::contract::Rules;
use bitgauge_core::format::Bits;
use bitgauge_core::{Error, ErrorKind, Result};

use crate::source::Source;
use calibrate::MomentStore;
use plan::Plan;
use progress::{Progress, Tell};
use quantize::Settings;
use work::Work;

pub use calibrate::Calibration;
pub(crate) use config::add_packing;
pub(crate) use files::SmallFile;
pub use library::{LibraryForm, pack_for_library, pack_smallest_for_library};
pub use outlook::{PackOutlook, outlook};
pub(crate) use plan::part_name;
pub use progress::PackStep;
pub use quantize::Fit;
pub(crate) use safetensors::{TensorSpec, Writer};
pub(crate) use stage::Stage;
pub(crate) use target::{Target, write_error};

/// How to pack.
#[derive(Debug, Clone, PartialEq)]
pub struct PackSettings {
    /// What the bits are spent on.
    pub mix: PackMix,
    /// How signs, codes and scales are chosen.
    pub fit: Fit,
    /// Tokens to run the model on, so that the error of the outputs is minimised instead of that of the weights.
    pub calibration: Calibration,
    /// Replace an artifact that is at the target.
    pub force: bool,
}

/// What the bits are spent on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PackMix {
    /// The same in every matrix.
    Uniform {
        /// Columns per scale of a binary row: 128, or 0 for one scale per row.
        scale_group: usize,
        /// Largest part of each matrix's rows that is kept as 4-bit codes, 0 to 1.
        rescue_fraction: f64,
        /// Additive sign bases of a binary row, 1 to 4.
        bases: usize,
    },
    /// As good as it gets within a pack's size budgets and its limit for parameters that are not binary.
    Budget {
        /// Whose limits.
        pack: Rules,
        /// 128 or 0 as above; `None` takes the better of the two.
        scale_group: Option<usize>,
    },
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct PackSummary {
    /// Bytes of the archive, or of all files of the folder.
    pub bytes: u64,
    /// Most bytes that it may have, when packed under a budget.
    pub budget_bytes: Option<u64>,
    /// Distinct parameters of the model.
    pub parameters: u64,
    /// All bits of the artifact, tokenizer and headers included, per parameter.
    pub bits_per_parameter: f64,
    /// Columns per scale of a binary row; 0 is one scale per row.
    pub scale_group: usize,
    /// Whether it comes with code of ours that loads it.
    pub is_loaded_by_code: bool,
    /// Weights that were packed.
    pub packed: u64,
    /// Those of them that hold few enough values to be packed as they are.
    pub exact: u64,
    /// Those of these whose scales were rounded to 16 bits.
    pub rounded: u64,
    /// Tensors that were kept as they are.
    pub kept: u64,
    /// Bytes of those.
    pub kept_bytes: u64,
    /// Tensors of the source that were left out: a tied model's copy of the head, the vision tower, the
    /// head for multi-token prediction.
    pub dropped: Vec<String>,
    /// What the packed model does otherwise than the source, and what of it was left out beside weights.
    pub notes: Vec<String>,
    /// Binary parameters; each additive basis counts again.
    pub binary_parameters: u64,
    /// Parameters in rescue rows.
    pub rescue_parameters: u64,
    /// Where the bits of the packed weights go.
    pub bits: Bits,
}

/// Packs the model in `source` and writes it to `out`: an archive when the name ends in `.zip`, `.tar` or `.tar.xz`,
/// else a folder. Every 2-D weight is packed, as it is where it holds few values; every other tensor is kept as a
/// checkpoint has it, and config.json and the tokenizer's files come along. `progress` is told the step, what is done and what
/// there is to do.
///
/// Everything is written into a hidden folder beside `out` first and then renamed, so `out` is complete or untouched.
/// A run that was cut off leaves that folder, and the same call goes on with it; the result is the same.
///
/// # Errors
/// A source in a format that is not read, of a family that is not known, or whose tensors are not those
/// of its family; a target that [`check_pack_target`] refuses; a source that changes meanwhile; settings out of range; a model that is over the budget in any form; weights that are NaN or infinite; and what the operating system
/// says.
pub fn pack(source: &mut Source, out: &Path, settings: &PackSettings, progress: Tell) -> Result<PackSummary> {
    let inputs: Vec<PathBuf> = source.path().map(Path::to_owned).into_iter().collect();
    let target = Target::check(out, settings.force, &inputs)?;
    let mut work = Work::open(source, &target, settings)?;
    let packed = pack_into(source, &target, settings, &mut work, progress);
    match &packed {
        // A full disk or an unreachable file is no reason to begin anew, a model that changed is one.
        Err(error) if error.kind == ErrorKind::Io && source.expect_unchanged().is_ok() => {}
        _ => work.discard()?,
    }
    packed
}

/// Packs into a zip and makes a .tar.xz of the same files; keeps the one of fewer bytes, of equal ones the zip. `out` is its
/// name without `.zip` or `.tar.xz`. Gives its whole name, too. The validator reads both.
///
/// # Errors
/// As [`pack`], for both names.
pub fn pack_smallest(
    source: &mut Source,
    out: &Path,
    settings: &PackSettings,
    progress: Tell,
) -> Result<(PathBuf, PackSummary)> {
    let [zip, xz] = zip_and_xz(out);
    let inputs: Vec<PathBuf> = source.path().map(Path::to_owned).into_iter().collect();
    let target = Target::check(&xz, settings.force, &inputs)?;
    let mut summary = pack(source, &zip, settings, progress)?;
    let mut packed = Source::open(&zip)?;
    let stage = Stage::beside(&target)?;
    let files = stage::unpack(&mut packed, &stage.weights())?;
    let bytes = stage.publish(&target, &files, None)?;
    let [kept, other] = if bytes < summary.bytes { [xz, zip] } else { [zip, xz] };
    summary.bytes = bytes.min(summary.bytes);
    summary.bits_per_parameter = 8.0 * summary.bytes as f64 / summary.parameters as f64;
    std::fs::remove_file(&other).map_err(|error| write_error(&other, &error))?;
    Ok((kept, summary))
}

/// The two archives of which one is kept.
fn zip_and_xz(out: &Path) -> [PathBuf; 2] {
    [".zip", ".tar.xz"].map(|ending| {
        let mut name = out.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    })
}

/// Checks that [`pack`] can write to `out`, before there is anything to write.
///
/// # Errors
/// A name that asks for a form that is not written; a folder that does not exist or takes no new files; what is one of
/// the `inputs`, lies in one or holds one, links and mounts included; what exists, unless `force` is set and it is
/// empty or an artifact that `pack` wrote.
pub fn check_pack_target(out: &Path, force: bool, inputs: &[PathBuf]) -> Result<()> {
    Target::check(out, force, inputs).map(drop)
}

fn pack_into(
    source: &mut Source,
    target: &Target,
    settings: &PackSettings,
    work: &mut Work,
    progress: Tell,
) -> Result<PackSummary> {
    let mut progress =
        Progress::new(source.artifact().tensors.iter().map(|tensor| tensor.bytes).sum(), progress);
    let mut moments = work.moments();
    let ready = prepare(source, target, settings, (work, &mut moments), &mut progress)?;
    let Ready { plan, files, scale_group, budget_bytes } = ready;
    let weights_bytes = safetensors::file_bytes(plan.output());
    let planned = target.bytes(&files, weights_bytes)?;

    let stage = work.stage();
    model::write(source, &plan, settings.fit, &stage.weights(), (work, &mut moments), &mut progress)?;
    source.expect_unchanged()?;
    let bytes = stage.publish(target, &files, Some(planned))?;
    let summary = plan.summary();
    let bits_per_parameter = 8.0 * bytes as f64 / summary.parameters as f64;
    Ok(PackSummary { bytes, budget_bytes, bits_per_parameter, scale_group, ..summary })
}

/// All that is settled before the first weight is written.
struct Ready {
    plan: Plan,
    files: Vec<SmallFile>,
    scale_group: usize,
    budget_bytes: Option<u64>,
}

fn prepare(
    source: &mut Source,
    target: &Target,
    settings: &PackSettings,
    (work, moments): (&Work, &mut MomentStore),
    progress: &mut Progress,
) -> Result<Ready> {
    match settings.mix {
        PackMix::Uniform { scale_group, rescue_fraction, bases } => {
            side_files(source, scale_group)?;
            if !(0.0..=1.0).contains(&rescue_fraction) {
                return Err(Error::new(ErrorKind::BadValue, "the rescue fraction is out of range")
                    .expected_found("a number from 0 to 1", rescue_fraction));
            }
            let mut plan = Plan::new(source, progress)?;
            let scale_group = plan.keep_exact(source, Some(scale_group), progress)?[0];
            let files = side_files(source, scale_group)?;
            let rows = Settings { scale_group, bases, fit: settings.fit };
            if plan.has_errors() {
                calibrate::run(source, &plan, &settings.calibration, moments, progress)?;
            }
            plan.choose_uniformly(source, rows, rescue_fraction, (work, moments), progress)?;
            Ok(Ready { plan, files, scale_group, budget_bytes: None })
        }
        PackMix::Budget { pack, scale_group } => {
            budget::prepare(source, pack, scale_group, settings, (work, moments), progress, target)
        }
    }
}

/// Every file but the weights.
fn side_files(source: &mut Source, scale_group: usize) -> Result<Vec<SmallFile>> {
    let config = config::add_packing(&config::dense(source.artifact())?, scale_group)?;
    files::beside_weights(source, config)
}
