//! The Hugging Face cache: `models--OWNER--REPO/{blobs,refs,snapshots}`, as huggingface_hub lays it out.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bitgauge_core::hub::{HubAddress, ListedFile};
use bitgauge_core::{Error, ErrorKind, Result};

/// Hexadecimal digits of a commit.
const COMMIT_DIGITS: usize = 40;

/// Where repositories are kept: HF_HUB_CACHE, else below HF_HOME, else below the user's folder for caches.
pub fn root() -> Option<PathBuf> {
    let named = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE"));
    named.map(expand_user).or_else(|| home().map(|home| home.join("hub")))
}

/// Where tools of Hugging Face keep what is the user's: HF_HOME, else a folder among the user's caches.
pub fn home() -> Option<PathBuf> {
    let named = variable("HF_HOME").map(expand_user);
    let of_caches = || variable("XDG_CACHE_HOME").map(|caches| PathBuf::from(caches).join("huggingface"));
    let of_user = || user().map(|user| user.join(".cache/huggingface"));
    named.or_else(of_caches).or_else(of_user)
}

/// An environment variable that says something.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The user's folder.
fn user() -> Option<PathBuf> {
    variable("HOME").or_else(|| variable("USERPROFILE")).map(PathBuf::from)
}

/// A path whose `~` at the beginning is the user's folder, since no shell has read it.
pub fn expand_user(path: OsString) -> PathBuf {
    let path = PathBuf::from(path);
    match (path.strip_prefix("~"), user()) {
        (Ok(rest), Some(user)) => user.join(rest),
        _ => path,
    }
}

/// Whether a `/`-separated path stays below where it begins.
fn is_safe(path: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.split('/').all(is_part) && !path.contains(['\\', '\0', ':'])
}

/// Whether a revision is a commit, which never moves.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == COMMIT_DIGITS
        && revision.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
}

/// What is kept of one repository of models.
#[derive(Debug, Clone)]
pub struct CachedRepository {
    folder: PathBuf,
}

impl CachedRepository {
    /// That of an address; nothing where there is no place for a cache, or the address is another hub's than the one at
    /// `endpoint`.
    pub fn of(address: &HubAddress, endpoint: &str) -> Option<Self> {
        let name = format!("{}--{}", address.kind.name(), address.repository.replace('/', "--"));
        let folder = root()?.join(name);
        (address.endpoint == endpoint).then_some(Self { folder })
    }

    /// The commit that a revision was when it was last looked up.
    pub fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let reference = self.folder.join("refs").join(Some(revision).filter(|revision| is_safe(revision))?);
        let commit = fs::read_to_string(reference).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// The folder of a commit's files.
    fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// A file of a commit, if it is there.
    pub fn find(&self, commit: &str, name: &str) -> Option<PathBuf> {
        let path = self.snapshot(commit).join(Some(name).filter(|name| is_safe(name))?);
        Some(path).filter(|path| path.is_file())
    }

    /// All files of a commit that are there; what can't be read is left out.
    pub fn files(&self, commit: &str) -> Vec<ListedFile> {
        let (mut files, mut folders) = (Vec::new(), vec![(self.snapshot(commit), String::new())]);
        while let Some((folder, prefix)) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = format!("{prefix}{name}");
                // Files are links, folders are not.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push((entry.path(), format!("{path}/")));
                } else if let Ok(metadata) = fs::metadata(entry.path()) {
                    files.push(ListedFile { path, bytes: metadata.len(), sha256: None });
                }
            }
        }
        files
    }

    /// Where the bytes of this ETag are kept.
    pub fn blob(&self, tag: &str) -> PathBuf {
        self.folder.join("blobs").join(tag)
    }

    /// Makes the folder of the blobs.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn make_room(&self) -> Result<()> {
        let blobs = self.folder.join("blobs");
        fs::create_dir_all(&blobs).map_err(|error| cache_error(&blobs, &error))
    }

    /// Gives a blob that is there its name in a commit, and notes which commit the revision is.
    ///
    /// # Errors
    /// A name that leads elsewhere, and what the operating system says.
    pub fn enter(&self, revision: &str, commit: &str, name: &str, tag: &str) -> Result<()> {
        if !is_commit(commit) || !is_safe(name) || !is_safe(revision) {
            return Err(Error::new(ErrorKind::BadName, "the hub names a file that can't be kept")
                .within(name)
                .expected_found("a plain path in a commit", format!("{name:?} in {commit:?}")));
        }
        let path = self.snapshot(commit).join(name);
        let failed = |error: io::Error| cache_error(&path, &error);
        fs::create_dir_all(path.parent().unwrap_or(&self.folder)).map_err(failed)?;
        // From the file's folder up to the repository's.
        let up = "../".repeat(name.matches('/').count() + 2);
        link(&format!("{up}blobs/{tag}"), &self.blob(tag), &path).map_err(failed)?;
        if is_commit(revision) {
            return Ok(());
        }
        let reference = self.folder.join("refs").join(revision);
        let failed = |error: io::Error| cache_error(&reference, &error);
        fs::create_dir_all(reference.parent().unwrap_or(&self.folder)).map_err(failed)?;
        fs::write(&reference, commit).map_err(failed)
    }
}

/// A link where there are any; the file itself where there are none, as huggingface_hub does.
fn link(target: &str, blob: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    #[cfg(unix)]
    {
        let _ = blob;
        std::os::unix::fs::symlink(target, path)
    }
    #[cfg(not(unix))]
    {
        let _ = target;
        fs::copy(blob, path).map(drop)
    }
}

/// What the operating system said of the cache.
pub fn cache_error(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Unsupported, "the file can't be kept in the cache")
        .within(path.display())
        .expected_found("a place to write to", error)
        .hint("HF_HUB_CACHE names another place; without --cache nothing is kept")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_commit_lead_to_blobs() {
        let folder = tempfile::tempdir().unwrap();
        let cached = CachedRepository { folder: folder.path().join("models--o--r") };
        let commit = "0123456789abcdef0123456789abcdef01234567";
        cached.make_room().unwrap();
        fs::write(cached.blob("aa"), "bytes").unwrap();
        for name in ["m.zip", "sub/below/m.zip"] {
            assert_eq!(cached.find(commit, name), None);
            cached.enter("refs/pr/1", commit, name, "aa").unwrap();
            // A second time it is put in the first one's place.
            cached.enter("refs/pr/1", commit, name, "aa").unwrap();
            assert_eq!(fs::read(cached.find(commit, name).unwrap()).unwrap(), b"bytes");
        }
        assert_eq!(cached.commit("refs/pr/1").as_deref(), Some(commit));
        assert_eq!(cached.commit(commit).as_deref(), Some(commit));
        assert_eq!(cached.commit("main"), None);
        for (commit, name) in
            [(commit, "../m.zip"), (commit, "/m.zip"), ("main", "m.zip"), ("../../x", "m.zip")]
        {
            assert!(cached.enter("main", commit, name, "aa").is_err(), "{commit} {name}");
        }
    }
}
