//! What tokenizer.json says beside the tokenizer itself, as transformers reads it of its text.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::added_token::AddedToken;

/// Parts of tokenizer.json.
#[derive(Default, Deserialize)]
pub(super) struct OfFile {
    #[serde(default)]
    added_tokens: Vec<FileToken>,
    #[serde(default)]
    padding: Option<Padding>,
}

#[derive(Deserialize)]
struct FileToken {
    id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

#[derive(Deserialize)]
struct Padding {
    pad_token: String,
}

impl OfFile {
    /// Reads the bytes of a file that the tokenizers library takes.
    pub fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// The added tokens by the ids that are written beside them.
    pub fn added_tokens(&self) -> BTreeMap<u32, AddedToken> {
        self.added_tokens.iter().map(|listed| (listed.id, listed.token.clone())).collect()
    }

    /// What the file pads with.
    pub fn pad_token(&self) -> Option<&str> {
        Some(&self.padding.as_ref()?.pad_token)
    }
}
