//! Opens what is read, without ever waiting for a device or for a pipe that nobody writes to.
//!
//! An artifact and its files are regular files. A text that the user names (documents, a tokenizer, settings, a report)
//! may also come through a pipe that is open already: the shell's `<(...)` or /dev/stdin. Nothing else is opened,
//! since even opening a device may do something. Whatever comes is read up to a cap.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use bitgauge_core::{Error, ErrorKind, Result};

/// Opens a regular file.
///
/// # Errors
/// What the operating system says; anything but a regular file ([`ErrorKind::Unsupported`]). Without the place.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    open(path, FileType::is_file)
}

/// Opens a text: a regular file, or a pipe that is open already.
///
/// # Errors
/// Those of [`open_regular`], but for such a pipe. Without the place.
pub fn open_text(path: &Path) -> Result<File> {
    open(path, |kind| kind.is_file() || is_pipe(*kind) && is_descriptor(path))
}

/// The bytes of a text that the user names. `what` begins the message when it can't be read: `the documents`.
///
/// # Errors
/// Those of [`open_text`], and more than `cap_bytes`. Without the place.
pub fn read_bytes(path: &Path, what: &str, cap_bytes: u64) -> Result<Vec<u8>> {
    let named = |error: Error| {
        let renamed = Error::new(error.kind, format!("{what} can't be read"));
        let renamed = renamed.expected_found(&error.expected, &error.found);
        if let Some(hint) = &error.hint { renamed.hint(hint) } else { renamed }
    };
    let too_long = |found: String| {
        named(Error::new(ErrorKind::TooLarge, "").expected_found(format!("at most {cap_bytes} bytes"), found))
    };
    let file = open_text(path).map_err(named)?;
    let length = file.metadata().map_err(|error| named(io_error(&error)))?.len();
    if length > cap_bytes {
        return Err(too_long(length.to_string()));
    }
    let mut bytes = Vec::new();
    // A pipe has no length, and a file may grow.
    file.take(cap_bytes + 1).read_to_end(&mut bytes).map_err(|error| named(io_error(&error)))?;
    if bytes.len() as u64 > cap_bytes { Err(too_long("more".to_owned())) } else { Ok(bytes) }
}

/// [`read_bytes`] of a text in UTF-8.
///
/// # Errors
/// Those of [`read_bytes`]; bytes that are not UTF-8.
pub fn read_text(path: &Path, what: &str, cap_bytes: u64) -> Result<String> {
    bitgauge_texts::utf8(read_bytes(path, what, cap_bytes)?, what)
}

/// The error for what is not a regular file, with its kind.
pub(crate) fn not_regular(kind: FileType) -> Error {
    let error =
        Error::new(ErrorKind::Unsupported, "not a regular file").expected_found("a regular file", name(kind));
    if is_pipe(kind) {
        error.hint("a text may come through the shell's <(...) or /dev/stdin, an artifact may not")
    } else {
        error
    }
}

/// What the operating system said.
pub(crate) fn io_error(error: &io::Error) -> Error {
    let io = Error::new(ErrorKind::Io, "the file cannot be read").expected_found("a readable file", error);
    match error.kind() {
        io::ErrorKind::NotFound => io.hint("check the path"),
        io::ErrorKind::PermissionDenied => io.hint("check the permissions"),
        io::ErrorKind::UnexpectedEof => io.hint("the file became shorter while it was read"),
        _ => io,
    }
}

fn open(path: &Path, is_wanted: impl Fn(&FileType) -> bool) -> Result<File> {
    let expect = |kind: FileType| if is_wanted(&kind) { Ok(()) } else { Err(not_regular(kind)) };
    // Before it is opened, for that alone can rewind a tape or wait for a line.
    expect(fs::metadata(path).map_err(|error| io_error(&error))?.file_type())?;
    let file = open_at_once(path).map_err(|error| io_error(&error))?;
    // And after, for something else may have taken its place.
    expect(file.metadata().map_err(|error| io_error(&error))?.file_type())?;
    Ok(file)
}

/// Opens a file; does not wait until somebody writes to it, should it be a pipe. Reading one does.
#[cfg(unix)]
fn open_at_once(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::{OFlags, fcntl_setfl};

    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    fcntl_setfl(&file, OFlags::empty())?;
    Ok(file)
}

#[cfg(not(unix))]
fn open_at_once(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// Whether a path names a file that this process has open already.
fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd") || path == Path::new("/dev/stdin")
}

#[cfg(unix)]
fn is_pipe(kind: FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&kind)
}

#[cfg(not(unix))]
fn is_pipe(_: FileType) -> bool {
    false
}

/// A kind of file for people.
pub(crate) fn name(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let special = [
            (kind.is_fifo(), "a pipe (FIFO)"),
            (kind.is_socket(), "a socket"),
            (kind.is_char_device(), "a character device"),
            (kind.is_block_device(), "a block device"),
        ];
        if let Some((_, name)) = special.into_iter().find(|(is, _)| *is) {
            return name;
        }
    }
    match kind {
        kind if kind.is_file() => "a regular file",
        kind if kind.is_dir() => "a folder",
        kind if kind.is_symlink() => "a symbolic link",
        _ => "a special file",
    }
}
