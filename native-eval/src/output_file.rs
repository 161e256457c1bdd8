//! Files that results are written to: checked before the work that gives the result, written after it.
//!
//! One rule for all of them. A regular file is replaced as a whole, or made, under the rights that the file had or that
//! the umask gives. A symbolic link stays and what it leads to is written. A character device or a FIFO is written to.
//! A folder, a block device, a write-protected file, and anything that the command reads is refused.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bitgauge_core::{Error, ErrorKind, Result};

use crate::places::{Protected, Relation, parent_of, resolve};

/// A file that a result will be written to.
#[derive(Debug)]
pub struct OutputFile {
    /// As it was named.
    path: PathBuf,
    target: Target,
}

/// What is at the end of the path.
#[derive(Debug)]
enum Target {
    /// A regular file or nothing, in a folder that takes a new file, which is put in its place. Without links.
    Replaced(PathBuf),
    /// A regular file in a folder that takes no new ones, overwritten as it is.
    Overwritten(PathBuf),
    /// What is only added to: a device, a FIFO, an open file of another process.
    Stream,
    /// This process's own stdout or stderr.
    Own(File),
}

impl OutputFile {
    /// Checks that a file can be written at `path`, and that it is none of the `inputs`, which are not to be changed.
    /// Nothing is there afterwards that was not there before.
    ///
    /// # Errors
    /// A folder that does not exist or can't be written to; what is no file and can't stand for one; a write-protected
    /// file; one of the inputs or a file in it.
    pub fn check(path: &Path, inputs: &[PathBuf]) -> Result<Self> {
        expect_apart_from_all(path, inputs)?;
        Ok(Self { path: path.to_owned(), target: find(path)? })
    }

    /// Checks that it is none of further inputs, which were not known before.
    ///
    /// # Errors
    /// One of the inputs, or a file in it.
    pub fn expect_apart(&self, inputs: &[PathBuf]) -> Result<()> {
        expect_apart_from_all(&self.path, inputs)
    }

    /// The file itself, where it is to be read again: what is only written to will not do.
    ///
    /// # Errors
    /// A device, a FIFO or the like.
    pub fn expect_regular(&self) -> Result<&Path> {
        match &self.target {
            Target::Replaced(path) | Target::Overwritten(path) => Ok(path),
            Target::Stream | Target::Own(_) => Err(refused(
                &self.path,
                "a regular file, which can be read again",
                "a device, a pipe or the like",
            )),
        }
    }

    /// Writes the whole result.
    ///
    /// # Errors
    /// What the operating system says. A file that was there before is then as it was, if its folder takes new files.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        let written = match &self.target {
            Target::Replaced(path) => replace(path, bytes),
            Target::Overwritten(path) => overwrite(path, bytes),
            Target::Stream => {
                OpenOptions::new().append(true).open(&self.path).and_then(|mut file| file.write_all(bytes))
            }
            Target::Own(file) => io::stdout().flush().and_then(|()| (&*file).write_all(bytes)),
        };
        written.map_err(|error| failed(&self.path, &error))
    }
}

/// Lets a write over the process's limit for a file's length (`ulimit -f`) fail like one to a full disk, so that it is
/// said and the result printed. Otherwise the system would end the process.
pub fn outlive_file_limits() {
    // Nobody looks at the flag: that the signal has a handler is enough. Where it can't have one, it ends the process.
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
}

/// Finds out what is at a path, and whether it can be written.
fn find(path: &Path) -> Result<Target> {
    let fail = |error| failed(path, &error);
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                return Err(refused(path, "a file", "a folder's name"));
            }
            let resolved = resolve(path).map_err(fail)?;
            expect_new_files(parent_of(&resolved)).map_err(fail)?;
            return Ok(Target::Replaced(resolved));
        }
        Err(error) => return Err(fail(error)),
    };
    if !metadata.is_file() {
        return expect_stream(path, &metadata);
    }
    if let Some(own) = own_output(&metadata) {
        return Ok(Target::Own(own));
    }
    let resolved = resolve(path).map_err(fail)?;
    if is_descriptor(path) {
        return Ok(Target::Stream);
    }
    // Who may write everything, as root, still asks before writing what is protected.
    if metadata.permissions().readonly() {
        return Err(refused(path, "a file that can be written", "a write-protected file"));
    }
    OpenOptions::new().append(true).open(&resolved).map_err(fail)?;
    let takes_new = expect_new_files(parent_of(&resolved)).is_ok();
    Ok(if takes_new { Target::Replaced(resolved) } else { Target::Overwritten(resolved) })
}

/// Accepts what can be written to without being a file.
fn expect_stream(path: &Path, metadata: &Metadata) -> Result<Target> {
    let found = match kind_of(metadata) {
        Kind::CharacterDevice | Kind::Fifo => return Ok(Target::Stream),
        Kind::Folder => "a folder",
        Kind::BlockDevice => "a block device, whose content would be overwritten",
        Kind::Other => "a socket or the like",
    };
    Err(refused(path, "a file", found))
}

enum Kind {
    Folder,
    CharacterDevice,
    Fifo,
    BlockDevice,
    Other,
}

#[cfg(unix)]
fn kind_of(metadata: &Metadata) -> Kind {
    use std::os::unix::fs::FileTypeExt;
    match metadata.file_type() {
        kind if kind.is_dir() => Kind::Folder,
        kind if kind.is_char_device() => Kind::CharacterDevice,
        kind if kind.is_fifo() => Kind::Fifo,
        kind if kind.is_block_device() => Kind::BlockDevice,
        _ => Kind::Other,
    }
}

#[cfg(not(unix))]
fn kind_of(metadata: &Metadata) -> Kind {
    if metadata.is_dir() { Kind::Folder } else { Kind::Other }
}

/// This process's stdout or stderr, if that is the file. Replaced, it would take what is printed along.
#[cfg(unix)]
fn own_output(metadata: &Metadata) -> Option<File> {
    use std::os::fd::AsFd;

    use crate::places::Identity;
    let outputs = [io::stdout().as_fd().try_clone_to_owned(), io::stderr().as_fd().try_clone_to_owned()];
    let is_same =
        |file: &File| file.metadata().is_ok_and(|own| Identity::from(&own) == Identity::from(metadata));
    outputs.into_iter().flatten().map(File::from).find(is_same)
}

#[cfg(not(unix))]
fn own_output(_: &Metadata) -> Option<File> {
    None
}

/// Whether the path names an open file of a process, as `/dev/fd/3` does.
fn is_descriptor(path: &Path) -> bool {
    let mut path = path.to_owned();
    while let Ok(target) = fs::read_link(&path) {
        let folder = parent_of(&path).canonicalize().unwrap_or_default();
        if folder.starts_with("/proc") && folder.ends_with("fd") {
            return true;
        }
        path = folder.join(target);
    }
    false
}

/// Fails where a folder takes no new files.
pub(crate) fn expect_new_files(folder: &Path) -> io::Result<()> {
    tempfile::Builder::new().prefix(".bitgauge-").tempfile_in(folder).and_then(tempfile::NamedTempFile::close)
}

fn expect_apart_from_all(path: &Path, inputs: &[PathBuf]) -> Result<()> {
    let Ok(resolved) = resolve(path) else { return Ok(()) };
    inputs.iter().try_for_each(|input| expect_apart(path, &resolved, &Protected::new(input)))
}

/// Fails where an output is, lies in or holds something that is to stay as it is.
fn expect_apart(path: &Path, resolved: &Path, input: &Protected) -> Result<()> {
    let found = match input.relation_of(resolved) {
        None => return Ok(()),
        Some(Relation::Is) => {
            format!("{}, which the command uses for something else", input.path().display())
        }
        Some(Relation::LiesIn) => format!("a file in {}, which the command reads", input.path().display()),
        Some(Relation::Holds) => format!("what holds {}", input.path().display()),
    };
    Err(refused(path, "a file of its own", &found).hint("give the output another name"))
}

fn refused(path: &Path, expected: &str, found: &str) -> Error {
    Error::new(ErrorKind::Io, "the result can't be written there")
        .within(path.display())
        .expected_found(expected, found)
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let failed = Error::new(ErrorKind::Io, "the result can't be written")
        .within(path.display())
        .expected_found("a writable file in an existing folder", error);
    if parent_of(path).is_dir() { failed } else { failed.hint("make the folder first") }
}

/// Puts a new file in place of what is there: all of it appears under the name, or nothing.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = new_file(parent_of(path))?;
    file.write_all(bytes)?;
    if let Ok(old) = fs::metadata(path)
        && keep_rights(file.as_file(), &old).is_err()
    {
        return overwrite(path, bytes);
    }
    file.as_file().sync_all()?;
    match file.persist(path) {
        Ok(_) => Ok(()),
        // A mount point, or somebody else's file in a folder like /tmp.
        Err(refused) if is_kept_in_place(refused.error.kind()) => overwrite(path, bytes),
        Err(refused) => Err(refused.error),
    }
}

fn is_kept_in_place(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ResourceBusy | io::ErrorKind::PermissionDenied | io::ErrorKind::CrossesDevices
    )
}

/// A file under a passing name, with the rights that the umask gives.
fn new_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".bitgauge-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Gives a file the owner and the rights that another had.
fn keep_rights(file: &File, old: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.set_permissions(old.permissions())
}

fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
