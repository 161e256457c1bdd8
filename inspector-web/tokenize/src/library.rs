//! The module for tokenizers of every kind.

use bitgauge_core::Result;
use bitgauge_core::model::Transformers;
use bitgauge_texts::{ModelTokenizer, TextTokenizer};

/// The tokenizer of these bytes, with the files beside it that `take` gives unless it is taken as it is.
///
/// # Errors
/// No tokenizer, or one that transformers refuses.
pub fn read(
    file: &[u8],
    as_it_is: bool,
    take: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
) -> Result<Option<TextTokenizer>> {
    if as_it_is {
        return TextTokenizer::from_json(file).map(Some);
    }
    let found = ModelTokenizer::read(file, Transformers::V5, &mut |name| Ok(take(name)))?;
    Ok(Some(found.tokenizer))
}

/// What was encoded: nobody else is to try.
///
/// # Errors
/// That of `encoded`.
pub fn or_library<T>(encoded: Result<T>) -> Result<Option<T>> {
    encoded.map(Some)
}
