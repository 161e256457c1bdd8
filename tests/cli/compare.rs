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

/// Changes a report in a file.
fn edit(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut report = serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("a report");
    change(&mut report);
    std::fs::write(file, report.to_string()).expect("a file");
}

#[test]
fn a_claim_has_three_answers_and_none_confirms_what_was_not_measured() {
    let artifact = Artifact::demo(&[]);
    let claimed = report(&artifact, "claimed.json", 998.84, None);
    edit(&claimed, |report| report["evaluation"]["heldout_ppl"] = 5.0.into());
    let (status, found) = compare(&claimed, &artifact.path);
    assert_eq!((status, &found["decision"]["winner"]), (3, &Value::Null), "{}", found["decision"]);
    let claim = &found["claim"];
    assert_eq!((&claim["side"], &claim["same_bytes"]), (&json!("left"), &json!(true)));
    assert!(claim["agreeing"].as_u64().expect("a number") > 20 && claim["differing"] == json!([]), "{claim}");
    assert_eq!(claim["not_measured"][0], json!({ "what": "held-out perplexity", "claimed": 5.0 }));
    let human = bitgauge(&["compare", path(&claimed), path(&artifact.path)]);
    let human = text(&human.stdout);
    for part in [
        "The claim A against your copy B\n  ✓ Same bytes: your copy has the claimed hash\n  ✓ ",
        " figures agree\n  ? Claimed, not measured here: held-out perplexity 5.0000, ",
        "`bitgauge eval` measures a perplexity\n",
    ] {
        assert!(human.contains(part), "{part} is missing from:\n{human}");
    }
    // The other way round, with a figure that was measured, and against another file.
    edit(&claimed, |report| report["accounting"]["binary_parameters"] = 7.into());
    let claim = &compare(&artifact.path, &claimed).1["claim"];
    assert_eq!((&claim["side"], &claim["same_bytes"]), (&json!("right"), &json!(true)));
    assert_eq!(claim["differing"], json!(["binary parameters"]));
    let other = Artifact::demo(&[Change::RenameTensor("model.norm.weight", "model.nrom.weight")]);
    let claim = &compare(&claimed, &other.path).1["claim"];
    assert_eq!(claim["same_bytes"], json!(false));
    let human = bitgauge(&["compare", path(&artifact.path), path(&claimed)]);
    let human = text(&human.stdout);
    assert!(human.contains("figures differs: binary parameters\n"), "{human}");
    // Two reports claim both; of two files nothing is claimed.
    assert_eq!(compare(&claimed, &claimed).1["claim"], Value::Null);
    assert_eq!(compare(&artifact.path, &artifact.path).1["claim"], Value::Null);
}

#[test]
fn a_file_does_not_win_over_itself_under_another_tokenizer() {
    let artifact = Artifact::demo(&[]);
    let own = report(&artifact, "own.json", 168.900_716_775_945_63, None);
    let bytes = report(&artifact, "bytes.json", 10_345.026_816_015_721, None);
    edit(&own, |report| report["evaluation"]["scored_tokens"] = 86.into());
    edit(&bytes, |report| report["evaluation"]["scored_tokens"] = 240.into());
    let (status, found) = compare(&own, &bytes);
    let decision = &found["decision"];
    assert_eq!((status, &decision["winner"], &decision["nats"]), (3, &Value::Null, &Value::Null));
    assert_eq!(decision["reason"], "other-tokens");
    let human = bitgauge(&["compare", path(&own), path(&bytes)]);
    let human = text(&human.stdout);
    assert!(human.contains("undecided: the same documents are 86 scored tokens to one and 240"), "{human}");
    assert!(human.contains("  scored tokens") && !human.contains("nats\n"), "{human}");
}

#[test]
fn a_report_shows_hash_size_and_perplexity_first() {
    let artifact = Artifact::demo(&[]);
    let file = report(&artifact, "shown.json", 998.84, Some(2_495_494));
    edit(&file, |report| report["artifact"]["sha256"] = "ab".repeat(32).into());
    let shown = bitgauge(&["show", path(&file)]);
    let shown = text(&shown.stdout);
    let lines: Vec<_> = shown.lines().skip(1).take(3).collect();
    let sha256 = format!("  sha256       {}", "ab".repeat(32));
    assert_eq!(lines, [&sha256, "  size         2,495,494 bytes", "  heldout_ppl  998.8400"], "{shown}");
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
