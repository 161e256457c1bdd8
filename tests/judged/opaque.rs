//! Models of which nothing can be said but their size.

use bitgauge_core::container::Root;
use bitgauge_core::report::{Gate, Outcome, Report};
use properties::write::safetensors;
use serde_json::json;

use crate::model::{self, Model};

fn gate<'r>(report: &'r Report, id: &str) -> &'r Gate {
    report.gates.iter().find(|gate| gate.id == id).expect(id)
}

/// The dense model under a quantization that is not known.
fn unknown_method() -> Model {
    let mut model = Model::dense();
    model.config["quantization_config"] = json!({"quant_method": "own"});
    model.config["auto_map"] = json!({"AutoModelForCausalLM": "own.OwnForCausalLM"});
    model
}

#[test]
fn an_unknown_quantization_is_not_judged() {
    let report = unknown_method().file("own.py", b"pass\n").report();
    for id in ["loadable", "tensors", "shapes"] {
        let gate = gate(&report, id);
        assert_eq!(gate.outcome, Outcome::NotRun, "{id}");
        assert!(gate.details.iter().any(|why| why.contains("`own`")), "{id}: {:?}", gate.details);
    }
    // Without any weights it certainly does not load.
    let config = unknown_method().config.to_string().into_bytes();
    let files = [
        ("config.json".to_owned(), config),
        ("model.safetensors".to_owned(), safetensors("{}", b"")),
        ("own.py".to_owned(), b"pass\n".to_vec()),
    ];
    let report = model::report(&files, Root::Folder);
    let loadable = gate(&report, "loadable");
    assert_eq!((loadable.outcome, loadable.got), (Outcome::Fail, Some(1)), "{:?}", loadable.details);
    assert_eq!(gate(&report, "shapes").outcome, Outcome::NotRun);
}

#[test]
fn an_unknown_model_type_is_not_judged() {
    let mut model = Model::dense();
    model.config["model_type"] = json!("own");
    let report = model.report();
    for id in ["tensors", "shapes", "payload", "parameter_count"] {
        assert_eq!(gate(&report, id).outcome, Outcome::NotRun, "{id}");
    }
}
