//! Which stored weights are the architecture's: what is missing, unknown, doubled, passed over or opaque.

use bitgauge_core::report::{Gate, Outcome, Report, Verdict};
use serde_json::json;

use crate::model::{Model, PARAMETERS};

fn gate<'r>(report: &'r Report, id: &str) -> &'r Gate {
    report.gates.iter().find(|gate| gate.id == id).expect("the gate")
}

const LAYER: &str = "model.layers.1.mlp.up_proj.weight";
const OTHER: &str = "model.layers.1.mlp.gate_proj.weight";

/// Stores a weight of the model twice: plain and packed.
fn doubled(model: Model, name: &str, shape: &[u64]) -> Model {
    model.pack(name, 1, 0).with(name, "F16", shape)
}

#[test]
fn missing_unknown_and_doubled_weights_add_up() {
    for missing in 0..2_u64 {
        for unknown in 0..3_u64 {
            for twice in 0..3_u64 {
                let mut model = Model::bitpack();
                if missing == 1 {
                    model = model.without("model.norm.weight");
                }
                for number in 0..unknown {
                    model = model.with(&format!("model.layers.{}.own.weight", 2 + number), "F16", &[2, 2]);
                }
                for name in [LAYER, OTHER].iter().take(twice as usize) {
                    model = doubled(model, name, &[33, 70]);
                }
                let report = model.report();
                let gate = gate(&report, "tensors");
                let faults = missing + unknown + twice;
                let what = format!("{missing} missing, {unknown} unknown, {twice} doubled");
                let outcome = if faults == 0 { Outcome::Pass } else { Outcome::Fail };
                assert_eq!((gate.outcome, gate.got, gate.wanted), (outcome, Some(faults), Some(0)), "{what}");
                assert_eq!(gate.details.len() as u64, faults, "{what}");
                let manifest = report.manifest.as_ref().expect("a known architecture");
                let found =
                    [&manifest.missing, &manifest.unknown, &manifest.doubled].map(|names| names.len() as u64);
                assert_eq!(found, [missing, unknown, twice], "{what}");
                // A repeated weight of 33 x 70 and an unknown one of 2 x 2 are other tensors.
                let other = report.accounting.buckets.iter().find(|e| e.bucket.words() == "other tensors");
                assert_eq!(other.expect("listed").bits, 16 * (33 * 70 * twice + 4 * unknown), "{what}");
            }
        }
    }
}

#[test]
fn of_many_names_eight_are_listed() {
    for (unknown, last) in
        [(8, "unknown: model.layers.9.own.weight"), (9, "unknown: and 1 more"), (11, "unknown: and 3 more")]
    {
        let mut model = Model::dense();
        for number in 0..unknown {
            model = model.with(&format!("model.layers.{}.own.weight", 2 + number), "F16", &[2]);
        }
        let report = model.report();
        let details = &gate(&report, "tensors").details;
        assert_eq!(details.len(), if unknown > 8 { 9 } else { 8 });
        assert_eq!(details.last().expect("one"), last);
    }
}

/// The dense model under the names of qwen3_5: full attention in both layers, its output gated.
fn hybrid() -> Model {
    let mut model = Model::dense();
    model.config["model_type"] = "qwen3_5".into();
    model.config["layer_types"] = json!(["full_attention", "full_attention"]);
    for (field, value) in [
        ("linear_num_key_heads", 1),
        ("linear_num_value_heads", 1),
        ("linear_key_head_dim", 8),
        ("linear_value_head_dim", 8),
        ("linear_conv_kernel_dim", 4),
    ] {
        model.config[field] = value.into();
    }
    for layer in 0..2 {
        let name = format!("model.layers.{layer}.self_attn.q_proj.weight");
        model = model.without(&name).with(&name, "F16", &[32, 70]);
    }
    model
}

#[test]
fn vision_and_multi_token_prediction_are_passed_over_in_a_dense_checkpoint_alone() {
    let beside = ["model.visual.blocks.0.attn.qkv.weight", "model.visual.pos_embed.weight", "mtp.fc.weight"];
    let with = |mut model: Model| {
        beside.iter().for_each(|name| model.add(name, "BF16", &[3, 5]));
        model.report()
    };
    let note = |report: &Report| report.notes.iter().find(|note| note.contains("passed over")).cloned();

    let dense = with(hybrid());
    assert_eq!(gate(&dense, "tensors").outcome, Outcome::Pass);
    assert!(note(&dense).expect("a note").starts_with("3 tensors of the vision tower"), "{:?}", dense.notes);
    assert_eq!(dense.manifest.as_ref().expect("known").unknown, [""; 0]);
    let weight = dense.weights.iter().find(|weight| weight.name == beside[2]).expect("it is listed");
    assert_eq!((weight.parameters, weight.bits), (15, 240));
    let other = dense.accounting.buckets.iter().find(|entry| entry.bucket.words() == "other tensors");
    assert_eq!(other.expect("listed").bits, 3 * 240);
    // Two q_proj of 1,120 more; what is beside the decoder counts for nothing.
    let model = dense.model.as_ref().expect("known");
    assert_eq!(model.parameters, Some(PARAMETERS + 2 * 1_120));
    assert_eq!(note(&hybrid().report()), None);

    let mut packed = hybrid();
    packed.config["quantization_config"] = Model::bitpack().config["quantization_config"].clone();
    for report in [with(packed), with(Model::dense())] {
        assert_eq!(gate(&report, "tensors").got, Some(3), "{:?}", gate(&report, "tensors"));
        assert_eq!(report.manifest.as_ref().expect("known").unknown, beside);
        assert_eq!(note(&report), None);
    }
}

#[test]
fn a_weight_under_its_own_name_and_under_the_nested_one_is_there_twice() {
    let report = hybrid().with("model.language_model.norm.weight", "F16", &[70]).report();
    let manifest = report.manifest.as_ref().expect("a known architecture");
    assert_eq!(manifest.doubled, ["model.language_model.norm.weight"]);
    assert_eq!(gate(&report, "tensors").got, Some(1));
}

#[test]
fn only_own_code_over_other_tensors_is_opaque() {
    let with_code = |model: Model| model.file("modeling_own.py", b"pass\n");
    let unknown = || Model::dense().with("model.own.weight", "F16", &[2, 2]);
    let missing = || Model::dense().without("model.norm.weight");
    let both = || missing().with("model.own.weight", "F16", &[2, 2]);
    let own_method = |mut model: Model| {
        model.config["quantization_config"] = json!({"quant_method": "own"});
        model
    };
    let own_type = |mut model: Model| {
        model.config["model_type"] = "own".into();
        model
    };
    let packed = |model: fn(Model) -> Model| model(Model::bitpack());
    let opaque = [
        ("code, one unknown", with_code(unknown())),
        ("code, one missing", with_code(missing())),
        ("code, one missing and one unknown", with_code(both())),
        ("another method", own_method(Model::dense())),
        ("another type", own_type(Model::dense())),
    ];
    for (what, model) in opaque {
        let report = model.report();
        assert_eq!(gate(&report, "tensors").outcome, Outcome::NotRun, "{what}");
        assert_eq!(report.model.as_ref().expect("a config").parameters, None, "{what}");
        assert_eq!(report.accounting.bits_per_parameter, None, "{what}");
        assert!(report.layers.is_empty() && report.manifest.is_none(), "{what}");
        assert_eq!(report.verdict, Verdict::Inconclusive, "{what}");
    }
    let judged = [
        ("code, all tensors known", with_code(Model::dense()), 0),
        ("no code, one unknown", unknown(), 1),
        ("no code, one missing", missing(), 1),
        ("packed, one missing", packed(|model| model.without("model.norm.weight")), 1),
        ("packed, one unknown", packed(|model| model.with("model.own.weight", "F16", &[2, 2])), 1),
    ];
    for (what, model, faults) in judged {
        let report = model.report();
        assert_eq!(gate(&report, "tensors").got, Some(faults), "{what}");
        assert_eq!(report.model.as_ref().expect("a config").parameters, Some(PARAMETERS), "{what}");
    }
}
