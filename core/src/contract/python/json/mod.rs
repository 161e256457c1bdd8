//! JSON as Python's `json` module reads and writes it: `NaN` and infinities are numbers, integers have
//! any size, the last of two equal keys wins.

mod node;
mod scan;
mod write;

use std::fmt;

use indexmap::IndexMap;
use num_bigint::BigInt;

use super::print::{float_repr, string_repr};

pub use node::{Json, Node, NotRead};

/// A JSON object: keys in the order of their first occurrence.
pub type Object = IndexMap<String, Value>;

/// A JSON value. `1` and `1.0` are different.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value {
    Null,
    Bool(bool),
    Int(BigInt),
    Float(f64),
    String(String),
    Array(Vec<Value>),
    Object(Object),
}

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub what: &'static str,
    /// Byte offset in the text.
    pub offset: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

impl std::error::Error for JsonError {}

impl Value {
    /// `json.loads(text)`.
    ///
    /// # Errors
    /// Text that is not JSON, nesting beyond 900, integers beyond 4,300 digits, unpaired surrogates.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        match Json::parse(text) {
            Ok(json) => Ok(json.root().to_value()),
            Err(NotRead::Malformed(error)) => Err(error),
            Err(NotRead::Failed(_)) => Err(JsonError { what: "too long for the memory", offset: 0 }),
        }
    }

    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(object) => object.get(key),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// `bool(value)`.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(flag) => *flag,
            Self::Int(int) => *int != BigInt::ZERO,
            Self::Float(float) => *float != 0.0,
            Self::String(text) => !text.is_empty(),
            Self::Array(items) => !items.is_empty(),
            Self::Object(object) => !object.is_empty(),
        }
    }

    /// `type(value).__name__`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::String(_) => "str",
            Self::Array(_) => "list",
            Self::Object(_) => "dict",
        }
    }

    /// `str(value)`.
    pub fn to_text(&self) -> String {
        match self {
            Self::String(text) => text.clone(),
            value => value.repr(),
        }
    }

    /// `repr(value)`.
    pub fn repr(&self) -> String {
        match self {
            Self::Null => "None".into(),
            Self::Bool(true) => "True".into(),
            Self::Bool(false) => "False".into(),
            Self::Int(int) => int.to_string(),
            Self::Float(float) => float_repr(*float),
            Self::String(text) => string_repr(text),
            Self::Array(items) => {
                let items: Vec<_> = items.iter().map(Self::repr).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Object(object) => {
                let members: Vec<_> = object
                    .iter()
                    .map(|(key, value)| format!("{}: {}", string_repr(key), value.repr()))
                    .collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }

    /// The canonical text that artifacts are hashed by: sorted keys, no spaces, characters beyond
    /// ASCII as they are.
    pub fn to_canonical(&self) -> String {
        write::write(self, write::Style::Canonical)
    }

    /// The text of report files: two spaces of indent, sorted keys, ASCII only, no final newline.
    pub fn to_pretty(&self) -> String {
        write::write(self, write::Style::Pretty)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

macro_rules! from_integers {
    ($($integer:ty)*) => { $(
        impl From<$integer> for Value {
            fn from(int: $integer) -> Self {
                Self::Int(int.into())
            }
        }
    )* };
}
from_integers!(i64 u64 i128 u128 usize BigInt);

/// An object of these members.
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Object {
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Value {
    fn from(members: [(&str, Value); N]) -> Self {
        Self::Object(object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_refused_where_it_ends_to_be() {
        let cases = [
            ("", 0),
            ("{", 1),
            ("[1,]", 3),
            ("{\"a\":1,}", 7),
            ("01", 1),
            ("1.", 1),
            ("-", 1),
            ("\"\n\"", 1),
            ("\"\\x\"", 2),
            ("[1] 2", 4),
            ("nul", 0),
            ("\"\\ud800\"", 7),
            ("'a'", 0),
            ("{1:2}", 1),
            ("\"\\u12\"", 2),
        ];
        for (text, offset) in cases {
            assert_eq!(Value::parse(text).map_err(|e| e.offset), Err(offset), "{text:?}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Value::parse(&deep).unwrap_err().what, "nested too deeply");
        // Python counts digits, not the sign.
        for (digits, is_read) in [(4_300, true), (4_301, false)] {
            for sign in ["", "-"] {
                assert_eq!(Value::parse(&format!("{sign}{}", "9".repeat(digits))).is_ok(), is_read);
            }
        }
    }

    #[test]
    fn values_print_as_python_prints_them() {
        let value = Value::parse("{\"a\": [1, 2.0, null, true, \"it's\"], \"b\": {}}").unwrap();
        assert_eq!(value.repr(), "{'a': [1, 2.0, None, True, \"it's\"], 'b': {}}");
    }
}
