//! Turns texts into token ids.

#[cfg(feature = "library")]
mod library;

use bitgauge_core::Result;

use crate::byte_level::ByteLevel;

#[cfg(feature = "library")]
pub use self::library::Library;

/// The token ids of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Those that are kept.
    pub ids: Vec<u32>,
    /// How many more there are.
    pub cut: usize,
}

/// Turns text into token ids. With a tokenizer.json comes whether texts that are too long lose their beginning.
pub enum TextTokenizer {
    /// A `tokenizer.json`, for the tokenizers library.
    #[cfg(feature = "library")]
    Library(Box<Library>, bool),
    /// A `tokenizer.json` of byte-level pairs.
    ByteLevel(Box<ByteLevel>, bool),
    /// The validator's built-in byte tokenizer: id = byte + 1 of the UTF-8 text.
    Bytes,
}

impl TextTokenizer {
    /// Reads the bytes of a tokenizer.json.
    ///
    /// # Errors
    /// Bytes that are too many or are no tokenizer.
    #[cfg(feature = "library")]
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let tokenizer = Library::from_json(bytes)?;
        let left = tokenizer.cuts_left();
        Ok(Self::library(tokenizer, left))
    }

    /// The same without the library: none if it is of a kind that is not our own's.
    pub fn byte_level(bytes: &[u8]) -> Option<Self> {
        let tokenizer = ByteLevel::read(bytes)?;
        let left = tokenizer.cuts_left();
        Some(Self::ByteLevel(Box::new(tokenizer), left))
    }

    #[cfg(feature = "library")]
    pub(crate) fn library(tokenizer: Library, left: bool) -> Self {
        Self::Library(Box::new(tokenizer), left)
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
            Self::ByteLevel(tokenizer, left) => {
                let ids = tokenizer.encode(text)?;
                let [before, after] = tokenizer.around();
                // The text is cut, never the special tokens around it.
                let kept = max_tokens.saturating_sub(before.len() + after.len()).min(ids.len());
                let cut = ids.len() - kept;
                let part = if *left { &ids[cut..] } else { &ids[..kept] };
                Ok(Encoded { ids: [before, part, after].concat(), cut })
            }
            #[cfg(feature = "library")]
            Self::Library(tokenizer, left) => tokenizer.encode_counted(text, max_tokens, *left),
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
