//! What transformers' settings change of a tokenizer, whichever of the two it is: the library's or our own.

use std::collections::BTreeMap;

use bitgauge_core::Result;

use crate::added_token::AddedToken;

/// A tokenizer that settings change.
pub(crate) trait Subject: Sized {
    /// Whether its pre-tokenizer has a byte-level step.
    fn is_byte_level(&self) -> bool;

    /// The added tokens by their ids.
    fn added_tokens(&self) -> BTreeMap<u32, AddedToken>;

    /// Byte pairs of the same vocabulary and what stands around a text, without added tokens: normalized to form C and split
    /// by this regular expression, each piece with a space in front if `spaces`.
    ///
    /// # Errors
    /// Byte pairs that can't be read so.
    fn into_byte_pairs(self, pattern: &str, spaces: bool) -> Result<Self>;

    /// Adds tokens.
    ///
    /// # Errors
    /// Tokens that can't be added.
    fn add(&mut self, tokens: Vec<AddedToken>) -> Result<()>;

    /// Whether special tokens are no tokens where they stand in a text.
    fn set_splits_special(&mut self, splits: bool);

    /// How many tokens there are, with those that are added.
    fn size(&self) -> usize;

    /// The id of a token.
    fn id(&self, content: &str) -> Option<u32>;
}
