//! Artifacts on other hosts: any file by https, and files and repositories of the Hugging Face hub.
//!
//! A repository is judged as the folder that a clone of it would be: the hub lists its files, their headers are read by
//! ranges. Nothing is sent but requests; the user's token is shown to the hub's own host alone.

mod artifact;
mod cache;
mod keep;
mod listing;
mod refusal;
mod remote;
mod token;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bitgauge_core::container::{Need, Root};
use bitgauge_core::hub::{HUB, HubAddress, ListedFile, RepositoryKind, percent_encoded};
use bitgauge_core::{Error, ErrorKind, Result};

use self::artifact::Entry;
use self::cache::{CachedRepository, is_commit};
use self::keep::Keep;
use self::listing::Listing;
use self::remote::{Expected, RemoteFile, SMALL_BYTES};
use crate::http::{self, Key};
use crate::input;

pub(crate) use artifact::Remote;
pub(crate) use cache::root as cache_root;

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

/// The hub, as the environment has it.
struct Hub {
    endpoint: String,
    key: Option<Arc<Key>>,
}

impl Hub {
    /// The endpoint (HF_ENDPOINT) and the user's token, as huggingface_hub finds them.
    fn of_environment() -> Self {
        let endpoint = std::env::var("HF_ENDPOINT").ok().map(|endpoint| endpoint.trim().to_owned());
        let endpoint = endpoint.filter(|endpoint| !endpoint.is_empty());
        let endpoint = endpoint.unwrap_or_else(|| HUB.to_owned()).trim_end_matches('/').to_owned();
        let key = token::find().map(|token| Arc::new(Key::new(&endpoint, token)));
        Self { endpoint, key }
    }
}

/// Whether what the user names is meant as an address and not as a path.
pub fn is_address(place: &Path) -> bool {
    let beginnings = ["hf://", "https://", "http://"];
    let bare = ["huggingface.co/", "hf.co/"];
    let Some(text) = place.to_str() else { return false };
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
    begins(&beginnings) || begins(&bare) && !place.exists()
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
    let Some(mut address) = HubAddress::parse(text, &hub.endpoint)? else {
        return find_file(&hub, text, access).map(Found::Remote);
    };
    if address.endpoint == HUB {
        // As huggingface_hub has it.
        address.endpoint.clone_from(&hub.endpoint);
    }
    let place = Place { cached: CachedRepository::of(&address, &hub.endpoint), address, key: hub.key };
    let revision = place.address.revision.clone();
    if is_offline {
        let commit = place.cached.as_ref().and_then(|cached| cached.commit(&revision));
        let found = commit.map(|commit| place.find_cached(commit, access)).transpose()?.flatten();
        return found.ok_or_else(|| offline(text));
    }
    if place.address.stands_alone() {
        return place.find_file(&revision, access);
    }
    let listing = Listing::read(&place.listing_url(), place.key.as_deref())?;
    place.find_listed(listing, access)
}

/// A file of any host.
fn find_file(hub: &Hub, text: &str, access: Access) -> Result<Remote> {
    let url = text.split('#').next().unwrap_or_default();
    if access.is_offline {
        return Err(offline(url));
    }
    if access.retention == Retention::Cache {
        return Err(not_of_the_hub(url));
    }
    http::expect_known(url)?;
    let path = url[http::origin(url).len()..].split('?').next().unwrap_or_default();
    let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("artifact").to_owned();
    let remote = RemoteFile::new(name.clone(), url.to_owned(), hub.key.clone(), Expected::default());
    let beginning = remote.begin()?;
    Ok(Remote::of_file(remote, name, url.to_owned(), beginning, access.retention.while_open()))
}

/// A place in a repository, and what is known of it.
struct Place {
    address: HubAddress,
    /// What is kept of the repository; nothing of another hub's.
    cached: Option<CachedRepository>,
    key: Option<Arc<Key>>,
}

impl Place {
    /// The address of a revision's file or folder: `verb` is the hub's word for what is wanted of it.
    fn url(&self, verb: &str, revision: &str, path: &str) -> String {
        let HubAddress { endpoint, repository, kind, .. } = &self.address;
        let kind = if *kind == RepositoryKind::Model { String::new() } else { format!("{}/", kind.name()) };
        let slash = if path.is_empty() { "" } else { "/" };
        let (revision, path) = (percent_encoded(revision, ""), percent_encoded(path, "/"));
        format!("{endpoint}/{kind}{repository}/{verb}/{revision}{slash}{path}")
    }

    /// What the hub answers with the revision's commit and all its files. The listing of [`HubAddress::listing_url`]
    /// does not name the commit.
    fn listing_url(&self) -> String {
        let HubAddress { endpoint, repository, kind, revision, .. } = &self.address;
        let revision = percent_encoded(revision, "");
        format!("{endpoint}/api/{}/{repository}/revision/{revision}?blobs=true", kind.name())
    }

    /// The file, of this revision or of the commit that it is known to be.
    fn find_file(&self, revision: &str, access: Access) -> Result<Found> {
        let path = &self.address.path;
        let cached = self.cached.as_ref();
        let find = |commit: &str| Some(Found::Local { path: cached?.find(commit, path)?, name: base(path) });
        if is_commit(revision)
            && let Some(found) = find(revision)
        {
            return Ok(found);
        }
        let url = self.url("resolve", revision, path);
        // Where the revision was looked up before, the hub may say that it is the same commit still.
        if cached.and_then(|cached| cached.commit(revision)).as_deref().and_then(find).is_some()
            && let Some(found) = http::head(&url, self.key.as_deref())?.header("x-repo-commit").and_then(find)
        {
            return Ok(found);
        }
        let remote = RemoteFile::new(base(path), url.clone(), self.key.clone(), Expected::default());
        let beginning = remote.begin()?;
        let commit = remote.commit().filter(|commit| is_commit(commit));
        if let Some(found) = commit.as_deref().and_then(find) {
            return Ok(found);
        }
        let pinned = commit.as_deref().map_or(url, |commit| self.url("resolve", commit, path));
        let keep = self.keep(commit, access)?;
        Ok(Found::Remote(Remote::of_file(remote, path.clone(), pinned, beginning, keep)))
    }

    /// What of a listing is the artifact.
    fn find_listed(mut self, listing: Listing, access: Access) -> Result<Found> {
        let Listing { commit, files, tags } = listing;
        let chosen = self.address.choose(files)?;
        if let (false, [file]) = (chosen.is_folder, chosen.files.as_slice()) {
            self.address = HubAddress { path: file.path.clone(), is_file: true, ..self.address };
            return self.find_file(&commit, access);
        }
        let mut files: Vec<&ListedFile> = chosen.files.iter().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let entry = |file: &ListedFile| {
            let local = self.cached.as_ref().and_then(|cached| cached.find(&commit, &file.path));
            let local = local.and_then(|path| File::open(path).ok());
            let local =
                local.filter(|local| local.metadata().is_ok_and(|metadata| metadata.len() == file.bytes));
            // Large files are given by another host, which the hub redirects to; the hub's own it gives at once.
            let is_small = file.sha256.is_none() && file.bytes <= SMALL_BYTES;
            let url = self.url(if is_small { "raw" } else { "resolve" }, &commit, &file.path);
            let (sha256, tag) = (file.sha256.clone(), tags.get(&file.path).cloned());
            let expected = Expected { length: Some(file.bytes), sha256, tag };
            let remote = RemoteFile::new(chosen.inner(file).to_owned(), url, self.key.clone(), expected);
            let remote = if is_small { remote.small() } else { remote };
            Entry::new(remote, file.path.clone(), local)
        };
        let entries = files.into_iter().map(entry).collect();
        let address = self.url("tree", &commit, self.address.folder());
        let keep = self.keep(Some(commit), access)?;
        let name = chosen.name;
        Ok(Found::Remote(Remote { name, address, root: Root::Folder, beginning: Vec::new(), entries, keep }))
    }

    /// What the cache has of a commit, where no host is asked.
    fn find_cached(self, commit: String, access: Access) -> Result<Option<Found>> {
        let Some(cached) = &self.cached else { return Ok(None) };
        if self.address.stands_alone() {
            let found = |path| Found::Local { path, name: base(&self.address.path) };
            return Ok(cached.find(&commit, &self.address.path).map(found));
        }
        let files = cached.files(&commit);
        if files.is_empty() {
            return Ok(None);
        }
        self.find_listed(Listing { commit, files, tags: HashMap::new() }, access).map(Some)
    }

    /// Where what comes of the repository stays.
    fn keep(&self, commit: Option<String>, access: Access) -> Result<Keep> {
        if access.retention != Retention::Cache {
            return Ok(access.retention.while_open());
        }
        let Some(repository) = self.cached.clone() else {
            return Err(not_of_the_hub(&self.url("tree", &self.address.revision, "")));
        };
        let Some(commit) = commit else {
            return Err(Error::new(ErrorKind::Unsupported, "the hub does not name the commit")
                .expected_found("X-Repo-Commit", "none")
                .hint("leave out --cache"));
        };
        Ok(Keep::Cache { repository, revision: self.address.revision.clone(), commit })
    }
}

/// A path's last part.
fn base(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn not_of_the_hub(url: &str) -> Error {
    Error::new(ErrorKind::Unsupported, "the cache keeps files of the hub only")
        .within(url)
        .expected_found(
            "a place of the hub (HF_ENDPOINT, else huggingface.co), and one for its cache",
            "neither or one",
        )
        .hint("leave out --cache, or download the file yourself")
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

/// Whether a variable says yes, as huggingface_hub reads it.
fn is_set(variable: &str) -> bool {
    let value = std::env::var(variable).unwrap_or_default().to_ascii_uppercase();
    matches!(value.as_str(), "1" | "ON" | "YES" | "TRUE")
}
