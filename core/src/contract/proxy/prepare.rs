//! The prepare report: a pack's limits and the proxy's matrices.

use super::model::LAYERS;
use crate::contract::python::{Raised, Value};
use crate::contract::report_fields::with_proxy;
use crate::contract::{Limits, RuleSet};

/// Datasets that anyone may use.
const PUBLIC_DATASETS: [&str; 2] = ["pack-local-proxy", "qwen-frontier-curated-v1"];

/// The prepare report of a pack.
///
/// # Errors
/// A config whose numbers make no sense.
pub fn prepare_report(config: &RuleSet) -> Result<Value, Raised> {
    let limits = Limits::of(config)?;
    let layers = LAYERS.map(|layer| {
        Value::from([
            ("name", layer.name.into()),
            ("shape", vec![layer.rows, layer.cols].into()),
            ("element_count", layer.elements().into()),
        ])
    });
    let fields = [
        ("public_debug_datasets", PUBLIC_DATASETS.map(Value::from).to_vec().into()),
        ("metric_direction", "minimize".into()),
        ("max_high_precision_fraction", limits.max_non_native_fraction.into()),
        ("quality_floor", config.quality_floor.into()),
        ("layer_specs", layers.to_vec().into()),
    ];
    Ok(with_proxy(config, &limits, fields).into())
}
