//! The tokens that are added to a vocabulary, and where they stand in a text: as the tokenizers library keeps and finds them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::nfc;
use crate::added_token::AddedToken;

/// Longest token in bytes: finding one takes at most so many steps at each byte of a text.
const CONTENT_BYTES: usize = 256;

/// Added tokens.
#[derive(Debug, Clone, Default)]
pub(super) struct Added {
    ids: HashMap<String, u32>,
    tokens: BTreeMap<u32, AddedToken>,
    special: BTreeSet<String>,
    /// What normalizing changed a token to, by its id.
    normalized: BTreeMap<u32, String>,
    plain_search: Search,
    normalized_search: Search,
    /// Whether special tokens are no tokens where they stand in a text.
    pub splits_special: bool,
}

/// A part of a text: one token, or what is not.
pub(super) enum Part<'t> {
    Token(u32),
    Text(&'t str),
}

impl Added {
    /// The id of a token: an added one's, or else that of the vocabulary.
    pub fn id(&self, content: &str, vocabulary: &HashMap<String, u32>) -> Option<u32> {
        self.ids.get(content).or_else(|| vocabulary.get(content)).copied()
    }

    /// The tokens by their ids.
    pub fn tokens(&self) -> &BTreeMap<u32, AddedToken> {
        &self.tokens
    }

    /// How many of them the vocabulary lacks.
    pub fn beyond(&self, vocabulary: &HashMap<String, u32>) -> usize {
        self.ids.keys().filter(|content| !vocabulary.contains_key(*content)).count()
    }

    /// Adds tokens; those that the vocabulary lacks get new ids. None if one is of a kind that is not taken here, or two are
    /// the same in a normalized text.
    pub fn add(
        &mut self,
        tokens: impl IntoIterator<Item = AddedToken>,
        vocabulary: &HashMap<String, u32>,
        normalizes: bool,
    ) -> Option<()> {
        let size = u32::try_from(vocabulary.len()).ok()?;
        let mut next = match self.tokens.keys().next_back() {
            Some(most) if *most >= size || size == 0 => most.checked_add(1)?,
            _ => size,
        };
        for token in tokens {
            if token.content.len() > CONTENT_BYTES || token.single_word {
                return None;
            }
            let known = self.ids.get(&token.content).and_then(|id| self.tokens.get(id));
            if token.content.is_empty() || known == Some(&token) {
                continue;
            }
            let id = match self.id(&token.content, vocabulary) {
                Some(id) => id,
                None => {
                    let id = next;
                    next = next.checked_add(1)?;
                    id
                }
            };
            if token.normalized && normalizes {
                let normalized = nfc(&token.content);
                if normalized != token.content {
                    self.normalized.insert(id, normalized.into_owned());
                }
            }
            self.ids.insert(token.content.clone(), id);
            if token.special {
                self.special.insert(token.content.clone());
            }
            self.tokens.insert(id, token);
        }
        // What is stripped by one token never reaches into the next.
        let is_open = |token: &AddedToken| token.content.trim().len() < token.content.len();
        let mut tokens = self.tokens.values();
        if tokens.clone().any(|token| token.lstrip || token.rstrip) && tokens.any(is_open) {
            return None;
        }
        self.rebuild()
    }

    fn rebuild(&mut self) -> Option<()> {
        let (mut plain, mut normalized) = (Search::default(), Search::default());
        for (id, token) in &self.tokens {
            if token.normalized {
                normalized.add(self.normalized.get(id).unwrap_or(&token.content), *id)?;
            } else {
                plain.add(&token.content, *id)?;
            }
        }
        (self.plain_search, self.normalized_search) = (plain, normalized);
        Some(())
    }

    /// The parts of a text that is not normalized yet: tokens that are looked for there, and the rest.
    pub fn plain<'t>(&self, text: &'t str) -> Vec<Part<'t>> {
        self.parts(&self.plain_search, text)
    }

    /// The parts of a normalized text.
    pub fn normalized<'t>(&self, text: &'t str) -> Vec<Part<'t>> {
        self.parts(&self.normalized_search, text)
    }

    fn parts<'t>(&self, search: &Search, text: &'t str) -> Vec<Part<'t>> {
        let (mut parts, mut done, mut from) = (Vec::new(), 0, 0);
        while let Some((start, end, id)) = search.next(text.as_bytes(), from) {
            from = end;
            let Some(token) = self.tokens.get(&id) else { continue };
            if self.splits_special && self.special.contains(&token.content) {
                continue;
            }
            let start = if token.lstrip { done.max(text[..start].trim_end().len()) } else { start };
            let end = if token.rstrip { text.len() - text[end..].trim_start().len() } else { end };
            if done < start {
                parts.push(Part::Text(&text[done..start]));
            }
            parts.push(Part::Token(id));
            done = end;
        }
        if done < text.len() {
            parts.push(Part::Text(&text[done..]));
        }
        parts
    }
}

/// Finds the longest of several texts.
#[derive(Debug, Clone, Default)]
struct Search {
    /// A node and the next byte -> the node after it; 0 is where each text begins.
    nodes: HashMap<(u32, u8), u32>,
    /// The ids of texts, by the node where they end.
    ends: HashMap<u32, u32>,
    /// Bytes that a text begins with.
    begins: BTreeSet<u8>,
}

impl Search {
    /// Adds a text; none if it is there.
    fn add(&mut self, text: &str, id: u32) -> Option<()> {
        self.begins.insert(*text.as_bytes().first()?);
        let mut node = 0;
        for byte in text.bytes() {
            let new = u32::try_from(self.nodes.len()).ok()?.checked_add(1)?;
            node = *self.nodes.entry((node, byte)).or_insert(new);
        }
        self.ends.insert(node, id).is_none().then_some(())
    }

    /// Where the first text from `from` on begins and ends, the longest of those there, and its id.
    fn next(&self, text: &[u8], from: usize) -> Option<(usize, usize, u32)> {
        if self.begins.is_empty() {
            return None;
        }
        (from..text.len()).filter(|start| self.begins.contains(&text[*start])).find_map(|start| {
            let (mut node, mut found) = (0, None);
            for (byte, end) in text[start..].iter().zip(start + 1..) {
                let Some(next) = self.nodes.get(&(node, *byte)) else { break };
                node = *next;
                found = self.ends.get(&node).map(|id| (start, end, *id)).or(found);
            }
            found
        })
    }
}
