//! `bitgauge` without a command: the built-in model, inspected and evaluated.

use bitgauge_core::Error;
use bitgauge_core::contract::Rules;
use native_eval::documents::{self, Document, Form, TextSettings};
use native_eval::{Shard, Source};

use super::args::{DeviceOptions, Format};
use super::eval::Job;
use super::print::note;
use super::{Exit, Failure, output};

/// A packed model trained for this purpose; `demo/README.md` says how.
const ARTIFACT: &[u8] = include_bytes!("../../demo/model.zip");
/// Documents that its training never saw.
const DOCUMENTS: &str = include_str!("../../demo/documents.json");
/// Longest document in tokens, the validator's default.
const MAX_TOKENS: usize = 512;

/// Inspects and evaluates the built-in model.
pub fn run(format: Format) -> Result<Exit, Failure> {
    note!("The built-in demo. `bitgauge --help` says how to judge your own model.\n");
    let mut source = Source::from_bytes("demo/model.zip", ARTIFACT)?;
    let documents = documents()?;
    let tokenizer = native_eval::own_tokenizer(&mut source)?;
    let device = DeviceOptions::default();
    let job = Job {
        documents: &documents,
        tokenizer: &tokenizer.tokenizer,
        max_tokens: MAX_TOKENS,
        windows: None,
        device: &device,
        resume: None,
        shard: Shard::WHOLE,
    };
    let report = job.run(&mut source, Rules::Binary)?.report;
    output::print_report(&report, format, false);
    Ok(report.verdict.into())
}

/// The built-in documents.
///
/// # Errors
/// None, for what is built in is sound.
pub fn documents() -> Result<Vec<Document>, Error> {
    Ok(documents::parse(DOCUMENTS, Form::Json, &TextSettings::default())?.documents)
}
