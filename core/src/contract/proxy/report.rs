//! What a proxy run prints and writes.

use num_bigint::BigInt;

use super::candidate::Candidate;
use super::model::Metrics;
use crate::contract::direct::DatasetHandle;
use crate::contract::python::{Raised, Value, ceil_bytes, fixed6, to_float};
use crate::contract::report_fields::{METRIC, with_proxy};
use crate::contract::{Limits, RESCUE_SCALE_BITS, RESCUE_SCALE_GROUP, RuleSet};

/// A run that passed every gate.
pub(super) struct PassedRun<'a> {
    pub candidate: &'a Candidate,
    pub metrics: Metrics,
    pub secondary_metric: f64,
    /// Of the canonical JSON.
    pub artifact_sha256: String,
    /// Length of the canonical JSON.
    pub manifest_bytes: usize,
    /// Size that the environment declares.
    pub declared_bytes: Option<BigInt>,
}

/// Gates of the report. A run that fails one ends without a report, so all are true.
const GATES: [&str; 8] = [
    "shape_valid",
    "high_precision_valid",
    "parameter_count_valid",
    "compressed_size_valid",
    "artifact_size_valid",
    "accounting_valid",
    "reproducible",
    "quality_floor_passed",
];

/// All of stdout.
pub(super) fn stdout(outcome: &PassedRun) -> String {
    let (totals, metrics) = (&outcome.candidate.totals, &outcome.metrics);
    let fraction = fixed6(totals.rescue_fraction);
    format!(
        "heldout_ppl={}\nheldout_quality={}\ncompression_ratio={}\nparameter_count={}\n\
         compressed_size_bytes={}\nhigh_precision_fraction={fraction}\nrescue_fraction={fraction}\n",
        fixed6(metrics.perplexity),
        fixed6(metrics.quality),
        fixed6(totals.compression_ratio),
        totals.parameter_count,
        totals.compressed_size_bytes,
    )
}

/// last_run.json.
pub(super) fn report(
    config: &RuleSet,
    limits: &Limits,
    dataset: &DatasetHandle,
    outcome: &PassedRun,
) -> Result<Value, Raised> {
    let totals = &outcome.candidate.totals;
    let unmeasured = ["speedup", "reference_seconds", "candidate_seconds"].map(|key| (key, Value::Null));
    let fields = [
        ("metric_value", outcome.metrics.perplexity.into()),
        ("artifact_hash", outcome.artifact_sha256.as_str().into()),
        ("secondary_metric_value", outcome.secondary_metric.into()),
        ("high_precision_fraction", totals.rescue_fraction.into()),
        ("rescue_fraction", totals.rescue_fraction.into()),
        ("parameter_count", totals.parameter_count.clone().into()),
        ("parameter_count_multiplier", totals.parameter_count_multiplier.into()),
        ("proxy_parameter_count_multiplier", totals.proxy_parameter_count_multiplier.into()),
        ("compressed_bits", totals.compressed_bits.clone().into()),
        ("compressed_size_bytes", totals.compressed_size_bytes.clone().into()),
        ("max_artifact_size_bytes", ceil_bytes(&limits.max_compressed_bits.into())?.into()),
        ("artifact_manifest_bytes", outcome.manifest_bytes.into()),
        ("submission_artifact_bytes", outcome.declared_bytes.clone().into()),
        ("layer_summaries", outcome.candidate.layer_summaries()),
        ("extra_accounting_entries", outcome.candidate.entry_summaries()?),
        ("eligibility", GATES.map(|gate| (gate, true.into())).into()),
        ("dataset_handle", dataset.to_json()),
        ("runtime", unmeasured.into()),
        ("metrics", metrics(limits, outcome)?),
    ];
    Ok(with_proxy(config, limits, fields).into())
}

/// Everything as floats, counts included.
fn metrics(limits: &Limits, outcome: &PassedRun) -> Result<Value, Raised> {
    let (totals, metrics) = (&outcome.candidate.totals, &outcome.metrics);
    let count = |count: &BigInt| to_float(&count.clone().into()).map(Value::Float);
    let declared = outcome.declared_bytes.as_ref().map(count).transpose()?;
    Ok(Value::from([
        (METRIC, metrics.perplexity.into()),
        ("heldout_quality", metrics.quality.into()),
        ("heldout_cross_entropy_nats", metrics.cross_entropy.into()),
        ("heldout_teacher_entropy_nats", metrics.teacher_entropy.into()),
        ("heldout_kl", metrics.kl.into()),
        ("heldout_relative_ppl", metrics.relative_perplexity.into()),
        ("compression_ratio", totals.compression_ratio.into()),
        ("parameter_count", count(&totals.parameter_count)?),
        ("parameter_count_multiplier", totals.parameter_count_multiplier.into()),
        ("proxy_parameter_count_multiplier", totals.proxy_parameter_count_multiplier.into()),
        ("compressed_bits", count(&totals.compressed_bits)?),
        ("compressed_size_bytes", count(&totals.compressed_size_bytes)?),
        ("baseline_parameter_count", (limits.parameter_count as f64).into()),
        ("baseline_size_bytes", (limits.baseline_size_bytes as f64).into()),
        ("high_precision_count", count(&totals.rescue_count)?),
        ("rescue_count", count(&totals.rescue_count)?),
        ("high_precision_fraction", totals.rescue_fraction.into()),
        ("rescue_fraction", totals.rescue_fraction.into()),
        ("proxy_high_precision_fraction", totals.rescue_fraction.into()),
        ("proxy_rescue_fraction", totals.rescue_fraction.into()),
        ("rescue_bits_per_parameter", limits.rescue_bits_per_parameter.into()),
        ("rescue_scale_bits", (RESCUE_SCALE_BITS as f64).into()),
        ("rescue_scale_group_size", (RESCUE_SCALE_GROUP as f64).into()),
        ("effective_rescue_bits_per_parameter", limits.effective_rescue_bits().into()),
        ("artifact_manifest_bytes", (outcome.manifest_bytes as f64).into()),
        ("submission_artifact_bytes", declared.unwrap_or(Value::Null)),
        ("max_artifact_size_bytes", count(&ceil_bytes(&limits.max_compressed_bits.into())?)?),
        ("speedup", Value::Null),
    ]))
}
