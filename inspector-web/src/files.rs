//! Ranges of a browser's files.

use bitgauge_core::{Error, ErrorKind, Result};
use js_sys::{JSON, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

/// `len` bytes at `offset`, which lie within the file.
///
/// # Errors
/// The browser can't read the file any more, or it became shorter.
pub async fn range(file: &Blob, offset: u64, len: u64) -> Result<Vec<u8>> {
    // Both are at most the file's length, which came as such a number.
    let (start, end) = (offset as f64, (offset + len) as f64);
    let slice = file.slice_with_f64_and_f64(start, end).map_err(|e| unreadable(&e))?;
    let buffer = JsFuture::from(slice.array_buffer()).await.map_err(|e| unreadable(&e))?;
    let bytes = Uint8Array::new(&buffer).to_vec();
    if bytes.len() as u64 != len {
        return Err(changed(offset, len, bytes.len()));
    }
    Ok(bytes)
}

/// The file has fewer bytes at `offset` than when it was opened.
pub fn changed(offset: u64, wanted: u64, found: usize) -> Error {
    Error::new(ErrorKind::Truncated, "the file became shorter while it was read")
        .at(offset)
        .expected_found(format!("{wanted} bytes"), found)
        .hint("choose the file again")
}

/// The browser can't read a file.
pub fn unreadable(error: &JsValue) -> Error {
    browser_error("the file cannot be read", error)
        .hint("it may have been changed or moved, or the connection broke off: open it again")
}

/// What the browser said, as an error.
pub fn browser_error(what: &str, error: &JsValue) -> Error {
    let said = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.to_string()));
    let said = said.or_else(|| JSON::stringify(error).ok().map(String::from)).unwrap_or_default();
    Error::new(ErrorKind::Io, what).expected_found("a readable file", said)
}
