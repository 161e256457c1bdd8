//! Each gate's count, limit and words, and the notes beside them.

use bitgauge_core::container::Root;
use bitgauge_core::contract::{Evidence, Rules, judge};
use bitgauge_core::inspect;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::report::{Gate, Outcome, Report, Unit, Verdict};
use bitgauge_core::scan::Findings;
use serde_json::json;

use crate::model::{Model, PARAMETERS, open};

fn gate<'r>(report: &'r Report, id: &str) -> &'r Gate {
    report.gates.iter().find(|gate| gate.id == id).expect("the gate")
}

/// The model with nearly all of its parameters in one basis, as an artifact of a few kilobytes.
fn packed() -> Model {
    let weights = [
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    ];
    let names = (0..2)
        .flat_map(|layer| weights.iter().map(move |name| format!("model.layers.{layer}.{name}.weight")));
    names.fold(Model::bitpack(), |model, name| model.pack(&name, 1, 0))
}

#[test]
fn every_gate_counts_and_limits() {
    let report = packed().report();
    let size = report.artifact.size_bytes;
    // 27 billion parameters of 1.3125 bits, and 22,362: 29,351 bits, as 29,350.125 is rounded up.
    let reference = 27_000_000_000 * 21 / 16 / 8;
    let own = 29_351 / 8;
    // Embedding, head and the norms: 2 x 700 + 70, and in each layer 2 x 70 + 2 x 8.
    let unpacked = 1_470 + 2 * 156;
    let expected = [
        ("artifact_size", Unit::Bytes, size, reference),
        ("loadable", Unit::Files, 0, 0),
        ("tensors", Unit::Tensors, 0, 0),
        ("shapes", Unit::Tensors, 0, 0),
        ("payload", Unit::Tensors, 0, 0),
        ("parameter_count", Unit::Parameters, PARAMETERS, 16 * 27_000_000_000),
        ("model_budget", Unit::Bytes, size, own),
        ("non_binary", Unit::Parameters, unpacked, 2_236),
    ];
    assert_eq!(report.gates.len(), expected.len());
    for (gate, (id, unit, got, wanted)) in report.gates.iter().zip(expected) {
        assert_eq!((&*gate.id, gate.unit, gate.got, gate.wanted), (id, unit, Some(got), Some(wanted)));
        assert_eq!(gate.margin, Some(wanted as i64 - got as i64), "{id}");
        let passes = got <= wanted;
        assert_eq!(gate.outcome, if passes { Outcome::Pass } else { Outcome::Fail }, "{id}");
        assert!(!gate.title.is_empty() && !gate.rule.is_empty(), "{id}");
        assert_eq!(gate.hint.is_some(), !passes, "{id}");
    }
    assert!(
        gate(&report, "artifact_size")
            .rule
            .starts_with("at most 35,437,500,000 bits (27,000,000,000 × 1.3125)")
    );
    assert!(gate(&report, "model_budget").rule.starts_with("at most 29,351 bits (22,362 × 1.3125)"));
    let details = &gate(&report, "non_binary").details;
    assert_eq!(details, &["0 in rescue rows, 1,782 in unpacked tensors"]);
}

#[test]
fn rescue_rows_and_unpacked_tensors_add_up() {
    // 98 parameters a row more in rescue rows: 1,782 unpacked and 6 or 7 rows of 70.
    for (rows, outcome) in [(6, Outcome::Pass), (7, Outcome::Fail)] {
        let name = "model.layers.0.mlp.gate_proj.weight";
        let parts = [format!("{name}.sign"), format!("{name}.scale")];
        let plain = parts.iter().fold(packed(), |model, part| model.without(part));
        let report = plain.with(name, "F16", &[33, 70]).pack(name, 1, rows).report();
        let gate = gate(&report, "non_binary");
        assert_eq!((gate.got, gate.wanted), (Some(1_782 + 70 * rows), Some(2_236)));
        assert_eq!(gate.outcome, outcome);
        assert_eq!(gate.details, [format!("{} in rescue rows, 1,782 in unpacked tensors", 70 * rows)]);
    }
}

#[test]
fn what_was_not_read_is_not_judged() {
    let files = packed().files();
    let artifact = open(&files, Root::Folder).expect("a sound artifact");
    let inventory = Inventory::of(&artifact).expect("a sound config.json");
    let report = inspect::report("model", &inventory, Rules::Binary, None);
    let payload = gate(&report, "payload");
    assert_eq!(
        (payload.outcome, payload.got, payload.wanted, payload.margin),
        (Outcome::NotRun, None, None, None)
    );
    assert_eq!((payload.unit, payload.details.len()), (Unit::Tensors, 1));
    assert_eq!(payload.details, ["only the headers were read, not the weights"]);
    assert!(!payload.title.is_empty() && payload.hint.is_none());
    let others = report.gates.iter().filter(|gate| gate.outcome == Outcome::NotRun);
    assert_eq!(others.count(), 1);

    // A bare safetensors file has no config.json: what follows from one is not judged, read or not.
    let bare = [("m.safetensors".to_owned(), Model::dense().safetensors())];
    let artifact = open(&bare, Root::File).expect("a sound artifact");
    let inventory = Inventory::of(&artifact).expect("no config.json is needed");
    let accounting = bitgauge_core::accounting::Accounting::of(&inventory);
    let read = Findings::default();
    for findings in [None, Some(&read)] {
        let evidence = Evidence { inventory: &inventory, accounting: &accounting, findings };
        let gates = judge(&evidence, Rules::Binary);
        let outcomes: Vec<_> = gates.iter().map(|gate| (&*gate.id, gate.outcome)).collect();
        let not_run = Outcome::NotRun;
        assert_eq!(
            outcomes,
            [
                ("artifact_size", Outcome::Pass),
                ("loadable", Outcome::Fail),
                ("tensors", not_run),
                ("shapes", not_run),
                ("payload", not_run),
                ("parameter_count", not_run),
                ("model_budget", not_run),
                ("non_binary", not_run),
            ]
        );
        assert!(gates[3..].iter().all(|gate| gate.details.len() == 1 || !gate.rule.is_empty()));
        assert_eq!(gates[1].got, Some(1));
        assert_eq!(gates[4].details, ["the meaning of the tensors is not known"]);
    }
}

#[test]
fn verdicts_follow_from_gates() {
    let of = |outcomes: &[Outcome]| {
        let gates: Vec<Gate> = outcomes.iter().map(|&outcome| Gate { outcome, ..Gate::default() }).collect();
        Verdict::of(&gates)
    };
    use Outcome::{Fail, NotRun, Pass};
    assert_eq!(of(&[]), Verdict::Inconclusive);
    assert_eq!(of(&[Pass, Pass]), Verdict::Eligible);
    assert_eq!(of(&[Pass, NotRun]), Verdict::Inconclusive);
    assert_eq!(of(&[Pass, NotRun, Fail]), Verdict::NotEligible);
}

/// The notes on a model, but for the two that every report has.
fn notes(model: &Model) -> Vec<String> {
    let mut notes = model.report().notes;
    let always = notes.split_off(notes.len() - 2);
    assert!(always[0].contains("no quality floor") && always[1].contains("trusts a declared artifact size"));
    notes
}

#[test]
fn notes_name_what_has_no_place_in_an_artifact() {
    assert_eq!(notes(&Model::dense()), [""; 0]);
    let one = |file: &str| {
        let notes = notes(&Model::dense().file(file, b"x"));
        assert!(notes.len() <= 1, "{notes:?}");
        notes.into_iter().next()
    };
    for pickle in ["a.bin", "a.ckpt", "a.pickle", "a.pkl", "a.pt", "sub/a.PTH"] {
        assert_eq!(
            one(pickle),
            Some(format!(
                "The artifact holds pickles, which run code when they are loaded; the weights are read from safetensors: {pickle}."
            ))
        );
    }
    for program in ["a.bat", "a.dll", "a.dylib", "a.exe", "a.js", "a.sh", "a.SO"] {
        assert_eq!(
            one(program),
            Some(format!("The artifact holds programs, which have no place in a model: {program}."))
        );
    }
    let code = one("tokenization_own.py").expect("a note");
    assert!(
        code.contains("program code that config.json does not name")
            && code.ends_with(": tokenization_own.py.")
    );
    for harmless in ["a.json", "README.md", "bin", "a.sh.txt"] {
        assert_eq!(one(harmless), None, "{harmless}");
    }
    let two = notes(&Model::dense().file("a.bin", b"x").file("b.bin", b"x"));
    assert!(two[0].ends_with(": a.bin, b.bin."), "{two:?}");
}

#[test]
fn code_beside_the_packers_is_named() {
    assert_eq!(notes(&packed()), [""; 0]);
    let mut other = packed().file("modeling_other.py", b"pass\n");
    other.config["auto_map"] = json!({"AutoModelForCausalLM": "modeling_other.Model"});
    let [note] = &notes(&other)[..] else { panic!("one note") };
    assert!(note.contains("program code") && note.ends_with(": modeling_bitpack.py."), "{note}");

    let opaque = notes(&Model::dense().without("model.norm.weight").file("modeling_own.py", b"pass\n"));
    assert!(opaque[0].starts_with("Judged by sizes only: the artifact brings its own code"), "{opaque:?}");
    assert!(opaque[1].contains("(modeling_own.py)") && opaque.len() == 2, "{opaque:?}");
}

#[test]
fn code_that_unpacks_is_looked_for() {
    let fault = |class: Option<&str>, file: Option<&str>| {
        let mut model = Model::dense();
        model.config = packed().config;
        match class {
            Some(class) => model.config["auto_map"] = json!({ "AutoModelForCausalLM": class }),
            None => _ = model.config.as_object_mut().expect("an object").remove("auto_map"),
        }
        let model = file.iter().fold(model, |model, file| model.file(file, b"pass\n"));
        let report = model.report();
        let gate = gate(&report, "loadable");
        // Code that is there and not known leaves it open.
        if gate.outcome == Outcome::NotRun {
            return None;
        }
        assert_eq!(gate.got, Some(gate.details.len() as u64));
        gate.details.first().cloned()
    };
    assert_eq!(fault(Some("own.Model"), Some("own.py")), None);
    assert!(
        fault(None, Some("own.py")).expect("no class").contains("auto_map.AutoModelForCausalLM is missing")
    );
    let absent = fault(Some("own.Model"), Some("other.py")).expect("no file");
    assert_eq!(absent, "auto_map names own.Model, but there is no own.py beside config.json");
    assert!(fault(Some("deep.own.Model"), Some("own.py")).expect("a folder").contains("not module.Class"));
    assert!(fault(Some("a/b--own.Model"), Some("own.py")).expect("elsewhere").contains("another repository"));
    let empty =
        open(&[("config.json".to_owned(), Model::dense().config.to_string().into_bytes())], Root::Folder);
    let empty = empty.expect("a folder");
    let inventory = Inventory::of(&empty).expect("a sound config.json");
    let report = inspect::report("model", &inventory, Rules::Binary, None);
    assert_eq!(gate(&report, "loadable").details, ["no safetensors weights were found"]);
}
