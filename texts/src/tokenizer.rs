//! Turns texts into token ids.

mod pairs;

use bitgauge_core::{Error, ErrorKind, Result, limits};
use tokenizers::utils::truncation::TruncationDirection;
use tokenizers::{PostProcessor, Tokenizer};

use self::pairs::{check_pairs, unreadable};

/// The token ids of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Those that are kept.
    pub ids: Vec<u32>,
    /// How many more there are.
    pub cut: usize,
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
        self.encode_counted(text, max_tokens).map(|encoded| encoded.ids)
    }

    /// The same, with the number of tokens that are cut off.
    ///
    /// # Errors
    /// Those of [`Self::encode`].
    pub fn encode_counted(&self, text: &str, max_tokens: usize) -> Result<Encoded> {
        match self {
            Self::Bytes => {
                let ids = text.bytes().take(max_tokens).map(|byte| u32::from(byte) + 1).collect();
                Ok(Encoded { ids, cut: text.len().saturating_sub(max_tokens) })
            }
            Self::File(tokenizer, side) => {
                let fail = |e| {
                    Error::new(ErrorKind::BadValue, "a document can't be tokenized").expected_found("text", e)
                };
                let mut encoding = tokenizer.encode(text, false).map_err(fail)?;
                // The text is cut, never the special tokens around it.
                let special = tokenizer.get_post_processor().map_or(0, |p| p.added_tokens(false));
                let (whole, kept) = (encoding.len(), max_tokens.saturating_sub(special));
                encoding.truncate(kept, 0, *side);
                let encoding = tokenizer.post_process(encoding, None, true).map_err(fail)?;
                Ok(Encoded { ids: encoding.get_ids().to_vec(), cut: whole.saturating_sub(kept) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_ids_one_higher() {
        assert_eq!(TextTokenizer::Bytes.encode("aé", 8).unwrap(), [98, 196, 170]);
        let cut = TextTokenizer::Bytes.encode_counted("aé", 2).unwrap();
        assert_eq!(cut, Encoded { ids: vec![98, 196], cut: 1 });
    }
}
