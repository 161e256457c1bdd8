//! `bitgauge merge`: joins the shards of an evaluation.

use native_eval::merge;

use super::args::{Format, MergeOptions};
use super::print::eprintln;
use super::{Exit, Failure, output, text};

/// Prints the report of all shards together.
pub fn run(options: &MergeOptions, format: Format) -> Result<Exit, Failure> {
    let merged = merge(&options.files)?;
    for path in &merged.torn {
        eprintln!("{}", text::faint(&format!("{}: the torn last line was left out", path.display())));
    }
    if let Some(missing) = merged.incomplete() {
        eprintln!("{}: {missing}", text::error("error"));
        return Ok(Exit::Inconclusive);
    }
    let report = merged.report()?;
    if let Some(path) = &options.report {
        output::write_report(&report, path)?;
    }
    output::print_report(&report, format, false);
    Ok(Exit::Done)
}
