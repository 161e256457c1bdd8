//! What a pack has done so far, in a folder beside its target, so that one that is cut off goes on where it was.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bitgauge_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::PackSettings;
use super::calibrate::MomentStore;
use super::files::WEIGHTS;
use super::quantize::RowErrors;
use super::stage::{ARCHIVE, MODEL, REPLACED, Stage, restore};
use super::target::{Target, write_error};
use crate::source::Source;

/// What is being packed.
const JOB: &str = "job.json";
/// Held by the process at work.
const LOCK: &str = "lock";
/// A `1` for each tensor that is written.
const WRITTEN: &str = "written";
/// The moments of inputs.
const MOMENTS: &str = "moments";
/// The errors of each tensor's rows.
const SURVEY: &str = "survey";
/// What belongs to one job.
const OWN_NAMES: [&str; 7] = [JOB, "job.partial", MOMENTS, SURVEY, WRITTEN, MODEL, ARCHIVE];
/// Bytes at either end of a tensor that identify it.
const SAMPLE_BYTES: u64 = 4096;

/// What is being packed, and how. Another one can't go on with this one's work.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    version: String,
    /// SHA-256 of the settings and the calibration tokens.
    settings: String,
    /// SHA-256 of the names, types and shapes of the source's tensors, of 4 KiB at either end of each, and of its
    /// config.json.
    source: String,
    /// How long the source's files are and when they were written to.
    times: Vec<String>,
}

/// The work of one pack. Dropped it stays on disk, until it is published or discarded.
pub(super) struct Work {
    root: PathBuf,
    /// Keeps a second pack to the same target away.
    _lock: File,
    /// How many tensors are written: the first of them.
    written: usize,
    written_log: File,
}

impl Job {
    fn of(source: &mut Source, settings: &PackSettings) -> Result<Self> {
        let PackSettings { mix, fit, calibration, force: _ } = settings;
        let settings = hex(Sha256::digest(format!("{mix:?} {fit:?} {calibration:?}")));
        let artifact = source.artifact().clone();
        let mut hash = Sha256::new();
        if let Some(config) = artifact.find_beside_config("config.json") {
            hash.update(source.read_member(config, bitgauge_core::limits::CONFIG_BYTES)?);
        }
        for tensor in &artifact.tensors {
            hash.update(format!("{} {:?} {:?}", tensor.name, tensor.dtype, tensor.shape));
            let count = SAMPLE_BYTES.min(tensor.bytes);
            hash.update(source.read_tensor_range(tensor, 0, count)?);
            hash.update(source.read_tensor_range(tensor, tensor.bytes - count, count)?);
        }
        let version = env!("CARGO_PKG_VERSION").into();
        Ok(Self { version, settings, source: hex(hash.finalize()), times: source.times() })
    }
}

impl Job {
    /// Whether its work has begun there. A job that was cut off before its file was written has done nothing yet, and
    /// what was done before the model's files were written to counts for nothing.
    ///
    /// # Errors
    /// Another job's work.
    fn is_begun_in(&self, root: &Path) -> Result<bool> {
        let known =
            fs::read(root.join(JOB)).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let what = match known {
            None => return Ok(false),
            Some(known) if known == *self => return Ok(true),
            Some(known) if known.version != self.version => "another version of bitgauge",
            Some(known) if known.source != self.source => "another model",
            Some(known) if known.settings != self.settings => "other options",
            // It may differ where it was not compared.
            Some(_) => return Ok(false),
        };
        Err(Error::new(ErrorKind::Io, "there is unfinished work of another run")
            .within(root.display())
            .expected_found("the same model and options as when it was cut off", what)
            .hint("finish it as it was begun, or delete that folder"))
    }
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Work {
    /// Goes on with the work beside the target, or begins it.
    ///
    /// # Errors
    /// Work of another model, of other settings or of another version; another process at the same work; a folder of
    /// somebody else that has the name of the work's.
    pub(super) fn open(source: &mut Source, target: &Target, settings: &PackSettings) -> Result<Self> {
        let root = target.work();
        let failed = |error| write_error(&root, &error);
        let job = Job::of(source, settings)?;
        let lock = enter(&root)?;
        restore(&root, target.path()).map_err(failed)?;
        if !job.is_begun_in(&root)? {
            clear(&root, &OWN_NAMES).map_err(failed)?;
            put(&root.join(JOB), &serde_json::to_vec_pretty(&job).map_err(|error| failed(error.into()))?)?;
        }
        // What an earlier run had done when it was cut off.
        clear(&root, &[REPLACED, ARCHIVE]).map_err(failed)?;
        fs::create_dir_all(root.join(MODEL)).map_err(failed)?;
        let (written, written_log) = open_log(&root).map_err(failed)?;
        Ok(Self { root, _lock: lock, written, written_log })
    }

    /// Where the artifact is built.
    pub(super) fn stage(&self) -> Stage {
        Stage::at(self.root.clone())
    }

    /// What calibration finds.
    pub(super) fn moments(&self) -> MomentStore {
        MomentStore::new(self.root.join(MOMENTS))
    }

    fn survey_path(&self, tensor: usize) -> PathBuf {
        self.root.join(SURVEY).join(format!("{tensor}.f32"))
    }

    /// The errors of a tensor's rows, if they were found before.
    pub(super) fn survey(&self, tensor: usize, rows: usize, settings: usize) -> Option<RowErrors> {
        let bytes = fs::read(self.survey_path(tensor)).ok()?;
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        let mut lists = values.chunks(rows).map(<[f32]>::to_vec);
        let errors = RowErrors { binary: lists.by_ref().take(settings).collect(), rescue: lists.next()? };
        (values.len() == rows * (settings + 1)).then_some(errors)
    }

    /// Keeps the errors of a tensor's rows.
    pub(super) fn keep_survey(&self, tensor: usize, errors: &RowErrors) -> Result<()> {
        let path = self.survey_path(tensor);
        let all: Vec<f32> = errors.binary.iter().chain([&errors.rescue]).flatten().copied().collect();
        fs::create_dir_all(self.root.join(SURVEY)).map_err(|error| write_error(&path, &error))?;
        put(&path, bytemuck::cast_slice(&all))
    }

    /// Whether a tensor is written.
    pub(super) fn is_written(&self, tensor: usize) -> bool {
        tensor < self.written
    }

    /// Notes that a tensor, the first that was not, is written and on disk.
    pub(super) fn set_written(&mut self) -> Result<()> {
        let noted = self.written_log.write_all(b"1").and_then(|()| self.written_log.sync_data());
        noted.map_err(|error| write_error(&self.root, &error))
    }

    /// Removes all of it.
    pub(super) fn discard(self) -> Result<()> {
        // What is left of it, if this is cut off, is no work that can be gone on with.
        let removed = fs::remove_file(self.root.join(JOB)).and_then(|()| fs::remove_dir_all(&self.root));
        removed.map_err(|error| write_error(&self.root, &error))
    }
}

/// Makes the folder of the work, or takes over the one that is there, and keeps other processes out.
fn enter(root: &Path) -> Result<File> {
    let failed = |error| write_error(root, &error);
    match fs::create_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => expect_own(root)?,
        made => made.map_err(failed)?,
    }
    let lock = File::create(root.join(LOCK)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(ErrorKind::Io, "another process packs to the same target")
                .within(root.display())
                .expected_found("one process", "two"))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Fails where something has the name of the work's folder, but holds what no pack writes.
fn expect_own(root: &Path) -> Result<()> {
    let refused = |found: String| {
        Error::new(ErrorKind::Io, "the working folder holds something else")
            .within(root.display())
            .expected_found("nothing, or what `pack` left when it was cut off", found)
            .hint("move it away")
    };
    if !fs::symlink_metadata(root).is_ok_and(|metadata| metadata.is_dir()) {
        return Err(refused("no folder".into()));
    }
    for entry in fs::read_dir(root).map_err(|error| write_error(root, &error))? {
        let name = entry.map_err(|error| write_error(root, &error))?.file_name();
        if !name.to_str().is_some_and(|name| OWN_NAMES.contains(&name) || [LOCK, REPLACED].contains(&name)) {
            return Err(refused(format!("{name:?}")));
        }
    }
    Ok(())
}

/// Removes files and folders of these names.
fn clear(root: &Path, names: &[&str]) -> io::Result<()> {
    for name in names {
        let path = root.join(name);
        let removed = match fs::symlink_metadata(&path) {
            Err(_) => continue,
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
        };
        removed?;
    }
    Ok(())
}

/// How many tensors are written, and the log that the next ones are noted in: a `1` for each.
fn open_log(root: &Path) -> io::Result<(usize, File)> {
    let mut log = File::options().read(true).append(true).create(true).open(root.join(WRITTEN))?;
    let mut marks = Vec::new();
    log.read_to_end(&mut marks)?;
    // A power cut may have left something else at the end; without the weights none of it counts.
    let has_weights = root.join(MODEL).join(WEIGHTS).is_file();
    let written = if has_weights { marks.iter().take_while(|&&mark| mark == b'1').count() } else { 0 };
    log.set_len(written as u64)?;
    Ok((written, log))
}

/// Writes a file that is complete and on disk, or not there.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|error| write_error(path, &error))
}
