//! Joins the shards of a run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bitgauge_core::report::Report;
use bitgauge_core::{Error, ErrorKind, Result};
use bitgauge_eval::{BackendError, Tally};

use super::Run;
use super::contents::{Contents, Losses, read};
use crate::input;

/// Missing documents that a message names.
const NAMED_COUNT: usize = 8;

/// The shards of one run, joined.
#[derive(Debug, Clone)]
pub struct Merged {
    run: Run,
    tally: Tally,
    /// What is lost of which file, as a killed run leaves it.
    pub warnings: Vec<(PathBuf, String)>,
}

/// Joins files of finished documents.
///
/// # Errors
/// A file that can't be read or is malformed, files of different runs, a document in more than one.
pub fn merge(paths: &[PathBuf]) -> Result<Merged> {
    let mut merged: Option<Merged> = None;
    let mut sources: Vec<Option<usize>> = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let contents = open(path)?;
        let warnings = contents.warnings().into_iter().map(|warning| (path.clone(), warning));
        let warnings: Vec<_> = warnings.collect();
        let merged = match &mut merged {
            Some(merged) => {
                merged.run.expect_same(&contents.run).map_err(|error| error.within(path.display()))?;
                merged
            }
            empty => {
                let documents = contents.run.documents as usize;
                sources.resize(documents, None);
                empty.insert(Merged { run: contents.run, tally: Tally::new(documents), warnings: Vec::new() })
            }
        };
        merged.warnings.extend(warnings);
        for finished in &contents.finished {
            let source = &mut sources[finished.document as usize];
            if let Some(first) = source.replace(number) {
                return Err(Error::new(ErrorKind::BadValue, "a document is in two files")
                    .within(path.display())
                    .expected_found("each document once", format!("document {}", finished.document))
                    .hint(format!("it is in {} already", paths[first].display())));
            }
        }
        merged.tally.extend(contents.finished);
    }
    merged.ok_or_else(|| {
        Error::new(ErrorKind::Missing, "there is nothing to merge").expected_found("a file", "none")
    })
}

fn open(path: &Path) -> Result<Losses> {
    let mut file = input::open_text(path).map_err(|error| error.within(path.display()))?;
    match read(&mut file, path)? {
        Contents::Losses(losses) => Ok(*losses),
        Contents::Torn => Err(Error::new(ErrorKind::Truncated, "the first line is torn")
            .within(path.display())
            .expected_found("the run that the losses belong to", "a part of it")
            .hint("run the same `bitgauge eval` again: it begins the file anew")),
    }
}

impl Merged {
    /// What is missing, if anything is.
    pub fn incomplete(&self) -> Option<Error> {
        let count = self.tally.missing().count();
        if count == 0 {
            return None;
        }
        let names: Vec<String> =
            self.tally.missing().take(NAMED_COUNT).map(|number| number.to_string()).collect();
        let shards = self.run.shard.count;
        let unfinished: BTreeSet<usize> =
            self.tally.missing().map(|document| document % shards as usize).collect();
        let unfinished: Vec<String> =
            unfinished.iter().take(NAMED_COUNT).map(|index| format!("{index}/{shards}")).collect();
        let more = if count > NAMED_COUNT { ", …" } else { "" };
        let found = format!("{count} missing: {}{more}", names.join(", "));
        Some(
            Error::new(ErrorKind::Missing, "documents are missing")
                .expected_found(format!("all {}", self.run.documents), found)
                .hint(format!("run these shards again with --resume: {}", unfinished.join(", "))),
        )
    }

    /// The report that evaluating everything in one go gives. Its seconds are those of all devices
    /// together.
    ///
    /// # Errors
    /// Not one scored token.
    pub fn report(&self) -> std::result::Result<Report, BackendError> {
        let seconds = self.tally.finished().map(|finished| finished.seconds).sum();
        let evaluation = self.tally.evaluation(&self.run.options(), &self.run.precision, seconds)?;
        Ok(Report { evaluation: Some(evaluation), ..self.run.report.clone() })
    }
}
