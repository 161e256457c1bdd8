//! Rescue values in 4 bits: signed codes, an fp16 scale for each 128 of them.

use crate::contract::python::{Exception, Node, Raised, Value, lower, to_float, to_int, trim};
use crate::contract::{Halt, RESCUE_QUANTIZATION, RESCUE_SCALE_GROUP};
use num_traits::ToPrimitive;

const GROUP: usize = RESCUE_SCALE_GROUP as usize;
/// What the form may be called.
const NAMES: [&str; 5] =
    [RESCUE_QUANTIZATION, "q4_scaled", "int4_scaled", "signed_int4_scaled", "q4_symmetric_int_scaled"];
/// Bits that a code must have for a payload to be accepted.
const CODE_BITS: f64 = 4.0;

/// Codes and scales of some values.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// -7 to 7.
    pub codes: Vec<i64>,
    /// fp16 numbers, one per 128 codes.
    pub scales: Vec<f64>,
}

/// The nearest fp16 number, ties to even; infinite beyond the largest.
pub fn round_to_f16(value: f64) -> f64 {
    let exponent = (value.abs().to_bits() >> 52) as i32 - 1023;
    // Below 2^-14 the spacing stays that of the smallest normal numbers.
    let spacing = 2f64.powi(exponent.max(-14) - 10);
    let rounded = (value / spacing).round_ties_even() * spacing;
    if rounded.abs() > 65_504.0 { f64::INFINITY.copysign(value) } else { rounded }
}

/// Codes and scales that stand for `values`.
pub fn encode_q4(values: &[f64]) -> Payload {
    let mut payload = Payload { codes: Vec::with_capacity(values.len()), scales: Vec::new() };
    for group in values.chunks(GROUP) {
        let largest = group.iter().fold(0.0, |max: f64, value| max.max(value.abs()));
        let usable = |scale: f64| scale.is_finite() && scale > 0.0;
        let scale = Some(largest / 7.0).filter(|&s| usable(s)).map_or(1.0, round_to_f16);
        let scale = if usable(scale) { scale } else { 1.0 };
        payload.scales.push(scale);
        payload
            .codes
            .extend(group.iter().map(|value| (value / scale).round_ties_even().clamp(-7.0, 7.0) as i64));
    }
    payload
}

/// The values that a payload stands for.
pub fn decode_q4(payload: &Payload) -> Vec<f64> {
    let value = |(i, &code): (usize, &i64)| code as f64 * payload.scales[i / GROUP];
    payload.codes.iter().enumerate().map(value).collect()
}

/// Reads the payload of `count` rescue values from an artifact's row, whose messages begin with `place`.
pub(super) fn read_payload(row: Node, count: usize, place: &str, code_bits: f64) -> Result<Payload, Halt> {
    let fail = |what: String| Err(Raised::value(format!("{place}.{what}")).into());
    if (code_bits - CODE_BITS).abs() > 1e-12 {
        return Err(Raised::value("rescue_values_q4 requires rescue_bits_per_parameter=4.0").into());
    }
    let name =
        row.get("rescue_quantization").filter(|name| name.is_truthy()).map(Node::to_text).transpose()?;
    if name.is_some_and(|name| !NAMES.contains(&lower(trim(&name)).as_str())) {
        return fail(format!("rescue_quantization must be {RESCUE_QUANTIZATION}"));
    }
    let list = |key: &str| row.get(key).filter(|list| list.items().is_some());
    let Some(codes) = list("rescue_values_q4") else {
        return fail("rescue_values_q4 must be a list of signed q4 integer codes".into());
    };
    let found = codes.items().into_iter().flatten().count();
    if found != count {
        return fail(format!("rescue_values_q4 length {found} does not match rescue_count {count}"));
    }
    let codes =
        codes.items().into_iter().flatten().enumerate().map(|(i, code)| read_code(&code.scalar(), i, place));
    let codes = codes.collect::<Result<_, _>>()?;
    check_group(row, place)?;
    let Some(scales) = list("rescue_scales") else {
        return fail("rescue_scales must be a list of fp16 group scales".into());
    };
    let (found, groups) = (scales.items().into_iter().flatten().count(), count.div_ceil(GROUP));
    if found != groups {
        return fail(format!("rescue_scales length {found} does not match q4 group count {groups}"));
    }
    let scales = scales
        .items()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(i, scale)| read_scale(&scale.scalar(), i, place));
    Ok(Payload { codes, scales: scales.collect::<Result<_, _>>()? })
}

fn read_code(code: &Value, index: usize, place: &str) -> Result<i64, Raised> {
    let fail = |what: &str| Err(Raised::value(format!("{place}.rescue_values_q4[{index}] must be {what}")));
    match code {
        Value::Int(code) => match code.to_i64() {
            Some(code @ -7..=7) => Ok(code),
            _ => fail("in signed q4 range [-7, 7]"),
        },
        _ => fail("an integer"),
    }
}

fn check_group(row: Node, place: &str) -> Result<(), Raised> {
    let size = row.get("rescue_scale_group_size").filter(|size| !size.is_null());
    let Some(size) = size else { return Ok(()) };
    match to_int(&size.scalar()) {
        Ok(size) if size.to_u64() == Some(RESCUE_SCALE_GROUP) => Ok(()),
        Err(raised) if raised.exception == Exception::OverflowError => Err(raised),
        _ => Err(Raised::value(format!("{place}.rescue_scale_group_size must be {RESCUE_SCALE_GROUP}"))),
    }
}

fn read_scale(scale: &Value, index: usize, place: &str) -> Result<f64, Raised> {
    let fail = |what: &str| Err(Raised::value(format!("{place}.rescue_scales[{index}] must be {what}")));
    let scale = match to_float(scale) {
        Ok(scale) if scale.is_finite() && scale > 0.0 => scale,
        Err(raised) if raised.exception == Exception::OverflowError => return Err(raised),
        _ => return fail("a positive finite number"),
    };
    let rounded = round_to_f16(scale);
    let is_close = (scale - rounded).abs() <= f64::max(1e-3 * f64::max(scale, rounded), 1e-8);
    if rounded.is_finite() && is_close { Ok(rounded) } else { fail("fp16-representable") }
}
