//! Which held-out documents the validator chooses, to the bit.

mod corpus;
mod files;
mod hub;
mod manifest;
mod mix;
mod pool;
mod sampling;

pub use corpus::Corpus;
pub(in crate::contract) use files::sha256_hex;
pub use files::{Files, HubSource, ReadError};
pub use mix::{MixEntry, allocate, parse_mix};
pub(in crate::contract) use pool::missing_corpus;
pub use sampling::{sample, seed};

use super::{Environment, Halt};
use crate::{Error, ErrorKind, limits};
use pool::Pools;

/// What the choice depends on.
#[derive(Debug, Clone)]
pub struct Selection<'a> {
    /// Dataset name as it is given.
    pub dataset: &'a str,
    /// Split name.
    pub split: &'a str,
    /// See [`Environment::effective_rotation_key`].
    pub rotation_key: &'a str,
    /// The mix's text.
    pub mix: &'a str,
    /// How many documents; raised to 1.
    pub count: u64,
}

/// Chooses documents. `corpus` holds the validator's built-in texts, which a public dataset needs.
///
/// # Errors
/// What the validator raises; a missing corpus; more documents than [`limits::HELDOUT_DOCUMENTS`].
pub fn select_documents(
    selection: &Selection,
    environment: &Environment,
    corpus: Option<&Corpus>,
    files: &dyn Files,
) -> Result<Vec<String>, Halt> {
    let count = selection.count.max(1);
    if count > limits::HELDOUT_DOCUMENTS {
        return Err(Error::new(ErrorKind::TooLarge, "too many documents are asked for")
            .within("AUTORESEARCH_HELDOUT_DOCUMENT_COUNT")
            .expected_found(format!("at most {}", limits::HELDOUT_DOCUMENTS), count)
            .into());
    }
    let Selection { dataset, split, rotation_key, mix, .. } = selection;
    let pools = Pools { dataset, environment, corpus, files };
    let entries = parse_mix(mix);
    if entries.is_empty() {
        return Ok(sample(&pools.get(dataset)?, &format!("{dataset}:{split}:{rotation_key}"), count)?);
    }
    let weights: Vec<f64> = entries.iter().map(|entry| entry.weight).collect();
    let mut mixed = Vec::new();
    for (entry, share) in entries.iter().zip(allocate(count, &weights)) {
        // An entry must exist even if its share is 0.
        let pool = pools.get(&entry.key)?;
        mixed.extend(sample(&pool, &format!("{dataset}:{}:{split}:{rotation_key}", entry.key), share)?);
    }
    Ok(sample(&mixed, &format!("{dataset}:mixed:{split}:{rotation_key}"), count)?)
}

/// Chooses the documents that the environment asks for.
///
/// # Errors
/// As [`select_documents`].
pub fn choose_documents(
    environment: &Environment,
    corpus: Option<&Corpus>,
    files: &dyn Files,
) -> Result<Vec<String>, Halt> {
    let selection = Selection {
        dataset: environment.dataset(),
        split: environment.split(),
        rotation_key: &environment.effective_rotation_key(environment.rotation_key()),
        mix: environment.dataset_mix(),
        count: environment.document_count(),
    };
    select_documents(&selection, environment, corpus, files)
}

/// SHA-256 in hex of the documents joined by two newlines.
pub fn documents_sha256(documents: &[String]) -> String {
    sha256_hex(documents.join("\n\n").as_bytes())
}
