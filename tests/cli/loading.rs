//! What keeps transformers from loading an artifact, and what does not belong into one.

use serde_json::{Value, json};

use super::artifacts::{Artifact, Change};
use super::{bitgauge, gate, inspect, path, text};

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

#[test]
fn the_version_of_transformers_decides_and_is_said() {
    let judged = |changes: &[Change], options: &[&str]| {
        let (status, report) = inspect(&Artifact::demo(changes), options);
        let gate = gate(&report, "loadable");
        (status, gate["rule"].as_str().expect("a rule").to_owned(), gate["details"].to_string())
    };
    let earlier = ["--transformers", "4.57"];
    let (status, rule, _) = judged(&[], &[]);
    assert!(status == 0 && rule.contains("transformers 5.24 can load"), "{rule}");
    let (status, rule, _) = judged(&[], &earlier);
    assert!(status == 0 && rule.contains("transformers 4.57 can load"), "{rule}");
    // What 5.24 sets as an attribute without effect, 4.57 may do anything with.
    let note = [Change::Config("my_note", json!(1))];
    assert_eq!(judged(&note, &[]).0, 0);
    let (status, _, details) = judged(&note, &earlier);
    assert!(status == 3 && details.contains("4.57 does with `my_note` is not modelled"), "{details}");
    // What 5.24 refuses, 4.57 may take.
    let epsilon = [Change::Config("rms_norm_eps", json!(1))];
    assert_eq!((judged(&epsilon, &[]).0, judged(&epsilon, &earlier).0), (1, 3));
}

#[test]
fn a_link_is_for_the_validators_version_alone() {
    let artifact = Artifact::demo(&[]);
    let shared = |version| {
        let share = ["--share", "https://example.org/", "--transformers", version];
        let output = bitgauge(&[&["inspect", path(&artifact.path)], &share[..]].concat());
        (output.status.code(), text(&output.stderr))
    };
    assert_eq!(shared("5").0, Some(0));
    let (status, words) = shared("4.57");
    assert!(status == Some(2) && words.contains("a link does not carry the version"), "{words}");
}
