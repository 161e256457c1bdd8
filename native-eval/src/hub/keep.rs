//! Where the bytes of a remote file stay: nowhere, in a file without a name, or in the Hugging Face cache.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bitgauge_core::scan::{Digest, Sha256, hex};
use bitgauge_core::{Error, ErrorKind, Result};

use super::cache::{CachedRepository, cache_error};
use super::remote::RemoteFile;

/// Bytes handed on at once.
const PIECE_BYTES: usize = 1 << 20;

/// Where bytes stay.
pub(super) enum Keep {
    Nowhere,
    /// In files that are gone when the process is.
    WhileOpen,
    /// In the Hugging Face cache, as this revision's commit.
    Cache {
        repository: CachedRepository,
        revision: String,
        commit: String,
    },
}

/// Hands all bytes of a file to `sink` while they come, and gives the file that keeps them, if one does.
pub(super) fn stream(
    keep: &Keep,
    (remote, name): (&RemoteFile, &str),
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Option<Arc<File>>> {
    match keep {
        Keep::Nowhere => remote.stream(0, sink).map(|()| None),
        Keep::WhileOpen => {
            let mut file = tempfile::tempfile().map_err(|error| no_room(&error))?;
            receive(remote, &mut file, &no_room, sink)?;
            Ok(Some(Arc::new(file)))
        }
        Keep::Cache { repository, revision, commit } => {
            let Some(tag) = remote.tag().filter(|tag| is_name(tag)) else {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "the hub gives the file no name to keep it by",
                )
                .within(name)
                .expected_found("an ETag in hex", remote.tag().unwrap_or_default())
                .hint("leave out --cache"));
            };
            repository.make_room()?;
            let blob = repository.blob(&tag);
            if !blob.is_file() {
                let partial = blob.with_file_name(format!("{tag}.incomplete"));
                let failed = |error: &std::io::Error| cache_error(&partial, error);
                let mut file = open_partial(&partial)?;
                let received = receive(remote, &mut file, &failed, sink);
                if received.as_ref().is_err_and(|error| error.kind == ErrorKind::Checksum) {
                    // What is wrong once stays wrong.
                    fs::remove_file(&partial).map_err(|error| failed(&error))?;
                }
                received?;
                fs::rename(&partial, &blob).map_err(|error| failed(&error))?;
                repository.enter(revision, commit, name, &tag)?;
                return Ok(Some(Arc::new(file)));
            }
            repository.enter(revision, commit, name, &tag)?;
            let file = Arc::new(File::open(&blob).map_err(|error| cache_error(&blob, &error))?);
            from_disk(&file, &blob, remote.length(), sink)?;
            Ok(Some(file))
        }
    }
}

/// Appends to `file`, which holds the beginning, what is missing. All of it goes to `sink`, and must have the hash that
/// the host tells.
fn receive(
    remote: &RemoteFile,
    file: &mut File,
    failed: &dyn Fn(&std::io::Error) -> Error,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (mut hash, mut held) = (Sha256::new(), 0);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = file.read(&mut piece).map_err(|error| failed(&error))?;
        if count == 0 {
            break;
        }
        held += count as u64;
        if held > remote.length() {
            return Err(wrong_bytes(remote, "longer than the host's file"));
        }
        hash.update(&piece[..count]);
        sink(&piece[..count])?;
    }
    drop(piece);
    remote.stream(held, &mut |bytes| {
        file.write_all(bytes).map_err(|error| failed(&error))?;
        hash.update(bytes);
        sink(bytes)
    })?;
    match remote.sha256() {
        Some(told) if told != hex(hash) => Err(wrong_bytes(remote, "another SHA-256")),
        _ => Ok(()),
    }
}

/// Hands the bytes of a file on disk to `sink`.
pub(super) fn from_disk(
    file: &File,
    place: &Path,
    length: u64,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut position = 0;
    while position < length {
        let count = (length - position).min(PIECE_BYTES as u64) as usize;
        read_at(file, position, &mut piece[..count])
            .map_err(|error| unreadable(&error).within(place.display()))?;
        sink(&piece[..count])?;
        position += count as u64;
    }
    Ok(())
}

/// Fills `out` from byte `position` on, wherever the file stands.
pub(super) fn read_at(file: &File, position: u64, out: &mut [u8]) -> std::io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, out, position);
    #[cfg(windows)]
    {
        let (mut position, mut rest) = (position, out);
        while !rest.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(file, rest, position)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                count => {
                    position += count as u64;
                    rest = &mut rest[count..];
                }
            }
        }
        Ok(())
    }
}

/// What the operating system said of a file that holds what came.
pub(super) fn unreadable(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the kept file cannot be read").expected_found("a readable file", error)
}

/// A download that was begun, held against other processes.
fn open_partial(path: &PathBuf) -> Result<File> {
    let failed = |error: std::io::Error| cache_error(path, &error);
    let file =
        File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(ErrorKind::Unsupported, "another process downloads the same file")
                .within(path.display())
                .expected_found("no other download of this file", "a lock")
                .hint("wait for it: the file is then in the cache"))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Whether an ETag can be a file's name.
fn is_name(tag: &str) -> bool {
    (16..=128).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_hexdigit())
}

fn wrong_bytes(remote: &RemoteFile, found: &str) -> Error {
    Error::new(ErrorKind::Checksum, "the received file is not the one that the host names")
        .within(remote.name())
        .expected_found("the length and hash that the host names", found)
        .hint("try again: the download begins anew")
}

fn no_room(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the file can't be kept while it is read")
        .within(std::env::temp_dir().display())
        .expected_found("room on the disk", error)
        .hint(
            "free some space, set TMPDIR to another disk, or keep it in the Hugging Face cache with --cache",
        )
}
