//! Forms that transformers loads by itself, without code of ours: BitNet's codes of two bits, and plain numbers of which
//! each row holds one and its opposite. Both are small only once they are compressed.

mod codes;

use std::path::{Path, PathBuf};

use bitgauge_core::contract::Rules;
use bitgauge_core::format::decode_values;
use bitgauge_core::model::{Presence, Role};
use bitgauge_core::report::words;
use bitgauge_core::{Dense, Dtype, Error, ErrorKind, Result};
use half::f16;

use super::budget::caps;
use super::exact::Exact;
use super::plan::{Action, Plan, Planned};
use super::progress::{Progress, Tell};
use super::safetensors::{TensorSpec, Writer};
use super::stage::Stage;
use super::target::{Target, write_error};
use super::{PackSummary, blocks, config, files, zip_and_xz};
use crate::source::Source;
use codes::{Codes, Magnitudes};

/// Rows of codes that share a byte.
const CODES_PER_BYTE: u64 = 4;
/// What the weights of a `BitLinear` are scaled by, beside them.
const SCALE: &str = "_scale";

/// A form that transformers loads by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LibraryForm {
    /// BitNet's `autobitlinear`: the matrices of layers as codes of two bits and one scale each; the embedding, the head
    /// and the vectors as F16, for runs in fp16, which the validator makes on GPUs.
    Bitnet,
    /// The same with the others as F32, for runs in fp32, which it makes on CPUs.
    BitnetF32,
    /// Plain F16 of which each row holds one number and its opposite.
    Dense,
}

impl LibraryForm {
    /// The type of what is not coded.
    fn plain(self) -> Dtype {
        if self == Self::BitnetF32 { Dtype::F32 } else { Dtype::F16 }
    }

    /// Whether this weight becomes codes.
    fn codes(self, planned: &Planned) -> bool {
        let expected = &planned.original.expected;
        self != Self::Dense && expected.matrix().is_some() && matches!(expected.role, Role::Layer { .. })
    }

    /// Bytes from one number to its like, where that helps to compress it; 0 where nothing does.
    fn distance(self) -> u32 {
        if self == Self::Dense { size_of::<f16>() as u32 } else { 0 }
    }
}

/// Packs the model in `source` as `form`, within the size that `pack` allows. Matrices of one magnitude, or of one and zeros,
/// keep their values; the others are rounded to their signs times the mean magnitude (of each matrix in BitNet's form, of
/// each row in the plain one), under the ternary rules in BitNet's form with zeros for what is below half of it. Archives are
/// compressed as it suits the form.
///
/// # Errors
/// As [`super::pack`]; a model whose other weights alone are over the budget, before any is written; a result over it.
pub fn pack_for_library(
    source: &mut Source,
    out: &Path,
    (form, pack): (LibraryForm, Rules),
    force: bool,
    progress: Tell,
) -> Result<PackSummary> {
    let inputs: Vec<PathBuf> = source.path().map(Path::to_owned).into_iter().collect();
    let target = Target::check(out, force, &inputs)?.compressed(form.distance());
    let mut progress =
        Progress::new(source.artifact().tensors.iter().map(|tensor| tensor.bytes).sum(), progress);
    let config = config::for_library(source.artifact(), form != LibraryForm::Dense)?;
    let files = files::beside_plain_weights(source, config)?;
    let plan = Plan::new(source, &mut progress)?;
    let most = caps(&plan, pack).artifact_bytes;
    check_least(source, &plan, form, most)?;

    let stage = Stage::beside(&target)?;
    let mut summary = write(source, &plan, (form, pack), &stage.weights(), &mut progress)?;
    source.expect_unchanged()?;
    summary.bytes = stage.publish_within(&target, &files, most)?.map_err(|bytes| {
        over(form, most, plan.parameters, format!("{bytes} bytes, compressed as far as this form goes"))
    })?;
    summary.budget_bytes = Some(most);
    summary.bits_per_parameter = 8.0 * summary.bytes as f64 / summary.parameters as f64;
    Ok(summary)
}

/// [`pack_for_library`] into a zip and a .tar.xz of one model, of which the one of fewer bytes is kept: of a form that one of
/// them can't bring under the budget, the other. `out` is its name without an ending; gives the whole name, too.
///
/// # Errors
/// As [`pack_for_library`], for both names; that neither is under the budget.
pub fn pack_smallest_for_library(
    source: &mut Source,
    out: &Path,
    what: (LibraryForm, Rules),
    force: bool,
    progress: Tell,
) -> Result<(PathBuf, PackSummary)> {
    let [zip, xz] = zip_and_xz(out);
    let inputs: Vec<PathBuf> = source.path().map(Path::to_owned).into_iter().collect();
    Target::check(&zip, force, &inputs)?;
    let mut packed = |path: &Path| match pack_for_library(source, path, what, force, progress) {
        Err(error) if error.kind == ErrorKind::TooLarge => Ok(Err(error)),
        other => other.map(Ok),
    };
    match (packed(&xz)?, packed(&zip)?) {
        (Ok(larger), Ok(smaller)) if smaller.bytes <= larger.bytes => remove(&xz).map(|()| (zip, smaller)),
        (Ok(smaller), Ok(_)) => remove(&zip).map(|()| (xz, smaller)),
        (Ok(only), Err(_)) => Ok((xz, only)),
        (Err(_), Ok(only)) => Ok((zip, only)),
        (Err(error), Err(_)) => Err(error),
    }
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).map_err(|error| write_error(path, &error))
}

fn over(form: LibraryForm, most: u64, parameters: u64, found: String) -> Error {
    let what = match form {
        LibraryForm::Dense => "the model does not fit the budget as plain numbers",
        _ => {
            "the model does not fit the budget in BitNet's form, which leaves the embedding and the head as they are"
        }
    };
    Error::new(ErrorKind::TooLarge, what)
        .expected_found(format!("{most} bytes for {parameters} parameters"), found)
        .hint("`bitgauge pack` without --as packs the embedding and the head, too; it comes with code that loads it")
}

/// Refuses a model that can't come under the budget: a coded weight takes a bit at least, and so does a plain one of few
/// values; a plain one of many values a byte, since the sign and the 7 bits or more of its mantissa look random.
fn check_least(source: &mut Source, plan: &Plan, form: LibraryForm, most: u64) -> Result<()> {
    let mut least = 0;
    for planned in &plan.tensors {
        let (original, elements) = (&planned.original, planned.original.expected.elements());
        if form != LibraryForm::Dense && original.name.ends_with(".bias") {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "BitNet's form multiplies biases by the weights' scale",
            )
            .within(&original.name)
            .expected_found("linear layers without biases", "one with a bias")
            .hint("`bitgauge pack` without --as takes any"));
        }
        let is_matrix = original.expected.matrix().is_some();
        let is_small = form == LibraryForm::Dense || form.codes(planned) || !is_matrix;
        let is_small = is_small || Exact::of(source, original)?.is_some();
        least += if is_small { elements / 8 } else { elements };
        if form.codes(planned) && !original.expected.shape[0].is_multiple_of(CODES_PER_BYTE) {
            return Err(Error::new(ErrorKind::Unsupported, "BitNet's form has no place for these rows")
                .within(&original.name)
                .expected_found("a multiple of 4 rows", original.expected.shape[0])
                .hint("`bitgauge pack` without --as takes any"));
        }
    }
    if least <= most {
        Ok(())
    } else {
        Err(over(form, most, plan.parameters, format!("{least} bytes at least")))
    }
}

fn write(
    source: &mut Source,
    plan: &Plan,
    (form, pack): (LibraryForm, Rules),
    path: &Path,
    progress: &mut Progress,
) -> Result<PackSummary> {
    let failed = |error| write_error(path, &error);
    let mut writer = Writer::create(path, specs(plan, form)).map_err(failed)?;
    let mut summary = PackSummary {
        dropped: plan.dropped.clone(),
        parameters: plan.parameters,
        notes: notes(form),
        ..PackSummary::default()
    };
    for planned in &plan.tensors {
        let (original, name) = (&planned.original, &planned.original.name);
        let elements = original.expected.elements();
        if form.codes(planned) {
            let magnitudes = Magnitudes::of(source, original)?;
            let codes = Codes::of(source, original, &magnitudes, pack)?;
            writer.write(name, 0, &codes.bytes).map_err(failed)?;
            let scale = plain_bytes(&[codes.scale], form.plain(), name)?;
            writer.write(&format!("{name}{SCALE}"), 0, &scale.bytes).map_err(failed)?;
            add_packed(&mut summary, elements, magnitudes.is_exact().then_some(scale.is_rounded));
        } else if matches!(planned.action, Action::Keep(_)) {
            let kept = original.kept(source, (&plan.model.0, plan.model.1))?;
            let values = decode_values(name, kept.dtype, &kept.bytes)?.to_f32();
            let bytes = plain_bytes(&values, form.plain(), name)?.bytes;
            writer.write(name, 0, &bytes).map_err(failed)?;
            summary.kept += 1;
            summary.kept_bytes += bytes.len() as u64;
        } else {
            let has_signs = form == LibraryForm::Dense && Exact::of(source, original)?.is_none();
            let (mut at, mut is_rounded) = (0, false);
            let bytes_of = |block: Dense, _: usize| {
                let mut values = block.values.to_f32();
                if has_signs {
                    values.chunks_exact_mut(block.cols).for_each(codes::to_signs);
                }
                plain_bytes(&values, form.plain(), name)
            };
            blocks::for_each(source, original, bytes_of, |plain| {
                writer.write(name, at, &plain.bytes).map_err(|error| write_error(path, &error))?;
                at += plain.bytes.len() as u64;
                is_rounded |= plain.is_rounded;
                Ok(())
            })?;
            if form == LibraryForm::Dense {
                add_packed(&mut summary, elements, (!has_signs).then_some(is_rounded));
            } else {
                summary.kept += 1;
                summary.kept_bytes += at;
            }
        }
        progress.add_bytes(planned.unreported);
    }
    writer.finish().map_err(failed)?;
    let signs = summary.packed - summary.exact;
    if signs > 0 {
        summary.notes.insert(
            0,
            format!(
                "{} became signs times a mean magnitude, without GPTQ: a model that was not trained so loses much by it",
                words::plural(signs, "weight")
            ),
        );
    }
    Ok(summary)
}

/// Counts a packed weight; `rounded` is whether numbers of it were, if it holds the same values otherwise.
fn add_packed(summary: &mut PackSummary, elements: u64, rounded: Option<bool>) {
    summary.packed += 1;
    summary.exact += u64::from(rounded.is_some());
    summary.rounded += u64::from(rounded == Some(true));
    summary.binary_parameters += elements;
}

fn notes(form: LibraryForm) -> Vec<String> {
    let dtype = match form {
        LibraryForm::Dense => {
            return vec![
                "the task's text asks for binary storage, the validator's direct run does not look at it"
                    .into(),
            ];
        }
        LibraryForm::Bitnet => "in fp16 alone, as the validator does on GPUs",
        LibraryForm::BitnetF32 => "in fp32 alone, as the validator does on CPUs",
    };
    vec![
        "the inputs of linear layers are rounded to 8 bits when the model runs, which changes the loss"
            .into(),
        format!("it runs {dtype}"),
    ]
}

/// The tensors of the output.
fn specs(plan: &Plan, form: LibraryForm) -> Vec<TensorSpec> {
    let mut specs = Vec::new();
    for planned in
        plan.tensors.iter().filter(|planned| planned.original.expected.presence != Presence::TiedCopy)
    {
        let (name, mut shape) = (planned.original.name.clone(), planned.original.expected.shape.clone());
        let mut dtype = form.plain();
        if form.codes(planned) {
            specs.push(TensorSpec { name: format!("{name}{SCALE}"), dtype, shape: vec![1] });
            shape[0] /= CODES_PER_BYTE;
            dtype = Dtype::U8;
        }
        specs.push(TensorSpec { name, dtype, shape });
    }
    specs
}

/// Numbers of a type that may hold less than f32.
struct Plain {
    bytes: Vec<u8>,
    /// Whether one of them is not what it was.
    is_rounded: bool,
}

/// Values as F16 or F32.
///
/// # Errors
/// A value that is not finite there.
fn plain_bytes(values: &[f32], dtype: Dtype, name: &str) -> Result<Plain> {
    let held = |value: &f32| if dtype == Dtype::F16 { f16::from_f32(*value).to_f32() } else { *value };
    if let Some(value) = values.iter().find(|value| !held(value).is_finite()) {
        return Err(Error::new(ErrorKind::BadValue, "a weight is not a finite number in the form asked for")
            .within(name)
            .expected_found(format!("numbers that {} holds", dtype.name()), value));
    }
    let bytes = match dtype {
        Dtype::F16 => values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    Ok(Plain { bytes, is_rounded: values.iter().any(|value| held(value) != *value) })
}
