//! The prepare report: a pack's limits and the proxy's matrices.

use super::model::LAYERS;
use crate::contract::direct::METRIC;
use crate::contract::python::{Raised, Value};
use crate::contract::{
    Config, Limits, PROXY_MODEL, RESCUE_QUANTIZATION, RESCUE_SCALE_BITS, RESCUE_SCALE_GROUP,
};

/// Datasets that anyone may use.
const PUBLIC_DATASETS: [&str; 2] = ["pack-local-proxy", "qwen-frontier-curated-v1"];

/// The prepare report of a pack.
///
/// # Errors
/// A config whose numbers make no sense.
pub fn prepare_report(config: &Config) -> Result<Value, Raised> {
    let limits = Limits::of(config)?;
    let most = limits.max_non_native_fraction;
    let layers = LAYERS.map(|layer| {
        Value::from([
            ("name", layer.name.into()),
            ("shape", vec![layer.rows, layer.cols].into()),
            ("element_count", layer.elements().into()),
        ])
    });
    Ok(Value::from([
        ("pack_name", config.pack_name.as_str().into()),
        ("model_id", limits.model_id.as_str().into()),
        ("reference_model_id", limits.model_id.as_str().into()),
        ("proxy_model_id", PROXY_MODEL.into()),
        ("tokenizer_id", PROXY_MODEL.into()),
        ("public_debug_datasets", PUBLIC_DATASETS.map(Value::from).to_vec().into()),
        ("metric_name", METRIC.into()),
        ("metric_direction", "minimize".into()),
        ("ppl_resolution_nats", config.ppl_resolution_nats.into()),
        ("max_high_precision_fraction", most.into()),
        ("max_rescue_fraction", most.into()),
        ("max_non_native_fraction", most.into()),
        ("native_bits_per_parameter", limits.native_bits_per_parameter.into()),
        ("rescue_bits_per_parameter", limits.rescue_bits_per_parameter.into()),
        ("rescue_quantization", RESCUE_QUANTIZATION.into()),
        ("rescue_scale_bits", RESCUE_SCALE_BITS.into()),
        ("rescue_scale_group_size", RESCUE_SCALE_GROUP.into()),
        ("effective_rescue_bits_per_parameter", limits.effective_rescue_bits().into()),
        ("baseline_parameter_count", limits.parameter_count.into()),
        ("baseline_size_bytes", limits.baseline_size_bytes.into()),
        ("max_parameter_count", limits.max_parameter_count.into()),
        ("max_compressed_bits", limits.max_compressed_bits.into()),
        ("quality_floor", config.quality_floor.into()),
        ("secondary_metric_name", config.secondary_metric_name.clone().into()),
        ("layer_specs", layers.to_vec().into()),
    ]))
}
