//! Typed access to the fields of a JSON object, with errors that name the field.

use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Result};

/// One JSON object of config.json and the path that leads to it (`""` at the top).
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(map: &'a Map<String, Value>, path: &'a str) -> Self {
        Self { map, path }
    }

    /// The field's value; an explicit `null` counts as absent, as it does for transformers.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// `rope_parameters.rope_theta`: the field's full name for messages.
    pub(super) fn name(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A required whole number in `1 ..= cap`.
    pub(super) fn dimension(&self, name: &str, cap: u64) -> Result<u64> {
        self.optional_dimension(name, cap)?.ok_or_else(|| self.missing(name, "a positive whole number"))
    }

    /// A whole number in `1 ..= cap`, if the field is there.
    pub(super) fn optional_dimension(&self, name: &str, cap: u64) -> Result<Option<u64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_u64() {
            Some(0) => Err(self.bad(ErrorKind::BadValue, name, "a positive whole number", value)),
            Some(n) if n > cap => Err(self.bad(ErrorKind::TooLarge, name, &format!("at most {cap}"), value)),
            Some(n) => Ok(Some(n)),
            None => Err(self.bad(ErrorKind::Malformed, name, "a positive whole number", value)),
        }
    }

    /// A required number that is finite and greater than 0. JSON integers are accepted.
    pub(super) fn positive(&self, name: &str) -> Result<f64> {
        let wanted = "a finite number greater than 0";
        let value = self.get(name).ok_or_else(|| self.missing(name, wanted))?;
        let number = value.as_f64().ok_or_else(|| self.bad(ErrorKind::Malformed, name, wanted, value))?;
        if number.is_finite() && number > 0.0 {
            Ok(number)
        } else {
            Err(self.bad(ErrorKind::BadValue, name, wanted, value))
        }
    }

    /// A boolean, `false` when the field is absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        self.get(name).map_or(Ok(false), |value| {
            value.as_bool().ok_or_else(|| self.bad(ErrorKind::Malformed, name, "true or false", value))
        })
    }

    /// A string, if the field is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        self.get(name)
            .map(|value| {
                value.as_str().ok_or_else(|| self.bad(ErrorKind::Malformed, name, "a string", value))
            })
            .transpose()
    }

    /// An object, if the field is there.
    pub(super) fn object(&self, name: &'a str) -> Result<Option<Fields<'a>>> {
        self.get(name)
            .map(|value| match value.as_object() {
                Some(map) => Ok(Fields::new(map, name)),
                None => Err(self.bad(ErrorKind::Malformed, name, "an object", value)),
            })
            .transpose()
    }

    /// The field is required and absent.
    pub(super) fn missing(&self, name: &str, wanted: &str) -> Error {
        Error::new(ErrorKind::Missing, format!("the field `{}` is missing", self.name(name)))
            .expected_found(wanted, "no such field")
    }

    /// The field is there and wrong.
    pub(super) fn bad(&self, kind: ErrorKind, name: &str, wanted: &str, found: &Value) -> Error {
        let what = match kind {
            ErrorKind::Malformed => "has the wrong type",
            ErrorKind::Unsupported => "asks for something that is not supported",
            _ => "is out of range",
        };
        Error::new(kind, format!("the field `{}` {what}", self.name(name)))
            .expected_found(wanted, brief(found))
    }
}

/// A JSON value short enough for one line of a message.
fn brief(value: &Value) -> String {
    const CHARACTERS: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= CHARACTERS {
        return text;
    }
    text.chars().take(CHARACTERS).chain("…".chars()).collect()
}
