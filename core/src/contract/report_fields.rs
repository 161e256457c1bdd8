//! What the reports of all three modes say alike.

use super::python::{Object, Value, object};
use super::{Limits, PROXY_MODEL, RESCUE_QUANTIZATION, RESCUE_SCALE_BITS, RESCUE_SCALE_GROUP, RuleSet};

/// The metric that ranks.
pub const METRIC: &str = "heldout_ppl";

/// A report of `fields` and those that every report has.
pub(super) fn with_pack<const N: usize>(
    config: &RuleSet,
    limits: &Limits,
    fields: [(&str, Value); N],
) -> Object {
    let mut report = object([
        ("pack_name", config.pack_name.as_str().into()),
        ("model_id", limits.model_id.as_str().into()),
        ("reference_model_id", limits.model_id.as_str().into()),
        ("metric_name", METRIC.into()),
        ("secondary_metric_name", config.secondary_metric_name.clone().into()),
        ("native_bits_per_parameter", limits.native_bits_per_parameter.into()),
        ("rescue_bits_per_parameter", limits.rescue_bits_per_parameter.into()),
        ("rescue_quantization", RESCUE_QUANTIZATION.into()),
        ("rescue_scale_bits", RESCUE_SCALE_BITS.into()),
        ("rescue_scale_group_size", RESCUE_SCALE_GROUP.into()),
        ("effective_rescue_bits_per_parameter", limits.effective_rescue_bits().into()),
        ("max_non_native_fraction", limits.max_non_native_fraction.into()),
    ]);
    report.extend(object(fields));
    report
}

/// A report of `fields`, those that every report has, and those of the proxy's two reports.
pub(super) fn with_proxy<const N: usize>(
    config: &RuleSet,
    limits: &Limits,
    fields: [(&str, Value); N],
) -> Object {
    let mut report = with_pack(config, limits, fields);
    report.extend(object([
        ("proxy_model_id", PROXY_MODEL.into()),
        ("tokenizer_id", PROXY_MODEL.into()),
        ("ppl_resolution_nats", config.ppl_resolution_nats.into()),
        ("max_rescue_fraction", limits.max_non_native_fraction.into()),
        ("baseline_parameter_count", limits.parameter_count.into()),
        ("baseline_size_bytes", limits.baseline_size_bytes.into()),
        ("max_parameter_count", limits.max_parameter_count.into()),
        ("max_compressed_bits", limits.max_compressed_bits.into()),
    ]));
    report
}
