//! Where an artifact goes, and whether what is there may be replaced.

use std::path::{Path, PathBuf};
use std::{fs, io};

use bitgauge_core::container::ContainerKind;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::{Error, ErrorKind, Result};

use super::archive::Form;
use super::files::{self, SmallFile};
use crate::output_file::expect_new_files;
use crate::places::{Protected, Relation, parent_of, resolve};
use crate::source::Source;

/// What begins and ends the name of the folder that a pack works in.
const WORK: [&str; 2] = [".", ".bitgauge-pack"];

/// The error for a file that can't be written.
pub(crate) fn write_error(path: &Path, error: &io::Error) -> Error {
    let failed = Error::new(ErrorKind::Io, "the output cannot be written")
        .within(path.display())
        .expected_found("a writable file in an existing folder", error);
    match error.kind() {
        _ if !parent_of(path).is_dir() => failed.hint("make the folder first"),
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => {
            failed.hint("free some space: the same command goes on from there")
        }
        _ => failed,
    }
}

/// Where an artifact goes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// As it was named.
    named: PathBuf,
    /// With every link followed.
    path: PathBuf,
    form: Form,
    force: bool,
    /// What it must be apart from.
    inputs: Vec<PathBuf>,
}

impl Target {
    /// Checks, before anything is touched, that an artifact can be written to `out`.
    ///
    /// # Errors
    /// A form that is not written; a folder that does not exist or takes no new files; what is one of the `inputs`,
    /// holds one or lies in one, itself or by its working folder; what exists, unless `force` is set and it is an
    /// artifact of `pack` or empty.
    pub(crate) fn check(out: &Path, force: bool, inputs: &[PathBuf]) -> Result<Self> {
        let failed = |error| write_error(out, &error);
        let path = resolve(out).map_err(failed)?;
        if path.file_name().is_none() {
            return Err(Error::new(ErrorKind::BadName, "the target has no name")
                .expected_found("a folder, a .zip, .tar or .tar.xz file", out.display()));
        }
        let form = Form::of(if out.file_name().is_some() { out } else { &path })?;
        let target = Self { named: out.to_owned(), path, form, force, inputs: inputs.to_vec() };
        let inputs: Vec<Protected> = inputs.iter().map(|input| Protected::new(input)).collect();
        inputs.iter().try_for_each(|input| target.expect_apart(input))?;
        target.expect_no_work_around()?;
        target.expect_replaceable(&inputs)?;
        expect_new_files(parent_of(&target.path)).map_err(failed)?;
        Ok(target)
    }

    /// Checks the same once more, since it may have changed meanwhile.
    pub(super) fn check_again(&self) -> Result<()> {
        let again = Self::check(&self.named, self.force, &self.inputs)?;
        if again.path == self.path {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Io, "the target's path has changed meanwhile")
            .within(self.named.display())
            .expected_found(self.path.display(), again.path.display()))
    }

    /// With every link followed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Folder or archive.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// The same for weights that can be compressed: see [`Form::compressed`].
    pub(super) fn compressed(self, distance: u32) -> Self {
        Self { form: self.form.compressed(distance), ..self }
    }

    /// The folder beside it in which a pack works.
    pub(super) fn work(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        parent_of(&self.path).join(format!("{}{name}{}", WORK[0], WORK[1]))
    }

    /// Exact bytes of the artifact with these small files and weights of this length.
    pub(super) fn bytes(&self, files: &[SmallFile], weights_bytes: u64) -> Result<u64> {
        self.form.bytes(files, weights_bytes).map_err(|error| write_error(&self.path, &error))
    }

    fn expect_apart(&self, input: &Protected) -> Result<()> {
        let refused = |path: &Path, relation: Relation| {
            let relation = match relation {
                Relation::Is => "it is",
                Relation::LiesIn => "it lies in",
                Relation::Holds => "it holds",
            };
            Err(Error::new(ErrorKind::Io, "the artifact would overwrite its own model")
                .within(path.display())
                .expected_found("a place outside of it", format!("{relation} {}", input.path().display()))
                .hint("name another place: nothing was changed"))
        };
        if let Some(relation) = input.relation_of(&self.path) {
            return refused(&self.named, relation);
        }
        match input.relation_of(&self.work()) {
            Some(relation) => refused(&self.work(), relation),
            None => Ok(()),
        }
    }

    /// Refuses a place inside the folder that another pack works in, and removes when it is done.
    fn expect_no_work_around(&self) -> Result<()> {
        let is_work = |folder: &Path| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(WORK[0]) && name.ends_with(WORK[1])
        };
        match self.path.ancestors().find(|folder| is_work(folder)) {
            None => Ok(()),
            Some(folder) => {
                Err(Error::new(ErrorKind::BadName, "the target is in a working folder of `pack`")
                    .within(self.named.display())
                    .expected_found("a place outside of it", folder.display()))
            }
        }
    }

    fn expect_replaceable(&self, inputs: &[Protected]) -> Result<()> {
        let Ok(metadata) = fs::symlink_metadata(&self.path) else { return Ok(()) };
        let what = match metadata.file_type() {
            kind if kind.is_dir() => "a folder",
            kind if kind.is_file() => "a file",
            _ => {
                return Err(Error::new(ErrorKind::Io, "the target can't be an artifact")
                    .within(self.named.display())
                    .expected_found("a file, a folder or nothing", "a device, a pipe or the like"));
            }
        };
        if !self.force {
            return Err(Error::new(ErrorKind::Io, "the target exists already")
                .within(self.named.display())
                .expected_found("nothing there", what)
                .hint("give another name, or replace it with --force"));
        }
        expect_artifact(&self.path).map_err(|why| {
            Error::new(ErrorKind::Io, "the target is not replaced")
                .within(self.named.display())
                .expected_found("an artifact that `pack` wrote, or something empty", why)
                .hint("--force replaces only artifacts that `pack` wrote: move or delete this yourself")
        })?;
        // A file of the model may have a second name in there.
        for input in inputs {
            for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
                if input.relation_of(&entry.path()).is_some() {
                    return Err(Error::new(ErrorKind::Io, "the artifact would overwrite its own model")
                        .within(entry.path().display())
                        .expected_found(
                            "a file of its own",
                            format!("a file of {}", input.path().display()),
                        ));
                }
            }
        }
        Ok(())
    }
}

/// Fails, saying what there is, where a file or folder is neither empty nor an artifact that `pack` wrote.
fn expect_artifact(path: &Path) -> Result<(), String> {
    let is_folder = path.is_dir();
    if is_folder {
        let entries = fs::read_dir(path).map_err(|error| error.to_string())?;
        let entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let is_own = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            name.to_str().is_some_and(files::is_written) && entry.file_type().is_ok_and(|kind| kind.is_file())
        };
        if entries.is_empty() {
            return Ok(());
        }
        if let Some(other) = entries.iter().find(|entry| !is_own(entry)) {
            return Err(format!("a folder that also holds {:?}", other.file_name()));
        }
    } else if fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0) {
        return Ok(());
    }
    let source = Source::open(path).map_err(|error| format!("something else ({})", error.what))?;
    let artifact = source.artifact();
    let inventory = Inventory::of(artifact).map_err(|error| format!("something else ({})", error.what))?;
    let is_packed = inventory.config.as_ref().is_some_and(|config| config.bitpacked().is_some());
    match artifact.kind {
        ContainerKind::Folder | ContainerKind::Zip | ContainerKind::Tar
            if is_packed && !artifact.tensors.is_empty() =>
        {
            Ok(())
        }
        _ if is_packed => Err("a file of another kind".into()),
        _ => Err("a model that is not packed".into()),
    }
}
