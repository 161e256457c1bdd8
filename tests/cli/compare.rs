//! `bitgauge compare`: artifacts, reports and links, who wins, exit status.

use std::path::Path;

use serde_json::{Value, json};

use crate::artifacts::{Artifact, Change};
use crate::{bitgauge, json as document, path, text};

/// A report of the demo with a perplexity, as a file.
pub(super) fn report(
    artifact: &Artifact,
    name: &str,
    perplexity: f64,
    size: Option<u64>,
) -> std::path::PathBuf {
    let output = bitgauge(&["--format", "json", "inspect", path(&artifact.path)]);
    let mut report = document(&output);
    report["evaluation"] = json!({
        "heldout_ppl": perplexity, "cross_entropy_nats": perplexity.ln(), "scored_documents": 1,
        "scored_tokens": 9, "max_tokens": 512, "documents_sha256": "ab", "device": "CPU", "precision": "f32",
        "seconds": 1.0, "tokens_per_second": 9.0, "documents": [],
    });
    if let Some(size) = size {
        report["artifact"]["size_bytes"] = size.into();
    }
    artifact.beside(name, report.to_string().as_bytes())
}

fn compare(a: &Path, b: &Path) -> (i32, Value) {
    let output = bitgauge(&["--format", "json", "compare", path(a), path(b)]);
    assert!(!output.stdout.is_empty(), "{}", text(&output.stderr));
    (output.status.code().expect("a status"), document(&output))
}

#[test]
fn the_report_with_the_lower_perplexity_wins() {
    let artifact = Artifact::demo(&[]);
    let good = report(&artifact, "good.json", 20.0, None);
    let worse = report(&artifact, "worse.json", 21.0, Some(1_000));
    let close = report(&artifact, "close.json", 20.2, Some(1_000));
    let (status, found) = compare(&good, &worse);
    assert_eq!((status, found["decision"]["winner"].as_str()), (0, Some("left")), "{}", found["decision"]);
    assert_eq!(found["decision"]["reason"], "lower-perplexity");
    assert_eq!(found["decision"]["smaller"], "right");
    let (status, found) = compare(&good, &close);
    assert_eq!((status, found["decision"]["winner"].as_str()), (0, Some("right")), "{}", found["decision"]);
    assert_eq!(found["decision"]["reason"], "smaller-within-band");
    assert_eq!(compare(&good, &good).1["decision"]["reason"], "tie");
    let human = bitgauge(&["compare", path(&good), path(&worse)]);
    let human = text(&human.stdout);
    for part in
        ["A wins: its perplexity is lower", "heldout_ppl", "0.048790 nats", "Gates", "Weights that differ"]
    {
        assert!(human.contains(part), "{part} is missing from:\n{human}");
    }
    assert!(!human.contains('\u{1b}'), "NO_COLOR is set");
}

#[test]
fn artifacts_are_inspected_and_what_differs_is_listed() {
    let changed = Artifact::demo(&[Change::RenameTensor("model.norm.weight", "model.nrom.weight")]);
    let whole = Artifact::demo(&[]);
    let (status, found) = compare(&whole.path, &changed.path);
    assert_eq!((status, found["decision"]["winner"].as_str()), (0, Some("left")));
    assert_eq!(found["decision"]["reason"], "only-eligible");
    let gates = found["gates"].as_array().expect("gates");
    let tensors = gates.iter().find(|gate| gate["id"] == "tensors").expect("the gate");
    assert_eq!((&tensors["left"]["outcome"], &tensors["right"]["outcome"]), (&json!("pass"), &json!("fail")));
    let weights = found["weights"].as_array().expect("weights");
    assert_eq!(weights.len(), 2, "one is gone, one is new");
    assert_eq!(weights[0]["left"]["name"], "model.norm.weight");
    assert_eq!(weights[1]["right"]["name"], "model.nrom.weight");
    let (status, found) = compare(&changed.path, &changed.path);
    assert_eq!((status, found["decision"]["reason"].as_str()), (1, Some("none-eligible")));
    let quiet = bitgauge(&["--format", "quiet", "compare", path(&changed.path), path(&whole.path)]);
    assert_eq!(text(&quiet.stdout), "B wins\n");
}

#[test]
fn links_and_artifacts_mix_and_without_perplexity_nothing_is_decided() {
    let artifact = Artifact::demo(&[]);
    let shared =
        bitgauge(&["--format", "quiet", "inspect", path(&artifact.path), "--share", "https://example.org/"]);
    let stderr = text(&shared.stderr);
    let link = stderr.trim_end();
    let fragment = link.split_once('#').expect("a link").1;
    for link in [link, fragment, &format!("#{fragment}")] {
        let output = bitgauge(&["--format", "json", "compare", path(&artifact.path), link]);
        let found = document(&output);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        assert_eq!(found["decision"]["reason"], "no-perplexity");
        assert_eq!(found["weights"], Value::Null, "a link lists no weights");
        assert_eq!(found["layers"], json!([]));
    }
    let human = bitgauge(&["compare", link, path(&artifact.path)]);
    assert!(
        text(&human.stdout).contains("undecided: at least one has no measured perplexity"),
        "{}",
        text(&human.stdout)
    );
}

#[test]
fn what_is_no_artifact_report_or_link_exits_with_2() {
    let artifact = Artifact::demo(&[]);
    let other = artifact.beside("other.json", b"{\"schema_version\": 1, \"layers\": []}");
    let poem = artifact.beside("poem.txt", b"So much depends upon a red wheel barrow");
    let absent = artifact.beside("x", b"").with_file_name("absent.json");
    for wrong in [path(&other), path(&poem), path(&absent), "r=AAAA", "https://example.org/#r=<script>"] {
        let output = bitgauge(&["compare", path(&artifact.path), wrong]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{wrong}: {stderr}");
        assert!(
            output.stdout.is_empty() && stderr.contains("error: ") && !stderr.contains("panicked"),
            "{stderr}"
        );
    }
}

#[test]
fn a_link_shows_its_report_and_where_the_artifact_is() {
    let artifact = Artifact::demo(&[]);
    let url = "https://huggingface.co/someone/model/resolve/main/model.zip";
    let share = ["--share", "https://example.org/", "--source", url];
    let shared = bitgauge(&[&["--format", "json", "inspect", path(&artifact.path)][..], &share].concat());
    assert_eq!(document(&shared)["artifact"]["source"], url);
    let link = text(&shared.stderr).trim_end().to_owned();
    let shown = bitgauge(&["show", &link]);
    let stdout = text(&shown.stdout);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    assert!(stdout.contains("✓ eligible") && stdout.contains(&format!("source: {url}")), "{stdout}");
    assert!(text(&shown.stderr).contains("claims"), "{}", text(&shown.stderr));
    let file = artifact.beside("report.json", &shared.stdout);
    let again = document(&bitgauge(&["--format", "json", "show", path(&file)]));
    let report = document(&shared);
    for part in ["artifact", "verdict", "gates", "accounting", "weights", "notes"] {
        assert_eq!(again[part], report[part], "{part}");
    }
    for wrong in ["http://example.org/", "https://a@b/", "https://example.org/#x"] {
        let output = bitgauge(&["inspect", path(&artifact.path), "--source", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
    for wrong in [path(&artifact.path), "r=AAAA"] {
        assert_eq!(bitgauge(&["show", wrong]).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn tensors_are_compared_by_their_hashes_when_that_is_asked_for() {
    let whole = Artifact::demo(&[]);
    let flipped = Artifact::demo(&[Change::Invert("layers.3.mlp.down_proj.weight.sign", 1000)]);
    let plain = bitgauge(&["--format", "json", "inspect", path(&whole.path)]);
    assert!(document(&plain).get("tensors").is_none(), "nobody asked");
    let hashed = bitgauge(&["--format", "json", "inspect", "--hash-tensors", path(&whole.path)]);
    let mut report = document(&hashed);
    let tensors = report["tensors"].take();
    for tensor in tensors.as_array().expect("tensors") {
        let hash = tensor["sha256"].as_str().expect("a hash");
        assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{tensor}");
    }
    let (_, found) = compare(&whole.path, &flipped.path);
    assert_eq!((&found["weights"], &found["tensors"]), (&json!([]), &Value::Null));
    let report = whole.beside("hashed.json", &hashed.stdout);
    let output =
        bitgauge(&["--format", "json", "compare", "--hash-tensors", path(&report), path(&flipped.path)]);
    let found = document(&output);
    let differing = found["tensors"].as_array().expect("tensors");
    assert_eq!(differing.len(), 1, "{differing:?}");
    let name = differing[0]["left"]["name"].as_str().expect("a name");
    assert!(name.ends_with("layers.3.mlp.down_proj.weight.sign"), "{name}");
    let human = bitgauge(&["compare", "--hash-tensors", path(&report), path(&flipped.path)]);
    assert!(text(&human.stdout).contains("Tensors that differ"), "{}", text(&human.stdout));
}
