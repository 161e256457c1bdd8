//! The forms of a documents file, and what one holds.

use std::path::Path;

use bitgauge_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::TextSettings;

/// Names of fields that a message lists.
const NAMED_COUNT: usize = 8;

/// The form of a documents file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text: one document, or one a line.
    Text,
    /// JSON: a list of documents, or one document after the other.
    Json,
    /// JSON lines: one document a line.
    JsonLines,
    /// A table with a column of texts.
    Parquet,
}

impl Form {
    /// What a file's name says.
    pub fn of_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "txt" | "text" | "md" | "markdown" => Some(Self::Text),
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// What a text looks like, behind a byte order mark if it begins with one.
    pub fn of_content(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim_start().starts_with(['[', '{']) { Self::Json } else { Self::Text }
    }
}

/// Tells `found` each document of a text, and its place in it.
///
/// # Errors
/// A text that is not of the form, an entry without a text, those of `found`.
pub(super) fn parse(
    text: &str,
    form: Form,
    settings: &TextSettings,
    found: &mut dyn FnMut(String, &str) -> Result<()>,
) -> Result<()> {
    match form {
        Form::Text if !settings.lines => found(String::new(), text),
        Form::Text => numbered(text).try_for_each(|(number, line)| found(format!(":{number}"), line)),
        Form::JsonLines => {
            numbered(text).filter(|(_, line)| !line.trim().is_empty()).try_for_each(|(number, line)| {
                let entry = serde_json::from_str(line).map_err(|error| malformed(&error));
                entry
                    .and_then(|entry| found(format!(":{number}"), text_of(&entry, settings.key())?))
                    .map_err(|error| error.within(format!("line {number}")))
            })
        }
        Form::Json => entries(text)?.iter().enumerate().try_for_each(|(index, entry)| {
            let text = text_of(entry, settings.key());
            text.and_then(|text| found(format!("[{index}]"), text))
                .map_err(|error| error.within(format!("[{index}]")))
        }),
        Form::Parquet => Err(Error::new(ErrorKind::Unsupported, "a Parquet file is not text")),
    }
}

/// Lines with their numbers, from 1.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

/// The entries of a list, or values one after the other.
fn entries(text: &str) -> Result<Vec<Value>> {
    let mut entries = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter() {
        match value.map_err(|error| malformed(&error))? {
            Value::Array(list) => entries.extend(list),
            value => entries.push(value),
        }
    }
    Ok(entries)
}

/// The text of an entry: itself, or what it has under `key`.
fn text_of<'e>(entry: &'e Value, key: &str) -> Result<&'e str> {
    let found = match entry {
        Value::String(text) => return Ok(text),
        Value::Object(fields) => match fields.get(key) {
            Some(Value::String(text)) => return Ok(text),
            Some(_) => format!("`{key}` of another type"),
            None => {
                let names: Vec<&str> = fields.keys().take(NAMED_COUNT).map(String::as_str).collect();
                format!("an object with the fields {}", names.join(", "))
            }
        },
        _ => "neither a string nor an object".to_owned(),
    };
    Err(Error::new(ErrorKind::Malformed, "the documents are not of a known form")
        .expected_found(format!("a list of strings or of objects with a text under `{key}`"), found)
        .hint("--text-key names the field that holds the text"))
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Malformed, "the documents are not of a known form")
        .expected_found("a list of strings or of objects with `text`", error)
        .hint("the name says the form: .json a list, .jsonl one JSON value a line, .txt and .md one document")
}
