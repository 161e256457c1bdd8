//! Artifacts by address: requests and bytes, one pass, faults of the way, the cache, and who sees the token.

mod models;
#[cfg(unix)]
mod sequence;
mod server;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use self::models::{hollow, shards};
use self::server::{COMMIT, Content, Faults, Hub, Seen, TOKEN};
use crate::artifacts::Artifact;
use crate::{json, path, text};

const FILE: &str = "hf://owner/model/model.zip";
const REPOSITORY: &str = "hf://owner/model";
/// The most bytes that a verdict from headers may take, beside what a pass takes.
const HEADERS_BYTES: u64 = 512 << 10;

/// Runs bitgauge against a hub, with an empty cache.
struct User {
    home: TempDir,
    hub: String,
}

impl User {
    fn of(hub: &Hub) -> Self {
        Self { home: tempfile::tempdir().expect("a folder"), hub: hub.address.clone() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bitgauge"));
        command.args(arguments).env("NO_COLOR", "1");
        for (variable, _) in std::env::vars_os() {
            if variable.to_str().is_some_and(|name| name.starts_with("HF_") || name.starts_with("HUGGING")) {
                command.env_remove(variable);
            }
        }
        command.env("HF_ENDPOINT", &self.hub).env("HF_HUB_CACHE", self.home.path());
        command.env("HOME", self.home.path()).env_remove("XDG_CACHE_HOME");
        command.current_dir(self.home.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("bitgauge starts")
    }

    /// The report that a command prints.
    fn report(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--format", "json"], arguments].concat());
        assert!(!output.stdout.is_empty(), "{arguments:?}: {}", text(&output.stderr));
        json(&output)
    }

    /// Expects an error that holds these words.
    fn refused(&self, arguments: &[&str], words: &str) {
        let output = self.run(arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}: {stderr}{}", text(&output.stdout));
        assert!(stderr.contains(words) && output.stdout.is_empty(), "{words}: {stderr}");
        assert!(!stderr.contains(TOKEN), "the token is told: {stderr}");
    }
}

/// A hub with a zip of the demo.
fn with_zip() -> (Hub, Artifact, Vec<u8>) {
    let artifact = Artifact::demo(&[]);
    let bytes = fs::read(&artifact.path).expect("the demo");
    (Hub::start(vec![("model.zip", Content::large(bytes.clone()))]), artifact, bytes)
}

fn bytes_of(seen: &[Seen]) -> u64 {
    seen.iter().map(|seen| seen.bytes).sum()
}

/// The report of an artifact on disk, under another name.
fn local(artifact: &Path, name: &str, extra: &[&str]) -> Value {
    let output = crate::bitgauge(&[&["--format", "json", "inspect", path(artifact)], extra].concat());
    let mut report = json(&output);
    report["artifact"]["name"] = name.into();
    report
}

#[test]
fn a_large_files_headers_take_few_requests_and_bytes() {
    const LENGTH: u64 = 4_300_000_000;
    let hub = Hub::start(vec![("model.zip", hollow(LENGTH))]);
    let report = User::of(&hub).report(&["inspect", "--headers-only", FILE]);
    let size = report["artifact"]["size_bytes"].as_u64();
    assert!(size.is_some_and(|size| size > LENGTH), "{report:#}");
    let seen = hub.take_seen();
    // Where the hub sends it; from there the first bytes, and the last ones.
    assert!(seen.len() <= 3 && bytes_of(&seen) <= HEADERS_BYTES, "{seen:#?}");

    // Small files beside the weights are deflated.
    let (hub, artifact, _) = with_zip();
    let report = User::of(&hub).report(&["inspect", "--headers-only", FILE]);
    assert_eq!(report, local(&artifact.path, "model.zip", &["--headers-only"]));
    let seen = hub.take_seen();
    let ranges = seen.iter().filter(|seen| seen.is_storage).count();
    assert!(ranges <= 3 && bytes_of(&seen) <= HEADERS_BYTES, "{seen:#?}");
}

#[test]
fn a_repository_of_shards_is_judged_as_a_folder() {
    const SHARDS: usize = 27;
    let folder = shards(SHARDS);
    let files = models::contents(&folder.path);
    let hub = Hub::start(files.iter().map(|(name, content)| (name.as_str(), content.clone())).collect());
    let user = User::of(&hub);
    // The listing; then everything that is needed at once; then the shards where the hub sends them.
    hub.expect_waves(&[1, SHARDS + 2, SHARDS]);
    let report = user.report(&["inspect", "--headers-only", REPOSITORY]);
    assert_eq!(report, local(&folder.path, "model", &["--headers-only"]));
    let seen = hub.take_seen();
    assert!(hub.came_in_waves(), "one after the other: {seen:#?}");
    assert!(seen.len() <= 2 * SHARDS + 3, "{} requests: {seen:#?}", seen.len());

    // All of it, once; each way to name it.
    let whole = local(&folder.path, "model", &[]);
    assert_eq!(user.report(&["inspect", REPOSITORY]), whole);
    let headers: u64 = seen.iter().map(|seen| seen.bytes).sum();
    assert!(bytes_of(&hub.take_seen()) <= folder.size_bytes() + headers, "more than once");
    for address in [
        format!("hf://owner/model@{COMMIT}"),
        "https://huggingface.co/owner/model".into(),
        "huggingface.co/owner/model".into(),
        // One shard finds its neighbours, as on the page.
        "hf://owner/model/model-00002-of-00027.safetensors".into(),
        "https://huggingface.co/owner/model/tree/main".into(),
        format!("{}/owner/model/tree/{COMMIT}/", hub.address),
    ] {
        assert_eq!(user.report(&["inspect", &address]), whole, "{address}");
    }
    let flipped = models::flipped(&files);
    hub.put(&flipped.0, flipped.1);
    assert_ne!(user.report(&["inspect", REPOSITORY])["artifact"]["members"], whole["artifact"]["members"]);
}

#[test]
fn inspecting_reads_every_byte_once_and_goes_on_where_it_was() {
    let (hub, artifact, bytes) = with_zip();
    let user = User::of(&hub);
    let whole = local(&artifact.path, "model.zip", &[]);
    assert_eq!(user.report(&["inspect", FILE]), whole);
    let seen = hub.take_seen();
    assert!(bytes_of(&seen) <= bytes.len() as u64 + HEADERS_BYTES, "{seen:#?}");
    assert_eq!(seen.iter().filter(|seen| seen.range.as_deref() == Some("bytes=0-")).count(), 1);

    // Three connections break; what came counts.
    // More than what the first request asks for.
    const PIECE: u64 = 400_000;
    hub.fault(Faults { breaks: Some((PIECE, 3)), ..Faults::default() });
    assert_eq!(user.report(&["inspect", FILE]), whole);
    let streamed: Vec<String> = hub
        .take_seen()
        .into_iter()
        .filter_map(|seen| seen.range)
        .filter(|range| range.ends_with('-'))
        .collect();
    let wanted: Vec<String> = (0..4).map(|number| format!("bytes={}-", number * PIECE)).collect();
    assert_eq!(streamed, wanted);

    // Signed addresses that are good for one request only.
    hub.fault(Faults { expires_after: Some(1), ..Faults::default() });
    assert_eq!(user.report(&["inspect", FILE]), whole);
    hub.take_seen();

    // Not a byte comes: it is given up.
    hub.fault(Faults { breaks: Some((0, 1_000)), ..Faults::default() });
    user.refused(&["inspect", FILE], "answer can't be used");
    assert!(hub.take_seen().len() < 20);
}

#[test]
fn a_file_that_changes_is_never_read_in_parts() {
    let (hub, ..) = with_zip();
    let user = User::of(&hub);
    user.report(&["inspect", FILE]);
    let requests = hub.take_seen().iter().filter(|seen| seen.is_storage).count() as u32;
    assert!(requests > 1);
    for requests in 1..requests {
        hub.fault(Faults { changes_after: Some(requests), ..Faults::default() });
        user.refused(&["inspect", FILE], "changed while it was read");
    }
    // While it streams: the rest would be another file's.
    let breaks = Some((400_000, 1));
    hub.fault(Faults { changes_after: Some(requests), breaks, ..Faults::default() });
    user.refused(&["inspect", FILE], "changed while it was read");
    hub.fault(Faults { wrong_hash: true, ..Faults::default() });
    user.refused(&["inspect", FILE], "is not the one that the host names");
    user.refused(&["eval", FILE], "is not the one that the host names");
    user.refused(&["inspect", "--cache", FILE], "is not the one that the host names");
}

#[test]
fn each_refusal_says_what_to_do() {
    let (hub, artifact, _) = with_zip();
    let user = User::of(&hub);
    for (address, words) in [
        ("hf://owner/other", "no such repository"),
        ("hf://owner/model@other", "no such revision"),
        ("hf://owner/model@other/model.zip", "no such revision"),
        ("hf://owner/model/other.zip", "no such file"),
        ("hf://owner/model/other", "no files at this address"),
        ("hf://owner", "names no repository"),
        ("http://example.org/model.zip", "can't be read"),
    ] {
        user.refused(&["inspect", address], words);
    }
    hub.fault(Faults { private: true, ..Faults::default() });
    user.refused(&["inspect", FILE], "set HF_TOKEN");
    user.refused(&["inspect", REPOSITORY], "set HF_TOKEN");
    hub.fault(Faults { gated: true, ..Faults::default() });
    user.refused(&["inspect", FILE], "accept the model's conditions");
    hub.fault(Faults { no_ranges: true, ..Faults::default() });
    user.refused(&["inspect", FILE], "gives no part of the file");
    hub.fault(Faults { busy: (1, "3600"), ..Faults::default() });
    user.refused(&["inspect", FILE], "try again in 3600 s");
    // Heeded where it is short.
    hub.fault(Faults { busy: (2, "0"), ..Faults::default() });
    assert_eq!(user.report(&["inspect", FILE]), local(&artifact.path, "model.zip", &[]));
}

#[test]
fn the_token_stays_with_the_hub() {
    let (hub, artifact, _) = with_zip();
    hub.fault(Faults { private: true, ..Faults::default() });
    let user = User::of(&hub);
    let wanted = local(&artifact.path, "model.zip", &[]);
    let key = format!("Bearer {TOKEN}");
    let file = |name: &str| {
        let file = user.home.path().join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, format!("{TOKEN}\n")).expect("a token");
        file
    };
    let run = |variables: &[(&str, &str)], address: &str| {
        let mut command = user.command(&["--format", "json", "inspect", address]);
        command.envs(variables.iter().copied()).output().expect("bitgauge starts")
    };
    let (home, named) = (user.home.path().join("home"), file("of/the/user"));
    let places = [
        vec![("HF_TOKEN", TOKEN)],
        vec![("HUGGING_FACE_HUB_TOKEN", TOKEN)],
        vec![("HF_TOKEN_PATH", path(&named))],
        vec![("HF_TOKEN_PATH", "~/of/the/user")],
        vec![("HF_HOME", path(&home))],
        vec![],
    ];
    // What stands below must serve before there are files for what comes after.
    for (variables, file_name) in
        places.iter().zip([None, None, None, None, Some("home/token"), Some(".cache/huggingface/token")])
    {
        if let Some(name) = file_name {
            assert_eq!(run(variables, FILE).status.code(), Some(2), "{variables:?} without the file");
            file(name);
            hub.take_seen();
        }
        assert_eq!(json(&run(variables, FILE)), wanted, "{variables:?}");
        let seen = hub.take_seen();
        assert!(seen.iter().any(|seen| seen.is_storage), "{seen:#?}");
        for seen in seen {
            assert_eq!(seen.authorization.as_ref(), (!seen.is_storage).then_some(&key), "{}", seen.path);
        }
    }
    // The variable comes first, and nothing is shown where the user does not want it.
    for variables in [[("HF_TOKEN", "hf_wrong")], [("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]] {
        assert_eq!(run(&variables, FILE).status.code(), Some(2), "{variables:?}");
    }
    assert!(hub.take_seen().iter().all(|seen| seen.authorization.as_ref() != Some(&key)));

    // Another hub, named by its address, is another host.
    let other = Hub::start(vec![("model.zip", Content::large(fs::read(&artifact.path).expect("the demo")))]);
    for verb in ["blob", "resolve"] {
        let address = format!("{}/owner/model/{verb}/main/model.zip", other.address);
        assert_eq!(json(&run(&[("HF_TOKEN", TOKEN)], &address)), wanted, "{address}");
    }
    let seen = other.take_seen();
    assert!(!seen.is_empty() && seen.iter().all(|seen| seen.authorization.is_none()), "{seen:#?}");
}

#[test]
fn the_cache_is_as_other_tools_have_it_and_serves_again() {
    let (hub, artifact, bytes) = with_zip();
    let user = User::of(&hub);
    let whole = local(&artifact.path, "model.zip", &[]);
    let cached = user.home.path().join("models--owner--model");
    let blob = cached.join("blobs").join(whole["artifact"]["sha256"].as_str().expect("a hash"));
    user.refused(&["inspect", "--offline", FILE], "is not on this machine");
    assert!(hub.take_seen().is_empty());

    // The first half came some other day.
    fs::create_dir_all(cached.join("blobs")).expect("a folder");
    let partial = blob.with_extension("incomplete");
    fs::write(&partial, &bytes[..bytes.len() / 2]).expect("a file");
    assert_eq!(user.report(&["inspect", "--cache", FILE]), whole);
    let streamed =
        hub.take_seen().into_iter().filter_map(|seen| seen.range).find(|range| range.ends_with('-'));
    assert_eq!(streamed, Some(format!("bytes={}-", bytes.len() / 2)));
    assert!(!partial.exists());
    assert_eq!(fs::read_to_string(cached.join("refs/main")).expect("a reference"), COMMIT);
    let name = cached.join("snapshots").join(COMMIT).join("model.zip");
    assert_eq!(fs::read(&name).expect("the snapshot"), bytes);
    #[cfg(unix)]
    assert_eq!(fs::canonicalize(&name).expect("a link"), fs::canonicalize(&blob).expect("a blob"));

    // Found again: asked for at most by name, and by a commit's name not at all.
    let pinned = format!("hf://owner/model@{COMMIT}/model.zip");
    for (arguments, requests) in
        [(vec!["inspect", FILE], 1), (vec!["inspect", &pinned], 0), (vec!["inspect", "--offline", FILE], 0)]
    {
        assert_eq!(user.report(&arguments), whole, "{arguments:?}");
        let seen = hub.take_seen();
        assert!(seen.len() == requests && bytes_of(&seen) == 0, "{arguments:?}: {seen:#?}");
    }
    // The only archive of a repository is what it is about.
    let silent =
        user.command(&["--format", "json", "inspect", REPOSITORY]).env("HF_HUB_OFFLINE", "1").output();
    assert_eq!(json(&silent.expect("bitgauge starts")), whole);
    assert!(hub.take_seen().is_empty());
    assert_eq!(user.report(&["inspect", REPOSITORY]), whole);
    assert_eq!(hub.take_seen().len(), 1, "the listing");

    // A half that is another file's is thrown away.
    let user = User::of(&hub);
    let blobs = user.home.path().join("models--owner--model/blobs");
    fs::create_dir_all(&blobs).expect("a folder");
    let partial = blobs.join(partial.file_name().expect("a name"));
    fs::write(&partial, vec![0; bytes.len() / 2]).expect("a file");
    user.refused(&["eval", "--cache", FILE], "is not the one that the host names");
    assert!(!partial.exists());
    assert_eq!(user.report(&["inspect", "--cache", FILE]), whole);
}

#[test]
fn evaluating_downloads_once() {
    let (hub, artifact, bytes) = with_zip();
    let user = User::of(&hub);
    let perplexity = |report: Value| report["evaluation"]["heldout_ppl"].as_f64().expect("a perplexity");
    let evaluate = ["eval", "--device", "cpu", "--max-tokens", "32"];
    let wanted = perplexity(user.report(&[&evaluate[..], &[path(&artifact.path)]].concat()));
    assert_eq!(perplexity(user.report(&[&evaluate[..], &[FILE]].concat())), wanted);
    let seen = hub.take_seen();
    assert!(bytes_of(&seen) <= bytes.len() as u64 + HEADERS_BYTES, "{seen:#?}");
    assert_eq!(fs::read_dir(user.home.path()).expect("the cache").count(), 0, "nothing is kept");

    // A repository, into the cache and out of it.
    let folder = shards(3);
    let files = models::contents(&folder.path);
    let hub = Hub::start(files.iter().map(|(name, content)| (name.as_str(), content.clone())).collect());
    let user = User::of(&hub);
    assert_eq!(perplexity(user.report(&[&evaluate[..], &["--cache", REPOSITORY]].concat())), wanted);
    assert!(bytes_of(&hub.take_seen()) <= folder.size_bytes() + HEADERS_BYTES);
    assert_eq!(perplexity(user.report(&[&evaluate[..], &["--offline", REPOSITORY]].concat())), wanted);
    assert!(hub.take_seen().is_empty());
    assert_eq!(perplexity(user.report(&[&evaluate[..], &[REPOSITORY]].concat())), wanted);
    assert_eq!(hub.take_seen().len(), 1, "the listing");
    // Another tool's cache lacks what it did not need.
    let snapshot = user.home.path().join("models--owner--model/snapshots").join(COMMIT);
    fs::remove_file(snapshot.join("model-00002-of-00003.safetensors")).expect("a shard");
    assert_eq!(perplexity(user.report(&[&evaluate[..], &[REPOSITORY]].concat())), wanted);
}

#[test]
fn compressed_tars_and_json_come_by_address_too() {
    let artifact = Artifact::demo_compressed_tar(bitgauge_core::container::Compressor::Gzip);
    let bytes = fs::read(&artifact.path).expect("the demo");
    let report = local(&artifact.path, "model.tar.gz", &[]);
    let files = [
        ("model.tar.gz", Content::large(bytes.clone())),
        ("report.json", Content::small(report.to_string())),
        ("empty.zip", Content::large("")),
    ];
    let hub = Hub::start(files.to_vec());
    let user = User::of(&hub);
    assert_eq!(user.report(&["inspect", "hf://owner/model/model.tar.gz"]), report);
    let seen = hub.take_seen();
    assert!(bytes_of(&seen) <= bytes.len() as u64 + HEADERS_BYTES, "{seen:#?}");
    let shown = user.report(&["show", "hf://owner/model/report.json"]);
    assert_eq!(shown["artifact"], report["artifact"]);
    let both = ["compare", "hf://owner/model/model.tar.gz", "hf://owner/model/report.json"];
    let compared = user.report(&both);
    assert!(compared["decision"]["reason"].is_string(), "{compared:#}");
    user.refused(&["inspect", "hf://owner/model/report.json"], "a saved report");
    user.refused(&["inspect", "hf://owner/model/empty.zip"], "too short");
}
