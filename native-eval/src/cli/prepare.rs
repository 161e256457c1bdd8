//! `bitgauge prepare`: the report of a pack's limits.

use bitgauge_core::contract::proxy::prepare_report;

use super::args::{Format, PrepareOptions};
use super::print::println;
use super::{Exit, Failure, contract, output};

/// Writes the report and prints where it is, as the task's prepare step does.
pub fn run(options: &PrepareOptions, format: Format) -> Result<Exit, Failure> {
    let report = match prepare_report(&options.config.read()?) {
        Ok(report) => report.to_pretty(),
        Err(raised) => return contract::halted(raised.into()),
    };
    output::write_file(&options.result, &report)?;
    match format {
        Format::Human => println!("baseline_manifest={}", options.result.display()),
        Format::Json => println!("{report}"),
        Format::Quiet => {}
    }
    Ok(Exit::Done)
}
