//! The validator's twin against recorded runs of the validator.
//!
//! `BITGAUGE_VALIDATOR_GOLDENS` points the suite at another folder of the same files. A file that is
//! missing or empty fails the suite. Cases that draw from the validator's built-in texts need
//! `corpus.json` beside them, which is not ours to ship: without it they are named as not run.
//!
//! Arguments as libtest's: `--list` names the golden files, and names among the arguments choose files.

mod binary;
mod canonical_json;
mod direct_run;
mod document_selection;
mod golden;
mod limits;
mod proxy;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bitgauge_core::contract::python::Value;
use golden::{Goldens, Outcome, mutations};

/// Runs one case of a golden file; `file` is the file as a whole.
type Case = fn(goldens: &Goldens, file: &Value, case: &Value) -> Outcome;

/// Every golden file and what runs its cases.
const FILES: &[(&str, Case)] = &[
    ("limits.json", limits::case),
    ("canonical_json.json", canonical_json::case),
    ("document_selection.json", document_selection::case),
    ("numpy_ziggurat_tables.json", proxy::numbers::tables),
    ("standard_normal.json", proxy::numbers::normals),
    ("base_weights.json", proxy::numbers::weights),
    ("proxy_rescue_positions.json", proxy::numbers::positions),
    ("q4_payload.json", proxy::numbers::payloads),
    ("proxy_artifacts_1.json", proxy::artifacts::case),
    ("proxy_artifacts_2.json", proxy::artifacts::case),
    ("proxy_run.json", proxy::runs::case),
    ("prepare_report.json", proxy::prepare::case),
    ("direct_run/materialize.json", direct_run::materialize::case),
    ("direct_run/tokens.json", direct_run::tokens::case),
    ("direct_run/logits.json", direct_run::logits::case),
    ("direct_run/doc_nll.json", direct_run::doc_nll::case),
    ("direct_run/cases.json", direct_run::cases::case),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        FILES.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let names: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen = |name: &str| names.is_empty() || names.iter().any(|chosen| name.contains(chosen.as_str()));
    let goldens = Goldens::find();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for &(name, case) in FILES.iter().filter(|(name, _)| chosen(name)) {
        let file = match goldens.read(name) {
            Ok(file) => file,
            Err(why) => {
                println!("FAIL  {name}: {why}");
                failed += 1;
                continue;
            }
        };
        let tally = run_file(&goldens, name, &file, case);
        println!(
            "{name}: {} passed, {} failed, {} not run, the slowest in {:.0?}",
            tally.passed, tally.failed, tally.skipped, tally.slowest
        );
        passed += tally.passed;
        failed += tally.failed;
        skipped += tally.skipped;
    }
    if skipped > 0 {
        println!(
            "not run: {skipped} cases that need corpus.json, which {} lacks",
            goldens.folder().display()
        );
    }
    println!("cases: {passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What became of a file's cases.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
    slowest: Duration,
}

/// Runs every case of one file. A case that lets a changed expectation pass counts as one more failure.
fn run_file(goldens: &Goldens, name: &str, file: &Value, case: Case) -> Tally {
    let cases = golden::cases(file);
    let mut tally = Tally::default();
    if cases.is_empty() {
        println!("FAIL  {name}: it holds no case");
        tally.failed += 1;
    }
    for one in cases {
        let start = Instant::now();
        let outcome = case(goldens, file, one);
        tally.slowest = tally.slowest.max(start.elapsed());
        match outcome {
            Outcome::Pass => {
                tally.passed += 1;
                if !notices_changes(goldens, file, one, case) {
                    tally.failed += 1;
                    println!(
                        "FAIL  {name}: {}\n      a changed expectation went unnoticed",
                        golden::name(one)
                    );
                }
            }
            Outcome::Refused => tally.passed += 1,
            Outcome::Fail(why) => {
                tally.failed += 1;
                println!("FAIL  {name}: {}\n      {why}", golden::name(one));
            }
            Outcome::NeedsCorpus => tally.skipped += 1,
        }
    }
    tally
}

/// Whether a case fails once its expectation is changed.
fn notices_changes(goldens: &Goldens, file: &Value, one: &Value, case: Case) -> bool {
    mutations(one).iter().any(|changed| matches!(case(goldens, file, changed), Outcome::Fail(_)))
}
