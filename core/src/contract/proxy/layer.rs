//! One matrix of an artifact: from its row to weights and what they cost.

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use super::model::LayerSpec;
use super::rescue::{decode_q4, read_payload};
use crate::contract::numpy::{largest, mean_abs};
use crate::contract::python::{Exception, Node, Object, Raised, Value, object, to_float, to_int};
use crate::contract::{Halt, RESCUE_SCALE_BITS, RESCUE_SCALE_GROUP, RuleSet};
use crate::{Error, ErrorKind, limits};

/// A matrix as the artifact describes it.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// Row-major, dequantized.
    pub weights: Vec<f64>,
    /// How it is stored: `1-bit`, `2 x 1-bit + q4`.
    pub form: String,
    /// Rescued weights.
    pub rescued: usize,
    /// Parameters that count.
    pub parameters: u64,
    /// Bits that count.
    pub bits: u64,
    /// What the report says of it.
    pub summary: Object,
}

/// The settings of a row, in the order in which they are converted.
struct Settings {
    keep: usize,
    scale_multiplier: f64,
    threshold_multiplier: f64,
    bases: usize,
}

/// What quantizing found, beside the weights.
struct Quantized {
    weights: Vec<f64>,
    scale: f64,
    /// One per basis, where there are several.
    scales: Option<Vec<f64>>,
    threshold: f64,
    zeros: usize,
    /// Places of the rescued weights, in the order of their codes.
    kept: Vec<usize>,
}

/// Compiles the row of one matrix whose weights should be `teacher`.
pub(super) fn compile(spec: &LayerSpec, row: Node, teacher: &[f64], config: &RuleSet) -> Result<Layer, Halt> {
    check_shape(spec, row)?;
    let settings = Settings::read(row, spec.elements())?;
    let is_binary = config.quant_mode == "binary";
    let mut quantized = if is_binary && settings.bases > 1 {
        several_bases(row, teacher, &settings)?
    } else {
        one_basis(teacher, &settings, &config.quant_mode)?
    };
    let keep = settings.keep;
    if keep > 0 {
        let place = format!("artifact.layers[{}]", spec.name);
        let payload = read_payload(row, keep, &place, config.rescue_bits_per_parameter)?;
        for (&at, value) in quantized.kept.iter().zip(decode_q4(&payload)) {
            quantized.weights[at] = value;
        }
    }
    Ok(account(spec, &settings, quantized, config))
}

/// Hands what a Python loop over a value sees to `take`, element by element.
fn for_each(value: Node, take: &mut dyn FnMut(&Value) -> Result<(), Raised>) -> Result<(), Halt> {
    if let Some(mut items) = value.items() {
        return Ok(items.try_for_each(|item| take(&item.scalar()))?);
    }
    if let Some(text) = value.as_text() {
        return Ok(text.chars().try_for_each(|c| take(&c.to_string().into()))?);
    }
    if value.is_object() {
        return Ok(value.keys()?.iter().try_for_each(|key| take(&(&**key).into()))?);
    }
    let what = format!("'{}' object is not iterable", value.type_name());
    Err(Raised::new(Exception::TypeError, what).into())
}

fn check_shape(spec: &LayerSpec, row: Node) -> Result<(), Halt> {
    let Some(shape) = row.get("shape") else { return Ok(()) };
    let wanted = [BigInt::from(spec.rows), BigInt::from(spec.cols)];
    let (mut found, mut count, mut is_same) = (String::new(), 0, true);
    for_each(shape, &mut |value| {
        let int = to_int(value)?;
        is_same &= wanted.get(count) == Some(&int);
        found.push_str(if count > 0 { ", " } else { "" });
        found.push_str(&int.to_string());
        count += 1;
        Ok(())
    })?;
    if is_same && count == wanted.len() {
        return Ok(());
    }
    let comma = if count == 1 { "," } else { "" };
    let (name, rows, cols) = (spec.name, spec.rows, spec.cols);
    Err(Raised::value(format!("shape mismatch for {name}: ({found}{comma}) != ({rows}, {cols})")).into())
}

/// `max(least, value)`, which gives `least` for NaN.
fn at_least(least: f64, value: f64) -> f64 {
    if value > least { value } else { least }
}

impl Settings {
    fn read(row: Node, elements: usize) -> Result<Self, Halt> {
        let number =
            |key: &str, default: f64| row.get(key).map_or(Ok(default), |value| to_float(&value.scalar()));
        let fraction = number("high_precision_fraction", 0.0)?;
        // `max(0, min(1, fraction))`, which gives 1 for NaN.
        let clamped = at_least(0.0, if fraction < 1.0 { fraction } else { 1.0 });
        let scale_multiplier = number("scale_multiplier", 1.0)?;
        let threshold_multiplier = number("threshold_multiplier", 0.80)?;
        let count =
            row.get("binary_basis_count").map_or(Ok(BigInt::from(1)), |value| to_int(&value.scalar()))?;
        let bases = count.max(BigInt::from(1)).to_usize().filter(|&bases| bases <= limits::PROXY_BASES);
        let bases = bases.ok_or_else(|| {
            Error::new(ErrorKind::TooLarge, "too many additive bases")
                .within("binary_basis_count")
                .expected_found(format!("at most {}", limits::PROXY_BASES), "more")
        })?;
        let keep = (elements as f64 * clamped).round_ties_even() as usize;
        Ok(Self { keep, scale_multiplier, threshold_multiplier, bases })
    }
}

/// Signs times scales added up, each basis on what the ones before it left over.
fn several_bases(row: Node, teacher: &[f64], settings: &Settings) -> Result<Quantized, Halt> {
    let given = row.get("binary_basis_scales").filter(|scales| !scales.is_null());
    let given = given.map(|scales| read_basis_scales(scales, settings.bases)).transpose()?;
    let (mut weights, mut residual) = (vec![0.0; teacher.len()], teacher.to_vec());
    let mut scales = Vec::with_capacity(settings.bases);
    for basis in 0..settings.bases {
        let fitted = || match mean_abs(&residual) {
            0.0 => 1.0,
            mean => mean,
        };
        let scale = match &given {
            Some(given) => given[basis],
            None => fitted() * at_least(0.25, settings.scale_multiplier),
        };
        for (weight, left) in weights.iter_mut().zip(&mut residual) {
            let term = if *left >= 0.0 { scale } else { -scale };
            *weight += term;
            *left -= term;
        }
        scales.push(scale);
    }
    let distance: Vec<f64> = residual.iter().map(|left| left.abs()).collect();
    let kept = largest(&distance, settings.keep);
    Ok(Quantized { weights, scale: scales[0], scales: Some(scales), threshold: 0.0, zeros: 0, kept })
}

fn read_basis_scales(scales: Node, bases: usize) -> Result<Vec<f64>, Halt> {
    let (mut read, mut count) = (Vec::new(), 0);
    for_each(scales, &mut |scale| {
        let scale = to_float(scale)?;
        count += 1;
        if count <= bases {
            read.push(scale);
        }
        Ok(())
    })?;
    if count != bases {
        return Err(Raised::value(format!(
            "binary_basis_scales length {count} does not match binary_basis_count {bases}"
        ))
        .into());
    }
    if !read.iter().all(|scale| scale.is_finite() && *scale > 0.0) {
        return Err(Raised::value("binary_basis_scales values must be finite positive numbers").into());
    }
    Ok(read)
}

/// One scale for the whole matrix; the largest weights are rescued.
fn one_basis(teacher: &[f64], settings: &Settings, mode: &str) -> Result<Quantized, Raised> {
    let magnitude: Vec<f64> = teacher.iter().map(|weight| weight.abs()).collect();
    let kept = largest(&magnitude, settings.keep);
    let mut is_kept = vec![false; teacher.len()];
    kept.iter().for_each(|&at| is_kept[at] = true);
    let others: Vec<f64> =
        teacher.iter().zip(&is_kept).filter(|(_, kept)| !**kept).map(|(w, _)| *w).collect();
    let mut weights = vec![0.0; teacher.len()];
    if others.is_empty() {
        return Ok(Quantized { weights, scale: 1.0, scales: None, threshold: 0.0, zeros: 0, kept });
    }
    let mean = match mean_abs(&others) {
        0.0 => 1.0,
        mean => mean,
    };
    let scale = mean * at_least(0.25, settings.scale_multiplier);
    let threshold = match mode {
        "binary" => 0.0,
        "ternary" => mean * at_least(0.10, settings.threshold_multiplier),
        mode => return Err(Raised::value(format!("unsupported quant mode: {mode}"))),
    };
    let mut zeros = 0;
    for (i, &weight) in teacher.iter().enumerate().filter(|(i, _)| !is_kept[*i]) {
        weights[i] = match (mode, weight) {
            ("ternary", w) if w.abs() < threshold => 0.0,
            ("ternary", 0.0) => 0.0,
            (_, w) if w >= 0.0 => scale,
            _ => -scale,
        };
        zeros += usize::from(weights[i] == 0.0);
    }
    Ok(Quantized { weights, scale, scales: None, threshold, zeros, kept })
}

/// Counts bits and parameters, and describes the matrix.
fn account(spec: &LayerSpec, settings: &Settings, quantized: Quantized, config: &RuleSet) -> Layer {
    let (n, keep) = (spec.elements() as u64, settings.keep as u64);
    let has_several = quantized.scales.is_some();
    let bases = if has_several { settings.bases as u64 } else { 1 };
    // With several bases a rescued weight keeps its signs as well.
    let native = if has_several { n * bases } else { n - keep };
    let native_bits = native * if config.quant_mode == "ternary" { 2 } else { 1 };
    let code_bits = (config.rescue_bits_per_parameter * keep as f64).ceil() as u64;
    let scale_bits = RESCUE_SCALE_BITS * keep.div_ceil(RESCUE_SCALE_GROUP);
    let bits = native_bits + code_bits + 64 * bases + scale_bits;
    let parameters = native + keep + bases;
    let fraction = keep as f64 / n as f64;
    let mut summary = object([
        ("name", spec.name.into()),
        ("shape", vec![spec.rows, spec.cols].into()),
        ("high_precision_fraction", fraction.into()),
        ("high_precision_count", keep.into()),
        ("rescue_fraction", fraction.into()),
        ("rescue_count", keep.into()),
        ("rescue_bits_per_parameter", config.rescue_bits_per_parameter.into()),
        ("rescue_compressed_bits", code_bits.into()),
        ("rescue_scale_bits", scale_bits.into()),
        ("quantized_parameter_count", native.into()),
        ("side_parameter_count", bases.into()),
        ("parameter_count", parameters.into()),
        ("compressed_bits", bits.into()),
        ("compressed_size_bytes", bits.div_ceil(8).into()),
        ("scale", quantized.scale.into()),
        ("binary_basis_count", bases.into()),
        ("threshold", quantized.threshold.into()),
        ("zero_count", quantized.zeros.into()),
    ]);
    if let Some(scales) = quantized.scales {
        summary.insert("scales".into(), scales.into());
    }
    Layer {
        weights: quantized.weights,
        form: form(config, bases, keep),
        rescued: settings.keep,
        parameters,
        bits,
        summary,
    }
}

fn form(config: &RuleSet, bases: u64, keep: u64) -> String {
    let native = if config.quant_mode == "ternary" { "ternary" } else { "1-bit" };
    let times = if bases > 1 { format!("{bases} x ") } else { String::new() };
    format!("{times}{native}{}", if keep > 0 { " + q4" } else { "" })
}
