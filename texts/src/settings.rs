//! The tokenizer that transformers makes of a model's folder: tokenizer.json and the small files beside it.

mod auto;
mod earlier;
mod large;
mod of_file;
mod special;

use bitgauge_core::model::{TOKENIZER_FILES, Transformers};
use bitgauge_core::{Error, ErrorKind, Result, json};

use self::auto::Beside;
use self::of_file::OfFile;
use crate::tokenizer::TextTokenizer;

/// The tokenizer's own file.
pub const FILE: &str = TOKENIZER_FILES[0];
/// Its settings.
pub const CONFIG: &str = TOKENIZER_FILES[1];
const MODEL_CONFIG: &str = TOKENIZER_FILES[2];
const SPECIAL_TOKENS: &str = TOKENIZER_FILES[3];
const ADDED_TOKENS: &str = TOKENIZER_FILES[4];

/// A model's tokenizer.
pub struct ModelTokenizer {
    /// The tokenizer itself.
    pub tokenizer: TextTokenizer,
    /// The id that padding has: the pad, eos or bos token's, the first there is, else 0.
    pub pad_id: u32,
}

impl ModelTokenizer {
    /// What this version of transformers makes of tokenizer.json, the bytes `file`, with what `read` gives of the files
    /// beside it, by their names.
    ///
    /// # Errors
    /// No tokenizer; settings that transformers refuses or that are not modelled; those of `read`.
    pub fn read(
        file: &[u8],
        transformers: Transformers,
        read: &mut dyn FnMut(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<Self> {
        let tokenizer = TextTokenizer::from_json(file)?;
        let mut value = |name: &str| {
            let malformed = |found| {
                Error::new(ErrorKind::Malformed, "a file beside the tokenizer is not valid JSON")
                    .within(name)
                    .expected_found("JSON", found)
            };
            read(name)?.map(|bytes| json::parse_python(&bytes).map_err(malformed)).transpose()
        };
        let beside = Beside {
            model: value(MODEL_CONFIG)?,
            settings: value(CONFIG)?,
            special: value(SPECIAL_TOKENS)?,
            added: value(ADDED_TOKENS)?,
            file: OfFile::read(file),
        };
        let tokenizer = tokenizer.map(beside.cuts_left(), |file| match transformers {
            Transformers::V5 => beside.apply(file),
            Transformers::V4 => beside.apply_earlier(file),
        })?;
        let pad_id = match &tokenizer {
            TextTokenizer::File(tokenizer, _) => {
                beside.check_large(tokenizer)?;
                beside.pad_token(tokenizer, transformers).unwrap_or(0)
            }
            TextTokenizer::Bytes => 0,
        };
        Ok(Self { tokenizer, pad_id })
    }
}
