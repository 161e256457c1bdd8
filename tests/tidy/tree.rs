//! The repository's files as text: what every check reads, from disk or, for its mutations, from a small tree in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Folders that hold what was built, fetched or recorded.
const SKIPPED: [&str; 4] = ["target", "node_modules", "fixtures", ".git"];
/// Endings of the files that the checks read.
const READ: [&str; 4] = [".rs", ".md", ".wgsl", ".toml"];

/// Texts by their paths from the repository's root, with `/` between the parts.
#[derive(Debug, Clone, Default)]
pub struct Tree(BTreeMap<String, String>);

impl Tree {
    /// The repository that this suite was built from.
    pub fn of_repository() -> Self {
        let mut tree = Self::default();
        tree.read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), "");
        tree
    }

    /// A tree of these paths and texts.
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    fn read(&mut self, folder: &Path, prefix: &str) {
        for entry in fs::read_dir(folder).expect("a folder of the repository") {
            let entry = entry.expect("an entry of a folder of the repository");
            let name = entry.file_name().into_string().expect("a name in UTF-8");
            let path = format!("{prefix}{name}");
            if entry.file_type().expect("what an entry is").is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    self.read(&entry.path(), &format!("{path}/"));
                }
            } else if READ.iter().any(|ending| name.ends_with(ending)) {
                self.0.insert(path, fs::read_to_string(entry.path()).expect("a text in UTF-8"));
            }
        }
    }

    /// The text at `path`.
    pub fn text(&self, path: &str) -> &str {
        self.0.get(path).unwrap_or_else(|| panic!("there is no {path}"))
    }

    /// The text at `path`, if there is one.
    pub fn find(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Paths and texts below `folder` (with a `/` at its end) that end with `ending`.
    pub fn below<'a>(&'a self, folder: &'a str, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let files = self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        files.filter(move |(path, _)| path.starts_with(folder) && path.ends_with(ending))
    }

    /// The same tree with `from` replaced by `to` in the file at `path`, where it must occur.
    pub fn with(&self, path: &str, from: &str, to: &str) -> Self {
        let text = self.text(path);
        assert!(text.contains(from), "{path} has no {from:?}");
        self.and(path, &text.replace(from, to))
    }

    /// The same tree with this file.
    pub fn and(&self, path: &str, text: &str) -> Self {
        let mut tree = self.clone();
        tree.0.insert(path.to_owned(), text.to_owned());
        tree
    }
}
