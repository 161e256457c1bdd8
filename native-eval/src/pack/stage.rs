//! Builds the output beside its target and moves it there when it is complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bitgauge_core::{Result, limits};
use tempfile::TempDir;

use super::archive::{Archive, Form};
use super::files::{SmallFile, WEIGHTS};
use super::target::{Target, write_error};
use crate::places::parent_of;
use crate::source::Source;

/// What was at the target, until the new artifact is there.
pub(super) const REPLACED: &str = "replaced";
/// The folder with the weights.
pub(super) const MODEL: &str = "model";
/// The archive, until it is complete.
pub(super) const ARCHIVE: &str = "archive";

/// A hidden folder beside the target.
pub(crate) struct Stage {
    root: PathBuf,
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl Stage {
    /// A stage in the folder that will hold the target, so that the last step is a rename. Removed with all that is still
    /// in it when dropped.
    pub(crate) fn beside(target: &Target) -> Result<Self> {
        let parent = parent_of(target.path());
        let failed = |error| write_error(parent, &error);
        let root = tempfile::Builder::new().prefix(".bitgauge-pack-").tempdir_in(parent).map_err(failed)?;
        // The temporary folder itself is private to the user; what is inside has normal rights.
        let folder = root.path().join(MODEL);
        fs::create_dir(&folder).map_err(failed)?;
        Ok(Self { root: root.path().to_owned(), folder, _temporary: Some(root) })
    }

    /// A stage in a folder that is kept, with the folder [`MODEL`] in it.
    pub(super) fn at(root: PathBuf) -> Self {
        Self { folder: root.join(MODEL), root, _temporary: None }
    }

    /// Where the weights are to be written.
    pub(crate) fn weights(&self) -> PathBuf {
        self.folder.join(WEIGHTS)
    }

    /// Moves the weights with `files`, as a folder or an archive, to the target. Returns the bytes of the artifact,
    /// which must be those that were `planned`, if they were; of a compressed archive at most those.
    pub(crate) fn publish(self, target: &Target, files: &[SmallFile], planned: Option<u64>) -> Result<u64> {
        let failed = |error| write_error(target.path(), &error);
        let (complete, size_bytes) = self.complete(target, files)?;
        let is_compressed = target.form() == Form::Archive(Archive::TarXz);
        let is_wrong = |&planned: &u64| planned < size_bytes || planned > size_bytes && !is_compressed;
        if let Some(planned) = planned.filter(is_wrong) {
            let wrong = format!("the artifact has {size_bytes} bytes instead of {planned}");
            return Err(failed(io::Error::other(wrong)));
        }
        self.put(target, &complete)?;
        Ok(size_bytes)
    }

    /// The same for an artifact whose bytes are known once it is written. One of more bytes than `most` is not moved, and
    /// gives its bytes as what went wrong.
    pub(super) fn publish_within(
        self,
        target: &Target,
        files: &[SmallFile],
        most: u64,
    ) -> Result<Result<u64, u64>> {
        let (complete, size_bytes) = self.complete(target, files)?;
        if size_bytes > most {
            return Ok(Err(size_bytes));
        }
        self.put(target, &complete)?;
        Ok(Ok(size_bytes))
    }

    /// Makes the artifact; gives where it is, and its bytes.
    fn complete(&self, target: &Target, files: &[SmallFile]) -> Result<(PathBuf, u64)> {
        let complete = match target.form() {
            Form::Archive(archive) => self.archive(archive, files),
            Form::Folder => self.fill_folder(files),
        };
        complete.map_err(|error| write_error(target.path(), &error))
    }

    fn put(&self, target: &Target, complete: &Path) -> Result<()> {
        target.check_again()?;
        self.put_in_place(complete, target.path()).map_err(|error| write_error(target.path(), &error))
    }

    /// Renames what is complete to `out`. A file takes a file's place at once. With a folder there are two steps, and
    /// what is cut off between them is put right by [`restore`].
    fn put_in_place(&self, complete: &Path, out: &Path) -> io::Result<()> {
        let old = fs::symlink_metadata(out).ok();
        let replaced = self.root.join(REPLACED);
        match &old {
            Some(old) if old.is_file() && complete.is_file() => {
                fs::set_permissions(complete, old.permissions())?
            }
            Some(_) => fs::rename(out, &replaced)?,
            None => {}
        }
        if let Err(error) = fs::rename(complete, out) {
            restore(&self.root, out)?;
            return Err(error);
        }
        if let Some(old) = old.filter(|old| old.is_dir() && out.is_dir()) {
            fs::set_permissions(out, old.permissions())?;
        }
        // Not every file system can wait for its folders.
        let _ = File::open(parent_of(out)).and_then(|folder| folder.sync_all());
        Ok(())
    }

    fn archive(&self, archive: Archive, files: &[SmallFile]) -> io::Result<(PathBuf, u64)> {
        let path = self.root.join(ARCHIVE);
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
            let mut written = File::create(self.folder.join(&file.name))?;
            written.write_all(&file.bytes)?;
            written.sync_all()?;
            bytes += file.bytes.len() as u64;
        }
        Ok((self.folder.clone(), bytes))
    }
}

/// Puts back what was at the target, where a pack was cut off before the new artifact was there.
pub(super) fn restore(root: &Path, out: &Path) -> io::Result<()> {
    let replaced = root.join(REPLACED);
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
    if is_there(&replaced) && !is_there(out) { fs::rename(replaced, out) } else { Ok(()) }
}

/// The small files of an artifact that `pack` wrote; its weights go to the file `weights`.
pub(super) fn unpack(packed: &mut Source, weights: &Path) -> Result<Vec<SmallFile>> {
    let failed = |error: std::io::Error| write_error(weights, &error);
    let names: Vec<String> = packed.artifact().members.iter().map(|member| member.name.clone()).collect();
    let mut files = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        if name == WEIGHTS {
            let mut file = File::create(weights).map_err(failed)?;
            packed.stream_member(index, &mut |bytes| file.write_all(bytes).map_err(failed))?;
        } else {
            files.push(SmallFile { bytes: packed.read_member(index, limits::TOKENIZER_BYTES)?, name });
        }
    }
    Ok(files)
}
