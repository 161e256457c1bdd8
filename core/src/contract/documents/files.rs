//! The files that documents come from: on a disk or on the hub, their bytes, and what is raised where they can't be had.

use sha2::{Digest, Sha256};

use crate::contract::Halt;
use crate::contract::python::{Exception, Raised, Value, lower, trim};
use crate::{Error, ErrorKind};

/// Reads what a manifest names. Paths are text, `/`-separated.
pub trait Files {
    /// The absolute path of `path`: a leading `~` expanded, links followed as far as it exists, `..` resolved.
    fn resolve(&self, path: &str) -> String;
    /// The absolute path of `path`, nothing followed.
    fn absolute(&self, path: &str) -> String;
    /// Whether there is a regular file.
    fn is_file(&self, path: &str) -> bool;
    /// All bytes of a file.
    ///
    /// # Errors
    /// Why it can't be read.
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError>;
    /// A file of a dataset on the hub.
    ///
    /// # Errors
    /// Why it can't be had.
    fn fetch(&self, source: &HubSource, path: &str) -> Result<Vec<u8>, Halt>;
    /// One page of a dataset's rows, as the hub's row server gives it.
    ///
    /// # Errors
    /// Why it can't be had.
    fn fetch_rows(
        &self,
        dataset: &str,
        config: &str,
        split: &str,
        offset: u64,
        length: u64,
    ) -> Result<Value, Halt>;
}

/// Why a file can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// There is none.
    NotFound,
    /// It is a folder.
    IsFolder,
    /// What the operating system says.
    Other(String),
}

/// A dataset repository at a revision, and the manifest in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSource {
    /// `owner/name`.
    pub repo: String,
    /// A commit, or a branch where that is allowed.
    pub revision: String,
    /// Path of the manifest.
    pub manifest: String,
    /// SHA-256 in hex that the manifest must have.
    pub(super) manifest_sha256: Option<String>,
}

impl HubSource {
    /// The folder below the cache where a file of this source is kept.
    pub fn cache_key(&self, path: &str) -> String {
        sha256_hex(format!("{}:{}:{path}", self.repo, self.revision).as_bytes())[..24].to_owned()
    }

    pub(super) fn check_manifest(&self, bytes: &[u8]) -> Result<(), Raised> {
        let expected = self.manifest_sha256.as_deref().map(Value::from);
        check_sha256(bytes, expected.as_ref(), &self.manifest)
    }
}

/// What a manifest's paths are relative to.
pub(super) enum Place {
    Folder(String),
    Hub(HubSource),
}

/// Compares a file with the hash that was promised, if one was.
pub(super) fn check_sha256(bytes: &[u8], expected: Option<&Value>, path: &str) -> Result<(), Raised> {
    let expected = expected.filter(|value| value.is_truthy()).map(|value| lower(trim(&value.to_text())));
    match expected {
        Some(expected) if expected != sha256_hex(bytes) => {
            Err(Raised::runtime(format!("HF heldout file sha256 mismatch for {path}")))
        }
        _ => Ok(()),
    }
}

/// The text of a file: UTF-8, every kind of line end a newline.
pub(super) fn text_of(bytes: Vec<u8>, path: &str) -> Result<String, Halt> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::new(ErrorKind::BadValue, "a held-out document is not UTF-8")
            .within(path)
            .at(at as u64)
            .expected_found(
                "UTF-8",
                format!("the byte {:#04x}", error.as_bytes().get(at).copied().unwrap_or(0)),
            )
    })?;
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The exception that Python raises for a file that can't be read.
pub(super) fn os_error(error: &ReadError, path: &str) -> Halt {
    match error {
        ReadError::NotFound => Raised::new(
            Exception::FileNotFoundError,
            format!("[Errno 2] No such file or directory: '{path}'"),
        )
        .into(),
        ReadError::IsFolder => {
            Raised::new(Exception::IsADirectoryError, format!("[Errno 21] Is a directory: '{path}'")).into()
        }
        ReadError::Other(why) => Error::new(ErrorKind::Io, "a held-out document can't be read")
            .within(path)
            .expected_found("a file", why)
            .into(),
    }
}

/// SHA-256 in hex.
pub(in crate::contract) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
