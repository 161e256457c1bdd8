//! Decides what happens to each tensor of the source, and so every size in the output.

use std::collections::HashSet;

use bitgauge_core::container::{Artifact, TensorEntry};
use bitgauge_core::format::{Bits, Form, Layout, Part};

use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::{ExpectedTensor, Presence};
use bitgauge_core::{Error, ErrorKind, Result};

use super::calibrate::MomentStore;
use super::progress::Progress;
use super::quantize::{RowErrors, Settings, choose_rescue_rows, row_errors};
use super::safetensors::TensorSpec;
use super::work::Work;
use super::{PackSummary, blocks};
use crate::source::Source;

/// What happens to one tensor of the source.
pub(super) enum Action {
    /// Copied as stored.
    Keep,
    /// Packed.
    Pack {
        /// Sizes of its parts.
        layout: Layout,
        /// Which rows are kept as codes.
        rescue_rows: Vec<u32>,
    },
}

/// One tensor of the source and what happens to it.
pub(super) struct Planned {
    pub(super) tensor: TensorEntry,
    pub(super) action: Action,
    /// Bytes that progress has not been told about yet.
    pub(super) unreported: u64,
}

/// What happens to every tensor, in the order of the source.
pub(super) struct Plan {
    pub(super) tensors: Vec<Planned>,
    pub(super) dropped: Vec<String>,
    pub(super) parameters: u64,
}

impl Plan {
    /// Matches the source with its config.json: every 2-D weight is to be packed, with one basis and
    /// no rescue rows so far.
    pub(super) fn new(source: &Source, scale_group: usize, progress: &mut Progress) -> Result<Self> {
        let Expected { tensors, ignored, parameters } = Expected::of(source.artifact())?;
        let mut plan = Self { tensors: Vec::new(), dropped: Vec::new(), parameters };
        for tensor in ignored {
            progress.add_bytes(tensor.bytes);
            plan.dropped.push(tensor.name);
        }
        for (tensor, expected) in tensors {
            if expected.presence == Presence::TiedCopy {
                progress.add_bytes(tensor.bytes);
                plan.dropped.push(tensor.name);
                continue;
            }
            let action = match expected.matrix() {
                Some([rows, cols]) => {
                    let layout = Layout::new(rows, cols, 1, 0, scale_group as u64);
                    let layout = layout.map_err(|error| error.within(&tensor.name))?;
                    Action::Pack { layout, rescue_rows: Vec::new() }
                }
                None => Action::Keep,
            };
            let unreported = tensor.bytes;
            plan.tensors.push(Planned { tensor, action, unreported });
        }
        Ok(plan)
    }

    /// Stores every matrix with `bases` and the best `fraction` of its rows rescued. Reads every
    /// matrix once, unless no row is to be rescued.
    pub(super) fn choose_uniformly(
        &mut self,
        source: &mut Source,
        settings: Settings,
        fraction: f64,
        kept: (&Work, &MomentStore),
        progress: &mut Progress,
    ) -> Result<()> {
        for (number, planned) in self.tensors.iter_mut().enumerate() {
            let Action::Pack { layout, rescue_rows } = &mut planned.action else { continue };
            let name = &planned.tensor.name;
            if fraction != 0.0 {
                let errors = survey(source, (number, &planned.tensor), layout, &[settings], kept)?;
                *rescue_rows = choose_rescue_rows(&errors.binary[0], &errors.rescue, fraction)?;
                planned.unreported -= half_done(&planned.tensor, progress);
            }
            *layout = relaid(layout, settings.scale_group, settings.bases, rescue_rows)
                .map_err(|error| error.within(name))?;
        }
        Ok(())
    }

    /// The squared errors of every row of every matrix, in the order of the matrices, by each of
    /// `settings`. Reads every matrix once.
    pub(super) fn survey(
        &mut self,
        source: &mut Source,
        settings: &[Settings],
        kept: (&Work, &MomentStore),
        progress: &mut Progress,
    ) -> Result<Vec<RowErrors>> {
        let mut surveyed = Vec::new();
        for (number, planned) in self.tensors.iter_mut().enumerate() {
            let Action::Pack { layout, .. } = &planned.action else { continue };
            surveyed.push(survey(source, (number, &planned.tensor), layout, settings, kept)?);
            planned.unreported -= half_done(&planned.tensor, progress);
        }
        Ok(surveyed)
    }

    /// The matrices' layouts.
    pub(super) fn layouts(&self) -> impl Iterator<Item = &Layout> {
        self.tensors.iter().filter_map(|planned| match &planned.action {
            Action::Pack { layout, .. } => Some(layout),
            Action::Keep => None,
        })
    }

    /// Sets how the matrices are stored: bases and rescue rows of each, in their order.
    pub(super) fn store(
        &mut self,
        scale_group: usize,
        chosen: impl IntoIterator<Item = (usize, Vec<u32>)>,
    ) -> Result<()> {
        let matrices = self.tensors.iter_mut().filter_map(|planned| match &mut planned.action {
            Action::Pack { layout, rescue_rows } => Some((layout, rescue_rows)),
            Action::Keep => None,
        });
        for ((layout, rescue_rows), (bases, rows)) in matrices.zip(chosen) {
            *layout = relaid(layout, scale_group, bases, &rows)?;
            *rescue_rows = rows;
        }
        Ok(())
    }

    /// Parameters in tensors that are not packed.
    pub(super) fn kept_parameters(&self) -> u64 {
        let kept = self.tensors.iter().filter(|planned| matches!(planned.action, Action::Keep));
        kept.map(|planned| planned.tensor.shape.iter().product::<u64>()).sum()
    }

    /// The tensors of the output if the matrices had these layouts.
    pub(super) fn output_with(&self, layouts: &[Layout]) -> Vec<TensorSpec> {
        let mut layouts = layouts.iter();
        let spec = |planned: &Planned| match &planned.action {
            Action::Keep => vec![TensorSpec {
                name: planned.tensor.name.clone(),
                dtype: planned.tensor.dtype,
                shape: planned.tensor.shape.clone(),
            }],
            Action::Pack { layout, .. } => part_specs(&planned.tensor.name, layouts.next().unwrap_or(layout)),
        };
        self.tensors.iter().flat_map(spec).collect()
    }

    /// The tensors of the output.
    pub(super) fn output(&self) -> Vec<TensorSpec> {
        self.output_with(&[])
    }

    /// Everything that the plan settles.
    pub(super) fn summary(&self) -> PackSummary {
        let (dropped, parameters) = (self.dropped.clone(), self.parameters);
        let mut summary = PackSummary { dropped, parameters, ..PackSummary::default() };
        for planned in &self.tensors {
            match &planned.action {
                Action::Keep => {
                    summary.kept += 1;
                    summary.kept_bytes += planned.tensor.bytes;
                }
                Action::Pack { layout, .. } => {
                    summary.packed += 1;
                    summary.binary_parameters += layout.binary_parameters();
                    summary.rescue_parameters += layout.rescue_parameters();
                    add(&mut summary.bits, &layout.bits());
                }
            }
        }
        summary
    }
}

/// Name of one part of a packed weight.
pub(crate) fn part_name(weight: &str, part: Part) -> String {
    format!("{weight}.{}", part.suffix())
}

fn add(sum: &mut Bits, bits: &Bits) {
    let Bits { sign, sign_padding, scale, code, code_padding, rescue_scale, row_numbers } = bits;
    sum.sign += sign;
    sum.sign_padding += sign_padding;
    sum.scale += scale;
    sum.code += code;
    sum.code_padding += code_padding;
    sum.rescue_scale += rescue_scale;
    sum.row_numbers += row_numbers;
}

/// The tensors of a dense model, matched with what its config.json asks for.
struct Expected {
    tensors: Vec<(TensorEntry, ExpectedTensor)>,
    /// What the text decoder does without.
    ignored: Vec<TensorEntry>,
    parameters: u64,
}

impl Expected {
    fn of(artifact: &Artifact) -> Result<Self> {
        let inventory = Inventory::of(artifact)?;
        let (None, Some(parameters)) = (inventory.quant_method(), inventory.parameters()) else {
            let method = inventory.quant_method().map(|method| format!("quantized by {method}"));
            let why = inventory.opaque.clone().or(method).unwrap_or_else(|| "no config.json".into());
            return Err(Error::new(ErrorKind::Unsupported, "the model can't be packed")
                .expected_found("a dense model of a known family", why));
        };
        let fault = |kind, what: &str, name: &str, wanted: &str, found: &str| {
            Err(Error::new(kind, what).within(name).expected_found(wanted, found))
        };
        if let Some(error) = inventory.misshapen.first() {
            return Err(error.clone());
        }
        if let Some(name) = inventory.doubled.first() {
            return fault(ErrorKind::Malformed, "a weight is stored twice", name, "one tensor", "more");
        }
        if let Some(name) = inventory.missing.first() {
            return fault(ErrorKind::Missing, "a weight is missing", name, "a tensor", "none");
        }
        if let Some(name) = inventory.unknown.first() {
            let what = "a tensor is not part of this kind of model";
            return fault(ErrorKind::BadName, what, name, "only what config.json asks for", "this tensor");
        }
        let tensors = inventory.weights.iter().filter_map(|weight| match (&weight.form, &weight.expected) {
            (Form::Plain { index }, Some(expected)) => {
                Some((artifact.tensors[*index].clone(), expected.clone()))
            }
            _ => None,
        });
        let names: HashSet<&str> = inventory.ignored.iter().map(String::as_str).collect();
        let is_ignored = |tensor: &&TensorEntry| names.contains(tensor.name.as_str());
        let ignored = artifact.tensors.iter().filter(is_ignored).cloned().collect();
        Ok(Self { tensors: tensors.collect(), ignored, parameters })
    }
}

/// The stored parts of one packed weight.
fn part_specs(name: &str, layout: &Layout) -> Vec<TensorSpec> {
    let parts = Part::ALL.into_iter().filter(|&part| layout.has(part));
    let spec = |part: Part| TensorSpec {
        name: part_name(name, part),
        dtype: part.dtype(),
        shape: layout.shape(part),
    };
    parts.map(spec).collect()
}

/// The layout of the same matrix stored otherwise.
fn relaid(layout: &Layout, scale_group: usize, bases: usize, rescue_rows: &[u32]) -> Result<Layout> {
    let rescued = rescue_rows.len() as u64;
    let bases = if rescued == layout.rows() { 0 } else { bases as u64 };
    Layout::new(layout.rows(), layout.cols(), bases, rescued, scale_group as u64)
}

fn survey(
    source: &mut Source,
    (number, tensor): (usize, &TensorEntry),
    layout: &Layout,
    settings: &[Settings],
    (work, moments): (&Work, &MomentStore),
) -> Result<RowErrors> {
    if let Some(errors) = work.survey(number, layout.rows() as usize, settings.len()) {
        return Ok(errors);
    }
    let importance = moments.importance(&tensor.name)?;
    let mut all = RowErrors { binary: vec![Vec::new(); settings.len()], ..RowErrors::default() };
    blocks::for_each(
        source,
        tensor,
        [layout.rows(), layout.cols()],
        |block, first| row_errors(&block, first, settings, importance.as_deref()),
        |mut errors| {
            for (all, errors) in all.binary.iter_mut().zip(&mut errors.binary) {
                all.append(errors);
            }
            all.rescue.append(&mut errors.rescue);
            Ok(())
        },
    )?;
    if let Some(rows) = moments.row_importance(&tensor.name) {
        for errors in all.binary.iter_mut().chain([&mut all.rescue]) {
            errors.iter_mut().zip(rows).for_each(|(error, times)| *error *= times);
        }
    }
    work.keep_survey(number, &all)?;
    Ok(all)
}

/// Tells that the first of a tensor's two readings is done; returns the bytes told.
fn half_done(tensor: &TensorEntry, progress: &mut Progress) -> u64 {
    let half = tensor.bytes / 2;
    progress.add_bytes(half);
    half
}
