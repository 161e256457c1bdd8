//! The numbers beneath the proxy: numpy's normals, the teacher's weights, q4 payloads.

use bitgauge_core::contract::numpy::{Generator, largest, mean_abs, ziggurat_tables};
use bitgauge_core::contract::proxy::{LAYERS, decode_q4, encode_q4, round_to_f16, scaled};
use bitgauge_core::contract::python::{Object, Value, float_repr, to_float, to_int};
use bitgauge_core::contract::{RESCUE_SCALE_BITS, RESCUE_SCALE_GROUP};
use num_traits::ToPrimitive;
use sha2::{Digest, Sha256};

use super::TEACHER;
use crate::golden::{Goldens, Outcome, field, same, text};

fn number(input: &Value, key: &str) -> Result<u64, String> {
    to_int(field(input, key)?).ok().and_then(|int| int.to_u64()).ok_or_else(|| format!("`{key}` is no u64"))
}

/// SHA-256 of the doubles' bytes, little-endian.
fn sha256_le(values: &[f64]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `standard_normal.json`.
pub fn normals(_: &Goldens, _: &Value, case: &Value) -> Outcome {
    let run = || {
        let input = field(case, "input")?;
        let mut generator = Generator::new(number(input, "seed")?);
        let got: Vec<f64> = (0..number(input, "n")?).map(|_| generator.standard_normal()).collect();
        // Long sequences are recorded as a digest.
        let expected = field(case, "expected")?;
        match expected {
            Value::Object(_) => same(&[("sha256_le_f64", sha256_le(&got).into())].into(), expected),
            _ => same(&got.into(), expected),
        }
    };
    run().into()
}

/// `numpy_ziggurat_tables.json`.
pub fn tables(_: &Goldens, _: &Value, case: &Value) -> Outcome {
    let run = || {
        let [ki, wi, fi] = ziggurat_tables();
        let hex = |bits: &[u64]| bits.iter().map(|bits| format!("{bits:016x}")).collect::<Vec<_>>();
        let got = Value::from([
            ("ki", ki.to_vec().into()),
            ("wi_bits", hex(wi).into()),
            ("fi_bits", hex(fi).into()),
        ]);
        same(&got, field(case, "expected")?)
    };
    run().into()
}

/// `base_weights.json`: every weight of the teacher through its digest, sums and the partial sort.
pub fn weights(_: &Goldens, _: &Value, case: &Value) -> Outcome {
    let run = || {
        let name = text(case, "name")?;
        let index = LAYERS.iter().position(|layer| layer.name == name).ok_or("no such matrix")?;
        let (layer, weights) = (&LAYERS[index], &TEACHER.weights[index]);
        let shape = [("rows", layer.rows.into()), ("cols", layer.cols.into()), ("std", layer.std.into())];
        same(&shape.into(), field(case, "input")?)?;
        let magnitude: Vec<f64> = weights.iter().map(|weight| weight.abs()).collect();
        let keep = (weights.len() as f64 * 0.02).round_ties_even() as usize;
        let expected = field(case, "expected")?;
        let length = |key: &str| match expected.get(key) {
            Some(Value::Array(items)) => items.len(),
            _ => 0,
        };
        let mut kept = largest(&magnitude, keep);
        kept.truncate(length("argpartition_order_scalar_keep_2pct"));
        let got = Value::from([
            ("sha256_le_f64", sha256_le(weights).into()),
            ("first", weights[..length("first")].to_vec().into()),
            ("last", weights[weights.len() - length("last")..].to_vec().into()),
            ("mean_abs_pairwise", mean_abs(weights).into()),
            ("argpartition_order_scalar_keep_2pct", kept.into()),
        ]);
        same(&got, expected)
    };
    run().into()
}

/// `proxy_rescue_positions.json`: where the largest weights of each matrix are, in numpy's order.
pub fn positions(_: &Goldens, _: &Value, case: &Value) -> Outcome {
    let run = || {
        let expected = field(case, "expected")?;
        let found = LAYERS.iter().zip(&TEACHER.weights).map(|(layer, weights)| {
            let Value::Array(positions) = field(expected, layer.name)? else {
                return Err(format!("`{}` is no list", layer.name));
            };
            let magnitude: Vec<f64> = weights.iter().map(|weight| weight.abs()).collect();
            Ok((layer.name.to_owned(), largest(&magnitude, positions.len()).into()))
        });
        same(&found.collect::<Result<Object, String>>()?.into(), expected)
    };
    run().into()
}

/// `q4_payload.json`.
pub fn payloads(_: &Goldens, _: &Value, case: &Value) -> Outcome {
    let run = || {
        let input = field(case, "input")?;
        let got = match text(input, "fn")? {
            "encode_q4" => {
                let Value::Array(values) = field(input, "values")? else {
                    return Err("`values` is no list".into());
                };
                let values = values.iter().map(to_float).collect::<Result<Vec<_>, _>>();
                let payload = encode_q4(&values.map_err(|e| e.to_string())?);
                let decoded = decode_q4(&payload);
                Value::from([
                    ("codes", payload.codes.into()),
                    ("scales", payload.scales.into()),
                    ("group_size", RESCUE_SCALE_GROUP.into()),
                    ("decoded", decoded.into()),
                ])
            }
            "fp16_round" => {
                let value = to_float(field(input, "value")?).map_err(|e| e.to_string())?;
                let rounded = round_to_f16(value);
                // The file is plain JSON, so it names infinities.
                let recorded = if rounded.is_finite() { rounded.into() } else { float_repr(rounded).into() };
                Value::from([("value", recorded)])
            }
            "q4_scale_bits" => {
                let scales = number(input, "count")?.div_ceil(RESCUE_SCALE_GROUP);
                Value::from([
                    ("scale_count", scales.into()),
                    ("scale_bits", (scales * RESCUE_SCALE_BITS).into()),
                ])
            }
            "scale_proxy_resource_count" => {
                let int = |key| to_int(field(input, key)?).map_err(|e| e.to_string());
                let reference = int("reference_parameter_count")?.to_i128().ok_or("a huge reference")?;
                let value = scaled(&int("proxy_count")?, reference).map_err(|e| e.to_string())?;
                Value::from([("value", value.into())])
            }
            other => return Err(format!("unknown function {other}")),
        };
        same(&got, field(case, "expected")?)
    };
    run().into()
}
