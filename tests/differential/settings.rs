//! What transformers makes of a small model beside texts of generation_config.json (`settings.py`): none may pass that it
//! refuses.

use bitgauge_core::report::Outcome;
use serde_json::Value;

use super::folders::Files;
use super::models::{VERSIONS, report};

/// The model that the texts were put beside.
const MODEL: &str = "models/qwen3_tied";

/// A text, and for each version whether it loads.
type Case = (Vec<u8>, [bool; VERSIONS.len()]);

/// Texts of another seed, of which no numbers are stated.
fn other() -> Option<std::ffi::OsString> {
    std::env::var_os("BITGAUGE_SETTINGS")
}

fn recorded() -> Vec<Case> {
    let path =
        other().unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/differential/settings.json").into());
    let all: Value =
        serde_json::from_slice(&std::fs::read(path).expect("the recorded answers")).expect("JSON");
    let case = |case: &Value| {
        let bytes = case["text"].as_str().expect("a text").chars().map(|c| c as u8).collect();
        (bytes, VERSIONS.map(|(version, _)| case["says"][version].as_str().expect("an answer") == "loads"))
    };
    all["cases"].as_array().expect("a list").iter().map(case).collect()
}

/// What the gate says of the model beside each text, by version.
fn ours(cases: &[Case]) -> Vec<[Outcome; VERSIONS.len()]> {
    let folder = conformance::fixtures().join(MODEL);
    let file = |name: &str| (name.to_owned(), std::fs::read(folder.join(name)).expect("a fixture"));
    let mut files: Files = vec![file("config.json"), file("model.safetensors")];
    files.push(("generation_config.json".to_owned(), Vec::new()));
    let gate = |files: &Files, version| {
        let report = report(files, version).expect("a report");
        report.gates.iter().find(|gate| gate.id == "loadable").expect("the gate").outcome
    };
    let judge = |(text, _): &Case| {
        files[2].1.clone_from(text);
        VERSIONS.map(|(_, version)| gate(&files, version))
    };
    cases.iter().map(judge).collect()
}

/// How many texts, in this order: pass and load, are refused by both, are left open, pass though they don't load, are refused
/// though they load.
fn tally(cases: &[Case], ours: &[[Outcome; VERSIONS.len()]], version: usize) -> [usize; 5] {
    let mut found = [0; 5];
    for ((_, loads), outcomes) in cases.iter().zip(ours) {
        found[match (outcomes[version], loads[version]) {
            (Outcome::Pass, true) => 0,
            (Outcome::Fail, false) => 1,
            (Outcome::NotRun, _) => 2,
            (Outcome::Pass, false) => 3,
            (Outcome::Fail, true) => 4,
        }] += 1;
    }
    found
}

#[test]
fn settings_of_generation_are_taken_where_transformers_takes_them() {
    let cases = recorded();
    let ours = ours(&cases);
    for (place, (version, _)) in VERSIONS.iter().enumerate() {
        let found = tally(&cases, &ours, place);
        println!("{version}: {found:?}");
        for ((text, loads), outcomes) in cases.iter().zip(&ours) {
            let wrong = if loads[place] { Outcome::Fail } else { Outcome::Pass };
            assert!(outcomes[place] != wrong, "{version}: {wrong:?} of {}", String::from_utf8_lossy(text));
        }
        if other().is_none() {
            assert!(cases.len() >= 300 && found[0] > 70 && found[2] > 100, "{found:?}");
        }
        // Answers the other way round are noticed, each.
        let flipped: Vec<Case> =
            cases.iter().map(|(text, loads)| (text.clone(), loads.map(|loads| !loads))).collect();
        assert_eq!(tally(&flipped, &ours, place), [0, 0, found[2], found[0], found[1]]);
    }
}
