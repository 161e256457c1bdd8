//! `--report` and `--result`: checked first, written last, and printed whatever becomes of them.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    after, contents, expect_refused, is_fifo, make_fifo, mode, path, run, run_mounted, set_mode, text,
};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/model.zip");

/// The commands that write a result, as JSON.
const COMMANDS: [&str; 5] = ["inspect", "eval", "merge", "benchmark", "prepare"];

/// A folder with what the commands read.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().expect("a folder") };
        fs::copy(DEMO, place.path("model.zip")).expect("the demo");
        fs::write(place.path("documents.json"), r#"["one short text", "another"]"#).expect("a file");
        let losses = place.path("losses.jsonl");
        let (artifact, documents) = (place.path("model.zip"), place.path("documents.json"));
        let eval = ["eval", path(&artifact), "--documents", path(&documents), "--device", "cpu"];
        let output = super::bitgauge(&[&eval[..], &["--resume", path(&losses)]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command that writes to this path, after a line of set-up in bash.
    fn writing_after(&self, setup: &str, command: &str, out: &Path) -> Command {
        let (artifact, documents) = (self.path("model.zip"), self.path("documents.json"));
        let losses = self.path("losses.jsonl");
        let (artifact, documents, losses, out) =
            (path(&artifact), path(&documents), path(&losses), path(out));
        let arguments = match command {
            "inspect" => vec!["inspect", artifact, "--report", out],
            "eval" => vec!["eval", artifact, "--documents", documents, "--device", "cpu", "--report", out],
            "merge" => vec!["merge", losses, "--report", out],
            "benchmark" => vec!["benchmark", "--tokenizer", "artifact", "--result", out],
            _ => vec!["prepare", "--result", out],
        };
        let mut command = after(setup, &[&["--format", "json"], &arguments[..]].concat());
        command.current_dir(self.folder.path()).envs([
            ("AUTORESEARCH_SUBMISSION_ARTIFACT_PATH", artifact),
            ("AUTORESEARCH_HELDOUT_DATASET", "validator-private-shard"),
            ("AUTORESEARCH_PRIVATE_HELDOUT_MANIFEST", documents),
            ("AUTORESEARCH_HELDOUT_DOCUMENT_COUNT", "1"),
            ("AUTORESEARCH_EVAL_DEVICE", "cpu"),
            ("AUTORESEARCH_EVAL_MAX_TOKENS", "8"),
        ]);
        command
    }

    fn writing(&self, command: &str, out: &Path) -> Output {
        run(self.writing_after(":", command, out))
    }

    fn refused(&self, command: &str, out: &Path, words: &str) {
        let before = contents(self.folder.path());
        expect_refused(&self.writing(command, out), words);
        assert!(contents(self.folder.path()) == before, "{command} {}: something was changed", out.display());
    }
}

/// The figures of a result, without the time that it took.
fn figures(bytes: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(bytes).expect("JSON");
    if let Some(evaluation) = value.get_mut("evaluation").and_then(Value::as_object_mut) {
        evaluation.remove("seconds");
        evaluation.remove("tokens_per_second");
    }
    value
}

fn expect_written(output: &Output, result: &[u8]) {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(figures(&output.stdout), figures(result));
}

#[test]
fn a_result_that_cannot_be_written_is_said_before_anything_is_read() {
    let place = Place::new();
    fs::create_dir(place.path("folder")).expect("a folder");
    fs::write(place.path("protected.json"), "{}").expect("a file");
    set_mode(&place.path("protected.json"), 0o444);
    // Whatever is read first is malformed, and not what the error is about.
    fs::write(place.path("model.zip"), "no model").expect("a file");
    fs::write(place.path("losses.jsonl"), "no losses\n").expect("a file");
    fs::write(place.path("documents.json"), "no documents").expect("a file");
    for command in COMMANDS {
        for (out, words) in [
            ("absent/report.json", "make the folder first"),
            ("model.zip/report.json", "make the folder first"),
            ("folder", "a folder"),
            ("new/", "a folder's name"),
            ("protected.json", "write-protected"),
            ("/sys/report.json", "can't be written"),
        ] {
            place.refused(command, &place.path(out), words);
        }
    }
}

#[test]
fn a_result_does_not_take_the_place_of_what_is_read() {
    let place = Place::new();
    symlink("model.zip", place.path("link")).expect("a link");
    fs::hard_link(place.path("model.zip"), place.path("hard")).expect("a link");
    for command in ["inspect", "eval", "benchmark"] {
        for out in ["model.zip", "../model.zip", "link", "hard"] {
            let out =
                out.replace("..", &format!("../{}", place.folder.path().file_name().unwrap().display()));
            place.refused(command, &place.path(&out), "which the command uses for something else");
        }
    }
    for command in ["eval", "benchmark"] {
        place.refused(command, &place.path("documents.json"), "documents.json");
    }
    place.refused("merge", &place.path("losses.jsonl"), "losses.jsonl");
    // A document that only the manifest names.
    fs::write(place.path("document.txt"), "one short text").expect("a file");
    fs::write(place.path("documents.json"), r#"{"documents": [{"path": "document.txt"}]}"#).expect("a file");
    place.refused("benchmark", &place.path("document.txt"), "document.txt");
    fs::write(place.path("documents.json"), r#"["one short text", "another"]"#).expect("a file");

    // Two outputs in one file, there or not, and a report in the artifact's folder.
    let (artifact, documents) = (place.path("model.zip"), place.path("documents.json"));
    let eval = |extra: &[&str]| {
        let own = ["eval", path(&artifact), "--documents", path(&documents), "--device", "cpu"];
        super::bitgauge(&[&own, extra].concat())
    };
    for name in ["losses.jsonl", "new.json"] {
        let out = place.path(name);
        expect_refused(&eval(&["--resume", path(&out), "--report", path(&out)]), "uses for something else");
    }
    expect_refused(&eval(&["--resume", path(&artifact)]), "uses for something else");
    expect_refused(&eval(&["--resume", "/dev/null"]), "which can be read again");
    let folder = place.path("artifact");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("config.json"), "{}").expect("a file");
    let report = folder.join("report.json");
    expect_refused(
        &super::bitgauge(&["inspect", path(&folder), "--report", path(&report)]),
        "which the command reads",
    );
}

#[test]
fn a_file_is_made_with_the_umask_and_replaced_with_its_rights() {
    let place = Place::new();
    for command in COMMANDS {
        for (umask, expected) in [("000", 0o666), ("022", 0o644), ("027", 0o640), ("077", 0o600)] {
            let out = place.path(&format!("{command}-{umask}"));
            let output = run(place.writing_after(&format!("umask {umask}"), command, &out));
            expect_written(&output, &fs::read(&out).expect("the result"));
            assert_eq!(mode(&out), expected, "{command} {umask}");
        }
        let out = place.path(&format!("{command}-077"));
        for kept in [0o600, 0o664] {
            fs::write(&out, "longer than any result ".repeat(10_000)).expect("a file");
            set_mode(&out, kept);
            expect_written(&place.writing(command, &out), &fs::read(&out).expect("the result"));
            assert_eq!(mode(&out), kept, "{command}");
        }
    }
    // Another's file stays another's, where this process may give files away: a harness reads it under its own name.
    let out = place.path("inspect-077");
    if chown(&out, Some(12_345), Some(12_345)).is_ok() {
        set_mode(&out, 0o600);
        expect_written(&place.writing("inspect", &out), &fs::read(&out).expect("the result"));
        let metadata = fs::metadata(&out).expect("the result");
        assert_eq!((metadata.uid(), metadata.gid(), mode(&out)), (12_345, 12_345, 0o600));
    }
    // Where no file is asked for, the one of that name in the working folder.
    let mut command = place.writing_after("umask 022", "benchmark", Path::new("last_run.json"));
    assert_eq!(command.status().expect("bitgauge starts").code(), Some(0));
    assert_eq!(mode(&place.path("last_run.json")), 0o644);
    let is_passing = |path: PathBuf| {
        path.file_name().is_some_and(|name| name.display().to_string().starts_with(".bitgauge"))
    };
    assert!(!contents(place.folder.path()).into_keys().any(is_passing), "nothing temporary is left");
}

#[test]
fn links_devices_and_fifos_stay_what_they_are() {
    let place = Place::new();
    fs::create_dir(place.path("elsewhere")).expect("a folder");
    for command in COMMANDS {
        let link = place.path(&format!("{command}.json"));
        let target = PathBuf::from(format!("elsewhere/{command}"));
        symlink(&target, &link).expect("a link");
        // First it leads to nothing, then to a file.
        for _ in 0..2 {
            expect_written(
                &place.writing(command, &link),
                &fs::read(place.path(path(&target))).expect("the target"),
            );
            assert_eq!(fs::read_link(&link).expect("still a link"), target);
        }

        let fifo = place.path(&format!("{command}.fifo"));
        make_fifo(&fifo);
        let mut child = place
            .writing_after(":", command, &fifo)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let result = fs::read(&fifo).expect("the result");
        let mut stdout = Vec::new();
        child.stdout.take().expect("stdout").read_to_end(&mut stdout).expect("stdout");
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        assert!(figures(&result) == figures(&stdout) && is_fifo(&fifo), "{command}");

        let null = place.writing(command, Path::new("/dev/null"));
        assert_eq!(null.status.code(), Some(0), "{}", text(&null.stderr));
        // Whatever stdout is, the result is on it twice: as the report, and as what is printed.
        let twice = place.writing(command, Path::new("/dev/stdout"));
        assert_eq!(serde_json::Deserializer::from_slice(&twice.stdout).into_iter::<Value>().count(), 2);
        let file = place.path(&format!("{command}.stdout"));
        for (setup, before) in [("exec >\"$FILE\"", 0), ("exec >>\"$FILE\"", 2)] {
            let mut redirected = place.writing_after(setup, command, Path::new("/dev/stdout"));
            assert_eq!(redirected.env("FILE", &file).status().expect("it starts").code(), Some(0));
            let bytes = fs::read(&file).expect("stdout");
            let values: Result<Vec<Value>, _> =
                serde_json::Deserializer::from_slice(&bytes).into_iter().collect();
            assert_eq!(values.expect("JSON").len(), before + 2, "{command} {setup}");
        }
    }
    assert_eq!(fs::read_dir(place.path("elsewhere")).expect("a folder").count(), COMMANDS.len());
}

#[test]
fn what_cannot_be_written_after_all_is_printed() {
    let place = Place::new();
    let old = b"the result of an older run";
    for command in COMMANDS {
        let expected = place.writing(command, &place.path("expected.json"));
        let file = place.path("report.json");
        fs::write(&file, old).expect("a file");
        let full = |setup: &str, out: &Path| {
            let output = run(place.writing_after(setup, command, out));
            let stderr = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command}: {stderr}");
            assert!(stderr.contains("the result can't be written") && stderr.contains(path(out)), "{stderr}");
            assert_eq!(figures(&output.stdout), figures(&expected.stdout), "{command}");
        };
        full(":", Path::new("/dev/full"));
        for setup in ["ulimit -f 0", "trap '' XFSZ; ulimit -f 0"] {
            full(setup, &file);
            assert!(fs::read(&file).expect("the old result") == old, "{command} {setup}");
            full(setup, &place.path("new.json"));
            assert!(!place.path("new.json").exists(), "{command} {setup}: no half of a result");
        }
    }
}

/// A file that is mounted, as into a container, can't be replaced. Where this process may mount.
#[test]
fn a_mounted_file_is_written_in_place() {
    let place = Place::new();
    let (real, mounted) = (place.path("real.json"), place.path("mounted.json"));
    for file in [&real, &mounted] {
        fs::write(file, "longer than any result ".repeat(10_000)).expect("a file");
    }
    let artifact = place.path("model.zip");
    let inspect = ["--format", "json", "inspect", path(&artifact), "--report", path(&mounted)];
    if let Some(output) = run_mounted(&real, &mounted, &inspect) {
        expect_written(&output, &fs::read(&real).expect("the result"));
    }
}
