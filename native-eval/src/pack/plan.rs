//! Decides what happens to each tensor of the source, and so every size in the output.

use bitgauge_core::codec::{
    Bits, Form, Layout, Part, Settings, choose_rescue_rows, decode_dense, group,
};
use bitgauge_core::container::TensorEntry;
use bitgauge_core::model::{ExpectedTensor, Manifest, Presence};
use bitgauge_core::{Dtype, Error, ErrorKind, Result};

use super::safetensors::TensorSpec;
use super::{PackOptions, PackSummary, Progress, Step};
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
}

/// What happens to every tensor, in the order of the source.
pub(super) struct Plan {
    pub(super) tensors: Vec<Planned>,
    dropped: Vec<String>,
}

impl PackOptions {
    pub(super) fn settings(&self) -> Settings {
        Settings { scale_group: self.scale_group, bases: self.bases }
    }
}

impl Plan {
    /// Reads every 2-D weight once to choose its rescue rows, unless none are wanted.
    pub(super) fn new(
        source: &mut Source,
        manifest: &Manifest,
        options: &PackOptions,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self> {
        let (kept, dropped) = check_tensors(&source.artifact().tensors, manifest)?;
        let total_bytes = kept.iter().map(|(tensor, _)| tensor.bytes).sum();
        let (mut tensors, mut done_bytes) = (Vec::new(), 0);
        for (tensor, expected) in kept {
            progress(Progress { step: Step::Choosing, tensor: &tensor.name, done_bytes, total_bytes });
            done_bytes += tensor.bytes;
            let action = match expected.matrix() {
                Some(shape) => pack_action(source, &tensor, shape, options)?,
                None => Action::Keep,
            };
            tensors.push(Planned { tensor, action });
        }
        Ok(Self { tensors, dropped })
    }

    /// Bytes of the source's tensors that are kept or packed.
    pub(super) fn source_bytes(&self) -> u64 {
        self.tensors.iter().map(|planned| planned.tensor.bytes).sum()
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
        let mut summary = PackSummary { dropped: self.dropped.clone(), ..PackSummary::default() };
        for planned in &self.tensors {
            match &planned.action {
                Action::Keep => {
                    summary.kept_tensors += 1;
                    summary.kept_bytes += planned.tensor.bytes;
                }
                Action::Pack { layout, .. } => {
                    summary.packed_weights += 1;
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
pub(super) fn part_name(weight: &str, part: Part) -> String {
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

/// Compares the source with its family's manifest. Returns what the output needs, and the names
/// of what it does not.
fn check_tensors<'a>(
    tensors: &[TensorEntry],
    manifest: &'a Manifest,
) -> Result<(Vec<(TensorEntry, &'a ExpectedTensor)>, Vec<String>)> {
    let grouping = group(tensors, None);
    if let Some(doubled) = grouping.doubled.first() {
        return Err(Error::new(ErrorKind::Malformed, "a tensor is stored twice").within(&doubled.name));
    }
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for weight in &grouping.weights {
        // Without packing every weight is one tensor.
        let Form::Plain { index } = weight.form else { continue };
        let tensor = &tensors[index];
        let Some(expected) = manifest.get(&tensor.name) else {
            return Err(Error::new(ErrorKind::BadName, "a tensor is not part of this kind of model")
                .within(&tensor.name)
                .expected("only the tensors that config.json asks for", format!("{:?}", tensor.shape)));
        };
        if tensor.shape != expected.shape {
            return Err(Error::new(ErrorKind::WrongShape, "a tensor contradicts config.json")
                .within(&tensor.name)
                .expected(format!("{:?}", expected.shape), format!("{:?}", tensor.shape)));
        }
        if !matches!(tensor.dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32) {
            return Err(Error::new(ErrorKind::WrongDtype, "a weight has a data type that is not read")
                .within(&tensor.name)
                .expected("F16, BF16 or F32", tensor.dtype.name()));
        }
        match expected.presence {
            Presence::Required => kept.push((tensor.clone(), expected)),
            Presence::TiedCopy => dropped.push(tensor.name.clone()),
        }
    }
    let required = |expected: &&ExpectedTensor| expected.presence == Presence::Required;
    let stored = |expected: &ExpectedTensor| kept.iter().any(|(tensor, _)| tensor.name == expected.name);
    match manifest.tensors().iter().filter(required).find(|expected| !stored(expected)) {
        None => Ok((kept, dropped)),
        Some(missing) => Err(Error::new(ErrorKind::Missing, "a tensor of the model is missing")
            .within(&missing.name)
            .expected(format!("a tensor of shape {:?}", missing.shape), "no such tensor")),
    }
}

fn pack_action(
    source: &mut Source,
    tensor: &TensorEntry,
    shape: [u64; 2],
    options: &PackOptions,
) -> Result<Action> {
    let named = |error: Error| error.within(&tensor.name);
    let rescue_rows = if options.rescue_fraction == 0.0 {
        Vec::new()
    } else {
        let bytes = source.read_tensor(tensor)?;
        let matrix = decode_dense(&tensor.name, tensor.dtype, shape, &bytes)?;
        drop(bytes);
        choose_rescue_rows(&matrix, options.rescue_fraction, options.settings()).map_err(named)?
    };
    let rescued = rescue_rows.len() as u64;
    let bases = if rescued == shape[0] { 0 } else { options.bases as u64 };
    let layout = Layout::new(shape[0], shape[1], bases, rescued, options.scale_group as u64).map_err(named)?;
    Ok(Action::Pack { layout, rescue_rows })
}
