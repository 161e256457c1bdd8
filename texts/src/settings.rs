//! The tokenizer that transformers makes of a model's folder: tokenizer.json and the small files beside it.

mod auto;
#[cfg(feature = "library")]
mod earlier;
mod large;
mod of_file;
mod special;

use bitgauge_core::model::TOKENIZER_FILES;
#[cfg(feature = "library")]
use bitgauge_core::model::Transformers;
use bitgauge_core::{Error, ErrorKind, Result, json};

use self::auto::Beside;
use self::of_file::OfFile;
use crate::byte_level::ByteLevel;
#[cfg(feature = "library")]
use crate::tokenizer::Library;
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

/// Reads a file beside tokenizer.json, by its name.
type Read<'r> = &'r mut dyn FnMut(&str) -> Result<Option<Vec<u8>>>;

impl ModelTokenizer {
    /// What this version of transformers makes of tokenizer.json, the bytes `file`, with what `read` gives of the files
    /// beside it, by their names.
    ///
    /// # Errors
    /// No tokenizer; settings that transformers refuses or that are not modelled; those of `read`.
    #[cfg(feature = "library")]
    pub fn read(file: &[u8], transformers: Transformers, read: Read) -> Result<Self> {
        let tokenizer = Library::from_json(file)?;
        let beside = Beside::read(file, read)?;
        let left = beside.cuts_left().unwrap_or(tokenizer.cuts_left());
        let (tokenizer, class) = match transformers {
            Transformers::V5 => (beside.apply(tokenizer)?, beside.class(true)),
            Transformers::V4 => (beside.apply_earlier(tokenizer)?, beside.class_earlier()),
        };
        beside.check_large(&tokenizer)?;
        let pad_id = beside.pad_token(&tokenizer, class).unwrap_or(0);
        Ok(Self { tokenizer: TextTokenizer::library(tokenizer, left), pad_id })
    }

    /// The same for transformers 5 without the library: none if the tokenizer is of a kind that is not our own's, or refused.
    pub fn byte_level(file: &[u8], read: Read) -> Option<Self> {
        let tokenizer = ByteLevel::read(file)?;
        let beside = Beside::read(file, read).ok()?;
        let left = beside.cuts_left().unwrap_or(tokenizer.cuts_left());
        let tokenizer = beside.apply(tokenizer).ok()?;
        beside.check_large(&tokenizer).ok()?;
        let pad_id = beside.pad_token(&tokenizer, beside.class(true)).unwrap_or(0);
        Some(Self { tokenizer: TextTokenizer::ByteLevel(Box::new(tokenizer), left), pad_id })
    }
}

impl Beside {
    fn read(file: &[u8], read: Read) -> Result<Self> {
        let mut value = |name: &str| {
            let malformed = |found| {
                Error::new(ErrorKind::Malformed, "a file beside the tokenizer is not valid JSON")
                    .within(name)
                    .expected_found("JSON", found)
            };
            read(name)?.map(|bytes| json::parse_python(&bytes).map_err(malformed)).transpose()
        };
        Ok(Self {
            model: value(MODEL_CONFIG)?,
            settings: value(CONFIG)?,
            special: value(SPECIAL_TOKENS)?,
            added: value(ADDED_TOKENS)?,
            file: OfFile::read(file),
        })
    }
}
