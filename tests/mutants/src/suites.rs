//! The test programs of the instrumented copy, and what each of their tests reaches.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limited::{self, End};

/// Suites with a main of their own: each is one test.
const WHOLE: &[&str] = &["gguf", "packed", "models"];
/// Suites that are left out: what they hold is not what is mutated, and they take long.
const LEFT_OUT: &[&str] =
    &["gpu", "inspector_web", "inspector_bundle", "bitgauge_shaders", "conformance", "corpus", "large"];

/// A test that computes for longer is not used.
const LONGEST_S: u64 = 30;

/// One test program.
#[derive(Serialize, Deserialize, Clone)]
pub struct Program {
    pub name: String,
    pub path: PathBuf,
    /// Where cargo would run it.
    pub folder: PathBuf,
    /// When it was linked.
    pub linked: SystemTime,
}

/// One test, and what it reaches.
#[derive(Serialize, Deserialize, Clone)]
pub struct Test {
    pub program: usize,
    /// Empty for a suite that runs as a whole.
    pub name: String,
    pub seconds: f64,
    pub reached: BTreeSet<usize>,
}

/// Every program and test.
#[derive(Serialize, Deserialize)]
pub struct Suites {
    pub programs: Vec<Program>,
    pub tests: Vec<Test>,
    /// Tests that fail without any mutant, which say nothing.
    pub broken: Vec<String>,
}

/// Builds the tests and runs each alone: those inside the crates and of these suites, or all if none is named.
/// What `earlier` says of programs that were not linked again is taken from there.
pub fn trace(tree: &Path, chosen: &[&str], earlier: Option<Suites>) -> Suites {
    let mut suites = Suites { programs: build(tree, chosen), tests: Vec::new(), broken: Vec::new() };
    let mut left = Vec::new();
    for (index, program) in suites.programs.iter().enumerate() {
        let known = earlier.as_ref().and_then(|earlier| earlier.of(program, index));
        match known {
            Some(known) => suites.tests.extend(known),
            None => left.extend(names(program).into_iter().map(|name| (index, name))),
        }
    }
    left.reverse();
    println!("{} tests to trace, {} are known", left.len(), suites.tests.len());
    let (left, programs) = (Mutex::new(left), suites.programs.clone());
    let found = Mutex::new((suites.tests, suites.broken));
    thread::scope(|scope| {
        for worker in 0..jobs() {
            let (left, programs, found) = (&left, &programs, &found);
            scope.spawn(move || {
                let next = || left.lock().expect("no worker panics").pop();
                while let Some((index, name)) = next() {
                    let test = trace_test(tree, worker, &programs[index], index, &name);
                    let mut found = found.lock().expect("no worker panics");
                    match test {
                        Some(test) => found.0.push(test),
                        None => found.1.push(format!("{} {name}", programs[index].name)),
                    }
                }
            });
        }
    });
    (suites.tests, suites.broken) = found.into_inner().expect("no worker panics");
    suites
}

/// Runs one test alone. `None` if it fails without any mutant, or takes too long.
fn trace_test(tree: &Path, worker: usize, program: &Program, index: usize, name: &str) -> Option<Test> {
    let trace = tree.join(format!("trace-{worker}.txt"));
    _ = fs::remove_file(&trace);
    let begun = Instant::now();
    let path = trace.to_str().expect("the path is text");
    let end = limited::run(program, &[name], &[("MUTANT_TRACE", path)], LONGEST_S, 2 * LONGEST_S);
    let seconds = begun.elapsed().as_secs_f64();
    if end != End::Passed {
        println!("not used: {} {name}: {end:?} without a mutant", program.name);
        return None;
    }
    let lines = fs::read_to_string(&trace).unwrap_or_default();
    let reached = lines.lines().map(|line| line.parse().expect("a trace holds numbers")).collect();
    Some(Test { program: index, name: name.to_owned(), seconds, reached })
}

/// How much runs at once.
pub fn jobs() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

impl Suites {
    /// The tests of a program, if it is the very one that was traced, under its number of now.
    fn of(&self, program: &Program, index: usize) -> Option<Vec<Test>> {
        let same = |known: &&Program| known.path == program.path && known.linked == program.linked;
        let known = self.programs.iter().find(same)?;
        let of_it = self.tests.iter().filter(|test| self.programs[test.program].path == known.path);
        Some(of_it.map(|test| Test { program: index, ..test.clone() }).collect())
    }
}

fn build(tree: &Path, chosen: &[&str]) -> Vec<Program> {
    let suites = chosen.iter().flat_map(|suite| ["--test", suite]);
    let output = Command::new("cargo")
        .args(["test", "--release", "--offline", "--workspace", "--no-run", "--message-format=json"])
        .args((!chosen.is_empty()).then_some("--lib"))
        .args(suites)
        .current_dir(tree)
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "the tests do not compile");
    let mut programs = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let (Some(path), true) = (line["executable"].as_str(), line["profile"]["test"] == true) else {
            continue;
        };
        let name = line["target"]["name"].as_str().expect("a target has a name").replace('-', "_");
        let manifest = Path::new(line["manifest_path"].as_str().expect("a target has a manifest"));
        let folder = manifest.parent().expect("a manifest is in a folder").to_owned();
        if !LEFT_OUT.contains(&name.as_str()) {
            let linked = fs::metadata(path).and_then(|file| file.modified()).expect("the program is there");
            programs.push(Program { name, path: path.into(), folder, linked });
        }
    }
    programs
}

fn names(program: &Program) -> Vec<String> {
    if WHOLE.contains(&program.name.as_str()) {
        return vec![String::new()];
    }
    let output = Command::new(&program.path).arg("--list").output().expect("the tests can be listed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}
