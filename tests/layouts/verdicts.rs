//! What transformers 5.24 was seen to do with models that its writers rarely make: biases, odd sizes, lists of modules.

use std::fs;
use std::path::Path;

use bitgauge_core::ErrorKind;
use bitgauge_core::contract::Rules;
use bitgauge_core::report::Outcome;
use conformance::{Device, on_device};
use native_eval::{Calibration, Fit, LibraryForm, PackMix, PackSettings, Source, pack, pack_for_library};
use serde_json::{Value, json};

use crate::models::{MeanLoss, config, gate, report, same, write_pair_of};
use crate::writer::Way;

/// The tests' model with this field in config.json.
fn with(field: &str, value: Value) -> Value {
    let mut config = config();
    config[field] = value;
    config
}

/// The parameters of a model in this way, by its headers, and what is said of whether it loads.
fn judged(config: &Value, way: Way, folder: &Path) -> (Option<u64>, Outcome) {
    let [packed, dense] = ["packed", "dense"].map(|name| folder.join(name));
    write_pair_of(config, way, &packed, &dense, same);
    let report = report(&packed);
    (gate(&report, "parameter_count").got, gate(&report, "loadable").outcome)
}

#[test]
fn biases_of_packed_layers_are_buffers_where_their_weights_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Two layers of 128 + 64 + 64 + 128.
    for (way, biases) in [
        (Way::Gptq(4, true), 0),
        (Way::Awq, 0),
        (Way::BitNet(false), 0),
        (Way::BitNet(true), 768),
        (Way::Nf4(false), 768),
        (Way::Int8, 768),
        (Way::CompressedTensors(4, false), 768),
    ] {
        let (plain, _) = judged(&config(), way, folder.path());
        let (biased, loads) = judged(&with("attention_bias", json!(true)), way, folder.path());
        assert_eq!(biased, plain.map(|count| count + biases), "{way:?}");
        assert_eq!(loads, Outcome::Pass, "{way:?}");
    }
}

/// transformers adds such a bias before it multiplies by the scale: no other number would be the model's.
#[test]
fn biases_that_transformers_scales_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [packed, dense, out] = ["packed", "dense", "out"].map(|name| folder.path().join(name));
    let biased = with("attention_bias", json!(true));
    write_pair_of(&biased, Way::BitNet(true), &packed, &dense, same);
    let refusal = on_device(Device::Cpu, MeanLoss(&packed)).expect_err("not evaluated");
    assert!(refusal.contains("by the scale of its weight"), "{refusal}");
    let mut source = Source::open(&packed).expect("a model");
    let mix = PackMix::Uniform { scale_group: 0, rescue_fraction: 0.0, bases: 1 };
    let settings = PackSettings { mix, fit: Fit::LeastSquares, calibration: Calibration::None, force: true };
    let error = pack(&mut source, &out, &settings, &mut |_, _, _| {}).expect_err("not packed");
    assert_eq!((error.kind, &error.place[error.place.len() - 11..]), (ErrorKind::Unsupported, "k_proj.bias"));
    // What adds its biases afterwards has the model's own loss.
    write_pair_of(&biased, Way::BitNet(false), &packed, &dense, same);
    on_device(Device::Cpu, MeanLoss(&packed)).expect("a loss");

    let mut source = Source::open(&dense).expect("a model");
    for form in [LibraryForm::BitnetF32, LibraryForm::Bitnet, LibraryForm::Dense] {
        let done = pack_for_library(&mut source, &out, (form, Rules::Ternary), true, &mut |_, _, _| {});
        let is_named = done.is_err_and(|error| error.place.ends_with(".bias"));
        assert_eq!(is_named, form != LibraryForm::Dense, "{form:?}");
    }
}

/// transformers cuts a matrix into as many tiles of equal size as there are scales.
#[test]
fn tiles_that_transformers_cuts_otherwise_are_no_pass() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (wide, loads) in [
        (384, Outcome::Pass),
        (96, Outcome::Pass),
        // Two tiles of 96.
        (192, Outcome::NotRun),
        // Three tiles of 320 / 3.
        (320, Outcome::Fail),
    ] {
        let config = with("intermediate_size", json!(wide));
        assert_eq!(judged(&config, Way::Fp8, folder.path()).1, loads, "{wide}");
    }
}

#[test]
fn lists_of_modules_that_contradict_the_tensors_are_no_pass() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [packed, dense] = ["packed", "dense"].map(|name| folder.path().join(name));
    let cases = [
        (Way::BitNet(true), "modules_to_not_convert", json!(["lm_head"]), Outcome::Pass),
        (Way::BitNet(true), "modules_to_not_convert", Value::Null, Outcome::Pass),
        (Way::BitNet(true), "modules_to_not_convert", json!(["lm_head", "model.layers.10"]), Outcome::Pass),
        // The head is no exception any more.
        (Way::BitNet(true), "modules_to_not_convert", json!([]), Outcome::NotRun),
        (Way::BitNet(true), "modules_to_not_convert", json!(["lm_head", "q_proj"]), Outcome::NotRun),
        (Way::BitNet(true), "modules_to_not_convert", json!(["lm_head", "model.layers.1"]), Outcome::NotRun),
        (Way::BitNet(true), "modules_to_not_convert", json!(["lm_head", "mod.*x"]), Outcome::NotRun),
        (Way::Nf4(false), "llm_int8_skip_modules", json!(["lm_head"]), Outcome::Pass),
        (Way::Int8, "llm_int8_skip_modules", json!(["lm_head", "mlp.up_proj"]), Outcome::NotRun),
        (Way::Fp8, "modules_to_not_convert", json!(["lm_head"]), Outcome::Pass),
        (
            Way::Fp8,
            "modules_to_not_convert",
            json!(["lm_head", "model.language_model.layers.0"]),
            Outcome::NotRun,
        ),
        // What transformers does not look at.
        (Way::Gptq(4, true), "lm_head", json!(true), Outcome::Pass),
        (Way::Gptq(4, true), "dynamic", json!({"+:.*q_proj": {"bits": 4}}), Outcome::NotRun),
        (Way::Awq, "dynamic", Value::Null, Outcome::Pass),
        // Norms of their own; a class that there is not.
        (Way::BitNet(true), "use_rms_norm", json!(true), Outcome::NotRun),
        (Way::BitNet(true), "linear_class", json!("bitlinear2"), Outcome::NotRun),
    ];
    for (way, field, value, loads) in cases {
        write_pair_of(&config(), way, &packed, &dense, same);
        let mut config = config();
        config["quantization_config"] = way.config();
        config["quantization_config"][field] = value.clone();
        fs::write(packed.join("config.json"), config.to_string()).expect("room");
        assert_eq!(gate(&report(&packed), "loadable").outcome, loads, "{way:?} {field} {value}");
    }
}
