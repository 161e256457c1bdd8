//! The validator's built-in texts, which the user supplies: they are not ours to ship.

use crate::contract::python::{Object, Value};
use crate::{Error, ErrorKind, Result};

/// The groups in the validator's order.
const GROUPS: [&str; 6] = ["reasoning", "code", "math", "systems", "compression", "instruction"];

/// Named groups of texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Corpus {
    groups: Vec<(String, Vec<String>)>,
}

impl Corpus {
    /// Reads `{group: [texts]}`. Groups that the validator has come first, in its order.
    ///
    /// # Errors
    /// Any other form.
    pub fn parse(json: &str) -> Result<Self> {
        let malformed = |found: String| {
            Error::new(ErrorKind::Malformed, "the corpus is not of the expected form")
                .expected_found("a JSON object {group: [texts]}", found)
        };
        let Value::Object(mut object) = Value::parse(json).map_err(|e| malformed(e.to_string()))? else {
            return Err(malformed("another JSON value".into()));
        };
        let known = GROUPS.iter().filter_map(|group| object.shift_remove_entry(*group));
        let known: Object = known.collect();
        let mut groups = Vec::new();
        for (name, texts) in known.into_iter().chain(object) {
            let texts = match texts {
                Value::Array(texts) => texts.iter().map(|t| t.as_str().map(str::to_owned)).collect(),
                _ => None,
            };
            groups
                .push((name.clone(), texts.ok_or_else(|| malformed(format!("no list of texts in {name}")))?));
        }
        if groups.iter().all(|(_, texts): &(_, Vec<String>)| texts.is_empty()) {
            return Err(malformed("no texts at all".into()));
        }
        Ok(Self { groups })
    }

    /// All texts, group by group.
    pub fn all(&self) -> Vec<String> {
        self.groups.iter().flat_map(|(_, texts)| texts.clone()).collect()
    }

    /// The texts of one group.
    pub fn group(&self, name: &str) -> Option<&[String]> {
        self.groups.iter().find(|(group, _)| group == name).map(|(_, texts)| texts.as_slice())
    }
}
