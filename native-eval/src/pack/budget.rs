//! Packs under a competition pack's limits.

use bitgauge_core::contract::Rules;
use bitgauge_core::format::Layout;

use bitgauge_core::{Error, ErrorKind, Result};

use super::calibrate::{self, MomentStore};
use super::files::SmallFile;
use super::mix::{Caps, Mix, Search, Surveyed};
use super::plan::Plan;
use super::progress::Progress;
use super::quantize::{RowErrors, Settings};
use super::safetensors::file_bytes;
use super::work::Work;
use super::{PackSettings, Ready, Target, side_files};
use crate::source::Source;

/// Reads every matrix once and settles the best mix within the limits of `pack`.
///
/// # Errors
/// As [`super::pack`]; that even one basis without rescue rows is over the budget.
pub(super) fn prepare(
    source: &mut Source,
    pack: Rules,
    scale_group: Option<usize>,
    settings: &PackSettings,
    (work, moments): (&Work, &mut MomentStore),
    progress: &mut Progress,
    target: &Target,
) -> Result<Ready> {
    // What can't be packed is refused before the long reading.
    side_files(source, 0)?;
    let mut plan = Plan::new(source, progress)?;
    let groups = plan.keep_exact(source, scale_group, progress)?;
    let files = groups.iter().map(|&group| side_files(source, group)).collect::<Result<Vec<_>>>()?;
    let caps = caps(&plan, pack);
    let most_bases = pack.limits().bits_per_parameter().ceil() as usize;
    let fit = settings.fit;
    let all_settings: Vec<Settings> = groups
        .iter()
        .flat_map(|&scale_group| (1..=most_bases).map(move |bases| Settings { scale_group, bases, fit }))
        .collect();
    check_smallest(&plan, &groups, &files, caps, target)?;
    if pack == Rules::Ternary {
        // With two bases nearly everywhere what is left to choose is where the third goes, and weights of large inputs
        // would get all of it. Measured: docs/packing.md.
        moments.level();
    }
    if plan.has_errors() {
        calibrate::run(source, &plan, &settings.calibration, moments, progress)?;
    }
    let errors = plan.survey(source, &all_settings, (work, moments), progress)?;

    let mut best: Option<(usize, Mix)> = None;
    for (i, files) in files.iter().enumerate() {
        let surveyed = surveyed(&plan, &errors, i * most_bases..(i + 1) * most_bases);
        let mix = search(&plan, &surveyed, groups[i], files, caps, target)?;
        if let Some(mix) = mix.filter(|mix| best.as_ref().is_none_or(|(_, best)| mix.error < best.error)) {
            best = Some((i, mix));
        }
    }
    let Some((i, mix)) = best else { return Err(too_small(&plan, caps, None)) };
    let chosen = mix.matrices.into_iter().map(|mixed| (mixed.bases, mixed.rescue_rows));
    plan.store(groups[i], chosen)?;
    let files = files.into_iter().nth(i).unwrap_or_default();
    Ok(Ready { plan, files, scale_group: groups[i], budget_bytes: Some(caps.artifact_bytes) })
}

/// What the limits of `pack` leave for a model.
pub(super) fn caps(plan: &Plan, pack: Rules) -> Caps {
    let limits = pack.limits();
    let reference_bits = u64::try_from(limits.max_compressed_bits).unwrap_or(u64::MAX);
    let budget_bits = reference_bits.min(limits.max_artifact_bits(plan.parameters));
    let most = limits.max_non_native(plan.parameters);
    Caps { artifact_bytes: budget_bits / 8, rescue_parameters: most.saturating_sub(plan.kept_parameters()) }
}

/// Refuses a model that no mix brings under the budget, before it is read.
pub(super) fn check_smallest(
    plan: &Plan,
    groups: &[usize],
    files: &[Vec<SmallFile>],
    caps: Caps,
    target: &Target,
) -> Result<()> {
    let mut least = u64::MAX;
    for (&group, files) in groups.iter().zip(files) {
        let layouts = plan.layouts().map(|l| Layout::new(l.rows(), l.cols(), 1, 0, group as u64));
        let layouts = layouts.collect::<Result<Vec<_>>>()?;
        least = least.min(target.bytes(files, file_bytes(plan.output_with(&layouts)))?);
    }
    if least <= caps.artifact_bytes { Ok(()) } else { Err(too_small(plan, caps, Some(least))) }
}

fn too_small(plan: &Plan, caps: Caps, least: Option<u64>) -> Error {
    let found = least.map_or_else(|| "more".into(), |least| format!("at least {least} bytes"));
    let wanted = format!("{} bytes for {} parameters", caps.artifact_bytes, plan.parameters);
    Error::new(ErrorKind::TooLarge, "the model does not fit the budget in one bit per weight")
        .expected_found(wanted, found)
        .hint("tokenizer files, config.json and tensors that are not matrices count as well: make those smaller")
}

/// What the search needs to know of each matrix, from the settings in `range`.
fn surveyed(plan: &Plan, errors: &[RowErrors], range: std::ops::Range<usize>) -> Vec<Surveyed> {
    let of = |(layout, errors): (&Layout, &RowErrors)| Surveyed {
        rows: layout.rows(),
        cols: layout.cols(),
        binary: errors.binary[range.clone()].to_vec(),
        rescue: errors.rescue.clone(),
    };
    plan.layouts().zip(errors).map(of).collect()
}

fn search(
    plan: &Plan,
    surveyed: &[Surveyed],
    scale_group: usize,
    files: &[SmallFile],
    caps: Caps,
    target: &Target,
) -> Result<Option<Mix>> {
    // What the archive adds to the weights never falls with their length, so a length that is
    // surely enough bounds it; between there and the result it is the same but for the step to zip64.
    let around = target.bytes(files, caps.artifact_bytes)? - target.form().padded(caps.artifact_bytes);
    let artifact_bytes =
        |layouts: &[Layout]| around + target.form().padded(file_bytes(plan.output_with(layouts)));
    let scale_group = scale_group as u64;
    Search { matrices: surveyed, scale_group, caps, artifact_bytes: &artifact_bytes }.run()
}
