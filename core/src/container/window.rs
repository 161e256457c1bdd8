//! The byte ranges of the artifact's files that are known so far.

use std::collections::BTreeMap;

use crate::{Error, ErrorKind};

/// Number of a file as the caller listed it.
pub type FileId = usize;

/// Why a parser stopped.
#[derive(Debug)]
pub enum Pause {
    /// These bytes are needed before the parser can go on: `len` bytes at `offset` of `file`.
    Need {
        /// Which file.
        file: FileId,
        /// First byte.
        offset: u64,
        /// How many; the range lies within the file.
        len: u64,
    },
    /// The input is faulty.
    Failed(Error),
}

impl From<Error> for Pause {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Known byte ranges of files whose names and lengths are known from the start.
#[derive(Debug, Default)]
pub struct Window {
    files: Vec<(String, u64)>,
    known: Vec<BTreeMap<u64, Vec<u8>>>,
}

impl Window {
    /// A window over files with these names and lengths in bytes, nothing of them known yet.
    pub fn new(files: Vec<(String, u64)>) -> Self {
        let known = files.iter().map(|_| BTreeMap::new()).collect();
        Self { files, known }
    }

    /// Names and lengths of the files.
    pub fn files(&self) -> &[(String, u64)] {
        &self.files
    }

    /// Length of a file in bytes.
    pub fn len(&self, file: FileId) -> u64 {
        self.files[file].1
    }

    /// Adds the bytes that a [`Pause::Need`] asked for.
    pub fn feed(&mut self, file: FileId, offset: u64, bytes: Vec<u8>) {
        self.known[file].insert(offset, bytes);
    }

    /// `len` bytes at `offset` of `file`.
    ///
    /// A range past the file's end is a truncated input; a range not fed yet is a need.
    pub fn get(&self, file: FileId, offset: u64, len: u64) -> Result<&[u8], Pause> {
        let (name, size) = &self.files[file];
        if offset.checked_add(len).is_none_or(|end| end > *size) {
            return Err(Error::new(ErrorKind::Truncated, "the file ends too early")
                .within(name)
                .at(offset)
                .expected(format!("{len} bytes at offset {offset}"), format!("a file of {size} bytes"))
                .into());
        }
        if len == 0 {
            return Ok(&[]);
        }
        let covering = self.known[file].range(..=offset).next_back().and_then(|(start, bytes)| {
            let skip = usize::try_from(offset - start).ok()?;
            bytes.get(skip..skip.checked_add(usize::try_from(len).ok()?)?)
        });
        covering.ok_or(Pause::Need { file, offset, len })
    }
}
