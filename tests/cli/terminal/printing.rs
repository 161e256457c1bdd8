//! A closed, broken or full stdout or stderr, for every command in every format.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
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
        To::Full => File::options().write(true).open("/dev/full").expect("/dev/full").into(),
    }
}

fn run(workplace: &Workplace, line: &Line, arguments: &[&str], stdout: To, stderr: To) -> Output {
    let mut command = workplace.command(env!("CARGO_BIN_EXE_bitgauge"));
    workplace.prepare(&mut command, line);
    let child = command.args(arguments).stdin(Stdio::null()).stdout(to(stdout)).stderr(to(stderr)).spawn();
    child.expect("bitgauge starts").wait_with_output().expect("an end")
}

/// Runs every command in every format with its outputs there, and as they should be, and compares the two.
fn for_every_command(stdout: To, stderr: To, check: impl Fn(&str, &Output, &Output)) {
    let workplace = Workplace::new();
    let mut count = 0;
    for line in workplace.lines() {
        for arguments in line.with_formats() {
            let usual = run(&workplace, &line, &arguments, To::Read, To::Read);
            let what = format!("{arguments:?}");
            assert!(matches!(usual.status.code(), Some(0 | 1 | 3)), "{what}: {}", text(&usual.stderr));
            check(&what, &usual, &run(&workplace, &line, &arguments, stdout, stderr));
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn a_pipe_whose_reader_has_gone_ends_quietly_with_the_usual_status() {
    for_every_command(To::Gone, To::Read, |what, usual, output| {
        assert_eq!(output.status, usual.status, "{what}: {}", text(&output.stderr));
        assert_eq!(lines(&output.stderr), lines(&usual.stderr), "{what}");
    });
}

#[test]
fn a_full_stdout_is_an_error_with_status_2() {
    for_every_command(To::Full, To::Read, |what, usual, output| {
        let stderr = text(&output.stderr);
        let is_silent = usual.stdout.is_empty();
        assert_eq!(output.status.code(), if is_silent { Some(0) } else { Some(2) }, "{what}: {stderr}");
        assert_eq!(stderr.contains("the result can't be printed"), !is_silent, "{what}: {stderr}");
        assert!(!stderr.contains("panicked"), "{what}: {stderr}");
    });
}

#[test]
fn what_can_not_be_said_on_stderr_changes_no_result() {
    for stderr in [To::Gone, To::Full] {
        for_every_command(To::Read, stderr, |what, usual, output| {
            // The link is a part of the result, and it goes to stderr where stdout is for another.
            let is_lost = stderr == To::Full && what.contains("--share") && !what.contains("human");
            assert_eq!(output.status.code(), if is_lost { Some(2) } else { usual.status.code() }, "{what}");
            assert_eq!(output.stdout.is_empty(), usual.stdout.is_empty(), "{what}");
        });
    }
}

#[test]
fn outputs_that_are_closed_end_like_those_that_are_read() {
    let workplace = Workplace::new();
    for line in
        workplace.lines().iter().filter(|line| line.arguments.first().is_none_or(|name| name != "proxy"))
    {
        for arguments in line.with_formats() {
            let usual = workplace.run(&arguments);
            for closed in [r#""$0" "$@" >&-"#, r#""$0" "$@" 2>&-"#, r#""$0" "$@" <&- >&- 2>&-"#] {
                let output = workplace.shell(closed, &arguments);
                assert_eq!(output.status.code(), usual.status.code(), "{arguments:?} {closed}");
                assert_eq!(output.status.signal(), None, "{arguments:?} {closed}");
            }
        }
    }
}

/// Without the lines that a graphics driver says.
fn lines(stderr: &[u8]) -> Vec<String> {
    text(stderr).lines().filter(|line| !line.contains("XDG_RUNTIME_DIR")).map(str::to_owned).collect()
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
    let cases: [(&[&str], &str); 5] = [
        (&["inspect", DEMO, "--report", "a.json"], "a.json"),
        (
            &[
                "eval",
                DEMO,
                "--documents",
                DOCUMENTS,
                "--max-tokens",
                "4",
                "--device",
                "cpu",
                "--report",
                "b.json",
            ],
            "b.json",
        ),
        (&["merge", "losses.jsonl", "--report", "c.json"], "c.json"),
        (&["benchmark", "--tokenizer", "artifact", "--result", "d.json"], "d.json"),
        (&["prepare", "--result", "e.json"], "e.json"),
    ];
    for (arguments, file) in cases {
        for (output, status) in [(To::Full, 2), (To::Gone, 0)] {
            let mut command = workplace.command(env!("CARGO_BIN_EXE_bitgauge"));
            let ended =
                command.args(arguments).stdout(to(output)).stderr(Stdio::null()).status().expect("an end");
            assert_eq!(ended.code(), Some(status), "{arguments:?}");
            let written = fs::read(workplace.folder().join(file)).expect("the file");
            let json: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
            assert!(json.is_object(), "{arguments:?}");
            fs::remove_file(workplace.folder().join(file)).expect("the file");
        }
    }
}
