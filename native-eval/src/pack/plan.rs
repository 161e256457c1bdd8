//! Decides what happens to each tensor of the source, and so every size in the output.

use std::collections::HashSet;

use bitgauge_core::codec::{Bits, Form, Layout, Part, Settings, choose_rescue_rows, decode_dense};
use bitgauge_core::container::{Artifact, TensorEntry};
use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::{ExpectedTensor, Presence};
use bitgauge_core::{Error, ErrorKind, Result};

use super::safetensors::TensorSpec;
use super::{PackSettings, PackSummary};
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
    dropped: Vec<String>,
    parameters: u64,
}

impl PackSettings {
    pub(super) fn codec(&self) -> Settings {
        Settings { scale_group: self.scale_group, bases: self.bases }
    }
}

impl Plan {
    /// Reads every 2-D weight once to choose its rescue rows, unless none are wanted.
    pub(super) fn new(
        source: &mut Source,
        settings: &PackSettings,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self> {
        let Expected { tensors, ignored, parameters } = Expected::of(source.artifact())?;
        let mut plan = Self { tensors: Vec::new(), dropped: Vec::new(), parameters };
        for tensor in ignored {
            progress(tensor.bytes);
            plan.dropped.push(tensor.name);
        }
        for (tensor, expected) in tensors {
            if expected.presence == Presence::TiedCopy {
                progress(tensor.bytes);
                plan.dropped.push(tensor.name);
                continue;
            }
            let action = match expected.matrix() {
                Some(shape) => pack_action(source, &tensor, shape, settings)?,
                None => Action::Keep,
            };
            // A weight whose rows were chosen has been read for the first of two times.
            let chosen = settings.rescue_fraction != 0.0 && matches!(action, Action::Pack { .. });
            let reported = if chosen { tensor.bytes / 2 } else { 0 };
            progress(reported);
            let unreported = tensor.bytes - reported;
            plan.tensors.push(Planned { tensor, action, unreported });
        }
        Ok(plan)
    }

    /// The tensors of the output.
    pub(super) fn output(&self) -> Vec<TensorSpec> {
        let spec = |planned: &Planned| match &planned.action {
            Action::Keep => vec![TensorSpec {
                name: planned.tensor.name.clone(),
                dtype: planned.tensor.dtype,
                shape: planned.tensor.shape.clone(),
            }],
            Action::Pack { layout, .. } => {
                let parts = Part::ALL.into_iter().filter(|&part| layout.has(part));
                let spec = |part: Part| TensorSpec {
                    name: part_name(&planned.tensor.name, part),
                    dtype: part.dtype(),
                    shape: layout.shape(part),
                };
                parts.map(spec).collect()
            }
        };
        self.tensors.iter().flat_map(spec).collect()
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
                .expected("a dense model of a known family", why));
        };
        let fault = |kind, what: &str, name: &str, wanted: &str, found: &str| {
            Err(Error::new(kind, what).within(name).expected(wanted, found))
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

fn pack_action(
    source: &mut Source,
    tensor: &TensorEntry,
    shape: [u64; 2],
    settings: &PackSettings,
) -> Result<Action> {
    let named = |error: Error| error.within(&tensor.name);
    let rescue_rows = if settings.rescue_fraction == 0.0 {
        Vec::new()
    } else {
        let bytes = source.read_tensor(tensor)?;
        let matrix = decode_dense(&tensor.name, tensor.dtype, shape, &bytes)?;
        drop(bytes);
        choose_rescue_rows(&matrix, settings.rescue_fraction, settings.codec()).map_err(named)?
    };
    let rescued = rescue_rows.len() as u64;
    let bases = if rescued == shape[0] { 0 } else { settings.bases as u64 };
    let layout =
        Layout::new(shape[0], shape[1], bases, rescued, settings.scale_group as u64).map_err(named)?;
    Ok(Action::Pack { layout, rescue_rows })
}
