//! The command line as a user meets it: exit status, stdout, stderr, files.

mod artifacts;
mod compare;
mod distributed;
mod documents;
mod hub;
mod layouts;
mod loading;
mod loopback;
#[cfg(unix)]
mod outputs;
mod proxy;
mod submission;
#[cfg(target_os = "linux")]
mod terminal;
mod uncertainty;
mod validator;

use std::path::Path;
use std::process::{Command, Output};

use artifacts::{Artifact, Change};
use bitgauge_core::container::Compressor;

/// Runs bitgauge with these arguments.
fn bitgauge(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bitgauge"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .output()
        .expect("bitgauge starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8 output")
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).expect("JSON on stdout")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// Inspects an artifact and gives its exit status and JSON report.
fn inspect(artifact: &Artifact, extra: &[&str]) -> (i32, serde_json::Value) {
    let output = bitgauge(&[&["--format", "json", "inspect", path(&artifact.path)], extra].concat());
    (output.status.code().expect("a status"), json(&output))
}

fn gate<'a>(report: &'a serde_json::Value, id: &str) -> &'a serde_json::Value {
    let gates = report["gates"].as_array().expect("gates");
    gates.iter().find(|gate| gate["id"] == id).expect("the gate")
}

#[test]
fn the_demo_judges_and_evaluates_without_arguments() {
    let output = bitgauge(&[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for part in ["✓ eligible", "size under the model's own budget", "heldout_ppl", "tokens/s", "device"] {
        assert!(stdout.contains(part), "{part} is missing from:\n{stdout}");
    }
    assert!(!stdout.contains('\u{1b}'), "NO_COLOR is set");
}

#[test]
fn a_tar_is_judged_and_evaluated_like_the_zip_of_the_same_files() {
    let (_, zip) = inspect(&Artifact::demo(&[]), &[]);
    let hashes = |report: &serde_json::Value| -> Vec<(String, String)> {
        let members = report["artifact"]["members"].as_array().expect("members");
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        members.iter().map(|member| (text(&member["name"]), text(&member["sha256"]))).collect()
    };
    for compressor in Compressor::ALL {
        let artifact = Artifact::demo_compressed_tar(compressor);
        let (status, report) = inspect(&artifact, &[]);
        assert_eq!((status, report["verdict"].as_str()), (0, Some("eligible")), "{compressor:?}: {report:#}");
        assert_eq!(report["artifact"]["kind"], "tar");
        assert_eq!(hashes(&report), hashes(&zip));
        assert_eq!((&report["weights"], &report["layers"]), (&zip["weights"], &zip["layers"]));
        let size = report["artifact"]["size_bytes"].as_u64();
        assert_eq!(size, Some(artifact.size_bytes()), "what lies on disk counts");
    }
    // The tokenizer alone puts the plain one over its budget.
    let plain = Artifact::demo_tar(&[Change::RemoveFile("tokenizer.json")]);
    assert_eq!(inspect(&plain, &[]).0, 0);
    assert_eq!(inspect(&Artifact::demo_tar(&[]), &[]).0, 1);
    let packed = eval_demo(&Artifact::demo_compressed_tar(Compressor::Gzip), 1, "cpu");
    assert!(worst_document(&packed) < DOCUMENT_NATS, "off by {}", worst_document(&packed));
    let flipped = [Change::Invert("layers.3.mlp.down_proj.weight.sign", 1000)];
    assert!(worst_document(&eval_demo(&Artifact::demo_tar(&flipped), 1, "cpu")) > DOCUMENT_NATS);
    let damaged =
        bitgauge(&["inspect", path(&Artifact::demo_compressed_tar(Compressor::Xz).flip(1_000_000).path)]);
    assert_eq!(damaged.status.code(), Some(2), "{}", text(&damaged.stdout));
}

/// Bound on the summed loss of one document, some 1,500 nats. PyTorch on two machines differs by
/// 7e-4; one inverted byte of signs moves it by 0.1.
const DOCUMENT_NATS: f64 = 2e-3;

/// What PyTorch measured on the demo.
fn expected() -> serde_json::Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/expected.json");
    serde_json::from_str(&std::fs::read_to_string(file).expect("expected.json")).expect("JSON")
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_f64().expect("a number")
}

/// Largest difference from PyTorch's loss of a document, over the documents evaluated.
fn worst_document(report: &serde_json::Value) -> f64 {
    let documents = report["evaluation"]["documents"].as_array().expect("documents");
    let expected = expected();
    let difference = |(i, d): (usize, &serde_json::Value)| {
        (number(&d["nats"]) - number(&expected["document_nats"][i])).abs()
    };
    documents.iter().enumerate().map(difference).fold(0.0, f64::max)
}

/// Evaluates the first `documents` of the demo's documents on a device.
fn eval_demo(artifact: &Artifact, documents: usize, device: &str) -> serde_json::Value {
    let all = include_str!("../../demo/documents.json");
    let all: Vec<serde_json::Value> = serde_json::from_str(all).expect("documents");
    let some = serde_json::to_vec(&all[..documents]).expect("JSON");
    let file = artifact.beside("documents.json", &some);
    let arguments = ["eval", path(&artifact.path), "--documents", path(&file), "--device", device];
    let output = bitgauge(&[&["--format", "json"], &arguments[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    json(&output)
}

#[test]
fn the_demo_measures_the_perplexity_that_pytorch_measured() {
    let expected = expected();
    let report = json(&bitgauge(&["--format", "json"]));
    let evaluation = &report["evaluation"];
    let (got, want) = (number(&evaluation["cross_entropy_nats"]), number(&expected["mean_nats"]));
    assert!((got - want).abs() < 1e-3, "{got} nats, PyTorch measured {want}");
    assert!((number(&evaluation["heldout_ppl"]).ln() - got).abs() < 1e-9);
    assert!(worst_document(&report) < DOCUMENT_NATS, "off by {}", worst_document(&report));
    assert_eq!(evaluation["scored_tokens"], expected["tokens_scored"]);
    assert_eq!(report["artifact"]["sha256"], expected["sha256"]);
}

#[test]
fn a_gpu_measures_the_same_and_one_flipped_byte_of_signs_is_noticed() {
    let flipped = Artifact::demo(&[Change::Invert("layers.3.mlp.down_proj.weight.sign", 1000)]);
    let flipped = eval_demo(&flipped, 1, "cpu");
    assert!(worst_document(&flipped) > DOCUMENT_NATS, "only off by {}", worst_document(&flipped));
    // One document: a software driver takes half a minute for it.
    let gpu = eval_demo(&Artifact::demo(&[]), 1, "gpu");
    assert!(worst_document(&gpu) < DOCUMENT_NATS, "off by {}", worst_document(&gpu));
}

#[test]
fn an_eligible_artifact_exits_with_0_and_every_gate_passes() {
    let (status, report) = inspect(&Artifact::demo(&[]), &[]);
    assert_eq!((status, report["verdict"].as_str()), (0, Some("eligible")));
    assert_eq!(report["schema_version"], 1);
    for gate in report["gates"].as_array().expect("gates") {
        assert_eq!(gate["outcome"], "pass", "{gate}");
    }
}

#[test]
fn the_buckets_sum_to_the_file_size() {
    let zips = [Artifact::demo(&[]), Artifact::demo_deflated(), Artifact::demo_folder(&[])];
    let tars = Compressor::ALL.map(Artifact::demo_compressed_tar);
    for artifact in zips.into_iter().chain(tars).chain([Artifact::demo_tar(&[])]) {
        let (_, report) = inspect(&artifact, &[]);
        let accounting = &report["accounting"];
        let bits = |value: &serde_json::Value| value.as_u64().expect("a count");
        let buckets = accounting["buckets"].as_array().expect("buckets");
        let sum: u64 = buckets.iter().map(|entry| bits(&entry["bits"])).sum();
        assert_eq!(sum - bits(&accounting["saved_by_compression_bits"]), bits(&accounting["total_bits"]));
        assert_eq!(bits(&accounting["total_bits"]), 8 * bits(&report["artifact"]["size_bytes"]));
        assert_eq!(bits(&report["artifact"]["size_bytes"]), artifact.size_bytes());
    }
}

#[test]
fn the_models_own_budget_is_exact_to_the_byte() {
    // The folder's files are not compressed, and the tokenizer alone would put it over.
    let without = || Change::RemoveFile("tokenizer.json");
    let (_, report) = inspect(&Artifact::demo_folder(&[without()]), &[]);
    let left = gate(&report, "model_budget")["margin"].as_i64().expect("a margin");
    for (padding, status, margin) in [(left - 1, 0, 1), (left, 0, 0), (left + 1, 1, -1)] {
        let notes = Change::AddFile("notes.bin", vec![7; padding as usize]);
        let padded = Artifact::demo_folder(&[without(), notes]);
        let (found, report) = inspect(&padded, &[]);
        assert_eq!((found, gate(&report, "model_budget")["margin"].as_i64()), (status, Some(margin)));
    }
}

#[test]
fn an_artifact_over_budget_exits_with_1_and_shows_the_margin() {
    let artifact = Artifact::demo(&[Change::AddFile("notes.bin", vec![7; 4 << 20])]);
    let output = bitgauge(&["inspect", path(&artifact.path)]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.contains("✗ not eligible") && stdout.contains(" over"), "{stdout}");
    assert!(stdout.contains("✗ FAIL size under the model's own budget"), "{stdout}");
}

#[test]
fn a_shared_link_carries_the_report_and_only_that() {
    let artifact = Artifact::demo(&[]);
    let base = "https://example.org/inspector/";
    let share = |format| bitgauge(&["--format", format, "inspect", path(&artifact.path), "--share", base]);
    let human = text(&share("human").stdout);
    let link =
        human.lines().last().and_then(|line| line.strip_prefix("share  ")).expect("a link on the last line");
    let fragment = link.strip_prefix(base).expect("the address that was given");
    let report = bitgauge_core::report::link::decode(fragment).expect("a sound link").expect("a report");
    let json = share("json");
    assert_eq!(text(&json.stderr).trim_end(), link, "stdout is for the JSON document");
    let whole = self::json(&json);
    assert_eq!(Some(report.artifact.sha256.as_deref()), Some(whole["artifact"]["sha256"].as_str()));
    assert_eq!(report.gates.len(), whole["gates"].as_array().expect("gates").len());
    assert_eq!(report.layers.len(), whole["layers"].as_array().expect("layers").len());
    for wrong in ["example.org", "https://example.org/#x", "javascript:alert(1)"] {
        let output = bitgauge(&["inspect", path(&artifact.path), "--share", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn weights_that_do_not_belong_fail_their_gates_by_name() {
    let cases = [
        (
            Change::RenameTensor("model.norm.weight", "model.nrom.weight"),
            "tensors",
            "missing: model.norm.weight",
        ),
        (
            Change::RenameTensor("model.norm.weight", "model.nrom.weight"),
            "tensors",
            "unknown: model.nrom.weight",
        ),
        (Change::Config("intermediate_size", serde_json::json!(1024)), "shapes", "mlp.gate_proj"),
    ];
    for (change, id, name) in cases {
        let (status, report) = inspect(&Artifact::demo(&[change]), &[]);
        let gate = gate(&report, id);
        assert_eq!((status, gate["outcome"].as_str()), (1, Some("fail")), "{gate}");
        assert!(gate["details"].to_string().contains(name), "{gate}");
    }
}

#[test]
fn what_can_not_be_judged_is_inconclusive_and_exits_with_3() {
    let (status, report) = inspect(&Artifact::demo(&[]), &["--headers-only"]);
    assert_eq!((status, report["verdict"].as_str()), (3, Some("inconclusive")));
    assert_eq!(gate(&report, "payload")["outcome"], "not-run");

    let quantization = serde_json::json!({"quant_method": "my-own", "bits": 1});
    let custom = Artifact::demo(&[
        Change::Config("quantization_config", quantization),
        Change::AddFile("modeling_own.py", b"class Own: pass\n".to_vec()),
    ]);
    let (status, report) = inspect(&custom, &[]);
    assert_eq!(status, 3);
    assert_eq!(gate(&report, "artifact_size")["outcome"], "pass");
    assert_eq!(gate(&report, "model_budget")["outcome"], "not-run");
    let notes = report["notes"].to_string();
    assert!(notes.contains("my-own") && notes.contains("modeling_own.py"), "{notes}");
}

#[test]
fn faulty_input_exits_with_2_and_says_what_where_expected_and_found() {
    let first_scale = |bits: u16| Change::Payload(".scale", 0, bits.to_le_bytes().to_vec());
    let cases: Vec<(&str, Artifact, &str)> = vec![
        ("missing config", Artifact::demo(&[Change::RemoveFile("config.json")]), "config.json"),
        ("wrong dtype", Artifact::demo(&[Change::Dtype(".sign", "I8")]), ".sign"),
        ("code -8", Artifact::demo(&[Change::Payload(".rescue_code", 3, vec![0x08])]), ".rescue_code"),
        ("NaN scale", Artifact::demo(&[first_scale(0x7e00)]), ".scale"),
        ("zero scale", Artifact::demo(&[first_scale(0)]), ".scale"),
        (
            "row past the end",
            Artifact::demo(&[Change::Payload(".rescue_rows", 0, vec![0xff; 4])]),
            ".rescue_rows",
        ),
        ("truncated zip", Artifact::demo(&[]).cut(1000), ".zip"),
        ("damaged member", Artifact::demo(&[]).flip(100_000), ".zip"),
        ("no such file", Artifact::absent(), "absent"),
        (
            "new format",
            Artifact::demo(&[Change::Quantization("format_version", serde_json::json!(2))]),
            "config.json",
        ),
    ];
    for (what, artifact, place) in cases {
        let output = bitgauge(&["inspect", path(&artifact.path)]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{what}: {}{stderr}", text(&output.stdout));
        assert!(output.stdout.is_empty(), "{what}: nothing was judged");
        let lines = ["error: ", "where:", "expected:", "found:", place];
        assert!(lines.iter().all(|line| stderr.contains(line)), "{what}: {stderr}");
        assert!(!stderr.contains("panicked"), "{what}: {stderr}");
    }
}

#[test]
fn eval_names_a_tokenizer_that_does_not_fit_and_accepts_one_that_does() {
    let artifact = Artifact::demo(&[Change::RemoveFile("tokenizer.json")]);
    let documents =
        artifact.beside("documents.jsonl", b"\"The borrow checker is strict.\"\n{\"text\": \"Yes.\"}\n");
    let eval = |extra: &[&str]| {
        let arguments = ["eval", path(&artifact.path), "--documents", path(&documents), "--device", "cpu"];
        bitgauge(&[&arguments, extra].concat())
    };
    let without = eval(&[]);
    assert_eq!(without.status.code(), Some(2));
    assert!(text(&without.stderr).contains("--tokenizer"), "{}", text(&without.stderr));
    let bytes = eval(&["--tokenizer", "byte-utf8", "--format", "json"]);
    assert_eq!(bytes.status.code(), Some(0), "{}", text(&bytes.stderr));
    assert_eq!(json(&bytes)["evaluation"]["scored_tokens"], 28 + 3);
}

#[test]
fn a_report_file_holds_what_json_prints() {
    let artifact = Artifact::demo(&[]);
    let file = artifact.beside("report.json", b"an older report");
    let output = bitgauge(&["inspect", path(&artifact.path), "--report", path(&file), "--format", "json"]);
    assert_eq!(std::fs::read(&file).expect("the report"), output.stdout);
    let nowhere = bitgauge(&["inspect", path(&artifact.path), "--report", "/nonexistent/report.json"]);
    assert_eq!(nowhere.status.code(), Some(2));
}

#[test]
fn pack_refuses_to_overwrite_and_its_result_can_be_inspected() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/models/qwen3_tied");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("packed.zip");
    let pack = |extra: &[&str]| {
        bitgauge(&[&["pack", model, path(&out), "--rescue-fraction", "0.05"], extra].concat())
    };
    let first = pack(&[]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    let bytes = std::fs::read(&out).expect("the artifact");
    let second = pack(&[]);
    assert_eq!(second.status.code(), Some(2));
    assert!(text(&second.stderr).contains("--force"), "{}", text(&second.stderr));
    assert_eq!(pack(&["--force"]).status.code(), Some(0));
    assert_eq!(std::fs::read(&out).expect("the artifact"), bytes, "packing is deterministic");
    // So small a model is mostly header, hence over budget: judged, not malformed.
    assert_eq!(bitgauge(&["inspect", path(&out)]).status.code(), Some(1));
    // And under a budget it can't be packed at all, which is said before anything is written.
    let budgeted = bitgauge(&["pack", model, path(&out), "--force", "--budget", "binary"]);
    assert_eq!(budgeted.status.code(), Some(2));
    let message = text(&budgeted.stderr);
    assert!(message.contains("does not fit the budget") && message.contains("hint"), "{message}");
    assert_eq!(std::fs::read(&out).expect("the artifact"), bytes, "nothing was replaced");
    let tar = folder.path().join("packed.tar");
    assert_eq!(bitgauge(&["pack", model, path(&tar), "--rescue-fraction", "0.05"]).status.code(), Some(0));
    assert_eq!(bitgauge(&["inspect", path(&tar)]).status.code(), Some(1));
    let other = bitgauge(&["pack", model, path(&folder.path().join("packed.tar.gz"))]);
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains(".zip, .tar or .tar.xz"), "{}", text(&other.stderr));
    let both = bitgauge(&["pack", model, path(&out), "--budget", "binary", "--bases", "2"]);
    assert_eq!(both.status.code(), Some(2), "a budget chooses the bases itself");
}

#[test]
fn wrong_usage_exits_with_2_and_help_with_0() {
    for arguments in
        [&["inspect"][..], &["compare", "x"], &["frobnicate"], &["eval", "x"], &["bench", "--device", "tpu"]]
    {
        let output = bitgauge(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["inspect", "--help"], &["--version"], &["completions", "bash"]] {
        let output = bitgauge(arguments);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(0), false), "{arguments:?}");
    }
}

#[test]
fn devices_lists_the_cpu_first() {
    let output = bitgauge(&["devices"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).lines().nth(1).is_some_and(|line| line.trim_start().starts_with("cpu")));
}

#[test]
fn quiet_prints_one_line() {
    let artifact = Artifact::demo(&[]);
    let output = bitgauge(&["--format", "quiet", "inspect", path(&artifact.path)]);
    assert_eq!(text(&output.stdout), "eligible\n");
}
