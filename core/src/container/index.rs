//! `model.safetensors.index.json`: the shards' names. Which tensor it says is where counts for nothing.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::json::{self, Pairs};
use super::names;
use crate::json::{MAX_DEPTH, MAX_INT_DIGITS};
use crate::{Error, ErrorKind, Result, memory};

/// Bytes that parsing and comparing take at most for each byte of the file.
const PARSED_FACTOR: u64 = 24;
/// Most names that an error lists.
const LISTED: usize = 5;

#[derive(Deserialize)]
struct File {
    weight_map: Pairs<String>,
    #[serde(default)]
    metadata: serde_json::Value,
}

/// The names of the shards, which is all that transformers takes from the file.
#[derive(Debug)]
pub(super) struct ShardIndex {
    shards: BTreeSet<String>,
    /// Whether `metadata` is an object.
    has_metadata: bool,
}

impl ShardIndex {
    /// Parses the file. Keys may occur once, shards must be plain relative paths.
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        memory::require(text.len() as u64 * PARSED_FACTOR, "the shard index")?;
        let what = "the shard index is damaged";
        if text.split(|byte| !byte.is_ascii_digit()).any(|run| run.len() > MAX_INT_DIGITS) {
            return Err(Error::new(ErrorKind::Malformed, what)
                .expected_found("integers of at most 4,300 digits, which Python reads", "more digits"));
        }
        if depth(text) > MAX_DEPTH {
            return Err(Error::new(ErrorKind::Malformed, what).expected_found("at most 127 levels", "more"));
        }
        let file: File = serde_json::from_str(json::utf8(what, text, 0)?).map_err(|error| {
            let expected = "an object whose weight_map names the shard of each tensor";
            json::error(what, expected, text, 0, &error)
        })?;
        let shards = file.weight_map.0.into_iter().map(|(_, shard)| shard).collect();
        let index = Self { shards, has_metadata: file.metadata.is_object() };
        index.shards.iter().try_for_each(|shard| names::check(shard))?;
        Ok(index)
    }

    /// The shards' names, relative to the folder of the index.
    pub(super) fn shards(&self) -> BTreeSet<&str> {
        self.shards.iter().map(String::as_str).collect()
    }

    /// Refuses an index whose shards are not all there.
    pub(super) fn check_shards(&self, is_there: impl Fn(&str) -> bool) -> Result<()> {
        let shards = self.shards();
        let missing: Vec<&str> = shards.iter().copied().filter(|shard| !is_there(shard)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Missing, "weight shards are missing")
            .expected_found(format!("{} shards", shards.len()), format!("no {}", list(&missing)))
            .hint("put the missing files beside the index, or write the model again"))
    }

    /// What keeps transformers' own loader from taking the shards, a sentence each: weights end in `extension`.
    pub(super) fn faults(&self, extension: &str) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.has_metadata {
            faults.push("the shard index has no `metadata` object, which transformers looks into".to_owned());
        }
        let other = self.shards().into_iter().find(|shard| !shard.ends_with(extension));
        faults.extend(other.map(|shard| format!("transformers takes the shard {shard} for a pickle")));
        faults
    }
}

/// How deep the objects and lists of a JSON text lie in each other.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The first few names, and how many more there are.
fn list(names: &[&str]) -> String {
    let shown = names[..names.len().min(LISTED)].join(", ");
    if names.len() > LISTED { format!("{shown} and {} more", names.len() - LISTED) } else { shown }
}
