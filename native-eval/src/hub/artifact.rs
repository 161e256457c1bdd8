//! An artifact on another host: its files, read by ranges side by side or in one stream, and what is kept of them.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bitgauge_core::container::{FileId, Need, Root};
use bitgauge_core::report::SourceUrl;
use bitgauge_core::{Error, ErrorKind, Result};

use super::keep::{self, Keep};
use super::remote::RemoteFile;
use crate::threads::spawn_scoped;

/// Most requests at once.
const REQUESTS: usize = 32;

/// An artifact on another host.
pub(crate) struct Remote {
    /// A file's name, or the repository's or the folder's.
    pub name: String,
    /// Where it is; with the commit, if it is in a repository.
    pub address: String,
    /// Whether it is one file, or a folder of them.
    pub root: Root,
    /// The first bytes of the one file.
    pub beginning: Vec<u8>,
    pub(super) entries: Vec<Entry>,
    pub(super) keep: Keep,
}

/// A file of an artifact.
pub(super) struct Entry {
    pub(super) remote: RemoteFile,
    /// In the repository.
    name: String,
    /// The file on this machine that holds its bytes.
    local: Mutex<Option<Arc<File>>>,
}

impl Entry {
    /// A file of this name in the repository; `local` holds its bytes, if they are on this machine.
    pub(super) fn new(remote: RemoteFile, name: String, local: Option<File>) -> Self {
        Self { remote, name, local: Mutex::new(local.map(Arc::new)) }
    }
}

impl Remote {
    /// One file, called `name` in its repository.
    pub(super) fn of_file(
        remote: RemoteFile,
        name: String,
        address: String,
        beginning: Vec<u8>,
        keep: Keep,
    ) -> Self {
        let shown = remote.name().to_owned();
        let entries = vec![Entry::new(remote, name, None)];
        Self { name: shown, address, root: Root::File, beginning, entries, keep }
    }

    /// Names and lengths of the files, as a window takes them.
    pub fn files(&self) -> Vec<(String, u64)> {
        self.entries.iter().map(|entry| (entry.remote.name().to_owned(), entry.remote.length())).collect()
    }

    /// SHA-256 in hex of a file, where the host tells it.
    pub fn sha256(&self, file: FileId) -> Option<String> {
        self.entries[file].remote.sha256()
    }

    /// The address, where it is one that a report can carry.
    pub fn source(&self) -> Option<SourceUrl> {
        SourceUrl::parse(&self.address).ok()
    }

    /// What tells the files from others: their addresses and hashes.
    pub fn versions(&self) -> Vec<String> {
        let version =
            |entry: &Entry| format!("{} {:?} {:?}", entry.name, entry.remote.length(), entry.remote.tag());
        self.entries.iter().map(version).collect()
    }

    /// Keeps what comes from here on while the artifact is open, if it is not kept already.
    pub fn keep_while_open(&mut self) {
        if matches!(self.keep, Keep::Nowhere) {
            self.keep = Keep::WhileOpen;
        }
    }

    /// The bytes of these ranges, asked for side by side.
    ///
    /// # Errors
    /// The first of what the hosts say.
    pub fn fetch(&self, needs: &[Need]) -> Result<Vec<Vec<u8>>> {
        let next = AtomicUsize::new(0);
        let fetched: Vec<Mutex<Option<Result<Vec<u8>>>>> = needs.iter().map(|_| Mutex::default()).collect();
        let work = || {
            while let Some((need, place)) = {
                let number = next.fetch_add(1, Ordering::Relaxed);
                needs.get(number).zip(fetched.get(number))
            } {
                *lock(place) = Some(self.fetch_one(*need));
            }
        };
        std::thread::scope(|scope| {
            // This thread works, too; where the system has no room for others it does all.
            for _ in 1..needs.len().min(REQUESTS) {
                if spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        let missing = || Error::new(ErrorKind::Io, "a range was not fetched");
        fetched.into_iter().map(|place| lock(&place).take().unwrap_or_else(|| Err(missing()))).collect()
    }

    /// The bytes of one range.
    pub(super) fn fetch_one(&self, Need { file, offset, len }: Need) -> Result<Vec<u8>> {
        let entry = &self.entries[file];
        let mut bytes = Vec::new();
        let room = usize::try_from(len)
            .is_ok_and(|len| bitgauge_eval::memory::ask(|| bytes.try_reserve_exact(len)).is_ok());
        if !room {
            return Err(Error::no_memory("a part of a file", len));
        }
        bytes.resize(len as usize, 0);
        let local = lock(&entry.local).clone();
        match local {
            Some(local) => {
                keep::read_at(&local, offset, &mut bytes).map_err(|error| keep::unreadable(&error))?
            }
            None => entry.remote.read(offset, &mut bytes)?,
        }
        Ok(bytes)
    }

    /// Fills `out` from byte `offset` of a file on. Where bytes are kept, all of the file comes the first time.
    ///
    /// # Errors
    /// What the host says, and what the operating system does.
    pub fn read(&self, file: FileId, offset: u64, out: &mut [u8]) -> Result<()> {
        let entry = &self.entries[file];
        if matches!(self.keep, Keep::Nowhere) && lock(&entry.local).is_none() {
            return entry.remote.read(offset, out);
        }
        let local = self.local(entry, &mut |_| Ok(()))?;
        let local = local.ok_or_else(|| Error::new(ErrorKind::Io, "the file was not kept"))?;
        keep::read_at(&local, offset, out).map_err(|error| keep::unreadable(&error).at(offset))
    }

    /// Hands all bytes of a file to `sink`, in their order.
    ///
    /// # Errors
    /// Those of [`Remote::read`], and of `sink`.
    pub fn stream(&self, file: FileId, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let entry = &self.entries[file];
        let local = lock(&entry.local).clone();
        match local {
            Some(local) => keep::from_disk(&local, Path::new(&entry.name), entry.remote.length(), sink),
            None => self.local(entry, sink).map(drop),
        }
    }

    /// The file that holds an entry's bytes. If they have yet to come, they go to `sink`, too; a second reader waits.
    fn local(&self, entry: &Entry, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Option<Arc<File>>> {
        let mut local = lock(&entry.local);
        if local.is_none() {
            *local = keep::stream(&self.keep, (&entry.remote, &entry.name), sink)?;
        }
        Ok(local.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
