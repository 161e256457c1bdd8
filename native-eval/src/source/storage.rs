//! Where an artifact's files are, and how a range of one is read.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bitgauge_core::container::{FileId, ShardName};
use bitgauge_core::{Error, ErrorKind, Result, limits};
use bitgauge_eval::memory::ask;
use tempfile::TempPath;

use crate::hub::Remote;
use crate::input::{io_error, not_regular, open_regular};

/// The files that a [`FileId`] counts.
pub(super) enum Storage {
    /// Files on disk. One is kept open: reading mostly stays within a file.
    Disk { paths: Vec<PathBuf>, open: Option<(FileId, File)>, temporary: Option<Arc<TempPath>> },
    /// One file in memory.
    Memory(Arc<Cow<'static, [u8]>>),
    /// Files on another host.
    Remote(Arc<Remote>),
}

impl Storage {
    pub(super) fn disk(paths: Vec<PathBuf>) -> Self {
        Self::Disk { paths, open: None, temporary: None }
    }

    /// A file that is removed with the last that reads it.
    pub(super) fn temporary(file: TempPath) -> Self {
        Self::Disk { paths: vec![file.to_path_buf()], open: None, temporary: Some(Arc::new(file)) }
    }

    /// The same files, to be read beside these.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Disk { paths, temporary, .. } => {
                Self::Disk { paths: paths.clone(), open: None, temporary: temporary.clone() }
            }
            Self::Memory(bytes) => Self::Memory(Arc::clone(bytes)),
            Self::Remote(remote) => Self::Remote(Arc::clone(remote)),
        }
    }

    /// Fills `out` from byte `offset` of a file.
    pub(super) fn read(&mut self, file: FileId, offset: u64, out: &mut [u8]) -> Result<()> {
        match self {
            Self::Disk { paths, open, .. } => {
                read_file(&paths[file], file, open, offset, out).map_err(|error| error.at(offset))
            }
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let range = bytes.get(start..).and_then(|rest| rest.get(..out.len()));
                let range = range.ok_or_else(|| {
                    Error::new(ErrorKind::Truncated, "the file ends too early").at(offset).expected_found(
                        format!("{} bytes", out.len()),
                        format!("a file of {} bytes", bytes.len()),
                    )
                })?;
                out.copy_from_slice(range);
                Ok(())
            }
            Self::Remote(remote) => remote.read(file, offset, out),
        }
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk { paths, .. } => f.debug_tuple("Disk").field(paths).finish(),
            Self::Memory(bytes) => write!(f, "Memory({} bytes)", bytes.len()),
            Self::Remote(remote) => write!(f, "Remote({})", remote.address),
        }
    }
}

fn read_file(
    path: &Path,
    file: FileId,
    open: &mut Option<(FileId, File)>,
    offset: u64,
    out: &mut [u8],
) -> Result<()> {
    let mut handle = match open.take() {
        Some((last, handle)) if last == file => handle,
        _ => open_regular(path)?,
    };
    let read = handle.seek(SeekFrom::Start(offset)).and_then(|_| handle.read_exact(out));
    read.map_err(|error| io_error(&error))?;
    *open = Some((file, handle));
    Ok(())
}

/// A file's `/`-separated name below the folder with its length, and its path.
pub(super) type Listed = ((String, u64), PathBuf);

/// The shards beside this one, it included, by name; nothing for a file that is no shard or the only one.
pub(super) fn list_shards(path: &Path, name: &str) -> Result<Option<Vec<Listed>>> {
    let Some(own) = ShardName::parse(name).filter(|shard| shard.count > 1) else { return Ok(None) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fault = |error: io::Error| io_error(&error).within(folder.display());
    let mut shards = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let Ok(name) = entry.map_err(fault)?.file_name().into_string() else { continue };
        let is_of_set = |shard: ShardName<'_>| (shard.stem, shard.count) == (own.stem, own.count);
        let path = folder.join(&name);
        if ShardName::parse(&name).is_some_and(is_of_set) && path.is_file() {
            let len = fs::metadata(&path).map_err(|error| io_error(&error).within(path.display()))?.len();
            shards.push(((name, len), path));
        }
    }
    shards.sort();
    Ok(Some(shards))
}

/// All regular files below `root`, sorted by path. Links to files below it are followed and, from a snapshot in the Hugging
/// Face cache, links to its repository's blobs. Other links and special files are refused: the validator's copy of
/// the folder would not hold what they point to.
pub(super) fn list_folder(root: &Path) -> Result<Vec<Listed>> {
    let allowed = places_of_links(root);
    let mut files = Vec::new();
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| io_error(&error).within(folder.display()))? {
            let entry = entry.map_err(|error| io_error(&error).within(folder.display()))?;
            let path = entry.path();
            let fault = |error: io::Error| io_error(&error).within(path.display());
            let name = entry.file_name().into_string().map_err(|name| {
                Error::new(ErrorKind::BadName, "a file name is not UTF-8")
                    .within(folder.display())
                    .expected_found("UTF-8", format!("{name:?}"))
            })?;
            let name = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(fault)?;
            if kind.is_dir() {
                folders.push((path, format!("{name}/")));
            } else if kind.is_file() {
                let len = entry.metadata().map_err(fault)?.len();
                files.push(((name, len), path));
            } else if let Some((target, len)) = followed(&path, &allowed) {
                files.push(((name, len), target));
            } else {
                let error = not_regular(kind).within(path.display());
                return Err(if kind.is_symlink() {
                    error.hint("replace the link by its target")
                } else {
                    error
                });
            }
            if (files.len() + folders.len()) as u64 > limits::MEMBERS_COUNT {
                return Err(Error::new(ErrorKind::TooLarge, "the folder has too many files")
                    .within(root.display())
                    .expected_found(format!("at most {}", limits::MEMBERS_COUNT), "more"));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Where links of a folder may lead: below it and, where it is `REPOSITORY/snapshots/REVISION`, to `REPOSITORY/blobs`.
fn places_of_links(root: &Path) -> Vec<PathBuf> {
    let Ok(root) = fs::canonicalize(root) else { return Vec::new() };
    let snapshots = root.parent().filter(|parent| parent.ends_with("snapshots"));
    let blobs = snapshots.and_then(Path::parent).map(|repository| repository.join("blobs"));
    [root].into_iter().chain(blobs).collect()
}

/// The regular file that a link leads to, in one of the places where it may lie, with its length.
fn followed(path: &Path, allowed: &[PathBuf]) -> Option<(PathBuf, u64)> {
    let target = fs::canonicalize(path).ok()?;
    let metadata = fs::metadata(&target).ok()?;
    let is_allowed = metadata.is_file() && allowed.iter().any(|place| target.starts_with(place));
    is_allowed.then_some((target, metadata.len()))
}

/// What the operating system said of a temporary file.
pub(super) fn no_room(error: &io::Error) -> Error {
    Error::new(ErrorKind::Io, "the archive can't be unpacked into a temporary file")
        .within(std::env::temp_dir().display())
        .expected_found("room on the disk", error)
        .hint("free some space, or set TMPDIR to another disk")
}

/// A zeroed buffer of a declared length, or an error when there is not that much memory.
pub(super) fn allocate(len: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    resize(&mut bytes, len)?;
    Ok(bytes)
}

/// An empty buffer with room for `len` bytes.
pub(super) fn reserve(len: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    make_room(&mut bytes, len)?;
    Ok(bytes)
}

/// Gives a buffer a declared length; what it holds then is unspecified.
pub(super) fn resize(bytes: &mut Vec<u8>, len: u64) -> Result<()> {
    if len > bytes.capacity() as u64 {
        bytes.clear();
    }
    make_room(bytes, len)?;
    bytes.resize(len as usize, 0);
    Ok(())
}

/// Sees to it that a buffer can be `len` bytes long.
fn make_room(bytes: &mut Vec<u8>, len: u64) -> Result<()> {
    let held = bytes.len();
    let mut reserve = |len: usize| ask(|| bytes.try_reserve_exact(len.saturating_sub(held)).is_ok());
    let reserved = usize::try_from(len).is_ok_and(&mut reserve);
    if reserved {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, "there is not enough memory")
        .expected_found(format!("{len} bytes of memory"), "less"))
}
