//! The files that the validator's manifests name, from this machine's disk.

use std::io::{ErrorKind as IoKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bitgauge_core::contract::Halt;
use bitgauge_core::contract::documents::{Files, HubSource, ReadError};
use bitgauge_core::contract::python::Value;
use bitgauge_core::{Error, ErrorKind};

use crate::input;

/// Longest manifest or document that is read.
const FILE_BYTES: u64 = 1 << 30;

/// Files below a working directory, or anywhere by absolute path.
#[derive(Debug, Clone)]
pub struct LocalFiles {
    current_dir: PathBuf,
    /// Which files were read. Copies share it.
    read: Arc<Mutex<Vec<PathBuf>>>,
}

impl LocalFiles {
    /// Relative paths start at `current_dir`, which must be absolute.
    pub fn new(current_dir: &Path) -> Self {
        Self { current_dir: current_dir.to_owned(), read: Arc::default() }
    }

    /// The files that were read so far.
    pub fn paths_read(&self) -> Vec<PathBuf> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An absolute path: `~` expanded, `.` dropped, nothing else resolved.
    pub fn absolute_path(&self, path: &str) -> PathBuf {
        let home = || std::env::var_os("HOME").map(PathBuf::from);
        let path = match path.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                home().map_or_else(|| path.into(), |home| home.join(rest.trim_start_matches('/')))
            }
            _ => PathBuf::from(path),
        };
        let components = self.current_dir.join(path);
        components.components().filter(|part| *part != Component::CurDir).collect()
    }

    /// An absolute path with links followed as far as it exists, and `..` resolved.
    pub fn resolved_path(&self, path: &str) -> PathBuf {
        let mut resolved = PathBuf::new();
        for part in self.absolute_path(path).components() {
            match part {
                Component::ParentDir => {
                    resolved.pop();
                }
                part => {
                    resolved.push(part);
                    if let Ok(real) = resolved.canonicalize() {
                        resolved = real;
                    }
                }
            }
        }
        resolved
    }
}

impl Files for LocalFiles {
    fn resolve(&self, path: &str) -> String {
        self.resolved_path(path).to_string_lossy().into_owned()
    }

    fn absolute(&self, path: &str) -> String {
        self.absolute_path(path).to_string_lossy().into_owned()
    }

    fn is_file(&self, path: &str) -> bool {
        Path::new(path).is_file()
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        let explain = |error: std::io::Error| match error.kind() {
            IoKind::NotFound => ReadError::NotFound,
            IoKind::IsADirectory => ReadError::IsFolder,
            _ => ReadError::Other(error.to_string()),
        };
        let metadata = std::fs::metadata(path).map_err(explain)?;
        if metadata.is_dir() {
            return Err(ReadError::IsFolder);
        }
        if !metadata.is_file() || metadata.len() > FILE_BYTES {
            return Err(ReadError::Other(format!("no regular file of at most {FILE_BYTES} bytes")));
        }
        self.read.lock().unwrap_or_else(PoisonError::into_inner).push(path.into());
        let file =
            input::open_regular(Path::new(path)).map_err(|error| ReadError::Other(error.to_string()))?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(explain)?;
        if bytes.len() as u64 > FILE_BYTES {
            return Err(ReadError::Other(format!("more than {FILE_BYTES} bytes")));
        }
        Ok(bytes)
    }

    fn fetch(&self, source: &HubSource, path: &str) -> Result<Vec<u8>, Halt> {
        Err(no_network(&format!("{}@{}/{path}", source.repo, source.revision)))
    }

    fn fetch_rows(&self, dataset: &str, _: &str, _: &str, _: u64, _: u64) -> Result<Value, Halt> {
        Err(no_network(dataset))
    }
}

fn no_network(what: &str) -> Halt {
    Error::new(ErrorKind::Unsupported, "held-out documents on the hub can't be fetched by this version")
        .within(what)
        .expected_found("documents on this machine", "a dataset on the hub")
        .hint("download it, and name its manifest with AUTORESEARCH_PRIVATE_HELDOUT_MANIFEST")
        .into()
}
