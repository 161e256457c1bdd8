//! The hub's listing of a folder.

use serde_json::Value;

use crate::json;
use crate::{Error, ErrorKind, Result, limits};

/// Most characters of another answer that an error repeats.
const FOUND_CHARACTERS: usize = 80;

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Path in the repository.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256, where the file lies in the hub's store for large files.
    pub sha256: Option<String>,
}

/// Reads a page of a listing, as the hub answers to [`super::HubAddress::listing_url`]; folders are left out.
///
/// # Errors
/// Another text, or more files than an artifact may have.
pub fn listing(text: &[u8]) -> Result<Vec<ListedFile>> {
    let value = json::parse(text).map_err(damaged)?;
    let entries = value.as_array().ok_or_else(|| damaged(json::mismatch("a list", &value)))?;
    if entries.len() as u64 > limits::MEMBERS_COUNT {
        return Err(Error::new(ErrorKind::TooLarge, "the folder has too many files")
            .expected_found(format!("at most {}", limits::MEMBERS_COUNT), entries.len()));
    }
    let files = entries.iter().filter(|entry| entry["type"] == "file");
    files.map(|entry| file(entry).ok_or_else(|| damaged(entry.to_string()))).collect()
}

fn file(entry: &Value) -> Option<ListedFile> {
    Some(ListedFile {
        path: entry["path"].as_str()?.to_owned(),
        bytes: entry["size"].as_u64()?,
        sha256: entry["lfs"]["oid"].as_str().map(str::to_owned),
    })
}

fn damaged(found: String) -> Error {
    let found: String = found.chars().take(FOUND_CHARACTERS).collect();
    Error::new(ErrorKind::Malformed, "the host's listing can't be read")
        .expected_found("a list of files, each with its path and size", found)
        .hint("check that the address is that of a repository")
}
