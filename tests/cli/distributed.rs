//! Evaluations in shards, continued, and on several devices.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use super::artifacts::{Artifact, Change};
use super::{bitgauge, json, number, path, text};

/// A documents file of short and long texts, one of them too short to score.
fn documents(artifact: &Artifact) -> PathBuf {
    let all: Vec<Value> = serde_json::from_str(include_str!("../../demo/documents.json")).expect("documents");
    let text = |document: &Value| document["text"].as_str().expect("a text").to_owned();
    let cut = |(i, document)| text(document).chars().take(120 + 90 * (i * 7 % 5)).collect::<String>();
    let mut texts: Vec<String> = all.iter().take(7).enumerate().map(cut).collect();
    texts.insert(3, "a".into());
    artifact.beside("documents.json", &serde_json::to_vec(&texts).expect("JSON"))
}

pub(super) struct Setting {
    pub artifact: Artifact,
    pub documents: PathBuf,
}

impl Setting {
    pub fn new(changes: &[Change]) -> Self {
        let artifact = Artifact::demo(changes);
        let documents = documents(&artifact);
        Self { artifact, documents }
    }

    pub fn eval(&self, extra: &[&str]) -> Output {
        let own =
            ["--format", "json", "eval", path(&self.artifact.path), "--documents", path(&self.documents)];
        bitgauge(&[&own, extra].concat())
    }

    pub fn on_cpu(&self, extra: &[&str]) -> Output {
        let output = self.eval(&[&["--device", "cpu"], extra].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        output
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.documents.with_file_name(name)
    }

    /// Evaluates all shards, each with other batches.
    fn shards(&self) -> Vec<PathBuf> {
        let shard = |i: usize| {
            let file = self.file(&format!("{i}.jsonl"));
            let (shard, tokens) = (format!("{i}/3"), (150 * i + 1).to_string());
            let output =
                self.on_cpu(&["--resume", path(&file), "--shard", &shard, "--tokens-in-flight", &tokens]);
            assert!(json(&output).get("evaluation").is_none(), "a shard has no perplexity");
            file
        };
        (0..3).map(shard).collect()
    }
}

pub(super) fn merge(files: &[&Path]) -> Output {
    let files: Vec<&str> = files.iter().map(|file| path(file)).collect();
    bitgauge(&[&["--format", "json", "merge"], &files[..]].concat())
}

/// What must come out the same to the bit.
pub(super) fn figures(report: &Value) -> (u64, Value) {
    (number(&report["evaluation"]["heldout_ppl"]).to_bits(), report["evaluation"]["documents"].clone())
}

/// Replaces a piece of a file's text, which must be there.
pub(super) fn replace(file: &Path, from: &str, to: &str) {
    let old = fs::read_to_string(file).expect("the file");
    assert!(old.contains(from), "{from} is not in {old}");
    fs::write(file, old.replacen(from, to, 1)).expect("the file");
}

#[test]
fn shards_merge_to_what_one_run_gives_to_the_bit() {
    let setting = Setting::new(&[]);
    let whole = json(&setting.on_cpu(&["--threads", "1"]));
    let files = setting.shards();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let [first, second, third] = files[..] else { panic!("three shards") };
    let merged = merge(&[third, first, second]);
    assert_eq!(merged.status.code(), Some(0), "{}", text(&merged.stderr));
    let merged = json(&merged);
    assert_eq!(figures(&merged), figures(&whole));
    assert_eq!(merged["evaluation"]["scored_documents"], 7);
    assert_eq!((&merged["verdict"], &merged["gates"]), (&whole["verdict"], &whole["gates"]));

    // The last digit of one loss shows.
    let nats = number(&whole["evaluation"]["documents"][2]["nats"]);
    replace(third, &format!("\"nats\":{nats}"), &format!("\"nats\":{}", nats.next_up()));
    assert_ne!(figures(&json(&merge(&files))).1, figures(&whole).1);
}

#[test]
fn what_does_not_make_a_whole_run_is_refused() {
    let setting = Setting::new(&[]);
    let files = setting.shards();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let refused = |files: &[&Path], status: i32, words: &[&str]| {
        let output = merge(files);
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(status), 0), "{stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{words:?}: {stderr}");
    };
    refused(&files[..2], 3, &["documents are missing", "2, 5", "2/3"]);
    refused(&[files[0], files[1], files[2], files[1]], 2, &["a document is in two files", "document 1"]);

    let change = |from: &str, to: &str, status: i32, words: &[&str]| {
        let good = fs::read(files[2]).expect("the file");
        replace(files[2], from, to);
        refused(&files, status, words);
        fs::write(files[2], good).expect("the file");
    };
    let last =
        fs::read_to_string(files[2]).expect("the file").lines().last().expect("a line").to_owned() + "\n";
    change(&last, "", 3, &["1 missing: 5"]);
    change(&last, &last[..40], 3, &["1 missing: 5", "torn"]);
    change(&last, &last.repeat(2), 2, &["there twice", "line 4"]);
    change(&last, &last.replace(":5,", ":4,"), 2, &["does not belong", "document 4"]);
    change(&last, &last.replace(":5,", ":8,"), 2, &["does not belong", "document 8"]);
    change(&last, &last.replace("\"nats\":", "\"nats\":1e999,\"x\":"), 2, &["line 3"]);
    change("\"precision\":\"f32\"", "\"precision\":\"f16\"", 2, &["the precision", "f16"]);
    change("\"shard\":\"2/3\"", "\"shard\":\"5/3\"", 2, &["line 1", "5/3"]);
    change("\"documents\":8", "\"documents\":18446744073709551615", 2, &["too many documents"]);
    change("\"losses_version\":1", "\"losses_version\":2", 2, &["another version"]);
    refused(&[&setting.documents], 2, &["no losses of documents"]);
    refused(&[&setting.file("absent")], 2, &["absent"]);

    let flipped = Setting::new(&[Change::Invert("layers.3.mlp.down_proj.weight.sign", 1000)]);
    let other = flipped.shards();
    refused(&[files[0], files[1], &other[2]], 2, &["differs in the artifact"]);
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let setting = Setting::new(&[]);
    let file = setting.file("losses.jsonl");
    let resume = ["--resume", path(&file), "--tokens-in-flight", "1"];
    let whole = json(&setting.on_cpu(&resume));
    let text_of = |file: &Path| fs::read_to_string(file).expect("the file");
    let lines = text_of(&file);
    assert_eq!(lines.lines().count(), 1 + 8, "one line of the run, one of each document");

    // As if killed while it wrote the sixth document.
    let kept: usize = lines.lines().take(6).map(|line| line.len() + 1).sum();
    fs::write(&file, &lines[..kept + 30]).expect("the file");
    // A finished document is not evaluated again: what the file says of it stays.
    let nats = number(&whole["evaluation"]["documents"][0]["nats"]);
    replace(&file, &format!("\"nats\":{nats}"), "\"nats\":12.25");
    let resumed = setting.on_cpu(&resume);
    assert!(text(&resumed.stderr).contains("torn last line was dropped"), "{}", text(&resumed.stderr));
    let mut resumed = json(&resumed);
    assert_eq!(resumed["evaluation"]["documents"][0]["nats"], 12.25);
    assert_ne!(figures(&resumed), figures(&whole));
    resumed["evaluation"]["documents"][0]["nats"] = nats.into();
    assert_eq!(figures(&resumed).1, figures(&whole).1);
    assert_eq!(text_of(&file).lines().count(), 1 + 8);

    // Nothing is left to do, and the same comes out.
    replace(&file, "\"nats\":12.25", &format!("\"nats\":{nats}"));
    assert_eq!(figures(&json(&setting.on_cpu(&resume))), figures(&whole));
    assert_eq!(figures(&json(&merge(&[&file]))), figures(&whole));
}

#[test]
fn a_file_of_another_run_is_refused_and_stays_as_it_is() {
    let setting = Setting::new(&[]);
    let file = setting.file("losses.jsonl");
    setting.on_cpu(&["--resume", path(&file), "--shard", "0/8"]);
    let bytes = fs::read(&file).expect("the file");
    let flipped = Setting::new(&[Change::Invert("layers.3.mlp.down_proj.weight.sign", 1000)]);
    let refused = |setting: &Setting, file: &Path, extra: &[&str], words: &str| {
        let bytes = fs::read(file).expect("the file");
        let output = setting.eval(&[&["--device", "cpu", "--resume", path(file)], extra].concat());
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(text(&output.stderr).contains(words), "{words}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty() && fs::read(file).expect("the file") == bytes, "{words}");
    };
    refused(&flipped, &file, &["--shard", "0/8"], "differs in the artifact");
    refused(&setting, &file, &["--shard", "1/8"], "another shard");
    refused(&setting, &file, &["--shard", "0/7"], "differs in the number of shards");
    refused(&setting, &file, &["--shard", "0/8", "--max-tokens", "20"], "or --max-tokens");
    refused(&setting, &file, &["--shard", "0/8", "--pack", "ternary"], "differs in the limits");
    let other = setting.file("other.json");
    fs::copy(&setting.documents, &other).expect("a file");
    refused(&setting, &other, &[], "no losses of documents");
    replace(&file, "\"document\":0,\"tokens\":", "\"document\":0,\"tokens\":1");
    refused(&setting, &file, &["--shard", "0/8"], "document 0");
    fs::write(&file, bytes).expect("the file");

    let held = fs::File::open(&file).expect("the file");
    held.lock().expect("the lock");
    refused(&setting, &file, &["--shard", "0/8"], "another process");
    drop(held);
    setting.on_cpu(&["--resume", path(&file), "--shard", "0/8"]);

    for wrong in [&["--shard", "0/2"][..], &["--shard", "2/2", "--resume", "x"], &["--device", "cpu,cpu"]] {
        assert_eq!(setting.eval(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let report = ["--shard", "0/2", "--resume", "x", "--report", "y"];
    assert_eq!(setting.eval(&report).status.code(), Some(2), "a shard has no report");
}

#[test]
fn two_devices_share_the_documents() {
    // A bound on the summed loss of one document, some 100 nats.
    const DOCUMENT_NATS: f64 = 1e-3;
    let setting = Setting::new(&[]);
    let short = ["--max-tokens", "24", "--precision", "f32"];
    let alone = json(&setting.on_cpu(&short));
    let both = setting.eval(&[&["--device", "gpu:0,cpu", "--tokens-in-flight", "8"], &short[..]].concat());
    assert_eq!(both.status.code(), Some(0), "{}", text(&both.stderr));
    let both = json(&both);
    let nats = |report: &Value, i: usize| number(&report["evaluation"]["documents"][i]["nats"]);
    for i in 0..8 {
        assert!((nats(&alone, i) - nats(&both, i)).abs() < DOCUMENT_NATS, "document {i}");
    }
    assert!((nats(&alone, 0) - nats(&both, 1)).abs() > DOCUMENT_NATS, "documents differ by more than that");
    assert_eq!(both["evaluation"]["scored_documents"], 7);

    // Every hardware GPU, or the CPU where there is none.
    let all = setting.eval(&[&["--device", "all"], &short[..]].concat());
    assert_eq!(all.status.code(), Some(0), "{}", text(&all.stderr));
    assert!((nats(&alone, 0) - nats(&json(&all), 0)).abs() < DOCUMENT_NATS);

    // Other commands run on one device.
    let bench =
        bitgauge(&["bench", "--layers", "1", "--tokens", "2", "--documents", "1", "--device", "gpu:0,cpu"]);
    assert_eq!(bench.status.code(), Some(2));
    assert!(text(&bench.stderr).contains("one device"), "{}", text(&bench.stderr));
}
