//! The test programs of the instrumented copy, and what each of their tests reaches.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limited::{self, End};

/// Suites with a main of their own: each is one test.
const WHOLE: &[&str] = &["gguf", "packed", "models"];
/// Suites that are left out: what they hold is not what is mutated, and they take long.
const LEFT_OUT: &[&str] =
    &["gpu", "inspector_web", "inspector_bundle", "bitgauge_shaders", "conformance", "corpus", "large"];

/// One test program.
#[derive(Serialize, Deserialize, Clone)]
pub struct Program {
    pub name: String,
    pub path: PathBuf,
    /// Where cargo would run it.
    pub folder: PathBuf,
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
pub fn trace(tree: &Path, chosen: &[&str]) -> Suites {
    let mut suites = Suites { programs: build(tree, chosen), tests: Vec::new(), broken: Vec::new() };
    for (index, program) in suites.programs.iter().enumerate() {
        println!("tracing {}", program.name);
        for name in names(program) {
            let trace = tree.join("trace.txt");
            _ = fs::remove_file(&trace);
            let begun = Instant::now();
            let trace_text = trace.to_str().expect("the path is text");
            let end = limited::run(program, &[&name], &[("MUTANT_TRACE", trace_text)], 600, 900);
            if end != End::Passed {
                println!("fails without a mutant: {} {name}", program.name);
                suites.broken.push(format!("{} {name}", program.name));
                continue;
            }
            let lines = fs::read_to_string(&trace).unwrap_or_default();
            let reached = lines.lines().map(|line| line.parse().expect("a trace holds numbers")).collect();
            suites.tests.push(Test { program: index, name, seconds: begun.elapsed().as_secs_f64(), reached });
        }
    }
    suites
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
            programs.push(Program { name, path: path.into(), folder });
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
