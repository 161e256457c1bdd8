//! `bitgauge prepare`: the report of a pack's limits.

use bitgauge_core::contract::proxy::prepare_report;
use native_eval::OutputFile;

use super::args::{Format, PrepareOptions};
use super::print::println;
use super::{Exit, Failure, contract};

/// Writes the report and prints where it is, as the task's prepare step does.
pub fn run(options: &PrepareOptions, format: Format) -> Result<Exit, Failure> {
    let inputs: Vec<_> = options.config.config.iter().cloned().collect();
    let file = OutputFile::check(&options.result, &inputs)?;
    let report = match prepare_report(&options.config.read()?) {
        Ok(report) => report.to_pretty(),
        Err(raised) => return contract::halted(raised.into()),
    };
    let written = file.write(report.as_bytes());
    match format {
        // Not where it is not.
        _ if written.is_err() => println!("{report}"),
        Format::Human => println!("baseline_manifest={}", options.result.display()),
        Format::Json => println!("{report}"),
        Format::Quiet => {}
    }
    written?;
    Ok(Exit::Done)
}
