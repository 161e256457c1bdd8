//! `model.safetensors.index.json`: which shard holds which tensor.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::json::{self, Pairs};
use super::names;
use crate::{Error, ErrorKind, Result, memory, order};

/// Bytes that parsing and comparing take at most for each byte of the file.
const PARSED_FACTOR: u64 = 24;
/// Most names that an error lists.
const LISTED: usize = 5;

#[derive(Deserialize)]
struct File {
    weight_map: Pairs<String>,
}

/// The shard of each tensor, sorted by tensor name.
#[derive(Debug)]
pub(super) struct ShardIndex {
    shard_of: Vec<(String, String)>,
}

impl ShardIndex {
    /// Parses the file. Keys may occur once, shards must be plain relative paths.
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        memory::require(text.len() as u64 * PARSED_FACTOR, "the shard index")?;
        let what = "the shard index is damaged";
        let file: File = serde_json::from_str(json::utf8(what, text, 0)?).map_err(|error| {
            let expected = "an object whose weight_map names the shard of each tensor";
            json::error(what, expected, text, 0, &error)
        })?;
        let mut shard_of = file.weight_map.0;
        order::sort_by(&mut shard_of, Ord::cmp);
        let index = Self { shard_of };
        index.shards().into_iter().try_for_each(names::check)?;
        Ok(index)
    }

    /// The shards' names, relative to the folder of the index.
    pub(super) fn shards(&self) -> BTreeSet<&str> {
        self.shard_of.iter().map(|(_, shard)| shard.as_str()).collect()
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

    /// Compares the index with the tensors that the shards hold: `found` gives tensor and shard.
    pub(super) fn check_tensors<'t>(&self, found: impl Iterator<Item = (&'t str, &'t str)>) -> Result<()> {
        let promised: BTreeSet<(&str, &str)> =
            self.shard_of.iter().map(|(tensor, shard)| (tensor.as_str(), shard.as_str())).collect();
        let found: BTreeSet<(&str, &str)> = found.collect();
        let show = |difference: Vec<&(&str, &str)>| {
            let names: Vec<String> =
                difference.iter().map(|(tensor, shard)| format!("{tensor:?} in {shard}")).collect();
            list(&names.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let missing: Vec<_> = promised.difference(&found).collect();
        if !missing.is_empty() {
            return Err(Error::new(ErrorKind::Missing, "tensors of the index are not in their shards")
                .expected_found(show(missing), "shards without them"));
        }
        let unknown: Vec<_> = found.difference(&promised).collect();
        if !unknown.is_empty() {
            return Err(Error::new(ErrorKind::Malformed, "shards hold tensors that the index does not name")
                .expected_found("each tensor in weight_map", show(unknown)));
        }
        Ok(())
    }
}

/// The first few names, and how many more there are.
fn list(names: &[&str]) -> String {
    let shown = names[..names.len().min(LISTED)].join(", ");
    if names.len() > LISTED { format!("{shown} and {} more", names.len() - LISTED) } else { shown }
}
