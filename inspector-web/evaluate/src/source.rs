//! Where the bytes of a model lie: in files that the user chose, on another host, or in what the browser unpacked of either.

use std::rc::Rc;

use bitgauge_core::container::Need;
use bitgauge_core::{Error, ErrorKind, Result};
use inspector_web::files::{self, unreadable};
use inspector_web::protocol::RemoteFile;
use inspector_web::remote::Remote;
use web_sys::{Blob, File, ReadableStream};

/// One file.
#[derive(Clone)]
pub enum Source {
    /// Here.
    Here(Blob),
    /// One of those on another host.
    Away(Rc<Remote>, usize),
}

impl Source {
    /// The model's files, in the order in which it was opened.
    ///
    /// # Errors
    /// A host that does not answer.
    pub async fn all(files: Vec<File>, away: Vec<RemoteFile>) -> Result<Vec<Self>> {
        if away.is_empty() {
            return Ok(files.into_iter().map(|file| Self::Here(file.into())).collect());
        }
        let (remote, _) = Remote::open(away).await?;
        let (count, remote) = (remote.lengths().len(), Rc::new(remote));
        Ok((0..count).map(|number| Self::Away(Rc::clone(&remote), number)).collect())
    }

    /// `len` bytes at an offset.
    ///
    /// # Errors
    /// A file that can't be read or has changed, a host that does not answer.
    pub async fn range(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        match self {
            Self::Here(blob) => files::range(blob, offset, len).await,
            // None asks for nothing.
            Self::Away(..) if len == 0 => Ok(Vec::new()),
            Self::Away(remote, file) => {
                remote.range(Need { file: *file, offset, len }).await.map(|(_, bytes)| bytes)
            }
        }
    }

    /// The same, as they come.
    ///
    /// # Errors
    /// Those of [`Source::range`].
    pub async fn stream(&self, offset: u64, len: u64) -> Result<ReadableStream> {
        match self {
            // All lie within the file, whose length came as such a number.
            Self::Here(blob) => blob
                .slice_with_f64_and_f64(offset as f64, (offset + len) as f64)
                .map(|range| range.stream())
                .map_err(|e| unreadable(&e)),
            Self::Away(remote, file) => remote.stream_range(Need { file: *file, offset, len }).await,
        }
    }
}

/// The file of this number.
///
/// # Errors
/// It was not handed over.
pub fn file(sources: &[Source], number: usize) -> Result<&Source> {
    sources.get(number).ok_or_else(|| {
        Error::new(ErrorKind::Missing, "a file of the model was not handed over")
            .expected_found(format!("{} files or more", number + 1), sources.len())
            .hint("open the model again")
    })
}
