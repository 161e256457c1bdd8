//! Where paths lead: links followed, and whether one place is, holds or lies in another.
//!
//! Two paths are compared by where they lead and by the identity of what is there, so that `..`, symbolic and hard
//! links and bind mounts all count as what they are.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// Most symbolic links that are followed, as Linux does.
const LINKS_COUNT: usize = 40;

/// What tells that two paths lead to the same file or folder: its device and inode.
#[cfg(unix)]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity(u64, u64);

/// What tells that two paths lead to the same file or folder: the path without links.
#[cfg(not(unix))]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity(PathBuf);

impl Identity {
    /// That of what `path` leads to, if there is something.
    #[cfg(unix)]
    pub(crate) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::from(&metadata))
    }

    /// That of what `path` leads to, if there is something.
    #[cfg(not(unix))]
    pub(crate) fn of(path: &Path) -> Option<Self> {
        path.canonicalize().ok().map(Self)
    }
}

#[cfg(unix)]
impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(metadata.dev(), metadata.ino())
    }
}

/// The folder that holds what a path names.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// The path with every link followed. What it leads to need not exist, the folder that is to hold it must.
///
/// # Errors
/// No such folder, too many links, and what the operating system says.
pub(crate) fn resolve(path: &Path) -> io::Result<PathBuf> {
    // Without the slash at the end, which would make a link's target of it.
    let mut path: PathBuf = path.components().collect();
    for _ in 0..LINKS_COUNT {
        match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            resolved => return resolved,
        }
        match fs::read_link(&path) {
            Ok(target) => path = parent_of(&path).join(target).components().collect(),
            Err(_) => {
                let name = path.file_name().ok_or(io::ErrorKind::NotFound)?;
                return Ok(parent_of(&path).canonicalize()?.join(name));
            }
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// How a place lies to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// They are the same file or folder.
    Is,
    /// It is in the other folder.
    LiesIn,
    /// The other is in this folder.
    Holds,
}

/// A file or folder that is to stay as it is, with all that is in it.
pub(crate) struct Protected {
    path: PathBuf,
    /// All links followed, where it exists.
    resolved: Option<PathBuf>,
    /// Of it, and of every file and folder in it.
    identities: HashSet<Identity>,
}

impl Protected {
    /// Notes what is at `path` now.
    pub(crate) fn new(path: &Path) -> Self {
        let mut identities = HashSet::new();
        collect(path, &mut identities);
        Self { path: path.to_owned(), resolved: resolve(path).ok(), identities }
    }

    /// What it was called.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has something to do with what is, or may come to be, at a path that [`resolve`] gave.
    pub(crate) fn relation_of(&self, resolved: &Path) -> Option<Relation> {
        let is_in =
            |path: &Path| Identity::of(path).is_some_and(|identity| self.identities.contains(&identity));
        if self.resolved.as_deref() == Some(resolved) || is_in(resolved) {
            return Some(Relation::Is);
        }
        if resolved.ancestors().skip(1).any(is_in) {
            return Some(Relation::LiesIn);
        }
        let own = self.resolved.as_deref()?;
        let identity = Identity::of(resolved);
        let holds = own
            .ancestors()
            .skip(1)
            .any(|outer| outer == resolved || identity.is_some() && Identity::of(outer) == identity);
        holds.then_some(Relation::Holds)
    }
}

/// Adds the identities of what is at `path` and below it. Links below it are not followed; what can't be read is left
/// out.
fn collect(path: &Path, identities: &mut HashSet<Identity>) {
    let mut paths = vec![path.to_owned()];
    while let Some(path) = paths.pop() {
        let Some(identity) = Identity::of(&path) else { continue };
        // A folder that was seen already would be gone through without end.
        if !identities.insert(identity) || !path.is_dir() {
            continue;
        }
        let entries = fs::read_dir(&path).into_iter().flatten().flatten();
        let entries = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()));
        paths.extend(entries.map(|entry| entry.path()));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_what_need_not_exist() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        symlink("real", root.join("linked")).unwrap();
        symlink("linked/absent", root.join("dangling")).unwrap();
        symlink("itself", root.join("itself")).unwrap();
        let resolved = |path: &str| resolve(&root.join(path));
        assert_eq!(resolved("linked/x").unwrap(), root.join("real/x"));
        assert_eq!(resolved("dangling").unwrap(), root.join("real/absent"));
        assert_eq!(resolved("real/../linked/").unwrap(), root.join("real"));
        assert!(resolved("absent/x").is_err() && resolved("itself").is_err());
    }

    #[test]
    fn a_place_is_told_from_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("outer/model/below")).unwrap();
        fs::create_dir(root.join("outer/model2")).unwrap();
        fs::write(root.join("outer/model/weights"), "weights").unwrap();
        fs::hard_link(root.join("outer/model/weights"), root.join("other name")).unwrap();
        symlink("outer/model/below", root.join("way in")).unwrap();
        let protected = Protected::new(&root.join("outer/model2/../model"));
        let relation = |path: &str| protected.relation_of(&resolve(&root.join(path)).unwrap());
        assert_eq!(relation("outer/model"), Some(Relation::Is));
        assert_eq!(relation("other name"), Some(Relation::Is));
        assert_eq!(relation("outer/model/out"), Some(Relation::LiesIn));
        assert_eq!(relation("way in/out"), Some(Relation::LiesIn));
        assert_eq!(relation("outer"), Some(Relation::Holds));
        assert_eq!(relation("outer/model2"), None);
        assert_eq!(relation("outer/model.zip"), None);
    }
}
