//! `bitgauge proxy`: the validator's proxy run.

use bitgauge_core::contract::proxy::{Proxy, Submission, Teacher, default_submission, run as run_proxy};

use super::args::{Format, ProxyOptions};
use super::print::note;
use super::{Exit, Failure, contract};

/// Runs the proxy that the environment describes.
pub fn run(options: &ProxyOptions, format: Format) -> Result<Exit, Failure> {
    let (environment, files) = (contract::environment(), contract::files()?);
    let result = options.contract.check_result(&environment, &files, None)?;
    let config = options.contract.config.read()?;
    let corpus = options.contract.read_corpus()?;
    let proxy = Proxy { config: &config, environment: &environment, corpus: corpus.as_ref(), files: &files };
    let mut build = || default_submission(&Teacher::default(), &config.quant_mode);
    let submission = match environment.artifact_path() {
        "" => {
            note!("no artifact is named: scoring the validator's default submission");
            Submission::Module { name: "bitgauge", build: Some(&mut build) }
        }
        path => Submission::File { path, files: &files },
    };
    match run_proxy(&proxy, submission) {
        Ok(verdict) => {
            result.expect_apart(&files.paths_read())?;
            options.contract.finish(&result, &verdict, format)
        }
        Err(halt) => contract::halted(halt),
    }
}
