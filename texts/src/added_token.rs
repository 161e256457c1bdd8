//! A token that is found in a text as it is, before anything else.

use serde::Deserialize;

/// A token added to a vocabulary, with its properties.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct AddedToken {
    /// Its text.
    pub content: String,
    /// Whether it is found as a word alone.
    pub single_word: bool,
    /// Whether white space before it belongs to it.
    pub lstrip: bool,
    /// Whether white space after it belongs to it.
    pub rstrip: bool,
    /// Whether it is looked for in the normalized text.
    pub normalized: bool,
    /// Whether it is special.
    pub special: bool,
}

impl AddedToken {
    /// A token without properties of its own.
    pub fn from(content: String, special: bool) -> Self {
        Self { content, single_word: false, lstrip: false, rstrip: false, normalized: !special, special }
    }
}
