//! Ctrl-C and SIGTERM.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
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

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts it, and waits until it watches for signals.
    fn start(command: &mut Command) -> Self {
        let running = Self(command.spawn().expect("bitgauge starts"));
        // SIGTERM, the last that is registered.
        wait_for("the watch", || running.signals("SigCgt:").is_some_and(|mask| mask >> 14 & 1 == 1));
        running
    }

    /// A set of signals, a bit for each, by the name that it has in the process's status.
    fn signals(&self, name: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    }

    /// Whether a signal was sent that it did not get yet.
    fn has_signal_waiting(&self) -> bool {
        ["SigPnd:", "ShdPnd:"].iter().any(|name| self.signals(name).is_some_and(|mask| mask != 0))
    }

    fn send(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status().expect("kill");
        assert!(sent.success());
    }

    /// Waits for the end. Gives stderr.
    fn end(mut self) -> (ExitStatus, String) {
        let mut stderr = String::new();
        if let Some(mut pipe) = self.0.stderr.take() {
            pipe.read_to_string(&mut stderr).expect("words");
        }
        (self.0.wait().expect("an end"), stderr)
    }
}

fn lines(file: &Path) -> usize {
    fs::read(file).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
}

/// A program that takes signals as in a terminal. What a shell starts in the background ignores Ctrl-C, and so would what
/// it starts in turn.
fn command(workplace: &Workplace, program: &str) -> Command {
    let mut command = workplace.command("env");
    command.args(["--default-signal=INT,TERM", program]);
    command
}

/// An evaluation of the demo's documents, one after the other.
fn eval(workplace: &Workplace, extra: &[&str]) -> Command {
    let mut command = command(workplace, env!("CARGO_BIN_EXE_bitgauge"));
    command.args(["eval", DEMO, "--documents", DOCUMENTS, "--max-tokens", "128", "--device", "cpu"]);
    command.args(["--tokens-in-flight", "1"]).args(extra).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Minutes of work.
fn bench(workplace: &Workplace) -> Command {
    let mut command = command(workplace, env!("CARGO_BIN_EXE_bitgauge"));
    command.args(["bench", "--layers", "1", "--documents", "4096", "--device", "cpu"]).stdout(Stdio::null());
    command
}

#[test]
fn an_interrupted_evaluation_says_what_is_kept_and_goes_on_from_there() {
    let workplace = Workplace::new();
    for (signal, number) in [("-INT", 2), ("-TERM", 15)] {
        let name = format!("kept{number}.jsonl");
        let file = workplace.folder().join(&name);
        let resume = ["--resume", name.as_str()];
        let running = Running::start(&mut eval(&workplace, &resume));
        wait_for("a document", || lines(&file) > 2);
        running.send(signal);
        let (status, stderr) = running.end();
        assert_eq!(status.signal(), Some(number), "a shell sees {}: {stderr}", 128 + number);
        let kept = lines(&file) - 1;
        let words = [
            format!("interrupted: {kept} of 24 documents are kept in "),
            format!("{name}; the same command goes on from there"),
        ];
        assert!(words.iter().all(|words| stderr.contains(words)), "{words:?}: {stderr}");
        assert_eq!(fs::read(&file).expect("the losses").last(), Some(&b'\n'), "whole lines");
        let next = eval(&workplace, &resume).output().expect("an end");
        let stderr = text(&next.stderr);
        assert_eq!(next.status.code(), Some(0), "{stderr}");
        assert!(stderr.contains(&format!("{kept} documents are finished")), "{stderr}");
    }
}

#[test]
fn an_evaluation_that_keeps_nothing_says_so() {
    let workplace = Workplace::new();
    // Its documents never come, so it can't be done before it is interrupted.
    let mut command = command(&workplace, "bash");
    let script = r#"exec 5< <(exec sleep 60 2>/dev/null); exec "$0" eval "$1" --documents /dev/fd/5"#;
    command.args(["-c", script, env!("CARGO_BIN_EXE_bitgauge"), DEMO]);
    let running = Running::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    let opened = format!("/proc/{}/fd/3", running.0.id());
    wait_for("the documents", || Path::new(&opened).exists());
    running.send("-INT");
    let (status, stderr) = running.end();
    assert_eq!(status.signal(), Some(2), "{stderr}");
    assert!(stderr.contains("interrupted: nothing is kept; --resume FILE"), "{stderr}");
}

#[test]
fn an_interrupted_pack_goes_on_from_there() {
    let workplace = Workplace::new();
    let pack = || {
        let mut command = command(&workplace, env!("CARGO_BIN_EXE_bitgauge"));
        command.args(["pack", DENSE, "packed.zip"]).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let running = Running::start(&mut pack());
    let (out, work) =
        (workplace.folder().join("packed.zip"), workplace.folder().join(".packed.zip.bitgauge-pack"));
    wait_for("the work", || work.join("moments").exists() || out.exists());
    running.send("-INT");
    let (status, stderr) = running.end();
    // So small a model may be done already.
    if status.signal() == Some(2) && !out.exists() {
        let words =
            "interrupted: finished work is kept beside packed.zip; the same command goes on from there";
        assert!(stderr.contains(words), "{stderr}");
        assert_eq!(pack().status().expect("an end").code(), Some(0));
    }
    assert!(out.exists(), "{stderr}");
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let workplace = Workplace::new();
    // Nobody reads this, so saying what is kept takes for ever.
    let (_reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(&[b' '; 65_536]).expect("a full pipe");
    let mut running = Running::start(bench(&workplace).stderr(writer));
    running.send("-INT");
    // Two that wait at the same time are one.
    wait_for("the first signal", || !running.has_signal_waiting());
    assert!(running.0.try_wait().expect("a process").is_none(), "it is still saying so");
    running.send("-INT");
    wait_for("the end", || running.0.try_wait().expect("a process").is_some());
    assert_eq!(running.0.wait().expect("an end").code(), Some(130));
}

#[test]
fn a_signal_that_is_to_be_ignored_is_ignored() {
    let workplace = Workplace::new();
    let mut command = workplace.command("bash");
    command.args(["-c", r#"trap "" INT; exec "$0" "$@""#, env!("CARGO_BIN_EXE_bitgauge")]);
    command.args(["eval", DEMO, "--documents", DOCUMENTS, "--max-tokens", "32", "--device", "cpu"]);
    let running = Running::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    running.send("-INT");
    let (status, stderr) = running.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("interrupted"), "{stderr}");
}
