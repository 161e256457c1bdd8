//! Byte-level byte pair encoding of our own: the tokenizers of the models that bitgauge measures, in a tenth of the code of
//! the tokenizers library, with the same token ids. It takes what it knows; anything else is for the library.

mod added;
mod categories;
mod pairs;
mod patterns;
mod read;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bitgauge_core::{Error, ErrorKind, Result};
use unicode_normalization_alignments::UnicodeNormalization;

use self::added::{Added, Part};
use self::pairs::Pairs;
use self::patterns::Pattern;
use crate::added_token::AddedToken;
use crate::subject::Subject;

/// A tokenizer of byte pairs.
#[derive(Debug, Clone)]
pub struct ByteLevel {
    pairs: Pairs,
    added: Added,
    /// Whether texts are brought to Unicode's form C.
    normalizes: bool,
    cut: Cut,
    /// What stands before and after a text.
    around: [Vec<u32>; 2],
    /// Whether tokenizer.json cuts texts that are too long at their beginning.
    cuts_left: bool,
}

/// How a text is cut into pieces.
#[derive(Debug, Clone, Copy)]
struct Cut {
    pattern: Option<&'static Pattern>,
    /// What gets a space in front, unless one is there.
    space: Space,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    Nothing,
    /// Each text between added tokens.
    Text,
    /// Each piece of it.
    Piece,
}

impl ByteLevel {
    /// The ids of a text, without what stands around it.
    ///
    /// # Errors
    /// A piece of more than 8 MiB; 500,000 characters of white space in a row.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for part in self.added.plain(text) {
            match part {
                Part::Token(id) => ids.push(id),
                Part::Text(text) => {
                    let text = if self.normalizes { nfc(text) } else { text.into() };
                    for part in self.added.normalized(&text) {
                        match part {
                            Part::Token(id) => ids.push(id),
                            Part::Text(text) => self.encode_text(text, &mut ids)?,
                        }
                    }
                }
            }
        }
        Ok(ids)
    }

    /// Adds the ids of a text that holds no added token.
    fn encode_text(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        let text = spaced(text, self.cut.space == Space::Text);
        let mut piece = |piece: &str| self.pairs.encode(&spaced(piece, self.cut.space == Space::Piece), ids);
        match self.cut.pattern {
            Some(pattern) => pattern.split(&text, piece),
            None => piece(&text),
        }
    }

    /// What stands before and after a text.
    pub fn around(&self) -> &[Vec<u32>; 2] {
        &self.around
    }

    /// Whether tokenizer.json cuts texts that are too long at their beginning.
    pub fn cuts_left(&self) -> bool {
        self.cuts_left
    }
}

impl Subject for ByteLevel {
    fn is_byte_level(&self) -> bool {
        true
    }

    fn added_tokens(&self) -> BTreeMap<u32, AddedToken> {
        self.added.tokens().clone()
    }

    fn into_byte_pairs(self, pattern: &str, spaces: bool) -> Result<Self> {
        let pattern = Some(Pattern::known(pattern).ok_or_else(other_kind)?);
        let cut = Cut { pattern, space: if spaces { Space::Piece } else { Space::Nothing } };
        let mut pairs = self.pairs;
        pairs.ignore_merges = false;
        Ok(Self { pairs, cut, normalizes: true, added: Added::default(), ..self })
    }

    fn add(&mut self, tokens: Vec<AddedToken>) -> Result<()> {
        self.added.add(tokens, &self.pairs.vocabulary, self.normalizes).ok_or_else(other_kind)
    }

    fn set_splits_special(&mut self, splits: bool) {
        self.added.splits_special = splits;
    }

    fn size(&self) -> usize {
        self.pairs.vocabulary.len() + self.added.beyond(&self.pairs.vocabulary)
    }

    fn id(&self, content: &str) -> Option<u32> {
        self.added.id(content, &self.pairs.vocabulary)
    }
}

fn other_kind() -> Error {
    Error::new(ErrorKind::Unsupported, "the tokenizer is of another kind")
}

/// A text with a space in front, if it is to have one and has none.
fn spaced(text: &str, wanted: bool) -> Cow<'_, str> {
    if wanted && !text.starts_with(' ') { format!(" {text}").into() } else { text.into() }
}

/// A text in Unicode's form C, as Unicode 9.0.0 has it, like the tokenizers library.
fn nfc(text: &str) -> Cow<'_, str> {
    // No character below these combines with another.
    if text.chars().all(|c| c < '\u{300}') {
        return text.into();
    }
    text.nfc().map(|(c, _)| c).collect::<String>().into()
}
