//! Decides what happens to each tensor of the source, and so every size in the output.

use std::collections::HashSet;

use bitgauge_core::container::{GgufMetadata, TensorEntry};
use bitgauge_core::format::{Bits, Layout, Part};
use bitgauge_core::inventory::{Inventory, Weight};
use bitgauge_core::model::{Architecture, Decoder, Presence};
use bitgauge_core::plan::{Convention, convention};
use bitgauge_core::{Dtype, Error, ErrorKind, Result};

use super::calibrate::MomentStore;
use super::exact::{self, Exact};
use super::original::Original;
use super::progress::Progress;
use super::quantize::{RowErrors, Settings, choose_rescue_rows, row_errors};
use super::safetensors::TensorSpec;
use super::work::Work;
use super::{PackSummary, blocks};
use crate::load::heads_differ;
use crate::source::Source;

/// What MLX calls the vision tower.
const MLX_VISION: &str = "vision_tower.";

/// What happens to one weight of the source.
pub(super) enum Action {
    /// Stored as a checkpoint has it.
    Keep(Dtype),
    /// Packed with an error.
    Pack {
        /// Sizes of its parts.
        layout: Layout,
        /// Which rows are kept as codes.
        rescue_rows: Vec<u32>,
    },
    /// Packed as it is.
    Exact(exact::Stored),
    /// Packed already.
    Copy(Layout),
}

/// One weight of the source and what happens to it.
pub(super) struct Planned {
    pub(super) original: Original,
    pub(super) action: Action,
    /// Bytes that progress has not been told about yet.
    pub(super) unreported: u64,
}

/// What happens to every weight, in the order of the source.
pub(super) struct Plan {
    pub(super) tensors: Vec<Planned>,
    pub(super) dropped: Vec<String>,
    pub(super) parameters: u64,
    notes: Vec<String>,
    /// The model, and whose conventions its stored vectors follow.
    pub(super) model: (Decoder, Convention),
}

impl Plan {
    /// Matches the source with its config.json: every 2-D weight is to be packed, with one basis and
    /// no rescue rows so far.
    pub(super) fn new(source: &Source, progress: &mut Progress) -> Result<Self> {
        let Expected { originals, ignored, parameters, notes, model } = Expected::of(source)?;
        let mut plan = Self { tensors: Vec::new(), dropped: Vec::new(), parameters, notes, model };
        for tensor in ignored {
            progress.add_bytes(tensor.bytes);
            plan.dropped.push(tensor.name);
        }
        for original in originals {
            if original.expected.presence == Presence::TiedCopy {
                progress.add_bytes(original.bytes);
                plan.dropped.push(original.name);
                continue;
            }
            let action = match original.expected.matrix() {
                Some([rows, cols]) => {
                    let layout = Layout::new(rows, cols, 1, 0, 0);
                    let layout = layout.map_err(|error| error.within(&original.name))?;
                    Action::Pack { layout, rescue_rows: Vec::new() }
                }
                None => Action::Keep(original.kept_dtype((&plan.model.0, plan.model.1))),
            };
            let unreported = original.bytes;
            plan.tensors.push(Planned { original, action, unreported });
        }
        Ok(plan)
    }

    /// Finds the matrices that are packed already and those of few values, which are stored as they are, and settles the
    /// scale group for them: not more columns than `scale_group`, if that is given. Gives the groups that there are to
    /// choose from.
    pub(super) fn keep_exact(
        &mut self,
        source: &mut Source,
        scale_group: Option<usize>,
        progress: &mut Progress,
    ) -> Result<Vec<usize>> {
        let mut found: Vec<(usize, Exact)> = Vec::new();
        let mut packed = None;
        for (number, planned) in self.tensors.iter_mut().enumerate() {
            let Action::Pack { .. } = &planned.action else { continue };
            if let Some(layout) = planned.original.packed() {
                packed = Some(layout.scale_group() as usize);
                planned.action = Action::Copy(layout);
                continue;
            }
            if let Some(exact) = Exact::of(source, &planned.original)? {
                planned.unreported -= half_done(planned.original.bytes, progress);
                found.push((number, exact));
            }
        }
        let needed = found.iter().filter_map(|(_, exact)| exact.scale_group()).reduce(exact::finer);
        let groups = match (packed.or(scale_group), needed) {
            (Some(group), _) if packed.is_some() => vec![group],
            (Some(group), Some(needed)) => vec![exact::finer(group, needed)],
            (Some(group), None) | (None, Some(group)) => vec![group],
            (None, None) => vec![0, 128],
        };
        for (number, exact) in found {
            if let Some(stored) = exact.at(groups[0]) {
                self.tensors[number].action = Action::Exact(stored);
            }
        }
        Ok(groups)
    }

    /// Whether a matrix is packed with an error.
    pub(super) fn has_errors(&self) -> bool {
        self.layouts().next().is_some()
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
            let name = &planned.original.name;
            if fraction != 0.0 {
                let errors = survey(source, (number, &planned.original), layout, &[settings], kept)?;
                *rescue_rows = choose_rescue_rows(&errors.binary[0], &errors.rescue, fraction)?;
                planned.unreported -= half_done(planned.original.bytes, progress);
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
            surveyed.push(survey(source, (number, &planned.original), layout, settings, kept)?);
            planned.unreported -= half_done(planned.original.bytes, progress);
        }
        Ok(surveyed)
    }

    /// The matrices' layouts.
    pub(super) fn layouts(&self) -> impl Iterator<Item = &Layout> {
        self.tensors.iter().filter_map(|planned| match &planned.action {
            Action::Pack { layout, .. } => Some(layout),
            Action::Keep(_) | Action::Exact(_) | Action::Copy(_) => None,
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
            Action::Keep(_) | Action::Exact(_) | Action::Copy(_) => None,
        });
        for ((layout, rescue_rows), (bases, rows)) in matrices.zip(chosen) {
            *layout = relaid(layout, scale_group, bases, &rows)?;
            *rescue_rows = rows;
        }
        Ok(())
    }

    /// Parameters that are not binary whatever is chosen.
    pub(super) fn kept_parameters(&self) -> u64 {
        let kept = |planned: &Planned| match &planned.action {
            Action::Keep(_) => planned.original.expected.elements(),
            Action::Exact(exact::Stored { layout, .. }) | Action::Copy(layout) => layout.rescue_parameters(),
            Action::Pack { .. } => 0,
        };
        self.tensors.iter().map(kept).sum()
    }

    /// The tensors of the output if the matrices that are packed with an error had these layouts.
    pub(super) fn output_with(&self, layouts: &[Layout]) -> Vec<TensorSpec> {
        let mut layouts = layouts.iter();
        let spec = |Planned { original, action, .. }: &Planned| match action {
            Action::Keep(dtype) => vec![TensorSpec {
                name: original.name.clone(),
                dtype: *dtype,
                shape: original.expected.shape.clone(),
            }],
            Action::Pack { layout, .. } => part_specs(&original.name, layouts.next().unwrap_or(layout)),
            Action::Exact(exact::Stored { layout, .. }) | Action::Copy(layout) => {
                part_specs(&original.name, layout)
            }
        };
        self.tensors.iter().flat_map(spec).collect()
    }

    /// The tensors of the output.
    pub(super) fn output(&self) -> Vec<TensorSpec> {
        self.output_with(&[])
    }

    /// Everything that the plan settles.
    pub(super) fn summary(&self) -> PackSummary {
        let (dropped, parameters, notes) = (self.dropped.clone(), self.parameters, self.notes.clone());
        let mut summary =
            PackSummary { dropped, parameters, notes, is_loaded_by_code: true, ..PackSummary::default() };
        for planned in &self.tensors {
            let add_layout = |summary: &mut PackSummary, layout: &Layout| {
                summary.packed += 1;
                summary.binary_parameters += layout.binary_parameters();
                summary.rescue_parameters += layout.rescue_parameters();
                add(&mut summary.bits, &layout.bits());
            };
            match &planned.action {
                Action::Keep(dtype) => {
                    summary.kept += 1;
                    summary.kept_bytes += dtype.bits(planned.original.expected.elements()) / 8;
                }
                Action::Pack { layout, .. } => add_layout(&mut summary, layout),
                Action::Copy(layout) => {
                    add_layout(&mut summary, layout);
                    summary.exact += 1;
                }
                Action::Exact(stored) => {
                    add_layout(&mut summary, &stored.layout);
                    summary.exact += 1;
                    summary.rounded += u64::from(stored.is_rounded);
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

/// The weights of a model, matched with what its config.json asks for.
struct Expected {
    originals: Vec<Original>,
    /// What the text decoder does without.
    ignored: Vec<TensorEntry>,
    parameters: u64,
    notes: Vec<String>,
    model: (Decoder, Convention),
}

impl Expected {
    fn of(source: &Source) -> Result<Self> {
        let artifact = source.artifact();
        let inventory = Inventory::of(artifact)?;
        let architecture = inventory.config.as_ref().map(|config| config.architecture());
        let (Some(parameters), Some(Architecture::Decoder(decoder))) =
            (inventory.logical_parameters(), architecture)
        else {
            let why = inventory.opaque.clone().unwrap_or_else(|| "no config.json".into());
            return Err(Error::new(ErrorKind::Unsupported, "the model can't be packed")
                .expected_found("a model of a known family, in a format that is read", why));
        };
        let fault = |kind, what: &str, name: &str, wanted: &str, found: &str| {
            Err(Error::new(kind, what).within(name).expected_found(wanted, found))
        };
        if let Some(error) = inventory.misshapen.first() {
            return Err(error.clone());
        }
        inventory.expect_no_scaled_bias()?;
        if heads_differ(&mut source.again(), &inventory)? {
            let what = "the head is not the embedding, though config.json says that they are one";
            return fault(ErrorKind::BadValue, what, "lm_head.weight", "the embedding again", "other values")
                .map_err(|error: Error| error.hint("set tie_word_embeddings to false to keep both"));
        }
        if let Some(name) = inventory.doubled.first() {
            return fault(ErrorKind::Malformed, "a weight is stored twice", name, "one tensor", "more");
        }
        if let Some(name) = inventory.missing.first() {
            return fault(ErrorKind::Missing, "a weight is missing", name, "a tensor", "none");
        }
        let is_beside =
            |name: &str| name.starts_with(MLX_VISION) || inventory.ignored.iter().any(|of| of == name);
        if let Some(name) = inventory.unknown.iter().find(|name| !is_beside(name)) {
            let what = "a tensor is not part of this kind of model";
            return fault(ErrorKind::BadName, what, name, "only what config.json asks for", "this tensor");
        }
        let original = |weight: &Weight| {
            weight.expected.as_ref().map(|expected| Original::new(&inventory, decoder, weight, expected))
        };
        let known: HashSet<usize> = (inventory.weights.iter())
            .filter(|weight| weight.expected.is_some())
            .flat_map(|weight| weight.form.tensors())
            .collect();
        let others = artifact.tensors.iter().enumerate().filter(|(index, _)| !known.contains(index));
        Ok(Self {
            originals: inventory.weights.iter().filter_map(original).collect(),
            ignored: others.map(|(_, tensor)| tensor.clone()).collect(),
            parameters,
            notes: notes(&inventory),
            model: (decoder.clone(), convention(&inventory)),
        })
    }
}

/// What gets lost beside values.
fn notes(inventory: &Inventory) -> Vec<String> {
    let mut notes = Vec::new();
    let coded = inventory.config.as_ref().and_then(|config| config.coded());
    if coded.is_some_and(|coded| coded.scheme.rounds_inputs) {
        notes.push(
            "the source rounds the inputs of linear layers to 8 bits, the packed model does not".into(),
        );
    }
    let tokenizer = inventory.artifact.gguf.as_ref().and_then(GgufMetadata::tokenizer);
    if let Some(Err(error)) = tokenizer {
        notes.push(format!("the tokenizer was left out: {}", error.what));
    }
    notes
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
    (number, original): (usize, &Original),
    layout: &Layout,
    settings: &[Settings],
    (work, moments): (&Work, &MomentStore),
) -> Result<RowErrors> {
    if let Some(errors) = work.survey(number, layout.rows() as usize, settings.len()) {
        return Ok(errors);
    }
    let importance = moments.importance(&original.name)?;
    let mut all = RowErrors { binary: vec![Vec::new(); settings.len()], ..RowErrors::default() };
    blocks::for_each(
        source,
        original,
        |block, first| row_errors(&block, first, settings, importance.as_deref()),
        |mut errors| {
            for (all, errors) in all.binary.iter_mut().zip(&mut errors.binary) {
                all.append(errors);
            }
            all.rescue.append(&mut errors.rescue);
            Ok(())
        },
    )?;
    if let Some(rows) = moments.row_importance(&original.name) {
        for errors in all.binary.iter_mut().chain([&mut all.rescue]) {
            errors.iter_mut().zip(rows).for_each(|(error, times)| *error *= times);
        }
    }
    work.keep_survey(number, &all)?;
    Ok(all)
}

/// Tells that the first of a weight's two readings is done; returns the bytes told.
fn half_done(bytes: u64, progress: &mut Progress) -> u64 {
    let half = bytes / 2;
    progress.add_bytes(half);
    half
}
