//! Artifacts on other hosts: any file by https, and files and repositories of the Hugging Face hub.
//!
//! A repository is judged as the folder that a clone of it would be: the hub lists its files, their headers are read by
//! ranges. Nothing is sent but requests; the token in HF_TOKEN is shown to the hub's own host alone.

mod address;
mod cache;
mod keep;
mod listing;
mod refusal;
mod remote;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bitgauge_core::container::{FileId, Need, Root};
use bitgauge_core::report::SourceUrl;
use bitgauge_core::{Error, ErrorKind, Result};

use self::address::{Address, HUB, InRepository, Place, encoded};
use self::cache::{CachedRepository, is_commit};
use self::keep::Keep;
use self::listing::{Listed, Listing};
use self::remote::{Expected, RemoteFile, SMALL_BYTES};
use crate::http::{self, Key};
use crate::input;
use crate::threads::spawn_scoped;

pub(crate) use cache::root as cache_root;

/// Most requests at once.
const REQUESTS: usize = 32;

/// What becomes of the bytes of files from other hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retention {
    /// They are read once and forgotten.
    #[default]
    Nothing,
    /// They are kept while the artifact is open, so that all of them come once however often they are read.
    WhileOpen,
    /// They are kept in the Hugging Face cache.
    Cache,
}

/// How artifacts on other hosts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access {
    /// What becomes of their bytes.
    pub retention: Retention,
    /// Whether no host is asked: what is in the Hugging Face cache serves.
    pub is_offline: bool,
}

/// Where an artifact turned out to be.
pub(crate) enum Found {
    /// On this machine, in the cache.
    Local { path: PathBuf, name: String },
    /// On another host.
    Remote(Remote),
}

/// An artifact on another host.
pub(crate) struct Remote {
    /// A file's name, or `OWNER/REPO`.
    pub name: String,
    /// Where it is; with the commit, if it is in a repository.
    pub address: String,
    /// Whether it is one file, or a folder of them.
    pub root: Root,
    /// The first bytes of the one file.
    pub beginning: Vec<u8>,
    entries: Vec<Entry>,
    keep: Keep,
}

/// A file of an artifact.
struct Entry {
    remote: RemoteFile,
    /// In the repository.
    name: String,
    /// The file on this machine that holds its bytes.
    local: Mutex<Option<Arc<File>>>,
}

/// The hub, as the environment has it.
struct Hub {
    endpoint: String,
    key: Option<Arc<Key>>,
}

impl Hub {
    /// HF_ENDPOINT and HF_TOKEN, as huggingface_hub reads them.
    fn of_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok().map(|text| text.trim().to_owned());
        let endpoint = variable("HF_ENDPOINT").filter(|endpoint| !endpoint.is_empty());
        let endpoint = endpoint.unwrap_or_else(|| HUB.to_owned()).trim_end_matches('/').to_owned();
        let token = variable("HF_TOKEN").filter(|token| token.bytes().all(|b| b.is_ascii_graphic()));
        let token = token.filter(|token| !token.is_empty());
        let key = token.map(|token| Arc::new(Key::new(&endpoint, token)));
        Self { endpoint, key }
    }

    fn url(&self, id: &str, verb: &str, revision: &str, path: &str) -> String {
        // A revision's own slashes are no separators.
        let revision = encoded(revision).replace('/', "%2F");
        let path = if path.is_empty() { String::new() } else { format!("/{}", encoded(path)) };
        format!("{}/{id}/{verb}/{revision}{path}", self.endpoint)
    }
}

/// Whether what the user names is meant as an address and not as a path.
pub fn is_address(place: &Path) -> bool {
    let schemes = ["hf://", "https://", "http://"];
    place.to_str().is_some_and(|text| schemes.iter().any(|scheme| text.starts_with(scheme)))
}

/// The bytes of a JSON file that an address names; nothing where it names no file that ends in `.json`.
///
/// # Errors
/// What the host says, and a file of more than `cap_bytes`.
pub fn read_json(place: &Path, access: Access, cap_bytes: u64) -> Result<Option<Vec<u8>>> {
    let text = place.to_str().unwrap_or_default();
    if !text.split(['?', '#']).next().is_some_and(|path| path.ends_with(".json")) {
        return Ok(None);
    }
    let remote = match find(text, access)? {
        Found::Local { path, .. } => return input::read_bytes(&path, "the file", cap_bytes).map(Some),
        Found::Remote(remote) => remote,
    };
    let len = remote.entries.first().map_or(0, |entry| entry.remote.length());
    if len > cap_bytes {
        return Err(Error::new(ErrorKind::TooLarge, "the file is too long")
            .within(text)
            .expected_found(format!("at most {cap_bytes} bytes"), len));
    }
    remote.fetch_one(Need { file: 0, offset: 0, len }).map(Some)
}

/// Finds what an address names, asking no more than is needed to know.
///
/// # Errors
/// An address that is not understood, what the host says, and what is not in the cache when that alone may serve.
pub(crate) fn find(text: &str, access: Access) -> Result<Found> {
    let hub = Hub::of_environment();
    let is_offline = access.is_offline || is_set("HF_HUB_OFFLINE");
    let access = Access { is_offline, ..access };
    match Address::parse(text, &hub.endpoint)? {
        Address::File(url) => find_file(&hub, url, access).map(Found::Remote),
        Address::Repository(wanted) => {
            let cached = CachedRepository::of(&wanted.id);
            if access.is_offline {
                return find_cached(text, cached.as_ref(), &wanted);
            }
            match &wanted.place {
                Place::File(name) => find_in_repository(&hub, cached, &wanted, name, access),
                Place::Folder(folder) => {
                    find_folder(&hub, cached, &wanted, folder, access).map(Found::Remote)
                }
            }
        }
    }
}

/// A file of any host.
fn find_file(hub: &Hub, url: String, access: Access) -> Result<Remote> {
    if access.is_offline {
        return Err(offline(&url));
    }
    if access.retention == Retention::Cache {
        return Err(Error::new(ErrorKind::Unsupported, "the cache keeps files of the hub only")
            .within(&url)
            .expected_found("hf://OWNER/REPO or an address on huggingface.co", "another host")
            .hint("leave out --cache, or download the file yourself"));
    }
    http::expect_known(&url)?;
    let path = url[http::origin(&url).len()..].split('?').next().unwrap_or_default();
    let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("artifact").to_owned();
    let remote = RemoteFile::new(name.clone(), url.clone(), hub.key.clone(), Expected::default());
    let beginning = remote.begin()?;
    Ok(Remote::of_file(remote, name, url, beginning, access.retention.while_open()))
}

/// One file of a repository.
fn find_in_repository(
    hub: &Hub,
    cached: Option<CachedRepository>,
    wanted: &InRepository,
    name: &str,
    access: Access,
) -> Result<Found> {
    let InRepository { id, revision, .. } = wanted;
    let base = name.rsplit('/').next().unwrap_or(name).to_owned();
    let find = |commit: &str| {
        let path = cached.as_ref()?.find(commit, name)?;
        Some(Found::Local { path, name: base.clone() })
    };
    if is_commit(revision)
        && let Some(found) = find(revision)
    {
        return Ok(found);
    }
    let url = hub.url(id, "resolve", revision, name);
    // Where the revision was looked up before, the hub may say that it is the same commit still.
    if cached.as_ref().and_then(|cached| cached.commit(revision)).as_deref().and_then(find).is_some()
        && let Some(found) = http::head(&url, hub.key.as_deref())?.header("x-repo-commit").and_then(find)
    {
        return Ok(found);
    }
    let remote = RemoteFile::new(base.clone(), url.clone(), hub.key.clone(), Expected::default());
    let beginning = remote.begin()?;
    let commit = remote.commit().filter(|commit| is_commit(commit));
    if let Some(found) = commit.as_deref().and_then(find) {
        return Ok(found);
    }
    let pinned = commit.as_deref().map_or(url, |commit| hub.url(id, "resolve", commit, name));
    let keep = keep(cached, revision, commit, access)?;
    Ok(Found::Remote(Remote::of_file(remote, name.to_owned(), pinned, beginning, keep)))
}

/// A repository, or a folder of it.
fn find_folder(
    hub: &Hub,
    cached: Option<CachedRepository>,
    wanted: &InRepository,
    folder: &str,
    access: Access,
) -> Result<Remote> {
    let InRepository { id, revision, .. } = wanted;
    let encoded_revision = encoded(revision).replace('/', "%2F");
    let url = format!("{}/api/models/{id}/revision/{encoded_revision}?blobs=true", hub.endpoint);
    let Listing { commit, mut files } = Listing::read(&url, hub.key.as_deref())?;
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    files.retain(|file| file.name.starts_with(&prefix));
    if files.is_empty() {
        return Err(Error::new(ErrorKind::Missing, "the repository has no files there")
            .within(hub.url(id, "tree", &commit, folder))
            .expected_found("a model's files", "none"));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let entry = |file: Listed| {
        let local = cached.as_ref().and_then(|cached| cached.find(&commit, &file.name));
        let local = local.and_then(|path| File::open(path).ok());
        let local = local.filter(|local| local.metadata().is_ok_and(|metadata| metadata.len() == file.bytes));
        let shown = file.name[prefix.len()..].to_owned();
        // Large files are given by another host, which the hub redirects to; the hub's own it gives at once.
        let is_small = file.sha256.is_none() && file.bytes <= SMALL_BYTES;
        let verb = if is_small { "raw" } else { "resolve" };
        let url = hub.url(id, verb, &commit, &file.name);
        let expected = Expected { length: Some(file.bytes), sha256: file.sha256, tag: file.tag };
        let remote = RemoteFile::new(shown, url, hub.key.clone(), expected);
        let remote = if is_small { remote.small() } else { remote };
        Entry { remote, name: file.name, local: Mutex::new(local.map(Arc::new)) }
    };
    let entries = files.into_iter().map(entry).collect();
    let address = hub.url(id, "tree", &commit, folder);
    let keep = keep(cached, revision, Some(commit.clone()), access)?;
    let name = if folder.is_empty() { id.clone() } else { format!("{id}/{folder}") };
    Ok(Remote { name, address, root: Root::Folder, beginning: Vec::new(), entries, keep })
}

/// What the cache has of a revision, where no host is asked.
fn find_cached(text: &str, cached: Option<&CachedRepository>, wanted: &InRepository) -> Result<Found> {
    let find = || {
        let cached = cached?;
        let commit = cached.commit(&wanted.revision)?;
        let (path, name) = match &wanted.place {
            Place::File(name) => (cached.find(&commit, name)?, name.rsplit('/').next()?.to_owned()),
            Place::Folder(folder) if folder.is_empty() => (cached.snapshot(&commit), wanted.id.clone()),
            Place::Folder(folder) => {
                (cached.snapshot(&commit).join(folder), format!("{}/{folder}", wanted.id))
            }
        };
        path.exists().then_some(Found::Local { path, name })
    };
    find().ok_or_else(|| offline(text))
}

/// Where what comes of a repository stays.
fn keep(
    cached: Option<CachedRepository>,
    revision: &str,
    commit: Option<String>,
    access: Access,
) -> Result<Keep> {
    if access.retention != Retention::Cache {
        return Ok(access.retention.while_open());
    }
    match (cached, commit) {
        (Some(repository), Some(commit)) => {
            Ok(Keep::Cache { repository, revision: revision.to_owned(), commit })
        }
        (None, _) => Err(Error::new(ErrorKind::Missing, "there is no place for the Hugging Face cache")
            .expected_found("HF_HUB_CACHE, HF_HOME or HOME", "none of them")),
        (_, None) => Err(Error::new(ErrorKind::Unsupported, "the hub does not say which commit it gives")
            .expected_found("X-Repo-Commit", "none")
            .hint("leave out --cache")),
    }
}

fn offline(text: &str) -> Error {
    Error::new(ErrorKind::Missing, "the artifact is not on this machine")
        .within(text)
        .expected_found("a file of the Hugging Face cache, since no host is asked", "none")
        .hint("run once without --offline (or HF_HUB_OFFLINE), with --cache")
}

impl Retention {
    /// Where bytes stay that do not go to the cache.
    fn while_open(self) -> Keep {
        if self == Self::Nothing { Keep::Nowhere } else { Keep::WhileOpen }
    }
}

impl Remote {
    fn of_file(remote: RemoteFile, name: String, address: String, beginning: Vec<u8>, keep: Keep) -> Self {
        let shown = remote.name().to_owned();
        let entries = vec![Entry { remote, name, local: Mutex::default() }];
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

    fn fetch_one(&self, Need { file, offset, len }: Need) -> Result<Vec<u8>> {
        let entry = &self.entries[file];
        let mut bytes = Vec::new();
        let room =
            usize::try_from(len).is_ok_and(|len| crate::memory::ask(|| bytes.try_reserve_exact(len)).is_ok());
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

/// Whether a variable says yes, as huggingface_hub reads it.
fn is_set(variable: &str) -> bool {
    let value = std::env::var(variable).unwrap_or_default().to_ascii_uppercase();
    matches!(value.as_str(), "1" | "ON" | "YES" | "TRUE")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
