//! `bitgauge show`: a report that somebody made, from its file or a link.

use super::args::{Format, ShowOptions};
use super::print::note;
use super::{Exit, Failure, output, subject};

/// Prints the report that a file holds or a link carries.
pub fn run(options: &ShowOptions, format: Format) -> Result<Exit, Failure> {
    let Some(report) = subject::written(&options.report, options.remote.access(false))? else {
        let name = options.report.to_string_lossy();
        return Err(Failure(format!(
            "{name} is neither a report nor a link; `bitgauge inspect` judges artifacts"
        )));
    };
    output::print_report(&report, format, options.weights);
    if let Some(base) = &options.share {
        output::print_link(&report, base, format);
    }
    let notice = "what somebody claims: `bitgauge compare` holds it against your copy of the file";
    note!("{notice}");
    Ok(report.verdict.into())
}
