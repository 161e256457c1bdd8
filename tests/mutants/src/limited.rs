//! Runs tests within limits: a mutant may loop for ever or ask for all memory.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use crate::suites::Program;

/// Virtual memory of one program, in KiB.
const MEMORY_KIB: u64 = 6 << 20;
const SIGXCPU: i32 = 24;
const SIGKILL: i32 = 9;

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    Passed,
    /// The tests that failed, as far as the program could still say.
    Failed(Vec<String>),
    TimedOut,
}

/// Runs the named tests of a program. `cpu_s` bounds the seconds of computing, `wall_s` those that pass.
pub fn run(program: &Program, tests: &[&str], environment: &[(&str, &str)], cpu_s: u64, wall_s: u64) -> End {
    let script = format!("ulimit -c 0; ulimit -t {cpu_s}; ulimit -v {MEMORY_KIB}; exec \"$@\"");
    let mut command = Command::new("timeout");
    command.args(["-k", "1", &wall_s.to_string(), "sh", "-c", &script, "sh"]).arg(&program.path);
    if tests != [""] {
        command.arg("--exact").args(tests);
    }
    let output = command
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .env("RUST_MIN_STACK", (16 << 20).to_string())
        .env("RUST_TEST_THREADS", "1")
        .env("RUST_BACKTRACE", "0")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .expect("the test starts");
    match (output.status.code(), output.status.signal()) {
        (Some(0), _) => End::Passed,
        (Some(124 | 137 | 152), _) | (None, Some(SIGXCPU | SIGKILL)) => End::TimedOut,
        _ => End::Failed(failed(&String::from_utf8_lossy(&output.stdout))),
    }
}

/// The names in lines such as `test gates::size ... FAILED`.
fn failed(output: &str) -> Vec<String> {
    let name = |line: &str| Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.to_owned());
    output.lines().filter_map(name).collect()
}
