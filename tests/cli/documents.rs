//! Documents in the forms that people have: the same texts give the same perplexity.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::artifacts::Artifact;
use crate::{bitgauge, json as document, number, path, text};

/// The beginnings of three of the demo's documents, line ends included.
fn texts() -> Vec<String> {
    let all: Vec<Value> = serde_json::from_str(include_str!("../../demo/documents.json")).expect("documents");
    let text =
        |document: &Value| document["text"].as_str().expect("a text").chars().take(300).collect::<String>();
    all.iter().take(3).map(text).map(|text| text.trim().to_owned()).collect()
}

struct Place {
    artifact: Artifact,
    files: Vec<PathBuf>,
}

impl Place {
    fn new() -> Self {
        let artifact = Artifact::demo(&[]);
        let folder = artifact.path.with_file_name("texts");
        fs::create_dir(&folder).expect("a folder");
        let file = |(i, text): (usize, &String)| {
            let file = folder.join(format!("{i}.{}", ["txt", "md", "text"][i]));
            fs::write(&file, format!("{text}\n")).expect("a file");
            file
        };
        let files = texts().iter().enumerate().map(file).collect();
        Self { artifact, files }
    }

    fn eval(&self, extra: &[&str]) -> Output {
        let own = ["--format", "json", "eval", path(&self.artifact.path), "--device", "cpu"];
        bitgauge(&[&own, extra].concat())
    }

    fn evaluation(&self, extra: &[&str]) -> Value {
        let output = self.eval(extra);
        assert_eq!(output.status.code(), Some(0), "{extra:?}: {}", text(&output.stderr));
        document(&output)["evaluation"].clone()
    }
}

/// What must be the same to the bit.
fn figures(evaluation: &Value) -> (u64, &Value, &Value) {
    (number(&evaluation["heldout_ppl"]).to_bits(), &evaluation["documents"], &evaluation["documents_sha256"])
}

#[test]
fn the_same_texts_have_the_same_perplexity_in_every_form() {
    let place = Place::new();
    let list = place.artifact.beside("list.json", &serde_json::to_vec(&texts()).expect("JSON"));
    let wanted = place.evaluation(&["--documents", path(&list)]);
    assert_eq!(wanted["scored_documents"], 3);
    let rows: Vec<String> = texts().iter().map(|text| json!({"id": 1, "body": text}).to_string()).collect();
    let rows = place.artifact.beside("rows.jsonl", rows.join("\n").as_bytes());
    let folder = place.files[0].parent().expect("the folder");
    let three: Vec<&str> = place.files.iter().flat_map(|file| ["--documents", path(file)]).collect();
    let forms: [&[&str]; 3] =
        [&["--documents", path(folder)], &["--documents", path(&rows), "--text-key", "body"], &three];
    for form in forms {
        assert_eq!(figures(&place.evaluation(form)), figures(&wanted), "{form:?}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_bitgauge"));
    command.args([
        "--format",
        "json",
        "eval",
        path(&place.artifact.path),
        "--device",
        "cpu",
        "--documents",
        "-",
    ]);
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let bytes = fs::read(&list).expect("the list");
    running.stdin.take().expect("its input").write_all(&bytes).expect("the list is read");
    let piped = document(&running.wait_with_output().expect("an end"));
    assert_eq!(figures(&piped["evaluation"]), figures(&wanted));
    // Another text, or the same in lines, is another measurement.
    let lines = place.evaluation(&["--documents", path(&place.files[0]), "--lines"]);
    let whole = place.evaluation(&["--documents", path(&place.files[0])]);
    assert_ne!(figures(&lines), figures(&whole));
    let unnamed = place.eval(&["--documents", path(&rows)]);
    assert_eq!(unnamed.status.code(), Some(2));
    assert!(text(&unnamed.stderr).contains("--text-key"), "{}", text(&unnamed.stderr));
}

#[test]
fn what_is_cut_off_is_said_and_windows_score_all_of_it() {
    let place = Place::new();
    let file = path(&place.files[0]);
    let whole = place.evaluation(&["--documents", file]);
    let tokens = whole["scored_tokens"].as_u64().expect("a count") + 1;
    assert_eq!(whole["cut_tokens"], 0);
    let cut = place.evaluation(&["--documents", file, "--max-tokens", "16"]);
    assert_eq!((cut["cut_tokens"].as_u64(), cut["scored_tokens"].as_u64()), (Some(tokens - 16), Some(15)));
    let human = bitgauge(&[
        "eval",
        path(&place.artifact.path),
        "--device",
        "cpu",
        "--documents",
        file,
        "--max-tokens",
        "16",
    ]);
    let share = 100.0 * (tokens - 16) as f64 / tokens as f64;
    let words = format!("cut off        {share:.2} % of the tokens");
    assert!(text(&human.stdout).contains(&words), "{words}: {}", text(&human.stdout));
    // A window as long as the text is the text; shorter ones score every token, with less before it.
    let window = |window: &str, stride: &str| {
        place.evaluation(&["--documents", file, "--window", window, "--stride", stride])
    };
    let long = window("4096", "1");
    assert_eq!((&long["documents"], &long["window"]), (&whole["documents"], &json!(4096)));
    let (fine, coarse) = (window("16", "1"), window("16", "15"));
    for scored in [&fine, &coarse] {
        assert_eq!((&scored["scored_tokens"], &scored["cut_tokens"]), (&whole["scored_tokens"], &json!(0)));
        assert_eq!(scored["documents"].as_array().map(Vec::len), Some(1));
    }
    let nats = |evaluation: &Value| number(&evaluation["cross_entropy_nats"]);
    assert!(nats(&whole) < nats(&coarse) && nats(&fine) < nats(&coarse), "{whole} {fine} {coarse}");
    let first = |evaluation: &Value| number(&evaluation["documents"][0]["nats"]);
    assert!(first(&coarse) > first(&cut), "the first window is the text cut off");
    for wrong in
        [&["--window", "16", "--stride", "16"][..], &["--stride", "4"], &["--window", "16", "--resume", "x"]]
    {
        assert_eq!(place.eval(&[&["--documents", file], wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn without_documents_the_demo_serves_and_it_is_said() {
    let place = Place::new();
    let output = place.eval(&["--max-tokens", "8"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("no --documents: the 24 documents of the built-in demo serve"));
    assert_eq!(document(&output)["evaluation"]["scored_documents"], 24);
}

#[test]
fn texts_longer_than_the_models_context_are_noted() {
    let artifact = Artifact::demo(&[crate::artifacts::Change::Config("max_position_embeddings", json!(12))]);
    let place = Place { files: Vec::new(), artifact };
    let notes = |extra: &[&str]| document(&place.eval(extra))["notes"].to_string();
    assert!(notes(&["--max-tokens", "13"]).contains("24 texts are longer than the 12 tokens"));
    assert!(!notes(&["--max-tokens", "12"]).contains("longer than"));
    assert!(!notes(&["--max-tokens", "40", "--window", "12"]).contains("longer than"));
}
