//! Reads documents from files, folders and standard input.

use std::fs;
use std::path::{Path, PathBuf};

use bitgauge_core::{Error, ErrorKind, Result, limits};
use bitgauge_texts::{Documents, Form, Found, TextSettings};

use super::columns;
use crate::input;

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
    let mut reading = Reading { found: Found::default(), settings };
    for path in paths {
        if path.as_os_str() == STANDARD_INPUT {
            reading.file(Path::new("/dev/stdin"), "standard input")?;
        } else if path.is_dir() {
            reading.folder(path)?;
        } else {
            reading.file(path, &path.display().to_string())?;
        }
    }
    reading.found.finish()
}

/// What was found so far, and how texts lie in files.
struct Reading<'s> {
    found: Found,
    settings: &'s TextSettings,
}

impl Reading<'_> {
    /// Adds the files below a folder, by name.
    fn folder(&mut self, folder: &Path) -> Result<()> {
        let mut files = Vec::new();
        list(folder, &mut files)?;
        for path in files {
            if Form::of_name(&path).is_some() {
                self.file(&path, &path.display().to_string())?;
            } else {
                self.found.pass_over();
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &str) -> Result<()> {
        let left = self.found.left_bytes();
        let found = &mut self.found;
        let form = Form::of_name(path);
        if form == Some(Form::Parquet) {
            let file = input::open_regular(path).map_err(|error| error.within(name))?;
            let add = &mut |place: String, text: &str| found.add(name, &place, text);
            return columns::read(file, self.settings.key(), left, add).map_err(|error| error.within(name));
        }
        let text = input::read_text(path, "the documents", left).map_err(|error| error.within(name))?;
        let form = form.unwrap_or_else(|| Form::of_content(&text));
        found.text(name, &text, form, self.settings).map_err(|error| error.within(name))
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
