//! A proxy's JSON artifact, inspected.

use bitgauge_core::contract::proxy::{Teacher, default_submission};

use super::{bitgauge, gate, json, path, text};

fn outcomes(report: &serde_json::Value) -> Vec<&str> {
    let gates = report["gates"].as_array().expect("gates");
    gates.iter().map(|gate| gate["outcome"].as_str().expect("an outcome")).collect()
}

#[test]
fn a_json_artifact_is_judged_but_for_its_quality() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("artifact.json");
    let inspect = |text: &str, extra: &[&str]| {
        std::fs::write(&file, text).expect("a file");
        let output = bitgauge(&[&["--format", "json", "inspect", path(&file)], extra].concat());
        (output.status.code().expect("a status"), output)
    };
    let artifact = default_submission(&Teacher::default(), "binary").to_canonical();
    let (status, output) = inspect(&artifact, &[]);
    let report = json(&output);
    assert_eq!(outcomes(&report), ["pass", "pass", "pass", "pass", "not-run"], "{report:#}");
    assert_eq!((status, report["artifact"]["kind"].as_str()), (3, Some("json")));
    assert_eq!(report["weights"].as_array().map(Vec::len), Some(5));

    let two_bases = artifact.replace("{\"high_precision", "{\"binary_basis_count\":2,\"high_precision");
    let (status, output) = inspect(&two_bases, &[]);
    let report = json(&output);
    assert_eq!((status, gate(&report, "compressed_size")["outcome"].as_str()), (1, Some("fail")));
    assert_eq!(inspect(&two_bases, &["--pack", "ternary"]).0, 3, "the ternary limits have room for it");

    let (status, output) = inspect("{\"layers\": 1}", &[]);
    let words = "ValueError: artifact.layers must be a list";
    assert_eq!((status, gate(&json(&output), "loadable")["details"][0].as_str()), (1, Some(words)));

    let (status, output) = inspect(&report.to_string(), &[]);
    assert_eq!(status, 2);
    assert!(text(&output.stderr).contains("a saved report, not an artifact"), "{}", text(&output.stderr));
}
