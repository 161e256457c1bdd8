//! The sequence of docs/addresses.md, as it stands there, from a checkpoint to a submission.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::server::{COMMIT, Content, Hub};
use super::{User, models};
use crate::artifacts::Artifact;
use crate::{path, text};

const DOCUMENT: &str = include_str!("../../../docs/addresses.md");
/// Where the sequence stands.
const HEADING: &str = "## From a checkpoint to a claim that ranks";
/// What the document says for what everyone has of their own.
const NAMES: [(&str, &str); 4] = [
    ("OWNER/DENSE", "owner/dense"),
    ("OWNER/REPO", "owner/model"),
    ("COMMIT", COMMIT),
    ("INSPECTOR", "inspector.example"),
];
/// Few tokens: this is about the way, not the figure.
const SHORT: [&str; 4] = ["--device", "cpu", "--max-tokens", "16"];

/// The commands of the document, without `bitgauge`.
fn commands() -> Vec<Vec<String>> {
    let section = DOCUMENT.split_once(HEADING).expect("the section").1;
    let lines = section.lines().filter_map(|line| line.strip_prefix("    bitgauge "));
    let named = |word: &str| NAMES.iter().fold(word.to_owned(), |word, (from, to)| word.replace(from, to));
    lines.map(|line| line.split(' ').map(named).collect()).collect()
}

/// The link that a command printed.
fn link(stdout: &str) -> String {
    let mut links = stdout.split_whitespace().filter(|word| word.starts_with("https://inspector.example/"));
    links.next_back().expect("a link").to_owned()
}

/// Puts a model's files into the cache as huggingface_hub does.
fn cache(cache: &Path, files: &[(String, Vec<u8>)]) {
    let repository = cache.join("models--owner--dense");
    for folder in ["blobs", "refs", &format!("snapshots/{COMMIT}")] {
        fs::create_dir_all(repository.join(folder)).expect("a folder");
    }
    fs::write(repository.join("refs/main"), COMMIT).expect("a reference");
    for (number, (name, bytes)) in files.iter().enumerate() {
        fs::write(repository.join(format!("blobs/{number:040}")), bytes).expect("a blob");
        let name = repository.join("snapshots").join(COMMIT).join(name);
        std::os::unix::fs::symlink(format!("../../blobs/{number:040}"), name).expect("a link");
    }
}

#[test]
fn from_a_checkpoint_in_the_cache_to_a_submission() {
    let hub = Hub::start(Vec::new());
    let user = User::of(&hub);
    cache(user.home.path(), &models::dense());
    let at = |name: &str| user.home.path().join(name);
    let mut other_link = None;
    let mut own_link = None;
    for command in commands() {
        let words = |word: &String| match word.as_str() {
            "LINK" => own_link.clone().expect("the link is printed before"),
            "OTHER_LINK" => other_link.clone().expect("another's link"),
            word => word.to_owned(),
        };
        let mut command: Vec<String> = command.iter().map(words).collect();
        if command[0] == "eval" {
            command.extend(SHORT.map(str::to_owned));
        }
        let output = user.run(&command.iter().map(String::as_str).collect::<Vec<_>>());
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        // Headers alone leave the payload open.
        let status = if command.iter().any(|word| word == "--headers-only") { 3 } else { 0 };
        assert_eq!(output.status.code(), Some(status), "{command:?}\n{stdout}{stderr}");
        match command[0].as_str() {
            "pack" => {
                assert!(hub.take_seen().is_empty(), "--offline asks nobody");
                let bytes = fs::read(at("model.zip")).expect("the artifact");
                let hash = models::sha256(&bytes);
                assert!(stdout.contains(&hash), "the hash is said: {stdout}");
                hub.put("model.zip", Content::large(bytes));
            }
            "eval" => {
                own_link = Some(link(&stdout));
                let demo = Artifact::demo(&[]);
                let others = ["eval", path(&demo.path), "--share", "https://inspector.example/index.html"];
                other_link = Some(link(&text(&user.run(&[&others[..], &SHORT].concat()).stdout)));
            }
            // The demo was trained, the other is random.
            "compare" => assert!(stdout.contains("B wins"), "{stdout}"),
            _ => {}
        }
    }
    let read =
        |name: &str| -> Value { serde_json::from_slice(&fs::read(at(name)).expect("a file")).expect("JSON") };
    let (report, submission) = (read("report.json"), read("submission.json"));
    let artifact = fs::read(at("model.zip")).expect("the artifact");
    let uri = format!("https://huggingface.co/owner/model/resolve/{COMMIT}/model.zip");
    assert_eq!(submission["artifact_uri"], uri);
    assert_eq!(submission["artifact_sha256"], models::sha256(&artifact));
    assert_eq!(submission["artifact_size_bytes"], artifact.len());
    assert_eq!(submission["claimed_metrics"]["heldout_ppl"], report["evaluation"]["heldout_ppl"]);
    assert_eq!(report["verdict"], json!("eligible"));
    // What lies on the hub is what was packed.
    let by_address = user.report(&["inspect", "hf://owner/model/model.zip"]);
    assert_eq!(by_address, super::local(&at("model.zip"), "model.zip", &[]));
}
