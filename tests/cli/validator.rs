//! The commands that follow the validator, in an environment of nothing else.

use std::path::Path;
use std::process::{Command, Output};

use super::artifacts::{Artifact, Change};
use super::{number, text};

/// Runs the validator's twin on the demo, in an environment of nothing else.
fn benchmark(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let demo = |name: &str| format!("{}/../demo/{name}", env!("CARGO_MANIFEST_DIR"));
    let common = [
        ("SUBMISSION_ARTIFACT_PATH", demo("model.zip")),
        ("HELDOUT_DATASET", "validator-private-shard".into()),
        ("PRIVATE_HELDOUT_MANIFEST", demo("documents.json")),
        ("HELDOUT_DOCUMENT_COUNT", "2".into()),
        ("EVAL_DEVICE", "cpu".into()),
        ("EVAL_MAX_TOKENS", "64".into()),
    ];
    let variables = variables.iter().map(|(key, value)| (*key, (*value).to_owned()));
    Command::new(env!("CARGO_BIN_EXE_bitgauge"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(common.into_iter().chain(variables).map(|(key, value)| (format!("AUTORESEARCH_{key}"), value)))
        .output()
        .expect("bitgauge starts")
}

#[test]
fn the_validators_run_needs_nothing_but_its_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = ["benchmark", "--tokenizer", "artifact"];
    let output = benchmark(folder.path(), &own, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    let names: Vec<_> = stdout.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let expected = [
        "heldout_ppl",
        "heldout_cross_entropy_nats",
        "parameter_count",
        "compressed_size_bytes",
        "artifact_bits_per_parameter",
    ];
    assert_eq!(names, expected);
    let result = || std::fs::read(folder.path().join("last_run.json")).expect("last_run.json");
    let report: serde_json::Value = serde_json::from_slice(&result()).expect("JSON");
    assert_eq!(report["metrics"]["scored_docs"], 2.0);
    assert_eq!(report["runtime"]["tokenizer_id"], "artifact", "the one that was used");
    assert!(report["runtime"].get("validator_revision").is_none());

    // Another revision is named; the same documents through another scorer give the same perplexity.
    let output = benchmark(folder.path(), &["benchmark", "--revision", "06fbbef"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let other: serde_json::Value = serde_json::from_slice(&result()).expect("JSON");
    assert_eq!(other["runtime"]["validator_revision"], "06fbbef");
    let (a, b) = (number(&report["metric_value"]), number(&other["metric_value"]));
    assert!((a / b - 1.0).abs() < 1e-5, "{a} and {b}");
}

#[test]
fn the_validators_failures_are_its_own_words_and_bitgauges_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = benchmark(folder.path(), arguments, variables);
        assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
        assert!(!folder.path().join("last_run.json").exists());
        (output.status.code(), text(&output.stderr))
    };
    let over = run(&["benchmark"], &[("SUBMISSION_ARTIFACT_BYTES", "4429687501")]);
    let rejection =
        "validator_rejection=artifact_size artifact_bits=35437500008 max_artifact_bits=35437500000\n";
    assert_eq!(over, (Some(1), rejection.into()));
    let absent = run(&["benchmark"], &[("SUBMISSION_ARTIFACT_PATH", "/nonexistent")]);
    assert_eq!(absent, (Some(1), "RuntimeError: submission artifact not found: /nonexistent\n".into()));
    // A model with a weight that is NaN loads there, and its loss says so.
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/validator/direct_run");
    let (model, tokenizer) =
        (format!("{fixtures}/models/tiny_nan"), format!("{fixtures}/tokenizers/bpe_qwenlike"));
    let nan = [("SUBMISSION_ARTIFACT_PATH", &model[..]), ("EVAL_TOKENIZER_ID", &tokenizer)];
    let error = "RuntimeError: direct model evaluation produced non-finite cross entropy\n";
    assert_eq!(run(&["benchmark"], &nan), (Some(1), error.into()));
    for command in ["benchmark", "proxy"] {
        let public = run(&[command], &[("HELDOUT_DATASET", "math"), ("SUBMISSION_ARTIFACT_PATH", "")]);
        assert_eq!(public.0, Some(2));
        assert!(public.1.contains("--corpus") && public.1.contains("hint"), "{}", public.1);
    }
}

/// The demo's folder as its tokenizer: the class pads with `<|endoftext|>`, which it adds behind the vocabulary, and the
/// model has no row for it. transformers 5.24.0 ends a batch of texts of unequal lengths with this IndexError.
#[test]
fn a_pad_token_outside_the_vocabulary_ends_a_padded_batch_as_it_ends_the_validators() {
    let folder = tempfile::tempdir().expect("a folder");
    let texts = [
        "Vec is a contiguous growable array type.",
        "Short.",
        "The Option type represents an optional value.",
    ];
    let manifest = folder.path().join("manifest.json");
    let documents: Vec<_> = texts.iter().map(|text| serde_json::json!({"text": text})).collect();
    std::fs::write(&manifest, serde_json::json!(documents).to_string()).expect("a manifest");
    let run = |tokenizer: &Artifact, batch: &str| {
        let variables = [
            ("PRIVATE_HELDOUT_MANIFEST", manifest.to_str().expect("UTF-8")),
            ("HELDOUT_DOCUMENT_COUNT", "3"),
            ("EVAL_TOKENIZER_ID", tokenizer.path.to_str().expect("UTF-8")),
            ("EVAL_BATCH_SIZE", batch),
        ];
        let output = benchmark(folder.path(), &["benchmark"], &variables);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let outside = Artifact::demo_folder(&[]);
    let error = "IndexError: index out of range in self\n";
    assert_eq!(run(&outside, "8"), (Some(1), String::new(), error.to_owned()));
    // Where there is no padding, or it has a row, there is a perplexity, and the same one.
    let settings = br#"{"pad_token": "!"}"#.to_vec();
    let inside = Artifact::demo_folder(&[Change::AddFile("tokenizer_config.json", settings)]);
    let (alone, padded) = (run(&outside, "1"), run(&inside, "8"));
    assert_eq!((alone.0, padded.0), (Some(0), Some(0)), "{} {}", alone.2, padded.2);
    assert!(alone.1.starts_with("heldout_ppl=") && alone.1 == padded.1, "{} {}", alone.1, padded.1);
}

/// transformers 5.24.0 and 4.57.6 raise `InvalidVersion: Invalid version: 'x'` where there are more than 100,000 tokens.
#[test]
fn a_large_tokenizer_needs_a_version_in_config_json_that_transformers_can_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = Artifact::demo_folder(&[]);
    let file = std::fs::read(model.path.join("tokenizer.json")).expect("the demo's tokenizer");
    let small: serde_json::Value = serde_json::from_slice(&file).expect("JSON");
    let mut large = small.clone();
    let vocab = large["model"]["vocab"].as_object_mut().expect("a vocabulary");
    for id in vocab.len()..100_001 {
        vocab.insert(format!("zz{id}"), id.into());
    }
    let run = |tokenizer: &serde_json::Value, version: &str| {
        let file = tokenizer.to_string().into_bytes();
        let changes =
            [Change::Config("transformers_version", version.into()), Change::AddFile("tokenizer.json", file)];
        let tokenizer = Artifact::demo_folder(&changes);
        let path = tokenizer.path.to_str().expect("UTF-8");
        // One document at a time, so that nothing is padded.
        let output = benchmark(
            folder.path(),
            &["benchmark"],
            &[("EVAL_TOKENIZER_ID", path), ("EVAL_BATCH_SIZE", "1")],
        );
        (output.status.code(), text(&output.stderr))
    };
    let (status, error) = run(&large, "x");
    assert!(status == Some(2) && error.contains("transformers_version"), "{status:?} {error}");
    for (tokenizer, version) in [(&large, "5.24.0"), (&small, "x")] {
        let (status, error) = run(tokenizer, version);
        assert_eq!(status, Some(0), "{version} {error}");
    }
}

#[test]
fn the_prepare_report_is_written_where_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = benchmark(folder.path(), &["prepare"], &[]);
    assert_eq!(text(&output.stdout), "baseline_manifest=baseline_manifest.json\n");
    let report = std::fs::read(folder.path().join("baseline_manifest.json")).expect("the report");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["max_compressed_bits"], 35_437_500_000_u64);
}
