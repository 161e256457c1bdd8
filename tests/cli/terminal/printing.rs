//! A closed, broken or full stdout or stderr, for every command in every format.

use std::fs::{self, File};
use std::os::unix::fs::FileTypeExt;
use std::process::{Output, Stdio};

use super::commands::{DEMO, DOCUMENTS, Line, Workplace};
use crate::text;

/// Where an output goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum To {
    /// Somebody reads it.
    Read,
    /// The reader has gone.
    Gone,
    /// A disk without room.
    Full,
}

fn to(output: To) -> Stdio {
    match output {
        To::Read => Stdio::piped(),
        To::Gone => {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            writer.into()
        }
        To::Full => {
            let full = File::options().write(true).open("/dev/full").expect("/dev/full");
            let kind = full.metadata().expect("/dev/full").file_type();
            assert!(kind.is_char_device(), "somebody has replaced /dev/full by a file");
            full.into()
        }
    }
}

/// Runs every command in every format with its outputs there.
fn for_every_command(stdout: To, stderr: To, check: impl Fn(&str, i32, &Output)) {
    let workplace = Workplace::new();
    let mut count = 0;
    for line in workplace.lines() {
        for arguments in line.with_formats() {
            check(
                &format!("{arguments:?}"),
                line.status,
                &run(&workplace, &line, &arguments, stdout, stderr),
            );
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

fn run(workplace: &Workplace, line: &Line, arguments: &[&str], stdout: To, stderr: To) -> Output {
    let mut command = workplace.command(env!("CARGO_BIN_EXE_bitgauge"));
    workplace.prepare(&mut command, line);
    let child = command.args(arguments).stdin(Stdio::null()).stdout(to(stdout)).stderr(to(stderr)).spawn();
    child.expect("bitgauge starts").wait_with_output().expect("an end")
}

#[test]
fn every_command_prints_something_where_it_can() {
    for_every_command(To::Read, To::Read, |what, status, output| {
        assert_eq!(output.status.code(), Some(status), "{what}: {}", text(&output.stderr));
        assert!(!output.stdout.is_empty(), "{what}");
    });
}

#[test]
fn a_pipe_whose_reader_has_gone_ends_quietly_with_the_usual_status() {
    for_every_command(To::Gone, To::Read, |what, status, output| {
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{what}: {stderr}");
        assert!(!stderr.contains("panicked") && !stderr.contains("result"), "{what}: {stderr}");
    });
}

#[test]
fn a_full_stdout_is_an_error_with_status_2() {
    for_every_command(To::Full, To::Read, |what, _, output| {
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{what}: {stderr}");
        assert!(
            stderr.contains("the result can't be printed") && !stderr.contains("panicked"),
            "{what}: {stderr}"
        );
    });
}

#[test]
fn what_can_not_be_said_on_stderr_changes_no_result() {
    for_every_command(To::Read, To::Full, |what, status, output| {
        // The link is a part of the result, and it goes to stderr where stdout is for another.
        let is_lost = what.contains("--share") && !what.contains("human");
        assert_eq!(output.status.code(), Some(if is_lost { 2 } else { status }), "{what}");
        assert!(!output.stdout.is_empty(), "{what}");
    });
}

#[test]
fn outputs_that_are_closed_end_like_those_that_are_read() {
    let workplace = Workplace::new();
    let is_quick =
        |line: &&Line| !line.is_slow() && line.arguments.first().is_none_or(|name| name != "proxy");
    for line in workplace.lines().iter().filter(is_quick) {
        for arguments in line.with_formats() {
            for closed in [r#""$0" "$@" >&-"#, r#""$0" "$@" <&- >&- 2>&-"#] {
                let output = workplace.shell(closed, &arguments);
                assert_eq!(output.status.code(), Some(line.status), "{arguments:?} {closed}");
            }
        }
    }
}

#[test]
fn wrong_usage_ends_with_2_wherever_its_words_go() {
    let workplace = Workplace::new();
    for words in [To::Gone, To::Full] {
        for arguments in [&["frobnicate"][..], &["inspect"], &["inspect", "absent.zip"]] {
            let mut command = workplace.command(env!("CARGO_BIN_EXE_bitgauge"));
            let status =
                command.args(arguments).stdout(to(words)).stderr(to(words)).status().expect("an end");
            assert_eq!(status.code(), Some(2), "{arguments:?}");
        }
    }
}

#[test]
fn the_files_that_were_asked_for_are_written_all_the_same() {
    let workplace = Workplace::new();
    let eval = ["eval", DEMO, "--documents", DOCUMENTS, "--max-tokens", "4", "--device", "cpu"];
    let cases: [(&[&str], &[&str]); 5] = [
        (&["inspect", DEMO], &["--report", "a.json"]),
        (&eval, &["--report", "b.json"]),
        (&["merge", "losses.jsonl"], &["--report", "c.json"]),
        (&["benchmark", "--tokenizer", "artifact"], &["--result", "d.json"]),
        (&["prepare"], &["--result", "e.json"]),
    ];
    for (arguments, output) in cases {
        let file = workplace.folder().join(output[1]);
        for (stdout, status) in [(To::Full, 2), (To::Gone, 0)] {
            let mut command = workplace.command(env!("CARGO_BIN_EXE_bitgauge"));
            let command = command.args(arguments).args(output).stdout(to(stdout)).stderr(Stdio::null());
            assert_eq!(command.status().expect("an end").code(), Some(status), "{arguments:?}");
            let written = fs::read(&file).expect("the file");
            let json: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
            assert!(json.is_object(), "{arguments:?}");
            fs::remove_file(&file).expect("the file");
        }
    }
}
