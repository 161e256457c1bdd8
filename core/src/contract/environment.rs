//! The environment variables of the validator, read by its own rules.

use std::collections::BTreeMap;

use num_traits::{Signed, ToPrimitive};

use super::PROXY_MODEL;
use super::python::{Raised, lower, parse_int, trim};

/// The variables of a process. Whether a value is trimmed differs from variable to variable.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().map(|(key, value)| (key.into(), value.into())).collect() }
    }
}

impl Environment {
    /// A variable as it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// A variable trimmed, `""` when unset.
    pub fn trimmed(&self, name: &str) -> &str {
        trim(self.get(name).unwrap_or(""))
    }

    /// A variable as it is, or the default when it is unset or empty.
    fn or_default<'e>(&'e self, name: &str, default: &'e str) -> &'e str {
        self.get(name).filter(|value| !value.is_empty()).unwrap_or(default)
    }

    /// A positive integer, or the default for everything else. Beyond 64 bits it saturates.
    fn positive(&self, name: &str, default: u64) -> u64 {
        let value = parse_int(self.trimmed(name)).filter(Signed::is_positive);
        value.map_or(default, |value| value.to_u64().unwrap_or(u64::MAX))
    }

    /// Whether a variable is `1`, `true` or `yes`.
    fn is_on(&self, name: &str) -> bool {
        matches!(lower(self.trimmed(name)).as_str(), "1" | "true" | "yes")
    }

    /// Dataset of the held-out documents.
    pub fn dataset(&self) -> &str {
        self.or_default("AUTORESEARCH_HELDOUT_DATASET", "pack-local-proxy")
    }

    /// Weights of several datasets, `""` without a mix.
    pub fn dataset_mix(&self) -> &str {
        self.trimmed("AUTORESEARCH_HELDOUT_DATASET_MIX")
    }

    /// Split of the dataset, part of the seed.
    pub fn split(&self) -> &str {
        self.or_default("AUTORESEARCH_HELDOUT_SPLIT", "validator-heldout")
    }

    /// The rotation key as it is set; see [`Environment::effective_rotation_key`].
    pub fn rotation_key(&self) -> &str {
        self.or_default("AUTORESEARCH_HELDOUT_ROTATION_KEY", "default-rotation")
    }

    /// Synchronisation slot, `""` without one.
    pub fn sync_slot(&self) -> &str {
        self.trimmed("AUTORESEARCH_HELDOUT_SYNC_SLOT")
    }

    /// Synchronisation number, `""` without one.
    pub fn sync_number(&self) -> &str {
        self.trimmed("AUTORESEARCH_HELDOUT_SYNC_NUMBER")
    }

    /// The rotation key that seeds the choice: `raw` trimmed, with the synchronisation values if any.
    pub fn effective_rotation_key(&self, raw: &str) -> String {
        let key = match trim(raw) {
            "" => "default-rotation",
            key => key,
        };
        match (self.sync_slot(), self.sync_number()) {
            ("", "") => key.to_owned(),
            (slot, number) => format!("{key}:slot={slot}:sync={number}"),
        }
    }

    /// How many documents to choose.
    pub fn document_count(&self) -> u64 {
        self.positive("AUTORESEARCH_HELDOUT_DOCUMENT_COUNT", 16)
    }

    /// Longest document in tokens, special tokens included.
    pub fn max_tokens(&self) -> u64 {
        self.positive("AUTORESEARCH_EVAL_MAX_TOKENS", 512)
    }

    /// Documents of one padded batch.
    pub fn batch_size(&self) -> u64 {
        self.positive("AUTORESEARCH_EVAL_BATCH_SIZE", 8)
    }

    /// Path of the artifact, `""` without one.
    pub fn artifact_path(&self) -> &str {
        self.trimmed(Self::ARTIFACT_PATH)
    }

    /// The variable behind [`Environment::artifact_path`].
    pub const ARTIFACT_PATH: &'static str = "AUTORESEARCH_SUBMISSION_ARTIFACT_PATH";

    /// The size that the environment declares, as text; `""` without one.
    pub fn declared_bytes(&self) -> &str {
        self.trimmed(Self::DECLARED_BYTES)
    }

    /// The variable behind [`Environment::declared_bytes`].
    pub const DECLARED_BYTES: &'static str = "AUTORESEARCH_SUBMISSION_ARTIFACT_BYTES";

    /// Whether a JSON stub may stand for an artifact.
    pub fn allows_stub(&self) -> bool {
        self.is_on("AUTORESEARCH_ALLOW_DIRECT_EVAL_STUB")
    }

    /// Whether a dataset of the hub may be read at a moving revision.
    pub fn allows_unpinned_hub(&self) -> bool {
        self.is_on("AUTORESEARCH_ALLOW_UNPINNED_HF_HELDOUT")
    }

    /// Id of the validator's tokenizer: the variable, or `default` when it is unset or empty.
    ///
    /// # Errors
    /// A value of nothing but space.
    pub fn tokenizer_id(&self, default: &str) -> Result<String, Raised> {
        match trim(self.or_default("AUTORESEARCH_EVAL_TOKENIZER_ID", default)) {
            "" => Err(Raised::runtime("direct model evaluation requires a validator tokenizer id")),
            id => Ok(id.to_owned()),
        }
    }

    /// The default of [`Environment::tokenizer_id`].
    pub const DEFAULT_TOKENIZER: &'static str = PROXY_MODEL;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str, value: &str) -> Environment {
        [(name, value)].into_iter().collect()
    }

    #[test]
    fn counts_that_are_no_positive_integers_mean_the_default() {
        let count = |value| environment("AUTORESEARCH_EVAL_MAX_TOKENS", value).max_tokens();
        assert_eq!((count(" 1_6 "), count("+7")), (16, 7));
        for value in ["", " ", "abc", "0", "-2", "1.5", "1__0"] {
            assert_eq!(count(value), 512, "{value:?}");
        }
        assert_eq!(count("99999999999999999999999"), u64::MAX);
    }

    #[test]
    fn only_some_values_are_trimmed() {
        assert_eq!(environment("AUTORESEARCH_HELDOUT_DATASET", " x ").dataset(), " x ");
        assert_eq!(environment("AUTORESEARCH_HELDOUT_DATASET", "").dataset(), "pack-local-proxy");
        assert_eq!(environment("AUTORESEARCH_HELDOUT_DATASET_MIX", " x:1\x1f").dataset_mix(), "x:1");
        assert!(environment("AUTORESEARCH_EVAL_TOKENIZER_ID", " ").tokenizer_id("d").is_err());
        assert_eq!(environment("AUTORESEARCH_EVAL_TOKENIZER_ID", "").tokenizer_id("d"), Ok("d".into()));
        assert!(environment("AUTORESEARCH_ALLOW_DIRECT_EVAL_STUB", " TRUE ").allows_stub());
        assert!(!environment("AUTORESEARCH_ALLOW_DIRECT_EVAL_STUB", "on").allows_stub());
    }
}
