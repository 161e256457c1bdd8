//! SIGKILL at ten points each of `pack`, `eval --resume` and `benchmark`, and what starting them again gives.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::distributed::figures;
use super::{bitgauge, path, text};

/// Points at which each is killed.
const POINTS: u64 = 10;

/// Runs a command until `is_time`, then kills it as the system would. Whether it had not ended by itself.
fn is_killed(command: &mut Command, mut is_time: impl FnMut() -> bool) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    while child.try_wait().expect("a status").is_none() {
        if is_time() {
            child.kill().expect("a signal");
            return child.wait().expect("a status").signal() == Some(9);
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    false
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bitgauge"));
    command.args(arguments);
    command
}

/// Lines of a file, if it is there.
fn lines(file: &Path) -> u64 {
    fs::read(file).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count() as u64)
}

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/model.zip");

#[test]
fn a_killed_evaluation_gives_the_same_figures_when_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = folder.path().join("documents.json");
    let all: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../../demo/documents.json")).expect("documents");
    let texts = all.iter().take(12).map(|document| document["text"].as_str().expect("a text"));
    let texts: Vec<String> = texts.map(|text| text.chars().take(250).collect()).collect();
    fs::write(&documents, serde_json::to_vec(&texts).expect("JSON")).expect("a file");
    let arguments = |file: &Path| {
        let own = ["--format", "json", "eval", DEMO, "--documents", path(&documents), "--device", "cpu"];
        let how = ["--tokens-in-flight", "1", "--resume", path(file)];
        own.iter().chain(&how).map(|&argument| argument.to_owned()).collect::<Vec<_>>()
    };
    let run = |file: &Path| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_bitgauge")).args(arguments(file)).output().expect("it starts");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        figures(&super::super::json(&output))
    };
    let whole = run(&folder.path().join("whole.jsonl"));
    let mut killed = 0;
    // Once each after so many documents, from before the first to the last but one; then all of them one after another.
    let chain = folder.path().join("chain.jsonl");
    for point in 1..=POINTS {
        let file = folder.path().join(format!("{point}.jsonl"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_bitgauge"));
        killed += u64::from(is_killed(command.args(arguments(&file)), || lines(&file) >= point));
        assert_eq!(run(&file), whole, "killed at {point}");
        assert_eq!(lines(&file), 1 + texts.len() as u64);
        let mut command = Command::new(env!("CARGO_BIN_EXE_bitgauge"));
        is_killed(command.args(arguments(&chain)), || lines(&chain) >= point);
    }
    assert_eq!(run(&chain), whole, "killed {POINTS} times in a row");
    assert!(killed >= POINTS / 2, "only {killed} of {POINTS} were killed in time");
}

/// A dense model of random weights, large enough that packing it takes a while.
fn write_model(folder: &Path) {
    const VOCABULARY: usize = 3000;
    const HIDDEN: usize = 128;
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), vec![VOCABULARY, HIDDEN]),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
    ];
    for layer in 0..3 {
        for (name, shape) in [
            ("input_layernorm", vec![HIDDEN]),
            ("mlp.down_proj", vec![HIDDEN, 384]),
            ("mlp.gate_proj", vec![384, HIDDEN]),
            ("mlp.up_proj", vec![384, HIDDEN]),
            ("post_attention_layernorm", vec![HIDDEN]),
            ("self_attn.k_norm", vec![32]),
            ("self_attn.k_proj", vec![64, HIDDEN]),
            ("self_attn.o_proj", vec![HIDDEN, 128]),
            ("self_attn.q_norm", vec![32]),
            ("self_attn.q_proj", vec![128, HIDDEN]),
            ("self_attn.v_proj", vec![64, HIDDEN]),
        ] {
            tensors.push((format!("model.layers.{layer}.{name}.weight"), shape));
        }
    }
    let (mut header, mut data, mut random) =
        (serde_json::Map::new(), Vec::new(), fastrand::Rng::with_seed(1));
    for (name, shape) in &tensors {
        let start = data.len();
        for _ in 0..shape.iter().product() {
            let value = random.f32() - 0.5;
            // The upper half of an f32 is a BF16.
            data.extend(&(value * 0.1).to_le_bytes()[2..]);
        }
        header.insert(
            name.clone(),
            json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, data.len()]}),
        );
    }
    let header = serde_json::Value::from(header).to_string();
    let weights = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
    let config = json!({
        "model_type": "qwen3", "hidden_size": HIDDEN, "intermediate_size": 384, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "vocab_size": VOCABULARY,
        "tie_word_embeddings": true, "rms_norm_eps": 1e-6, "rope_theta": 1_000_000,
    });
    fs::create_dir(folder).expect("a folder");
    fs::write(folder.join("config.json"), config.to_string()).expect("a file");
    fs::write(folder.join("model.safetensors"), weights).expect("a file");
}

/// How far a pack has come: files and marks in the folder that it works in.
fn steps(work: &Path) -> u64 {
    let files = |name: &str| fs::read_dir(work.join(name)).map_or(0, |entries| entries.count() as u64);
    let written = fs::metadata(work.join("written")).map_or(0, |metadata| metadata.len());
    let archive = u64::from(work.join("archive").exists());
    files("moments") + files("survey") + written + archive + u64::from(work.join("job.json").exists())
}

#[test]
fn a_killed_pack_gives_the_same_bytes_when_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("model");
    write_model(&model);
    let work = |out: &str| folder.path().join(format!(".{out}.bitgauge-pack"));
    let pack = |out: &str| {
        let out = folder.path().join(out);
        let options = ["--rescue-fraction", "0.1"];
        command(&[&["pack", path(&model), path(&out)], &options[..]].concat())
    };
    let mut all = 0;
    assert!(!is_killed(&mut pack("whole.zip"), || {
        all = all.max(steps(&work("whole.zip")));
        false
    }));
    let whole = fs::read(folder.path().join("whole.zip")).expect("the artifact");
    let mut killed = 0;
    for point in 1..=POINTS {
        let out = format!("{point}.zip");
        killed += u64::from(is_killed(&mut pack(&out), || steps(&work(&out)) > point * all / (POINTS + 1)));
        let artifact = folder.path().join(&out);
        // Complete or not there, whenever it was.
        if !artifact.exists() {
            let output = pack(&out).output().expect("it starts");
            assert_eq!(output.status.code(), Some(0), "{point}: {}", text(&output.stderr));
            assert!(!work(&out).exists());
        }
        assert!(fs::read(&artifact).expect("the artifact") == whole, "killed at {point}");
    }
    assert!(killed >= POINTS / 2, "only {killed} of {POINTS} were killed in time, of {all} steps");

    // Killed again and again, and while an older artifact is at the target, which stays until the new one is whole.
    let out = folder.path().join("chain.zip");
    fs::copy(DEMO, &out).expect("an older artifact");
    for point in 1..=POINTS {
        is_killed(pack("chain.zip").arg("--force"), || {
            steps(&work("chain.zip")) > point * all / (POINTS + 1)
        });
        let found = fs::read(&out).expect("an artifact");
        assert!(found == whole || found == fs::read(DEMO).expect("the demo"), "{point}");
    }
    assert_eq!(pack("chain.zip").arg("--force").status().expect("it starts").code(), Some(0));
    assert!(fs::read(&out).expect("the artifact") == whole && !work("chain.zip").exists());
}

#[test]
fn a_pack_that_was_killed_between_two_renames_is_put_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("model");
    write_model(&model);
    let (out, work) = (folder.path().join("out"), folder.path().join(".out.bitgauge-pack"));
    let pack = || bitgauge(&["pack", path(&model), path(&out), "--fit", "mean", "--force"]);
    assert_eq!(pack().status.code(), Some(0));
    let weights = || fs::read(out.join("model.safetensors")).expect("the weights");
    let whole = weights();
    // The old artifact is out of the way, the new one is not there yet, and the run then fails.
    fs::create_dir(&work).expect("a folder");
    fs::rename(&out, work.join("replaced")).expect("a rename");
    fs::rename(&model, folder.path().join("away")).expect("a rename");
    write_model(&model);
    fs::write(
        model.join("config.json"),
        fs::read_to_string(model.join("config.json")).expect("it").replace("qwen3", "mamba"),
    )
    .expect("a file");
    assert_eq!(pack().status.code(), Some(2));
    assert!(weights() == whole, "the old artifact is back");
    fs::remove_dir_all(&model).expect("a folder");
    fs::rename(folder.path().join("away"), &model).expect("a rename");

    // The new one is there, the work is not yet removed.
    fs::create_dir(&work).expect("a folder");
    for left in ["replaced", "model"] {
        fs::create_dir(work.join(left)).expect("a folder");
    }
    fs::write(work.join("replaced/config.json"), "{}").expect("a file");
    fs::write(work.join("written"), "111").expect("a file");
    let output = pack();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(weights() == whole && !work.exists());
}

#[test]
fn a_killed_benchmark_leaves_no_half_result() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = |name: &str| format!("{}/../demo/{name}", env!("CARGO_MANIFEST_DIR"));
    let benchmark = || {
        let mut command = command(&["benchmark", "--tokenizer", "artifact"]);
        command.current_dir(folder.path()).envs([
            ("AUTORESEARCH_SUBMISSION_ARTIFACT_PATH", demo("model.zip")),
            ("AUTORESEARCH_HELDOUT_DATASET", "validator-private-shard".into()),
            ("AUTORESEARCH_PRIVATE_HELDOUT_MANIFEST", demo("documents.json")),
            ("AUTORESEARCH_HELDOUT_DOCUMENT_COUNT", "4".into()),
            ("AUTORESEARCH_EVAL_DEVICE", "cpu".into()),
            ("AUTORESEARCH_EVAL_MAX_TOKENS", "64".into()),
        ]);
        command
    };
    let result: PathBuf = folder.path().join("last_run.json");
    let start = Instant::now();
    let output = benchmark().output().expect("it starts");
    let all = start.elapsed();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let whole = fs::read(&result).expect("last_run.json");
    let mut killed = 0;
    for point in 1..=POINTS {
        // An older result, or none.
        let old = (point % 2 == 0).then_some(b"the result of an older run");
        match old {
            Some(old) => fs::write(&result, old).expect("a file"),
            None => drop(fs::remove_file(&result)),
        }
        // There is no file to see its progress by, so the points are spread over its time. None of it is asserted.
        let start = Instant::now();
        let is_time = || start.elapsed() >= all * point as u32 / (POINTS as u32 + 1);
        killed += u64::from(is_killed(&mut benchmark(), is_time));
        let found = fs::read(&result).ok();
        assert!(
            found.as_deref() == old.map(|old| &old[..]) || found.as_ref() == Some(&whole),
            "killed at {point}"
        );
        let again = benchmark().output().expect("it starts");
        assert_eq!((again.status.code(), &again.stdout), (Some(0), &output.stdout), "killed at {point}");
        assert!(fs::read(&result).expect("last_run.json") == whole, "killed at {point}");
    }
    assert!(killed > 0, "none was killed in time");
}
