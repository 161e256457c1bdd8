//! What a pack has done so far, in a folder beside its target, so that one that is cut off goes on where it was.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use bitgauge_core::codec::RowErrors;
use bitgauge_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::PackSettings;
use super::calibrate::MomentStore;
use super::stage::{Stage, parent_of, write_error};
use crate::source::Source;

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
}

/// The work of one pack. Dropped it stays on disk, until it is published or discarded.
pub(super) struct Work {
    root: PathBuf,
    /// Keeps a second pack to the same target away.
    _lock: File,
    /// Which tensors are written, in order.
    written: Vec<bool>,
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
        Ok(Self { version, settings, source: hex(hash.finalize()) })
    }
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Work {
    /// Goes on with the work beside `out`, or begins it.
    ///
    /// # Errors
    /// Work of another model, of other settings or of another version; another process at the same work.
    pub(super) fn open(source: &mut Source, out: &Path, settings: &PackSettings) -> Result<Self> {
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        let root = parent_of(out).join(format!(".{name}.bitgauge-pack"));
        let failed = |error| write_error(&root, &error);
        let job = Job::of(source, settings)?;
        fs::create_dir_all(root.join("model")).map_err(failed)?;
        let lock = File::create(root.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(ErrorKind::Io, "another process packs to the same target")
                    .within(root.display())
                    .expected("one process", "two"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let file = root.join("job.json");
        // A job that was cut off while this file was written has done nothing yet.
        match fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Job>(&bytes).ok()) {
            Some(known) if known == job => {}
            Some(known) => {
                let what = match &known {
                    _ if known.version != job.version => "another version of bitgauge",
                    _ if known.source != job.source => "another model",
                    _ => "other options",
                };
                return Err(Error::new(ErrorKind::Io, "there is unfinished work of something else")
                    .within(root.display())
                    .expected("the same model and options as when it was cut off", what)
                    .hint("finish it as it was begun, or delete that folder"));
            }
            None => {
                for old in ["moments", "survey", "model", "written"] {
                    let old = root.join(old);
                    let removed = if old.is_dir() { fs::remove_dir_all(&old) } else { fs::remove_file(&old) };
                    removed
                        .or_else(|error| if old.exists() { Err(error) } else { Ok(()) })
                        .map_err(failed)?;
                }
                fs::create_dir(root.join("model")).map_err(failed)?;
                put(&file, &serde_json::to_vec_pretty(&job).map_err(|error| failed(error.into()))?)?;
            }
        }
        let log = root.join("written");
        let written = fs::read(&log).unwrap_or_default();
        let written_log = File::options().create(true).append(true).open(&log).map_err(failed)?;
        Ok(Self {
            root,
            _lock: lock,
            written: written.iter().map(|&mark| mark == b'1').collect(),
            written_log,
        })
    }

    /// Where the artifact is built.
    pub(super) fn stage(&self) -> Stage {
        Stage::at(self.root.clone())
    }

    /// What calibration finds.
    pub(super) fn moments(&self) -> MomentStore {
        MomentStore::new(self.root.join("moments"))
    }

    fn survey_path(&self, tensor: usize) -> PathBuf {
        self.root.join("survey").join(format!("{tensor}.f32"))
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
        fs::create_dir_all(self.root.join("survey")).map_err(|error| write_error(&path, &error))?;
        put(&path, bytemuck::cast_slice(&all))
    }

    /// Whether the next tensors from the first on are written.
    pub(super) fn is_written(&self, tensor: usize) -> bool {
        self.written.get(tensor).copied().unwrap_or(false)
    }

    /// Notes that a tensor, the first that was not, is written and on disk.
    pub(super) fn set_written(&mut self) -> Result<()> {
        let noted = self.written_log.write_all(b"1").and_then(|()| self.written_log.sync_data());
        noted.map_err(|error| write_error(&self.root, &error))
    }

    /// Removes all of it.
    pub(super) fn discard(self) -> Result<()> {
        fs::remove_dir_all(&self.root).map_err(|error| write_error(&self.root, &error))
    }
}

/// Writes a file that is complete or not there.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    let written = fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| write_error(path, &error))
}
