//! Several artifacts: a line for each.

use std::path::Path;

use bitgauge_core::Error;
use bitgauge_core::report::{Outcome, Report, words};
use serde_json::{Value, json};

use super::{Reading, Settings, inspected};
use crate::cli::args::{Format, InspectOptions};
use crate::cli::print::{eprintln, println};
use crate::cli::{Exit, Failure, text};

/// Columns of the longest verdict with its sign.
const VERDICT_COLUMNS: usize = 14;

/// Inspects them one after the other. One that can't be judged does not keep the others from it.
///
/// # Errors
/// Options that are for one artifact.
pub fn run(options: &InspectOptions, format: Format) -> Result<Exit, Failure> {
    expect_none_for_one(options)?;
    let reading = Reading::of(options.headers_only, options.hash_tensors);
    let settings = Settings { rules: options.pack.into(), reading, access: options.remote.access(false) };
    let (mut exit, mut documents) = (Exit::Done, Vec::new());
    for artifact in &options.artifacts {
        let report = inspected(artifact, options.layout.as_deref(), options.transformers.into(), &settings);
        exit = worse(exit, report.as_ref().map_or(Exit::Fault, |report| report.verdict.into()));
        if format == Format::Json {
            documents.push(document(artifact, &report)?);
        } else {
            print(artifact, &report, format);
        }
    }
    if format == Format::Json {
        println!("{}", serde_json::to_string_pretty(&documents)?);
    }
    Ok(exit)
}

fn expect_none_for_one(options: &InspectOptions) -> Result<(), Failure> {
    let given = [
        ("--report", options.report.is_some()),
        ("--share", options.share.is_some()),
        ("--source", options.source.is_some()),
        ("--weights", options.weights),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((option, _)) => Err(Failure(format!(
            "{option} is for one artifact\n  expected: one\n  found:    {}\n  hint:     \
             --format json gives the reports of several",
            options.artifacts.len()
        ))),
    }
}

/// What says more: a fault, then an artifact that is not eligible, then one that could not be judged to the end.
fn worse(one: Exit, other: Exit) -> Exit {
    let order = [Exit::Fault, Exit::NotEligible, Exit::Inconclusive];
    order.into_iter().find(|exit| [one, other].contains(exit)).unwrap_or(Exit::Done)
}

fn print(artifact: &Path, report: &Result<Report, Error>, format: Format) {
    let name = artifact.display();
    match report {
        Err(error) => eprintln!("{}: {error}", text::error("error")),
        Ok(report) if format == Format::Quiet => println!("{}  {name}", report.verdict.words()),
        Ok(report) => {
            let room = VERDICT_COLUMNS - text::columns(&text::verdict(report.verdict));
            let failed = report.gates.iter().filter(|gate| gate.outcome != Outcome::Pass);
            let failed: Vec<&str> = failed.map(|gate| gate.title.as_ref()).collect();
            let colon = if failed.is_empty() { "" } else { ": " };
            println!(
                "{}{:room$}  {name}  {}{colon}{}",
                text::verdict(report.verdict),
                "",
                words::plural(report.artifact.size_bytes, "byte"),
                failed.join(", ")
            );
        }
    }
}

/// The report as JSON, or why there is none.
fn document(artifact: &Path, report: &Result<Report, Error>) -> Result<Value, serde_json::Error> {
    match report {
        Ok(report) => serde_json::from_str(&report.to_json()),
        Err(error) => {
            Ok(json!({ "artifact": { "name": artifact.display().to_string() }, "error": error.to_string() }))
        }
    }
}
