//! The module for byte-level pairs: it reads what it knows, and leaves the rest, and every refusal, to the library.

use bitgauge_core::{Result, limits};
use bitgauge_texts::{ModelTokenizer, TextTokenizer};

/// The tokenizer of these bytes, with the files beside it that `take` gives unless it is taken as it is; none if the library
/// is to read it.
///
/// # Errors
/// None here.
pub fn read(
    file: &[u8],
    as_it_is: bool,
    take: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
) -> Result<Option<TextTokenizer>> {
    if file.len() as u64 > limits::TOKENIZER_BYTES {
        return Ok(None);
    }
    if as_it_is {
        return Ok(TextTokenizer::byte_level(file));
    }
    Ok(ModelTokenizer::byte_level(file, &mut |name| Ok(take(name))).map(|found| found.tokenizer))
}

/// What was encoded; none if the library is to try, which takes longer words.
///
/// # Errors
/// None here.
pub fn or_library<T>(encoded: Result<T>) -> Result<Option<T>> {
    Ok(encoded.ok())
}
