//! Ctrl-C and SIGTERM.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::commands::{DEMO, DENSE, DOCUMENTS, Workplace};
use crate::text;

/// Ends a hang.
const PATIENCE: Duration = Duration::from_secs(120);

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        sleep(Duration::from_millis(2));
    }
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
}

/// Waits for the end. Gives stderr.
fn end(mut child: Child) -> (std::process::ExitStatus, String) {
    let mut stderr = String::new();
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut stderr).expect("words");
    }
    (child.wait().expect("an end"), stderr)
}

fn lines(file: &Path) -> usize {
    fs::read(file).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
}

/// An evaluation of the demo's documents, one after the other, which takes seconds.
fn eval(workplace: &Workplace, extra: &[&str]) -> Command {
    let mut command = workplace.command(env!("CARGO_BIN_EXE_bitgauge"));
    command.args(["--format", "json", "eval", DEMO, "--documents", DOCUMENTS, "--device", "cpu"]);
    command.args(["--tokens-in-flight", "1"]).args(extra).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn an_interrupted_evaluation_says_what_is_kept_and_goes_on_from_there() {
    let workplace = Workplace::new();
    for (name, number) in [("-INT", 2), ("-TERM", 15)] {
        let file: PathBuf = workplace.folder().join(format!("kept{number}.jsonl"));
        let resume = ["--resume", file.file_name().and_then(|name| name.to_str()).expect("a name")];
        let child = eval(&workplace, &resume).spawn().expect("bitgauge starts");
        wait_for("a document", || lines(&file) > 2);
        send(name, &child);
        let (status, stderr) = end(child);
        assert_eq!(status.signal(), Some(number), "a shell sees {}: {stderr}", 128 + number);
        let kept = lines(&file) - 1;
        let words = format!(
            "interrupted: {kept} of 24 documents are kept in {}; the same command goes on from there",
            resume[1]
        );
        assert!(stderr.contains(&words), "{words}: {stderr}");
        assert_eq!(fs::read(&file).expect("the losses").last(), Some(&b'\n'), "whole lines");
        let next =
            eval(&workplace, &[&resume[..], &["--max-tokens", "512"]].concat()).output().expect("an end");
        assert_eq!(next.status.code(), Some(0), "{}", text(&next.stderr));
        assert!(
            text(&next.stderr).contains(&format!("{kept} documents are finished")),
            "{}",
            text(&next.stderr)
        );
    }
}

#[test]
fn an_evaluation_that_keeps_nothing_says_so() {
    let workplace = Workplace::new();
    let child = eval(&workplace, &[]).spawn().expect("bitgauge starts");
    sleep(Duration::from_millis(500));
    send("-INT", &child);
    let (status, stderr) = end(child);
    assert_eq!(status.signal(), Some(2), "{stderr}");
    assert!(stderr.contains("interrupted: nothing is kept; --resume FILE"), "{stderr}");
}

#[test]
fn an_interrupted_pack_goes_on_from_there() {
    let workplace = Workplace::new();
    let pack = || {
        let mut command = workplace.command(env!("CARGO_BIN_EXE_bitgauge"));
        // Random tokens through the model take a moment.
        command.args(["pack", DENSE, "packed.zip"]).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let child = pack().spawn().expect("bitgauge starts");
    let work = workplace.folder().join(".packed.zip.bitgauge-pack/job.json");
    wait_for("the work's folder", || work.exists());
    send("-INT", &child);
    let (status, stderr) = end(child);
    // It may have been done already.
    if status.signal() == Some(2) {
        assert!(stderr.contains("interrupted"), "{stderr}");
        assert_eq!(pack().status().expect("an end").code(), Some(0));
    }
    assert!(workplace.folder().join("packed.zip").exists(), "{stderr}");
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let workplace = Workplace::new();
    // Nobody reads this, so saying what is kept takes for ever.
    let (_reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(&[b' '; 65_536]).expect("a full pipe");
    let mut command = eval(&workplace, &["--max-tokens", "512"]);
    let mut child = command.stderr(writer).spawn().expect("bitgauge starts");
    sleep(Duration::from_millis(500));
    send("-INT", &child);
    sleep(Duration::from_millis(300));
    assert!(child.try_wait().expect("a process").is_none(), "it is still saying so");
    send("-INT", &child);
    assert_eq!(child.wait().expect("an end").code(), Some(130));
}

#[test]
fn a_signal_that_is_to_be_ignored_is_ignored() {
    let workplace = Workplace::new();
    let mut command = workplace.command("bash");
    command.args(["-c", r#"trap "" INT; exec "$0" "$@""#, env!("CARGO_BIN_EXE_bitgauge")]);
    let arguments =
        ["eval", DEMO, "--documents", "documents.json", "--device", "cpu", "--resume", "ignored.jsonl"];
    let child =
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a shell");
    wait_for("the losses", || workplace.folder().join("ignored.jsonl").exists());
    send("-INT", &child);
    let (status, stderr) = end(child);
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("interrupted"), "{stderr}");
}
