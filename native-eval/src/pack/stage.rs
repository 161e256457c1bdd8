//! Builds the output beside its target and moves it there when it is complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bitgauge_core::{Error, ErrorKind, Result};
use tempfile::TempDir;

use super::archive::{Archive, Form, WEIGHTS};
use super::files::SmallFile;

/// A hidden folder beside the target.
pub(crate) struct Stage {
    root: PathBuf,
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

/// Refuses a target of a form that is not written, and one that exists, unless it may be replaced.
pub(crate) fn check_target(out: &Path, force: bool) -> Result<()> {
    if out.file_name().is_none() {
        return Err(Error::new(ErrorKind::BadName, "the target has no name")
            .expected("a folder, a .zip or a .tar file", out.display()));
    }
    Form::of(out)?;
    if force || fs::symlink_metadata(out).is_err() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Io, "the target exists already")
        .within(out.display())
        .expected("nothing there", if out.is_dir() { "a folder" } else { "a file" })
        .hint("give another name, or replace it with --force"))
}

/// The folder that holds `out`.
pub(super) fn parent_of(out: &Path) -> &Path {
    match out.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => out,
    }
}

/// The error for a file that can't be written.
pub(crate) fn write_error(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Io, "the output cannot be written")
        .within(path.display())
        .expected("a writable file", error)
}

impl Stage {
    /// A stage in the folder that will hold `out`, so that the last step is a rename. Removed with all that is still
    /// in it when dropped.
    pub(crate) fn beside(out: &Path) -> Result<Self> {
        let parent = parent_of(out);
        let failed = |error| write_error(parent, &error);
        let root = tempfile::Builder::new().prefix(".bitgauge-pack-").tempdir_in(parent).map_err(failed)?;
        // The temporary folder itself is private to the user; what is inside has normal rights.
        let folder = root.path().join("model");
        fs::create_dir(&folder).map_err(failed)?;
        Ok(Self { root: root.path().to_owned(), folder, _temporary: Some(root) })
    }

    /// A stage in a folder that is kept, with a folder `model` in it.
    pub(super) fn at(root: PathBuf) -> Self {
        Self { folder: root.join("model"), root, _temporary: None }
    }

    /// Where the weights are to be written.
    pub(crate) fn weights(&self) -> PathBuf {
        self.folder.join(WEIGHTS)
    }

    /// Moves the weights with `files`, as a folder or an archive, to `out`. Returns the bytes of the artifact,
    /// which must be those that were `planned`, if they were.
    pub(crate) fn publish(
        self,
        out: &Path,
        files: &[SmallFile],
        planned: Option<u64>,
        force: bool,
    ) -> Result<u64> {
        let failed = |error| write_error(out, &error);
        let complete = match Form::of(out)? {
            Form::Archive(archive) => self.archive(archive, files),
            Form::Folder => self.fill_folder(files),
        };
        let (complete, size_bytes) = complete.map_err(failed)?;
        if let Some(planned) = planned.filter(|&planned| planned != size_bytes) {
            let wrong = format!("the artifact has {size_bytes} bytes instead of {planned}");
            return Err(failed(io::Error::other(wrong)));
        }
        // It may have appeared while the model was packed.
        check_target(out, force)?;
        let replaced = self.root.join("replaced");
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

    fn archive(&self, archive: Archive, files: &[SmallFile]) -> io::Result<(PathBuf, u64)> {
        let path = self.root.join("archive");
        let weights = File::open(self.weights())?;
        let weights_bytes = weights.metadata()?.len();
        let sink = io::BufWriter::new(File::create(&path)?);
        let sink = archive.write(sink, files, weights, weights_bytes)?;
        let file = sink.into_inner().map_err(|error| error.into_error())?;
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        Ok((path, bytes))
    }

    fn fill_folder(&self, files: &[SmallFile]) -> io::Result<(PathBuf, u64)> {
        let mut bytes = fs::metadata(self.weights())?.len();
        for file in files {
            fs::write(self.folder.join(&file.name), &file.bytes)?;
            bytes += file.bytes.len() as u64;
        }
        Ok((self.folder.clone(), bytes))
    }
}
