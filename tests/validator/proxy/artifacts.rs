//! `proxy_artifacts_*.json`: what compiling an artifact gives, or the first fault that it raises.

use bitgauge_core::contract::proxy::{Candidate, LAYERS, compile, default_submission, inspect};
use bitgauge_core::contract::python::{Json, Object, Raised, Value};
use bitgauge_core::contract::{Limits, PROXY_MODEL, PROXY_PARAMETERS, RESCUE_QUANTIZATION, RuleSet, Rules};
use bitgauge_core::contract::{RESCUE_SCALE_BITS, RESCUE_SCALE_GROUP};

use super::{TEACHER, raised, recipe};
use crate::golden::{Goldens, Outcome, close, expect, field, same, text};

/// Relative bound on sums of weights.
const SUMS: f64 = 1e-9;

pub fn case(goldens: &Goldens, file: &Value, case: &Value) -> Outcome {
    run(goldens, file, case).into()
}

fn run(goldens: &Goldens, file: &Value, case: &Value) -> Result<(), String> {
    let (input, expected) = (field(case, "input")?, field(case, "expected")?);
    let name = text(input, "config")?;
    let config = RuleSet::from_json(field(field(file, "configs")?, name)?).map_err(|e| e.to_string())?;
    let artifact = recipe::build(goldens, field(input, "artifact")?)?;
    check_rebuilt(&config, field(input, "artifact")?, &artifact)?;
    let json = Json::parse(artifact.to_canonical()).map_err(|e| format!("{e:?}"))?;
    let candidate = raised(compile(json.root(), &TEACHER, &config))?;
    check_report(&config, &artifact, &candidate)?;
    let Some(ok) = expected.get("ok") else {
        return expect(candidate.map(|_| Value::Null), expected);
    };
    let candidate = candidate.map_err(|raised| raised.to_string())?;
    same(&summary(&candidate)?, field(ok, "summary")?)?;
    let sums: Object = LAYERS
        .iter()
        .zip(candidate.weights())
        .map(|(layer, weights)| (layer.name.to_owned(), weights.iter().map(|w| w.abs()).sum::<f64>().into()))
        .collect();
    close(&sums.into(), field(ok, "candidate_abs_sum")?, SUMS)?;
    same(&constants(&config)?, field(field(file, "summary_constants")?, name)?)
}

/// Submissions that the validator's module makes by itself come out the same here, code for code.
fn check_rebuilt(config: &RuleSet, recipe: &Value, artifact: &Value) -> Result<(), String> {
    let is_whole = ["set", "remove"].iter().all(|key| recipe.get(key) == Some(&Value::Array(Vec::new())));
    let base = match config.quant_mode.as_str() {
        "ternary" => "ternary_default_submission",
        _ => "default_submission",
    };
    if is_whole
        && recipe.get("base") == Some(&base.into())
        && artifact.get("quant_mode") == Some(&config.quant_mode.as_str().into())
    {
        same(&default_submission(&TEACHER, &config.quant_mode), artifact)?;
    }
    Ok(())
}

/// Under a pack's own limits, the report of the artifact counts the same or tells the same fault.
fn check_report(
    config: &RuleSet,
    artifact: &Value,
    candidate: &Result<Candidate, Raised>,
) -> Result<(), String> {
    let is_of = |pack: &Rules| {
        let secondary_metric_name = config.secondary_metric_name.clone();
        RuleSet { secondary_metric_name, ..pack.rule_set() } == *config
    };
    let Some(pack) = [Rules::Binary, Rules::Ternary].into_iter().find(is_of) else { return Ok(()) };
    let report =
        inspect("artifact.json", artifact.to_canonical().as_bytes(), pack).map_err(|e| e.to_string())?;
    let found = match candidate {
        Err(_) => report.gates[0].details.join(" "),
        Ok(_) => format!("{:?}", report.gates[1..4].iter().map(|gate| gate.got).collect::<Vec<_>>()),
    };
    let expected = match candidate {
        Err(raised) => raised.to_string(),
        Ok(candidate) => {
            let totals = &candidate.totals;
            let counts = [&totals.proxy_rescue_count, &totals.parameter_count, &totals.compressed_size_bytes];
            format!("{:?}", counts.map(|count| Some(u64::try_from(count).unwrap_or(u64::MAX))))
        }
    };
    if found == expected { Ok(()) } else { Err(format!("the report says {found}, the run {expected}")) }
}

/// The validator's summary, but for what depends on the config alone.
fn summary(candidate: &Candidate) -> Result<Value, String> {
    let totals = &candidate.totals;
    let fraction = || Value::from(totals.rescue_fraction);
    let int = |int: &num_bigint::BigInt| Value::Int(int.clone());
    Ok(Value::from([
        ("layers", candidate.layer_summaries()),
        ("extra_accounting_entries", candidate.entry_summaries().map_err(|e: Raised| e.to_string())?),
        ("total_high_precision_count", int(&totals.rescue_count)),
        ("total_rescue_count", int(&totals.rescue_count)),
        ("proxy_high_precision_count", int(&totals.proxy_rescue_count)),
        ("proxy_rescue_count", int(&totals.proxy_rescue_count)),
        ("overall_high_precision_fraction", fraction()),
        ("overall_rescue_fraction", fraction()),
        ("proxy_high_precision_fraction", fraction()),
        ("proxy_rescue_fraction", fraction()),
        ("parameter_count", int(&totals.parameter_count)),
        ("proxy_accounted_parameter_count", int(&totals.proxy_parameter_count)),
        ("parameter_count_multiplier", totals.parameter_count_multiplier.into()),
        ("proxy_parameter_count_multiplier", totals.proxy_parameter_count_multiplier.into()),
        ("compressed_bits", int(&totals.compressed_bits)),
        ("proxy_compressed_bits", int(&totals.proxy_compressed_bits)),
        ("compressed_size_bytes", int(&totals.compressed_size_bytes)),
        ("proxy_compressed_size_bytes", int(&totals.proxy_compressed_size_bytes)),
        ("compression_ratio", totals.compression_ratio.into()),
    ]))
}

/// What depends on the config alone.
fn constants(config: &RuleSet) -> Result<Value, String> {
    let limits = Limits::of(config).map_err(|e| e.to_string())?;
    Ok(Value::from([
        ("baseline_parameter_count", limits.parameter_count.into()),
        ("baseline_bits", limits.baseline_bits.into()),
        ("baseline_size_bytes", limits.baseline_size_bytes.into()),
        ("max_parameter_count", limits.max_parameter_count.into()),
        ("max_compressed_bits", limits.max_compressed_bits.into()),
        ("reference_model_id", limits.model_id.as_str().into()),
        ("native_bits_per_parameter", limits.native_bits_per_parameter.into()),
        ("max_non_native_fraction", limits.max_non_native_fraction.into()),
        ("max_rescue_fraction", limits.max_non_native_fraction.into()),
        ("rescue_bits_per_parameter", limits.rescue_bits_per_parameter.into()),
        ("rescue_quantization", RESCUE_QUANTIZATION.into()),
        ("rescue_scale_bits", RESCUE_SCALE_BITS.into()),
        ("rescue_scale_group_size", RESCUE_SCALE_GROUP.into()),
        ("effective_rescue_bits_per_parameter", limits.effective_rescue_bits().into()),
        ("proxy_model_id", PROXY_MODEL.into()),
        ("proxy_parameter_count", PROXY_PARAMETERS.into()),
    ]))
}
