//! `limits.json`: every limit of a config, and budgets by parameter count.

use bitgauge_core::contract::python::{Value, to_int};
use bitgauge_core::contract::{Limits, RESCUE_SCALE_BITS, RESCUE_SCALE_GROUP};
use num_traits::ToPrimitive;

use crate::golden::{Goldens, Outcome, config, expect, field, text};

pub fn case(_: &Goldens, _: &Value, case: &Value) -> Outcome {
    run(case).into()
}

fn run(case: &Value) -> Result<(), String> {
    let input = field(case, "input")?;
    let limits = Limits::of(&config(input)?);
    let got = match text(input, "fn")? {
        "reference_limits" => limits.map(|limits| to_json(&limits)),
        "artifact_budget_bits" => {
            let count = to_int(field(input, "parameter_count")?).map_err(|e| e.to_string())?;
            let count = count.to_i128().ok_or("a parameter count beyond 128 bits")?;
            limits.and_then(|limits| limits.model_budget(count)).map(Value::from)
        }
        other => return Err(format!("unknown function {other}")),
    };
    expect(got, field(case, "expected")?)
}

fn to_json(limits: &Limits) -> Value {
    Value::from([
        ("model_id", limits.model_id.as_str().into()),
        ("parameter_count", limits.parameter_count.into()),
        ("baseline_bits", limits.baseline_bits.into()),
        ("baseline_size_bytes", limits.baseline_size_bytes.into()),
        ("max_parameter_count", limits.max_parameter_count.into()),
        ("max_compressed_bits", limits.max_compressed_bits.into()),
        ("native_bits_per_parameter", limits.native_bits_per_parameter.into()),
        ("max_non_native_fraction", limits.max_non_native_fraction.into()),
        ("rescue_bits_per_parameter", limits.rescue_bits_per_parameter.into()),
        ("rescue_scale_bits", RESCUE_SCALE_BITS.into()),
        ("rescue_scale_group_size", RESCUE_SCALE_GROUP.into()),
        ("effective_rescue_bits_per_parameter", limits.effective_rescue_bits().into()),
    ])
}
