//! Builds the output beside its target and moves it there when it is complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bitgauge_core::{Error, ErrorKind, Result};
use tempfile::TempDir;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime, System};

/// Members of the zip start at a multiple of this, so that tensors can be mapped into memory.
const MEMBER_ALIGNMENT: u16 = 64;
/// From this length on a zip member needs 64-bit sizes.
const ZIP64_BYTES: u64 = u32::MAX as u64;

/// A hidden folder beside the target, removed with all that is still in it when dropped.
pub(crate) struct Stage {
    root: TempDir,
    folder: PathBuf,
}

/// Refuses a target that exists, unless it may be replaced.
pub(crate) fn check_target(out: &Path, force: bool) -> Result<()> {
    if out.file_name().is_none() {
        return Err(Error::new(ErrorKind::BadName, "the target has no name")
            .expected("a folder or a .zip file", out.display()));
    }
    if force || fs::symlink_metadata(out).is_err() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Io, "the target exists already")
        .within(out.display())
        .expected("nothing there", if out.is_dir() { "a folder" } else { "a file" })
        .hint("give another name, or replace it with --force"))
}

/// The error for a file that can't be written.
pub(crate) fn write_error(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Io, "the output cannot be written")
        .within(path.display())
        .expected("a writable file", error)
}

fn is_zip(out: &Path) -> bool {
    out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}

impl Stage {
    /// A stage in the folder that will hold `out`, so that the last step is a rename.
    pub(crate) fn beside(out: &Path) -> Result<Self> {
        let parent = match out.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => out,
        };
        let failed = |error| write_error(parent, &error);
        let root = tempfile::Builder::new().prefix(".bitgauge-pack-").tempdir_in(parent).map_err(failed)?;
        // The temporary folder itself is private to the user; what is inside has normal rights.
        let folder = root.path().join("model");
        fs::create_dir(&folder).map_err(failed)?;
        Ok(Self { root, folder })
    }

    /// Where the model's files are to be written.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Moves the folder, or a zip of it, to `out`. Returns the bytes of the artifact.
    pub(crate) fn publish(self, out: &Path, force: bool) -> Result<u64> {
        let failed = |error| write_error(out, &error);
        let files = sorted_files(&self.folder).map_err(failed)?;
        let (complete, size_bytes) = if is_zip(out) {
            let archive = self.root.path().join("model.zip");
            let bytes = write_zip(&archive, &files).map_err(failed)?;
            (archive, bytes)
        } else {
            let bytes = files.iter().map(|(_, _, bytes)| bytes).sum();
            (self.folder.clone(), bytes)
        };
        // It may have appeared while the model was packed.
        check_target(out, force)?;
        let replaced = self.root.path().join("replaced");
        let had_target = fs::symlink_metadata(out).is_ok();
        if had_target {
            fs::rename(out, &replaced).map_err(failed)?;
        }
        if let Err(error) = fs::rename(&complete, out) {
            if had_target {
                fs::rename(&replaced, out).map_err(failed)?;
            }
            return Err(failed(error));
        }
        Ok(size_bytes)
    }
}

/// Name, path and length of each file, sorted by name.
fn sorted_files(folder: &Path) -> io::Result<Vec<(String, PathBuf, u64)>> {
    let files = fs::read_dir(folder)?.map(|entry| {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        Ok((name, entry.path(), entry.metadata()?.len()))
    });
    let mut files = files.collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Writes a zip of stored members that is the same on every machine and day. Returns its bytes.
fn write_zip(path: &Path, files: &[(String, PathBuf, u64)]) -> io::Result<u64> {
    let mut archive = ZipWriter::new(io::BufWriter::new(File::create(path)?));
    for (name, file, bytes) in files {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::DEFAULT)
            .system(System::Unix)
            .unix_permissions(0o644)
            .with_alignment(MEMBER_ALIGNMENT)
            .large_file(*bytes >= ZIP64_BYTES);
        archive.start_file(name.as_str(), options)?;
        io::copy(&mut File::open(file)?, &mut archive)?;
    }
    let file = archive.finish()?.into_inner().map_err(|error| error.into_error())?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}
