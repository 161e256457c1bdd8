//! Named pipes, sockets and devices where a file is asked for.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use super::commands::{DEMO, DENSE, DOCUMENTS, Workplace, argument};
use crate::text;

fn named_pipe(at: &Path) {
    let made = Command::new("mkfifo").arg(at).status().expect("mkfifo");
    assert!(made.success());
}

/// Every place of a command line where a file is read; `@` is the file.
const READING: [&[&str]; 22] = [
    &["inspect", "@"],
    &["inspect", "@", "--headers-only"],
    &["show", "@"],
    &["compare", "@", DEMO],
    &["compare", DEMO, "@"],
    &["eval", "@", "--documents", DOCUMENTS, "--device", "cpu"],
    &["eval", DEMO, "--documents", "@", "--device", "cpu"],
    &["eval", DEMO, "--documents", DOCUMENTS, "--device", "cpu", "--tokenizer", "@"],
    &["eval", DEMO, "--documents", DOCUMENTS, "--device", "cpu", "--resume", "@"],
    &["submission", "@", "--uri", "https://example.org/m.zip"],
    &["submission", "evaluated.json", "--uri", "https://example.org/m.zip", "--patch", "@"],
    &["merge", "@"],
    &["merge", "losses.jsonl", "@"],
    &["pack", "@", "out.zip"],
    &["pack", DENSE, "out.zip", "--calibration", "@", "--tokenizer", "byte-utf8"],
    &["pack", DENSE, "out.zip", "--calibration", DOCUMENTS, "--tokenizer", "@"],
    &["bench", "--layers", "1", "--documents", "1", "--tokens", "4", "--device", "cpu", "--artifact", "@"],
    &["benchmark", "--tokenizer", "@"],
    &["benchmark", "--config", "@"],
    &["proxy", "--corpus", "@"],
    &["prepare", "--config", "@"],
    &["benchmark", "--tokenizer", "artifact", "--corpus", "@"],
];

#[test]
fn what_is_neither_file_nor_folder_is_refused_at_once_everywhere() {
    let workplace = Workplace::new();
    named_pipe(&workplace.folder().join("pipe"));
    let _socket = UnixListener::bind(workplace.folder().join("socket")).expect("a socket");
    symlink("pipe", workplace.folder().join("link")).expect("a link");
    for special in ["pipe", "link", "socket", "/dev/zero", "/dev/urandom", "/dev/null"] {
        for arguments in READING {
            let arguments: Vec<&str> =
                arguments.iter().map(|part| if *part == "@" { special } else { part }).collect();
            let output = workplace.shell(r#""$0" "$@""#, &arguments);
            let stderr = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}{stderr}", text(&output.stdout));
            assert!(output.stdout.is_empty(), "{arguments:?}");
            assert!(stderr.contains(special) && stderr.contains("found:"), "{arguments:?}: {stderr}");
        }
    }
}

#[test]
fn the_environments_artifact_and_documents_are_refused_as_well() {
    let workplace = Workplace::new();
    named_pipe(&workplace.folder().join("pipe"));
    for (variable, place) in [
        ("SUBMISSION_ARTIFACT_PATH", "pipe"),
        ("PRIVATE_HELDOUT_MANIFEST", "pipe"),
        ("SUBMISSION_ARTIFACT_PATH", "/dev/zero"),
    ] {
        let line = format!(r#"AUTORESEARCH_{variable}={place} "$0" "$@""#);
        let output = workplace.shell(&line, &["benchmark", "--tokenizer", "artifact"]);
        // The validator has words of its own for some of it.
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{line}: {:?} {}",
            output.status,
            text(&output.stderr)
        );
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{line}");
    }
}

#[test]
fn a_special_file_in_a_model_folder_is_refused_at_once() {
    let workplace = Workplace::new();
    for name in ["config.json", "model.safetensors", "tokenizer.json", "notes.txt"] {
        for special in ["pipe", "socket", "device"] {
            let folder = tempfile::tempdir_in(workplace.folder()).expect("a folder");
            for file in fs::read_dir(DENSE).expect("the model") {
                let file = file.expect("a file");
                fs::copy(file.path(), folder.path().join(file.file_name())).expect("a copy");
            }
            let at = folder.path().join(name);
            let _ = fs::remove_file(&at);
            let _socket = match special {
                "pipe" => {
                    named_pipe(&at);
                    None
                }
                "socket" => Some(UnixListener::bind(&at).expect("a socket")),
                _ => {
                    symlink("/dev/zero", &at).expect("a link");
                    None
                }
            };
            let model = argument(folder.path());
            let cases: [&[&str]; 4] = [
                &["inspect", model],
                &["compare", model, DEMO],
                &["eval", model, "--documents", DOCUMENTS, "--tokenizer", "byte-utf8", "--device", "cpu"],
                &["pack", model, "out.zip"],
            ];
            for arguments in cases {
                let output = workplace.shell(r#""$0" "$@""#, arguments);
                let stderr = text(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{arguments:?} {special}: {stderr}");
                assert!(
                    stderr.contains("not a regular file") && stderr.contains(name),
                    "{arguments:?}: {stderr}"
                );
            }
        }
    }
}

#[test]
fn a_tokenizers_settings_are_a_file() {
    let workplace = Workplace::new();
    fs::copy(Path::new(DENSE).join("tokenizer.json"), workplace.folder().join("tokenizer.json"))
        .or_else(|_| fs::write(workplace.folder().join("tokenizer.json"), tokenizer()).map(|()| 0))
        .expect("a tokenizer");
    named_pipe(&workplace.folder().join("tokenizer_config.json"));
    let output =
        workplace.shell(r#""$0" "$@""#, &["eval", DEMO, "--documents", DOCUMENTS, "--tokenizer", "."]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("tokenizer_config.json"), "{stderr}");
}

/// A tokenizer of one word.
fn tokenizer() -> &'static str {
    r#"{"version":"1.0","model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"a"}}"#
}

#[test]
fn a_text_may_come_through_a_pipe_of_the_shell() {
    let workplace = Workplace::new();
    let usual = workplace.run(&[
        "--format",
        "json",
        "eval",
        DEMO,
        "--documents",
        "documents.json",
        "--device",
        "cpu",
    ]);
    let nats = |stdout: &[u8]| {
        let report: serde_json::Value = serde_json::from_slice(stdout).expect("a report");
        report["evaluation"]["cross_entropy_nats"].clone()
    };
    let eval = r#"--format json eval "$1" --device cpu --documents"#;
    for line in [
        format!(r#""$0" {eval} <(cat documents.json)"#),
        format!(r#"cat documents.json | "$0" {eval} /dev/stdin"#),
        format!(r#""$0" {eval} /dev/stdin < documents.json"#),
        // The writer has come and gone before it is opened again.
        format!(r#"mkfifo p; cat documents.json > p & exec 5<p; wait; "$0" {eval} /dev/fd/5"#),
    ] {
        let output = workplace.shell(&line, &[DEMO]);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stderr));
        assert_eq!(nats(&output.stdout), nats(&usual.stdout), "{line}");
    }
    for line in [
        r#""$0" show <(cat report.json)"#,
        r#""$0" compare <(cat report.json) /dev/fd/3 3< <(cat report.json)"#,
    ] {
        let output = workplace.shell(line, &[]);
        assert_eq!(output.status.code(), Some(3), "{line}: {}", text(&output.stderr));
    }
    let merged = workplace.shell(r#""$0" --format quiet merge <(cat losses.jsonl)"#, &[]);
    assert_eq!(merged.status.code(), Some(0), "{}", text(&merged.stderr));
}

#[test]
fn a_pipe_without_an_end_is_read_up_to_its_cap() {
    let workplace = Workplace::new();
    for line in [
        r#""$0" eval "$1" --documents documents.json --tokenizer <(cat /dev/zero)"#,
        r#""$0" prepare --config <(cat /dev/zero)"#,
    ] {
        let output = workplace.shell(line, &[DEMO]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {stderr}");
        assert!(stderr.contains("at most 67108864 bytes"), "{line}: {stderr}");
    }
}
