//! What keeps transformers from loading an artifact, and what does not belong into one.

use serde_json::{Value, json};

use super::artifacts::{Artifact, Change};
use super::{gate, inspect};

fn add(name: &'static str) -> Change {
    Change::AddFile(name, b"pass\n".to_vec())
}

fn auto_map(class: &str) -> Change {
    Change::Config("auto_map", json!({"AutoModelForCausalLM": class}))
}

#[test]
fn an_artifact_that_transformers_can_not_load_fails_its_gate() {
    let cases = [
        (vec![Change::Config("auto_map", Value::Null)], "auto_map.AutoModelForCausalLM"),
        (vec![Change::RemoveFile("modeling_bitpack.py")], "no modeling_bitpack.py"),
        (vec![auto_map("modeling_other.Model")], "no modeling_other.py"),
        (vec![auto_map("owner/repo--modeling_bitpack.Model")], "another repository"),
    ];
    for (changes, words) in cases {
        let (status, report) = inspect(&Artifact::demo(&changes), &[]);
        let gate = gate(&report, "loadable");
        assert_eq!((status, gate["outcome"].as_str()), (1, Some("fail")), "{words}: {gate}");
        assert!(gate["details"].to_string().contains(words), "{words}: {gate}");
        assert!(gate["hint"].as_str().is_some_and(|hint| hint.contains("bitgauge pack")), "{gate}");
    }
}

#[test]
fn what_does_not_belong_is_named() {
    let notes = |changes: &[Change]| {
        let (status, report) = inspect(&Artifact::demo(changes), &[]);
        assert_eq!(status, 0);
        report["notes"].to_string()
    };
    let clean = notes(&[]);
    for name in ["pytorch_model.bin", "run.sh", "tokenization_own.py"] {
        let found = notes(&[add(name)]);
        assert!(found.contains(name) && !clean.contains(name), "{found}");
    }
}

#[test]
fn other_code_than_the_packers_is_inconclusive() {
    // Under the packer's name, and under another.
    let replaced = vec![Change::RemoveFile("modeling_bitpack.py"), add("modeling_bitpack.py")];
    let other = vec![add("modeling_other.py"), auto_map("modeling_other.Model")];
    for changes in [replaced, other] {
        let (status, report) = inspect(&Artifact::demo(&changes), &[]);
        let gate = gate(&report, "loadable");
        assert_eq!((status, gate["outcome"].as_str()), (3, Some("not-run")), "{gate}");
        assert!(gate["details"].to_string().contains("was not judged"), "{gate}");
    }
}
