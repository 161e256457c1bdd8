//! Which files of a repository are the artifact.

use super::{HubAddress, ListedFile};
use crate::container::ShardName;
use crate::{Error, ErrorKind, Result, limits};

/// What archives end in.
const ARCHIVES: [&str; 7] = [".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".lzma"];
/// What other files end in that an address without a word for them may name.
const FILES: [&str; 4] = [".safetensors", ".gguf", ".json", ".bin"];
const CONFIG: &str = "config.json";
const INDEX: &str = ".index.json";

/// The files that are the artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The artifact's name.
    pub name: String,
    /// Whether they are the files of a folder; otherwise there is one.
    pub is_folder: bool,
    /// The files, by their paths in the repository.
    pub files: Vec<ListedFile>,
    /// Bytes of those paths that lead to the artifact's folder.
    pub folder_bytes: usize,
}

impl Chosen {
    /// The path of a file in the artifact.
    pub fn inner<'f>(&self, file: &'f ListedFile) -> &'f str {
        file.path.get(self.folder_bytes..).unwrap_or_default()
    }
}

impl ListedFile {
    /// Whether it is one of the texts that are read to judge a model, and the hub gives it at once and as a whole.
    pub fn is_short_text(&self) -> bool {
        let is_read = base(&self.path) == CONFIG || self.path.ends_with(INDEX);
        is_read && self.sha256.is_none() && self.bytes <= limits::CONFIG_BYTES
    }
}

impl HubAddress {
    /// Which of the files in [`HubAddress::folder`] are the artifact: all of them; or the only archive, where there is no
    /// model beside it; or the set that a GGUF shard belongs to.
    ///
    /// # Errors
    /// There are none.
    pub fn choose(&self, mut files: Vec<ListedFile>) -> Result<Chosen> {
        let folder = self.folder();
        let folder_bytes = if folder.is_empty() { 0 } else { folder.len() + 1 };
        files.retain(|file| folder.is_empty() || is_inside(&file.path, folder));
        if files.is_empty() {
            return Err(Error::new(ErrorKind::Missing, "there are no files at this address")
                .within(&self.path)
                .expected_found("files", "none")
                .hint("check the revision and the folder"));
        }
        let is_model = files.iter().any(|file| base(&file.path) == CONFIG || has_neighbours(&file.path));
        let archives = || files.iter().filter(|file| ends_in(&file.path, &ARCHIVES));
        if let (false, [only]) = (is_model, archives().collect::<Vec<_>>().as_slice()) {
            let name = base(&only.path).to_owned();
            let folder_bytes = only.path.len() - name.len();
            return Ok(Chosen { name, is_folder: false, files: vec![(*only).clone()], folder_bytes });
        }
        if let Some(set) = ShardName::parse(&self.path) {
            let is_of_set = |path: &str| {
                ShardName::parse(path).is_some_and(|shard| (shard.stem, shard.count) == (set.stem, set.count))
            };
            files.retain(|file| is_of_set(&file.path));
        }
        let name = match folder {
            "" => base(&self.repository).to_owned(),
            folder => base(folder).to_owned(),
        };
        Ok(Chosen { name, is_folder: true, files, folder_bytes })
    }
}

/// Whether a file at this path is only a part of a model.
pub(super) fn has_neighbours(path: &str) -> bool {
    let name = base(path);
    let is_part = ends_in(name, &[".safetensors", INDEX]) || name == CONFIG;
    is_part || ShardName::parse(name).is_some_and(|shard| shard.count > 1)
}

/// Whether a path without a word for it is that of a file.
pub(super) fn is_file(path: &str) -> bool {
    ends_in(path, &ARCHIVES) || ends_in(path, &FILES)
}

fn ends_in(path: &str, ends: &[&str]) -> bool {
    ends.iter().any(|end| path.ends_with(end))
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn is_inside(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}
