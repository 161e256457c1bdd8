//! `bitgauge merge`: joins the shards of an evaluation.

use native_eval::merge;

use super::args::{Format, MergeOptions};
use super::print::{eprintln, note};
use super::{Exit, Failure, output, text};

/// Prints the report of all shards together.
pub fn run(options: &MergeOptions, format: Format) -> Result<Exit, Failure> {
    let file = output::check_file(options.report.as_deref(), &options.files)?;
    let merged = merge(&options.files)?;
    for (path, warning) in &merged.warnings {
        note!("{}: {warning}", path.display());
    }
    if let Some(missing) = merged.incomplete() {
        eprintln!("{}: {missing}", text::error("error"));
        return Ok(Exit::Inconclusive);
    }
    let report = merged.report()?;
    let written = output::write_report(&report, file.as_ref());
    output::print_report(&report, format, false);
    written?;
    Ok(Exit::Done)
}
