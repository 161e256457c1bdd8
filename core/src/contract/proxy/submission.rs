//! Where a run's artifact comes from, and the artifact that the validator's module builds by itself.

use std::borrow::Cow;

use super::model::{LAYERS, LayerSpec, Teacher};
use super::rescue::{Payload, encode_q4};
use crate::contract::documents::{Files, ReadError};
use crate::contract::numpy::largest;
use crate::contract::python::{Json, NotRead, Object, Raised, Value, object};
use crate::contract::{Halt, PROXY_MODEL, RESCUE_QUANTIZATION, RESCUE_SCALE_GROUP};
use crate::{Error, ErrorKind};

/// What makes an artifact: `build_submission` of a train module.
pub type Builder<'a> = &'a mut dyn FnMut() -> Value;

/// Where the artifact of a run comes from. It is loaded twice, since it must come out the same.
pub enum Submission<'a> {
    /// A JSON file.
    File {
        /// The path that was given.
        path: &'a str,
        /// Reads it.
        files: &'a dyn Files,
    },
    /// A train module.
    Module {
        /// Its name in messages.
        name: &'a str,
        /// Its builder, if it has one.
        build: Option<Builder<'a>>,
    },
}

impl Submission<'_> {
    /// The artifact.
    ///
    /// # Errors
    /// No such file, no JSON, no object, no builder.
    pub(super) fn load(&mut self) -> Result<Json<'static>, Halt> {
        match self {
            Self::File { path, files } => read_file(path, *files),
            Self::Module { name, build: None } => {
                Err(Raised::value(format!("{name} must define build_submission(...)")).into())
            }
            Self::Module { build: Some(build), .. } => match build() {
                artifact @ Value::Object(_) => parse("build_submission(...)", artifact.to_canonical()),
                _ => Err(Raised::value("build_submission(...) must return a dict artifact").into()),
            },
        }
    }
}

fn read_file(path: &str, files: &dyn Files) -> Result<Json<'static>, Halt> {
    let bytes = files.read(&files.absolute(path)).map_err(|error| match error {
        ReadError::NotFound => Halt::from(Raised::value(format!("submission artifact not found: {path}"))),
        ReadError::IsFolder => unusable(path, "a folder").into(),
        ReadError::Other(why) => unusable(path, &why).into(),
    })?;
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(path, &error.utf8_error()))?;
    parse(path, text)
}

/// The error for bytes that are not text.
pub(super) fn not_utf8(path: &str, error: &std::str::Utf8Error) -> Error {
    unusable(path, &error.to_string())
}

fn unusable(path: &str, why: &str) -> Error {
    Error::new(ErrorKind::Io, "the submission artifact can't be read")
        .within(path)
        .expected_found("a JSON file in UTF-8", why)
}

/// The artifact in a file's text; `path` is what messages call it.
pub(super) fn parse<'t>(path: &str, text: impl Into<Cow<'t, str>>) -> Result<Json<'t>, Halt> {
    match Json::parse(text) {
        Ok(artifact) if artifact.root().is_object() => Ok(artifact),
        Ok(_) => Err(Raised::value("submission artifact JSON must be an object").into()),
        Err(NotRead::Malformed(_)) => {
            Err(Raised::value(format!("submission artifact must be JSON: {path}")).into())
        }
        Err(NotRead::Failed(error)) => Err(error.within(path).into()),
    }
}

/// The artifact that the validator's module builds when no other is given.
pub fn default_submission(teacher: &Teacher, quant_mode: &str) -> Value {
    let is_ternary = quant_mode == "ternary";
    let wide = if is_ternary { 0.025 } else { 0.035 };
    let threshold = if is_ternary { 0.70 } else { 1.0 };
    let rows: Vec<Value> = LAYERS
        .iter()
        .zip(&teacher.weights)
        .map(|(spec, weights)| {
            let fraction = match spec.name {
                "embed_proj" | "lm_head" => wide,
                "attn_out" => 0.010,
                _ => 0.0,
            };
            default_row(spec, weights, fraction, threshold).into()
        })
        .collect();
    Value::from([
        ("artifact_version", 1_u64.into()),
        ("model_id", PROXY_MODEL.into()),
        ("tokenizer_id", PROXY_MODEL.into()),
        ("quant_mode", quant_mode.into()),
        ("layers", rows.into()),
    ])
}

fn default_row(spec: &LayerSpec, weights: &[f64], fraction: f64, threshold: f64) -> Object {
    let keep = (weights.len() as f64 * fraction).round_ties_even() as usize;
    let magnitude: Vec<f64> = weights.iter().map(|weight| weight.abs()).collect();
    let rescued: Vec<f64> = largest(&magnitude, keep).into_iter().map(|at| weights[at]).collect();
    let Payload { codes, scales } = encode_q4(&rescued);
    object([
        ("name", spec.name.into()),
        ("shape", vec![spec.rows, spec.cols].into()),
        ("high_precision_fraction", fraction.into()),
        ("scale_multiplier", 1.0.into()),
        ("threshold_multiplier", threshold.into()),
        ("rescue_quantization", RESCUE_QUANTIZATION.into()),
        ("rescue_scale_group_size", RESCUE_SCALE_GROUP.into()),
        ("rescue_scales", scales.into()),
        ("rescue_values_q4", codes.into()),
    ])
}
