//! What an argument names: an artifact, a report of one, or a link that carries a report.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

use super::Failure;
use super::inspect::{self, Settings};
use bitgauge_core::model::Transformers;
use bitgauge_core::report::{Report, link};
use bitgauge_core::{Error, ErrorKind, limits};
use native_eval::{Access, input, is_address, read_json};

/// A report, and who made it.
pub struct Subject {
    /// What is known of the artifact.
    pub report: Report,
    /// Whether somebody claims it: nothing of it was measured here.
    pub is_claim: bool,
}

/// The report that the argument names or carries, or that of the artifact that it names. A report says what was found
/// when it was made, whatever the settings are.
///
/// # Errors
/// A file that is neither, a damaged link.
pub fn find(argument: &OsStr, settings: &Settings) -> Result<Subject, Failure> {
    match written(argument, settings.access)? {
        Some(report) => Ok(Subject { report, is_claim: true }),
        None => {
            let report = inspect::inspected(Path::new(argument), None, Transformers::default(), settings)?;
            Ok(Subject { report, is_claim: false })
        }
    }
}

/// The report that the argument names or carries; nothing when it may name an artifact.
///
/// # Errors
/// A damaged report or link.
pub fn written(argument: &OsStr, access: Access) -> Result<Option<Report>, Failure> {
    let path = Path::new(argument);
    let fragment = argument.to_str().and_then(link::find_fragment);
    if let Some(fragment) = fragment.filter(|_| !path.exists()) {
        return Ok(link::decode(fragment)?);
    }
    let text = if is_address(path) { remote_text(path, access)? } else { report_text(path)? };
    let report = text.map(|text| Report::from_json(&text).map_err(|error| error.within(path.display())));
    Ok(report.transpose()?)
}

/// The text of a saved report on another host; nothing when it is something else.
fn remote_text(path: &Path, access: Access) -> Result<Option<String>, Error> {
    let bytes = read_json(path, access, limits::REPORT_BYTES)?;
    Ok(bytes.filter(|bytes| Report::is_written_in(bytes)).and_then(|bytes| String::from_utf8(bytes).ok()))
}

/// The text of a saved report, which may come through a pipe; nothing when the file is something else.
fn report_text(path: &Path) -> Result<Option<String>, Error> {
    let fault = |error: std::io::Error| {
        Error::new(ErrorKind::Io, "the report cannot be read")
            .within(path.display())
            .expected_found("a readable file in UTF-8", error)
    };
    if path.is_dir() || !path.exists() {
        return Ok(None);
    }
    let file = input::open_text(path).map_err(|error| error.within(path.display()))?;
    let mut text = Vec::new();
    (&file).take(1).read_to_end(&mut text).map_err(fault)?;
    if text != b"{" {
        return Ok(None);
    }
    // With the first one byte over the cap, so that the report's reader sees that it is too long.
    (&file).take(limits::REPORT_BYTES).read_to_end(&mut text).map_err(fault)?;
    let text = String::from_utf8(text).map_err(|error| fault(std::io::Error::other(error)))?;
    Ok(Some(text).filter(|text| Report::is_written_in(text.as_bytes())))
}
