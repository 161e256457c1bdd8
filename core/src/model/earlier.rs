//! How transformers 4.57 takes config.json, where that differs from 5.24: what it passes over, and what it checks.
//!
//! What is not modelled leaves it open whether the model loads. Where 5.24 refuses, 4.57 may load it: that is open, too.

use serde_json::{Map, Value};

use super::checks::{Loading, is_declared};
use super::fields::Fields;
use super::quantization::Quantization;

/// The settings of the rotary embedding that 4.57 reads in an object, and the one that only 5.24 reads there.
const SCALING: &str = "rope_scaling";
const ONLY_LATER: &str = "rope_parameters";
const THETA: &str = "rope_theta";

/// Families that came after 4.57.
const UNKNOWN: [&str; 2] = ["qwen3_5", "qwen3_5_text"];

/// Fields beside those that some class declares, of which it is known what becomes of them.
const KNOWN: [&str; 10] = [
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "attn_implementation",
    "auto_map",
    "model_type",
    "quantization_config",
    SCALING,
    THETA,
    "tokenizer_class",
];

/// The scalings that are followed, and what each must say: without it 4.57 raises.
const SCALINGS: [(&str, &[&str]); 3] = [
    ("default", &[]),
    ("linear", &["factor"]),
    ("llama3", &["factor", "high_freq_factor", "low_freq_factor", "original_max_position_embeddings"]),
];

/// Takes out what 4.57 does not look at: settings of the rotary embedding that newer versions keep in one object.
pub(super) fn forget(config: &mut Map<String, Value>) {
    config.remove(ONLY_LATER);
    let Some(scaling) = config.get_mut(SCALING).and_then(Value::as_object_mut) else { return };
    scaling.remove(THETA);
    if let Some(kind) = scaling.get("type").cloned() {
        scaling.insert("rope_type".to_owned(), kind);
    }
}

/// What 4.57 makes of fields that `forget` has gone over; `loading` is what 5.24 says to them.
pub(super) fn check(
    loading: &mut Loading,
    model_type: &str,
    fields: &Fields<'_>,
    quantization: &Quantization,
) {
    let faults = std::mem::take(&mut loading.faults);
    let open = |fault| format!("5.24 refuses what transformers 4.57 may take: {fault}");
    loading.doubts.extend(faults.into_iter().map(open));
    if UNKNOWN.contains(&model_type) {
        loading.faults.push(format!("transformers 4.57 knows no model type `{model_type}`"));
    }
    if fields.is_null("quantization_config") {
        loading
            .faults
            .push("`quantization_config` is null, which transformers 4.57 does not take".to_owned());
    }
    let mut open = |what: &str| {
        loading.doubts.push(format!("what transformers 4.57 does with {what} is not modelled"));
    };
    if let Quantization::Coded(coded) = quantization {
        open(&format!("weights in the way of `{}`", coded.scheme.name));
    }
    if !is_followed(fields) {
        open(&format!("this `{SCALING}`"));
    }
    for (name, _) in fields.all() {
        if !KNOWN.contains(&name.as_str()) && !is_declared(name) {
            open(&format!("`{name:.60}`"));
        }
    }
}

/// Whether the scaling of the rotary embedding is one that 4.57 reads as it is read here.
fn is_followed(fields: &Fields<'_>) -> bool {
    let Some(scaling) = fields.get(SCALING) else { return true };
    let Some(kind) = scaling.get("rope_type").and_then(Value::as_str) else { return false };
    let says = |name: &&str| scaling.get(*name).is_some_and(Value::is_number);
    SCALINGS.iter().any(|(known, wanted)| *known == kind && wanted.iter().all(says))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::model::{Architecture, Config, RotaryScaling, Transformers};

    fn read(more: Value) -> Config {
        let mut fields = json!({"model_type": "llama", "num_hidden_layers": 2, "rope_theta": 777.0});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Config::parse_for(fields.to_string().as_bytes(), Transformers::V4).unwrap()
    }

    fn outcome(more: Value) -> [usize; 2] {
        let loading = read(more).loading;
        [loading.faults.len(), loading.doubts.len()]
    }

    #[test]
    fn rotary_settings_count_in_the_old_places_alone() {
        let later = json!({"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 100.0}});
        let old = json!({"rope_scaling": {"type": "linear", "factor": 2.0, "rope_theta": 100.0}});
        for (more, scaling) in [(later, None), (old, Some(RotaryScaling::Linear(2.0)))] {
            let config = read(more);
            let Architecture::Decoder(decoder) = config.architecture() else { panic!("a known family") };
            assert_eq!((decoder.rotary.theta, &decoder.rotary.scaling), (777.0, &scaling));
            assert!(config.loading.faults.is_empty() && config.loading.doubts.is_empty());
        }
    }

    #[test]
    fn what_is_not_modelled_is_open() {
        assert_eq!(outcome(json!({"hidden_act": "silu", "_name_or_path": "x"})), [0, 0]);
        for more in [
            json!({"my_note": 1}),
            // 5.24 refuses it.
            json!({"rms_norm_eps": 1}),
            json!({"rope_scaling": {}}),
            json!({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}),
            json!({"rope_scaling": {"rope_type": "llama3", "factor": 2.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}}),
            json!({"quantization_config": {"quant_method": "gptq", "bits": 4}}),
        ] {
            assert_eq!(outcome(more.clone()), [0, 1], "{more}");
        }
    }

    #[test]
    fn what_came_later_is_not_known() {
        assert_eq!(outcome(json!({"model_type": "qwen3_5_text"})), [1, 0]);
        assert_eq!(outcome(json!({"quantization_config": null})), [1, 0]);
    }
}
