//! Manifests of private documents: which entries a selector takes, and the text of each.

use super::files::{Files, Place, check_sha256, os_error, text_of};
use super::hub;
use crate::contract::python::{Object, Raised, Value, lower, trim};
use crate::contract::{Environment, Halt};

/// Reads the documents that one manifest lists.
pub(super) struct Reader<'a> {
    pub environment: &'a Environment,
    pub files: &'a dyn Files,
    pub place: Place,
}

impl Reader<'_> {
    /// The texts of all entries for a selector, in order. A selective selector takes only objects that
    /// name it.
    ///
    /// # Errors
    /// The validator's own: no document, an entry or a file that it would not take. What only the disk refuses.
    pub fn documents(&self, json: &Value, selector: &str, is_selective: bool) -> Result<Vec<String>, Halt> {
        let mut entries = entries(json, selector)?;
        if is_selective {
            entries.retain(|entry| names(entry, selector));
        }
        if entries.is_empty() {
            let message = format!("private heldout manifest has no documents for selector: {selector}");
            return Err(Raised::runtime(message).into());
        }
        let mut texts = Vec::new();
        for entry in &entries {
            match entry {
                Value::Object(object) if hub::is_rows(object) => {
                    texts.extend(hub::rows(object, self.environment, self.files)?);
                }
                entry => texts.push(self.text(entry)?),
            }
        }
        Ok(texts)
    }

    /// The text of an entry that is not a query for rows.
    fn text(&self, entry: &Value) -> Result<String, Halt> {
        let object = match entry {
            Value::String(text) if trim(text).is_empty() => {
                return Err(Raised::runtime("private heldout manifest contains an empty document").into());
            }
            Value::String(text) => return Ok(trim(text).to_owned()),
            Value::Object(object) => object,
            _ => {
                return Err(
                    Raised::runtime("private heldout manifest document must be a string or object").into()
                );
            }
        };
        if let Some(text) = blank_filtered(object.get("text")) {
            return Ok(text);
        }
        let path = ["path", "file"].iter().filter_map(|key| object.get(*key)).find(|path| path.is_truthy());
        let path = blank_filtered(path).ok_or_else(|| {
            Raised::runtime("private heldout manifest document object must contain text or path")
        })?;
        let (bytes, shown) = self.read(&path, object)?;
        let text = text_of(bytes, &shown)?;
        match trim(&text) {
            "" => Err(Raised::runtime(format!("private heldout document is empty: {shown}")).into()),
            text => Ok(text.to_owned()),
        }
    }

    /// The bytes of a document's file, and its path in messages.
    fn read(&self, path: &str, entry: &Object) -> Result<(Vec<u8>, String), Halt> {
        let root = match &self.place {
            Place::Hub(hub) => {
                let bytes = self.files.fetch(hub, &hub::safe_path(path)?)?;
                check_sha256(&bytes, entry.get("sha256"), path)?;
                return Ok((bytes, path.to_owned()));
            }
            Place::Folder(root) => root,
        };
        let joined = if path.starts_with('/') { path.to_owned() } else { format!("{root}/{path}") };
        let resolved = self.files.resolve(&joined);
        let below = resolved.strip_prefix(root.trim_end_matches('/'));
        if !below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return Err(
                Raised::runtime("private heldout document path must stay under the manifest root").into()
            );
        }
        let bytes = self.files.read(&resolved).map_err(|error| os_error(&error, &resolved))?;
        Ok((bytes, resolved))
    }
}

/// A string trimmed, unless nothing is left.
fn blank_filtered(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// All entries that a manifest has for a selector, not filtered yet.
fn entries(json: &Value, selector: &str) -> Result<Vec<Value>, Raised> {
    let object = match json {
        Value::Array(entries) => return Ok(entries.clone()),
        Value::Object(object) => object,
        _ => return Err(Raised::runtime("private heldout manifest must be a JSON object or list")),
    };
    let section = |name: &str| match object.get(name) {
        Some(Value::Object(section)) => section
            .get(selector)
            .or_else(|| section.iter().find(|(key, _)| lower(trim(key)) == selector).map(|(_, value)| value)),
        _ => None,
    };
    let found = section("datasets").or_else(|| section("categories")).or_else(|| object.get("documents"));
    Ok(match found {
        Some(Value::Array(entries)) => entries.clone(),
        Some(value) => vec![value.clone()],
        None => Vec::new(),
    })
}

/// Whether an entry is an object that names the selector.
fn names(entry: &Value, selector: &str) -> bool {
    let matches = |value: &Value| value.is_truthy() && lower(trim(&value.to_text())) == selector;
    let one = |key: &str| entry.get(key).is_some_and(matches);
    let any = |key: &str| match entry.get(key) {
        Some(Value::Array(values)) => values.iter().any(matches),
        _ => false,
    };
    one("dataset") || one("category") || any("datasets") || any("categories") || any("tags")
}
