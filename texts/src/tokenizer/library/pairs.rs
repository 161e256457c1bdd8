//! The byte pairs of a tokenizer.json, before the tokenizers library reads them.

use bitgauge_core::{Error, ErrorKind, Result};
use serde::Deserialize;

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
pub(super) fn check_pairs(bytes: &[u8]) -> Result<()> {
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

pub(super) fn unreadable(found: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, "the tokenizer can't be read")
        .expected_found("a tokenizer.json of the tokenizers library", found)
}

#[cfg(test)]
mod tests {
    use super::super::Library;

    #[test]
    fn pairs_that_lack_their_prefix_are_refused() {
        let file = |prefix: &str, pairs: &str| {
            let model = format!(
                r###"{{"type": "BPE", "continuing_subword_prefix": {prefix}, "merges": {pairs},
                    "vocab": {{"a": 0, "##b": 1, "b": 2, "ab": 3}}}}"###
            );
            Library::from_json(format!(r#"{{"version": "1.0", "model": {model}}}"#).as_bytes())
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
}
