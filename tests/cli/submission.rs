//! From a report to what a submission says, and a task as its coordinator describes it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::artifacts::{Artifact, Change};
use crate::compare::report;
use crate::loopback::{Page, Server};
use crate::{bitgauge, json as document, path, text};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TASK: &str = "c54218ce-9ffd-4389-b97d-2d952adb4a1a";

/// A place with a report, and the submission's file.
struct Place {
    artifact: Artifact,
    report: PathBuf,
    out: PathBuf,
}

impl Place {
    fn new() -> Self {
        let artifact = Artifact::demo(&[]);
        let report = report(&artifact, "report.json", 20.0, None);
        let out = report.with_file_name("submission.json");
        Self { artifact, report, out }
    }

    fn submit(&self, report: &Path, uri: &str, extra: &[&str]) -> std::process::Output {
        let own = ["submission", path(report), "--uri", uri, "--out", path(&self.out)];
        bitgauge(&[&own[..], extra].concat())
    }

    /// Changes the report, and expects a refusal that says this.
    fn refused(&self, change: impl FnOnce(&mut Value), words: &str) {
        let mut report: Value =
            serde_json::from_slice(&fs::read(&self.report).expect("the report")).expect("JSON");
        change(&mut report);
        let changed = self.artifact.beside("changed.json", report.to_string().as_bytes());
        self.expect_refused(&self.submit(&changed, &uri(COMMIT), &[]), words);
    }

    fn expect_refused(&self, output: &std::process::Output, words: &str) {
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}: {stderr}");
        assert!(stderr.contains(words), "{words}: {stderr}");
        assert!(output.stdout.is_empty() && !self.out.exists(), "nothing was written: {words}");
    }
}

fn uri(revision: &str) -> String {
    format!("https://huggingface.co/someone/model/resolve/{revision}/model.zip")
}

#[test]
fn a_submission_says_what_the_report_does() {
    let place = Place::new();
    let recipe = "competition_packs/qwen3_27b_binary_frontier/train.py";
    let diff = format!("--- a/{recipe}\n+++ b/{recipe}\n@@ -1 +1 @@\n-a\n+b\n");
    let patch = place.artifact.beside("recipe.diff", diff.as_bytes());
    let claim = place.report.with_file_name("claim.json");
    let extra = ["--patch", path(&patch), "--claim", path(&claim), "--format", "json"];
    let output = place.submit(&place.report, &uri(COMMIT), &extra);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let written: Value = serde_json::from_slice(&fs::read(&place.out).expect("a file")).expect("JSON");
    assert_eq!(document(&output), written);
    let report: Value = serde_json::from_slice(&fs::read(&place.report).expect("the report")).expect("JSON");
    let (size, parameters) = (&report["artifact"]["size_bytes"], &report["model"]["parameters"]);
    let bits = 8.0 * size.as_f64().expect("a size") / parameters.as_f64().expect("a count");
    assert_eq!(
        written["claimed_metrics"],
        json!({
            "heldout_ppl": 20.0, "heldout_cross_entropy_nats": 20_f64.ln(), "parameter_count": parameters,
            "compressed_size_bytes": size, "artifact_bits_per_parameter": bits,
        })
    );
    assert_eq!((&written["artifact_uri"], &written["patch"]), (&json!(uri(COMMIT)), &json!(diff)));
    assert_eq!(
        (&written["artifact_sha256"], &written["artifact_size_bytes"]),
        (&report["artifact"]["sha256"], size)
    );
    let claim: Value = serde_json::from_slice(&fs::read(&claim).expect("a file")).expect("JSON");
    assert_eq!(claim["claim_description"], written["summary"]);
    let human = place.submit(&place.report, &uri("main"), &["--summary", "Mine"]);
    assert_eq!(human.status.code(), Some(0));
    assert!(text(&human.stderr).contains("warning: `main` can move"), "{}", text(&human.stderr));
    let stdout = text(&human.stdout);
    for part in ["Nothing was sent", "X-Hotkey", "X-Timestamp", "X-Signature", "20.0000"] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
}

#[test]
fn what_would_not_be_accepted_is_refused() {
    let place = Place::new();
    place.refused(|report| report["evaluation"] = Value::Null, "does not say the perplexity");
    place.refused(|report| report["artifact"]["sha256"] = Value::Null, "does not say the artifact's SHA-256");
    place.refused(
        |report| report["model"]["parameters"] = Value::Null,
        "does not say the number of parameters",
    );
    place.refused(|report| report["evaluation"]["window"] = json!(512), "was measured in windows");
    place.refused(|report| report["verdict"] = json!("not-eligible"), "is not eligible");
    for (uri, words) in [
        ("https://huggingface.co/someone/model", "not pinned"),
        ("https://huggingface.co/someone/model/blob/main/model.zip", "not pinned"),
        ("http://example.org/model.zip", "https"),
        ("https://user@example.org/model.zip", "host"),
    ] {
        place.expect_refused(&place.submit(&place.report, uri, &[]), words);
    }
    let other = "--- a/benchmark.py\n+++ b/benchmark.py\n@@ -1 +1 @@\n-a\n+b\n".to_owned();
    for (diff, words) in [
        (other, "benchmark.py"),
        (format!("+++ b/__pycache__/train.pyc\n{}", "x".repeat(9)), "bytecode"),
        ("x".repeat(262_145), "too long"),
    ] {
        let patch = place.artifact.beside("bad.diff", diff.as_bytes());
        place.expect_refused(&place.submit(&place.report, &uri(COMMIT), &["--patch", path(&patch)]), words);
    }
    let artifact = path(&place.artifact.path);
    place
        .expect_refused(&place.submit(Path::new(artifact), &uri(COMMIT), &[]), "neither a report nor a link");
}

fn coordinator(best: Option<&Value>) -> Server {
    let tasks = json!([
        {"id": "other", "slug": "qwen3-27b-ternary-frontier"},
        {
            "id": TASK, "slug": "qwen3-27b-binary-frontier", "title": "Mostly binary\u{1b}[31m", "task_state": "live",
            "metric_name": "heldout_ppl", "metric_direction": "minimize", "time_budget_seconds": 1800,
            "allowed_patch_paths": ["competition_packs/qwen3_27b_binary_frontier/train.py"], "base_ref": "production",
        },
    ]);
    let mut pages = vec![Page::json("/api/v1/tasks", &tasks)];
    pages
        .extend(best.map(|best| Page::json("/api/v1/tasks/c54218ce-9ffd-4389-b97d-2d952adb4a1a/best", best)));
    Server::start(pages)
}

#[test]
fn a_task_is_shown_and_nothing_is_sent() {
    let best = json!({"observed_metrics": {"heldout_ppl": 20.5}, "artifact_size_bytes": 4_000_000});
    let server = coordinator(Some(&best));
    for url in [server.address.clone(), format!("{}/dashboard/tasks/{TASK}", server.address)] {
        let shown = bitgauge(&["task", &url]);
        assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
        let shown = text(&shown.stdout);
        for part in ["qwen3-27b-binary-frontier", "live", "1800", "train.py", "20.5000, 4,000,000 bytes"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
    let found = document(&bitgauge(&["--format", "json", "task", &server.address]));
    assert_eq!((&found["task"]["id"], &found["best"]), (&json!(TASK), &best));
    assert_eq!(bitgauge(&["task", &server.address, "--slug", "none"]).status.code(), Some(2));
    let requests = server.requests();
    assert!(requests.len() >= 6);
    for request in requests {
        let lower = request.to_ascii_lowercase();
        assert!(request.starts_with("GET "), "{request}");
        assert!(!lower.contains("content-length") && !lower.contains("authorization"), "{request}");
    }
    let absent = bitgauge(&["task", "http://example.org/"]);
    assert_eq!(absent.status.code(), Some(2));
    assert!(text(&absent.stderr).contains("https://"), "{}", text(&absent.stderr));
}

#[test]
fn an_artifact_is_held_against_the_best() {
    let artifact = Artifact::demo(&[]);
    let ours = report(&artifact, "report.json", 20.0, None);
    let best = |perplexity: f64, size: u64| json!({"submission": {"claimed_metrics": {"heldout_ppl": perplexity, "compressed_size_bytes": size}}});
    let against = |best: Option<Value>| {
        let server = coordinator(best.as_ref());
        let output = bitgauge(&["--format", "json", "compare", path(&ours), "--best", &server.address]);
        (output.status.code(), document(&output)["replaces"].clone())
    };
    assert_eq!(against(Some(best(21.0, 1))), (Some(0), json!(true)));
    assert_eq!(against(Some(best(19.0, 9_000_000))), (Some(0), json!(false)));
    assert_eq!(against(Some(best(20.1, 9_000_000))), (Some(0), json!(true)));
    assert_eq!(against(Some(best(20.1, 1))), (Some(0), json!(false)));
    assert_eq!(against(Some(json!({"note": "soon"}))), (Some(3), Value::Null));
    assert_eq!(against(None), (Some(0), json!(true)));
    let unfit = Artifact::demo(&[Change::RenameTensor("model.norm.weight", "model.nrom.weight")]);
    let server = coordinator(Some(&best(21.0, 1)));
    let output = bitgauge(&["compare", path(&unfit.path), "--best", &server.address]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("would not replace the best: it is not eligible"));
    let both = bitgauge(&["compare", path(&ours), path(&ours), "--best", &server.address]);
    assert_eq!((both.status.code(), bitgauge(&["compare", path(&ours)]).status.code()), (Some(2), Some(2)));
}

#[test]
fn a_host_confirms_size_and_hash_or_the_submission_fails() {
    let place = Place::new();
    let report = fs::read_to_string(&place.report).expect("the report");
    let report = bitgauge_core::report::Report::from_json(&report).expect("a report");
    let address = uri(COMMIT).parse().expect("an address");
    let submission = native_eval::Submission::new(&report, &address, None, None).expect("a submission");
    let (size, hash) = (submission.artifact_size_bytes, submission.artifact_sha256.clone());
    let page = |path, status, headers: &[(&'static str, String)]| Page {
        path,
        status,
        headers: headers.to_vec(),
        body: String::new(),
    };
    let etag = |hash: &str| ("x-linked-etag", format!("\"{hash}\""));
    let server = Server::start(vec![
        page("/hub", 302, &[("location", "/gone".into()), ("x-linked-size", size.to_string()), etag(&hash)]),
        page("/plain", 200, &[("content-length", size.to_string())]),
        page("/bare", 302, &[("location", "/gone".into())]),
        page("/size", 200, &[("content-length", (size + 1).to_string())]),
        page("/hash", 302, &[("x-linked-size", size.to_string()), etag(&"0".repeat(64))]),
        page("/linked", 302, &[("x-linked-size", (size - 1).to_string()), etag(&hash)]),
    ]);
    let verify = |path: &str| submission.verify(&format!("{}{path}", server.address));
    let confirmed = |path: &str| verify(path).map(|verified| (verified.size, verified.hash)).expect(path);
    assert_eq!(confirmed("/hub"), (true, true));
    assert_eq!(confirmed("/plain"), (true, false));
    assert_eq!(confirmed("/bare"), (false, false));
    for (path, words) in [
        ("/size", "another size"),
        ("/hash", "another hash"),
        ("/linked", "another size"),
        ("/none", "does not have"),
    ] {
        let error = verify(path).expect_err(path);
        assert!(error.to_string().contains(words), "{path}: {error}");
    }
    assert!(server.requests().iter().all(|request| request.starts_with("HEAD ")), "{:?}", server.requests());
}
