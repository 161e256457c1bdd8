//! Reads documents from files, folders and standard input.

use std::fs;
use std::path::{Path, PathBuf};

use bitgauge_core::contract::python::trim;
use bitgauge_core::report::words;
use bitgauge_core::{Error, ErrorKind, Result, limits};

use super::forms::{self, Form};
use super::{Document, Documents, TextSettings, columns};
use crate::input;

/// Most bytes of documents.
const DOCUMENTS_BYTES: u64 = 1 << 30;
/// Most documents.
const DOCUMENTS_COUNT: usize = 1 << 24;
/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Reads documents from files and folders, and from standard input where `-` is named.
///
/// Text files (.txt, .md) are one document each, or one a line. JSON (.json) is a list of strings or of objects with a
/// text, JSON lines (.jsonl) the same line by line, Parquet a table with a column of texts. Folders are read with
/// all that is below them, hidden files apart. What has none of these names is told by how it begins. White space around a
/// text is no part of it, as the validator has it, so that a text is the same in every form.
///
/// # Errors
/// A file that can't be read or is not of its form; no document at all; too many or too long ones.
pub fn read(paths: &[PathBuf], settings: &TextSettings) -> Result<Documents> {
    let mut found = Found::default();
    for path in paths {
        if path.as_os_str() == STANDARD_INPUT {
            found.file(Path::new("/dev/stdin"), "standard input", settings)?;
        } else if path.is_dir() {
            found.folder(path, settings)?;
        } else {
            found.file(path, &path.display().to_string(), settings)?;
        }
    }
    found.finish()
}

/// Documents of one text.
///
/// # Errors
/// Those of [`read`].
pub fn parse(text: &str, form: Form, settings: &TextSettings) -> Result<Documents> {
    let mut found = Found::default();
    found.text("", text, form, settings)?;
    found.finish()
}

#[derive(Default)]
struct Found {
    documents: Vec<Document>,
    bytes: u64,
    blank: u64,
    others: u64,
}

impl Found {
    /// Adds the files below a folder, by name.
    fn folder(&mut self, folder: &Path, settings: &TextSettings) -> Result<()> {
        let mut files = Vec::new();
        list(folder, &mut files)?;
        for path in files {
            if Form::of_name(&path).is_some() {
                self.file(&path, &path.display().to_string(), settings)?;
            } else {
                self.others += 1;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &str, settings: &TextSettings) -> Result<()> {
        let left = DOCUMENTS_BYTES - self.bytes;
        let form = Form::of_name(path);
        if form == Some(Form::Parquet) {
            let file = input::open_regular(path).map_err(|error| error.within(name))?;
            let add = &mut |place: String, text: &str| self.add(name, &place, text);
            return columns::read(file, settings.key(), left, add).map_err(|error| error.within(name));
        }
        let text = input::read_text(path, "the documents", left).map_err(|error| error.within(name))?;
        let form = form.unwrap_or_else(|| Form::of_content(&text));
        self.text(name, &text, form, settings).map_err(|error| error.within(name))
    }

    fn text(&mut self, name: &str, text: &str, form: Form, settings: &TextSettings) -> Result<()> {
        // Some editors on Windows put a mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        forms::parse(text, form, settings, &mut |place, text| self.add(name, &place, text))
    }

    fn add(&mut self, name: &str, place: &str, text: &str) -> Result<()> {
        let text = trim(text);
        if text.is_empty() {
            self.blank += 1;
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(text.len() as u64);
        if self.documents.len() >= DOCUMENTS_COUNT || self.bytes > DOCUMENTS_BYTES {
            let most = format!("at most {DOCUMENTS_COUNT} of {DOCUMENTS_BYTES} bytes together");
            return Err(
                Error::new(ErrorKind::TooLarge, "there are too many documents").expected_found(most, "more")
            );
        }
        self.documents.push(Document { name: format!("{name}{place}"), text: text.to_owned() });
        Ok(())
    }

    fn finish(self) -> Result<Documents> {
        if self.documents.is_empty() {
            return Err(Error::new(ErrorKind::Missing, "there are no documents")
                .expected_found("at least one", "none"));
        }
        let note = |count: u64, one: &str, what: &str| {
            (count > 0).then(|| format!("left out: {} {what}", words::plural(count, one)))
        };
        let notes =
            [note(self.blank, "text", "without a character"), note(self.others, "file", "of another kind")];
        Ok(Documents { documents: self.documents, notes: notes.into_iter().flatten().collect() })
    }
}

/// Lists the files below a folder by name, those that begin with a dot and links to folders apart.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let fault = |error: std::io::Error| input::io_error(&error).within(folder.display());
    let entries = fs::read_dir(folder).map_err(fault)?;
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(fault)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if entry.file_type().map_err(fault)?.is_dir() {
            list(&path, files)?;
        } else if !path.is_dir() {
            files.push(path);
        }
        if files.len() as u64 > limits::MEMBERS_COUNT {
            return Err(Error::new(ErrorKind::TooLarge, "the folder has too many files")
                .within(folder.display())
                .expected_found(format!("at most {}", limits::MEMBERS_COUNT), "more"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
