//! Held-out documents and their tokens.

use std::path::Path;

use bitgauge_core::contract::python::trim;
use bitgauge_core::{Error, ErrorKind, Result, limits};
use serde::Deserialize;
use tokenizers::utils::truncation::TruncationDirection;
use tokenizers::{PostProcessor, Tokenizer};

use crate::input;

/// Longest documents file.
const DOCUMENTS_BYTES: u64 = 1 << 30;

/// One entry of a documents file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Text(String),
    Object { text: String },
}

/// Reads documents: a JSON list of strings or of objects with a `text`, JSON lines of the same
/// (`.jsonl`), or one document a line (`.txt`, `.text`). Each is trimmed, as the validator trims its own.
///
/// # Errors
/// A file that can't be read, is not of that form, or holds no document.
pub fn read(path: &Path) -> Result<Vec<String>> {
    let name = path.display().to_string();
    let text = input::read_text(path, "the documents", DOCUMENTS_BYTES).map_err(|e| e.within(&name))?;
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    parse(&text, &extension).map_err(|e| e.within(&name))
}

/// Parses the text of a documents file with this extension, see [`read`].
///
/// # Errors
/// Text that is not of that form, or holds no document.
pub fn parse(text: &str, extension: &str) -> Result<Vec<String>> {
    let lines = || text.lines().map(trim).enumerate().filter(|(_, line)| !line.is_empty());
    let documents: Vec<String> = match extension {
        "txt" | "text" => lines().map(|(_, line)| line.to_owned()).collect(),
        "jsonl" => {
            let entry = |(number, line)| {
                serde_json::from_str(line).map_err(|e| malformed(&e).within(format!("line {}", number + 1)))
            };
            lines().map(entry).collect::<Result<Vec<Entry>>>()?.into_iter().map(Entry::into_text).collect()
        }
        _ => {
            let entries: Vec<Entry> = serde_json::from_str(text).map_err(|e| malformed(&e))?;
            entries.into_iter().map(Entry::into_text).collect()
        }
    };
    let trimmed = documents.iter().map(|text| trim(text).to_owned());
    let documents: Vec<String> = trimmed.filter(|text| !text.is_empty()).collect();
    if documents.is_empty() {
        return Err(
            Error::new(ErrorKind::Missing, "there are no documents").expected_found("at least one", "none")
        );
    }
    Ok(documents)
}

/// What the tokenizers library cuts from the second part of each pair, without a look whether it is there.
#[derive(Deserialize)]
struct Prefixed {
    model: Prefix,
}

#[derive(Deserialize)]
struct Prefix {
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
}

#[derive(Deserialize)]
struct Paired {
    model: Pairs,
}

#[derive(Deserialize)]
struct Pairs {
    #[serde(default)]
    merges: Vec<Pair>,
}

/// A pair of parts that become one, or both with a space between.
#[derive(Deserialize)]
#[serde(untagged)]
enum Pair {
    Parts(serde::de::IgnoredAny, String),
    Line(String),
}

/// Refuses byte pairs at which the tokenizers library panics: whose second part is shorter than its prefix.
fn check_pairs(bytes: &[u8]) -> Result<()> {
    let prefixed: Prefixed = serde_json::from_slice(bytes).map_err(|e| unreadable(&e))?;
    let prefix = prefixed.model.continuing_subword_prefix.unwrap_or_default();
    if prefix.is_empty() {
        return Ok(());
    }
    let paired: Paired = serde_json::from_slice(bytes).map_err(|e| unreadable(&e))?;
    let second = |pair: Pair| match pair {
        Pair::Parts(_, second) => second,
        Pair::Line(line) => line.split_once(' ').map(|(_, second)| second.to_owned()).unwrap_or_default(),
    };
    let short = paired.model.merges.into_iter().map(second).find(|part| part.get(prefix.len()..).is_none());
    short.map_or(Ok(()), |part| Err(unreadable(&format!("the pair with {part:?}, without {prefix:?}"))))
}

fn unreadable(found: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, "the tokenizer can't be read")
        .expected_found("a tokenizer.json of the tokenizers library", found)
}

impl Entry {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::Object { text } => text,
        }
    }
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Malformed, "the documents are not of a known form")
        .expected_found("a list of strings or of objects with `text`", error)
        .hint("files ending in .jsonl hold one JSON value a line, files ending in .txt one document a line")
}

/// Turns text into token ids.
pub enum TextTokenizer {
    /// A `tokenizer.json`, and the side on which texts that are too long are cut.
    File(Box<Tokenizer>, TruncationDirection),
    /// The validator's built-in byte tokenizer: id = byte + 1 of the UTF-8 text.
    Bytes,
}

impl TextTokenizer {
    /// Reads the bytes of a tokenizer.json.
    ///
    /// # Errors
    /// Bytes that are too many or are no tokenizer.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > limits::TOKENIZER_BYTES {
            return Err(Error::new(ErrorKind::TooLarge, "the tokenizer is too large")
                .expected_found(format!("at most {} bytes", limits::TOKENIZER_BYTES), bytes.len()));
        }
        check_pairs(bytes)?;
        let tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| unreadable(&e))?;
        let side = tokenizer.get_truncation().map_or(TruncationDirection::Right, |cut| cut.direction);
        Self::of(tokenizer, side)
    }

    /// A tokenizer that cuts texts on this side.
    fn of(mut tokenizer: Tokenizer, side: TruncationDirection) -> Result<Self> {
        // The evaluation cuts documents itself; a padding or truncation setting must not interfere.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| {
            Error::new(ErrorKind::Malformed, "the tokenizer's truncation setting is invalid")
                .expected_found("none", e)
        })?;
        Ok(Self::File(Box::new(tokenizer), side))
    }

    /// The tokenizer that `change` makes of this one, and the side that it cuts on if it says so.
    ///
    /// # Errors
    /// Those of `change`.
    pub(crate) fn map(
        self,
        left: Option<bool>,
        change: impl FnOnce(Tokenizer) -> Result<Tokenizer>,
    ) -> Result<Self> {
        let Self::File(tokenizer, side) = self else { return Ok(self) };
        let side = match left {
            Some(true) => TruncationDirection::Left,
            Some(false) => TruncationDirection::Right,
            None => side,
        };
        Self::of(change(*tokenizer)?, side)
    }

    /// The first `max_tokens` token ids of a text, special tokens as the tokenizer defines them.
    ///
    /// # Errors
    /// A text that the tokenizer can't encode.
    pub fn encode(&self, text: &str, max_tokens: usize) -> Result<Vec<u32>> {
        match self {
            Self::Bytes => Ok(text.bytes().take(max_tokens).map(|byte| u32::from(byte) + 1).collect()),
            Self::File(tokenizer, side) => {
                let fail = |e| {
                    Error::new(ErrorKind::BadValue, "a document can't be tokenized").expected_found("text", e)
                };
                let mut encoding = tokenizer.encode(text, false).map_err(fail)?;
                // The text is cut, never the special tokens around it.
                let special = tokenizer.get_post_processor().map_or(0, |p| p.added_tokens(false));
                encoding.truncate(max_tokens.saturating_sub(special), 0, *side);
                let encoding = tokenizer.post_process(encoding, None, true).map_err(fail)?;
                Ok(encoding.get_ids().to_vec())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_documents_file_gives_the_same_texts() {
        let expected = ["one", "two words"];
        assert_eq!(parse(r#"["one", {"text": "two words", "source": "x"}]"#, "json").unwrap(), expected);
        assert_eq!(parse("\"one\"\n\n{\"text\": \"two words\"}\n", "jsonl").unwrap(), expected);
        assert_eq!(parse("one\n  two words \n\n", "txt").unwrap(), expected);
        // Trimmed like Python's `str.strip`, and left out if nothing remains.
        assert_eq!(parse(r#"["\u001cone\n", " \u00a0", " two words\t"]"#, "json").unwrap(), expected);
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(parse("{}", "json").unwrap_err().kind, ErrorKind::Malformed);
        assert_eq!(parse("[]", "json").unwrap_err().kind, ErrorKind::Missing);
        let error = parse("\"one\"\n{\"txt\": 1}", "jsonl").unwrap_err();
        assert_eq!((error.kind, error.place.as_str()), (ErrorKind::Malformed, "line 2"));
    }

    #[test]
    fn pairs_that_lack_their_prefix_are_refused() {
        let file = |prefix: &str, pairs: &str| {
            let model = format!(
                r###"{{"type": "BPE", "continuing_subword_prefix": {prefix}, "merges": {pairs},
                    "vocab": {{"a": 0, "##b": 1, "b": 2, "ab": 3}}}}"###
            );
            TextTokenizer::from_json(format!(r#"{{"version": "1.0", "model": {model}}}"#).as_bytes())
        };
        for pairs in [r###"[["a", "##b"]]"###, r###"["a ##b"]"###] {
            assert!(file("\"##\"", pairs).is_ok(), "{pairs}");
        }
        assert!(file("null", r#"[["a", "b"]]"#).is_ok());
        for pairs in [r#"[["a", "b"]]"#, r#"["a b"]"#] {
            let error = file("\"##\"", pairs).err().unwrap();
            assert!(error.found.contains("\"b\""), "{error}");
        }
    }

    #[test]
    fn bytes_become_ids_one_higher() {
        assert_eq!(TextTokenizer::Bytes.encode("aé", 8).unwrap(), [98, 196, 170]);
        assert_eq!(TextTokenizer::Bytes.encode("aé", 2).unwrap(), [98, 196]);
    }
}
