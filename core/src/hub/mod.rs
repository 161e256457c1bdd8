//! Places in repositories of Hugging Face's hub: the addresses that people paste, and those of its interface.
//!
//! Nothing here asks a host: [`HubAddress::listing_url`] says what to ask, [`listing`] reads the answer, and
//! [`HubAddress::choose`] says which of the files are the artifact.

mod choose;
mod listing;

pub use choose::Chosen;
pub use listing::{ListedFile, listing};

use crate::json::names;
use crate::{Error, ErrorKind, Result};

/// The public hub.
pub const HUB: &str = "https://huggingface.co";
/// What the hub calls the newest state of a repository.
pub const DEFAULT_REVISION: &str = "main";
/// Its short name, which leads to it.
const SHORT: &str = "https://hf.co";
/// How huggingface_hub writes addresses.
const SCHEME: &str = "hf://";
/// Beginnings of revisions that have slashes in them, and two more parts.
const REFS: [&str; 2] = ["pr", "convert"];

names! {
    /// What a repository holds, as the hub sorts them.
    pub enum RepositoryKind {
        /// A model, whose addresses name no kind.
        #[default]
        Model = "models",
        /// A data set.
        Dataset = "datasets",
        /// A space.
        Space = "spaces",
    }
}

/// A place in a repository: all of it, a folder or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubAddress {
    /// Scheme and host of the hub, without a slash at the end.
    pub endpoint: String,
    /// What kind of repository.
    pub kind: RepositoryKind,
    /// `OWNER/NAME`.
    pub repository: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// Path in the repository; empty for all of it.
    pub path: String,
    /// Whether the path is that of a file.
    pub is_file: bool,
}

impl HubAddress {
    /// Reads `hf://[KIND/]OWNER/NAME[@REVISION][/PATH]` and the addresses of a hub's pages and files: a repository,
    /// `/tree/REVISION`, `/blob/REVISION/FILE`, `/resolve/REVISION/FILE`. The scheme of the public hub may be left out.
    ///
    /// `endpoint` is the hub that `hf://` means, [`HUB`] where nobody says otherwise. Other hosts are taken for hubs where
    /// the address has one of the three words. `None` is any other text: the address of a file, or a path.
    ///
    /// # Errors
    /// A hub's address with a faulty repository or path.
    pub fn parse(text: &str, endpoint: &str) -> Result<Option<Self>> {
        let endpoint = endpoint.trim_end_matches('/');
        let place = |error: Error| error.within(text);
        if let Some(path) = text.strip_prefix(SCHEME) {
            return Self::of_scheme(path, endpoint).map(Some).map_err(place);
        }
        let with_scheme = format!("https://{text}");
        let is_bare = [HUB, SHORT].iter().any(|hub| with_scheme.starts_with(&format!("{hub}/")));
        let text = if is_bare { &with_scheme } else { text };
        let text = text.split(['?', '#']).next().unwrap_or_default();
        let Some(start) = text.find("://").map(|scheme| scheme + 3) else { return Ok(None) };
        let Some(end) = text[start..].find('/').map(|host| start + host) else { return Ok(None) };
        let host = match &text[..end] {
            SHORT => HUB,
            host => host,
        };
        let parts: Vec<&str> = text[end..].split('/').filter(|part| !part.is_empty()).collect();
        Self::of_page(host, &parts, [HUB, endpoint].contains(&host)).map_err(place)
    }

    /// What follows `hf://`.
    fn of_scheme(path: &str, endpoint: &str) -> Result<Self> {
        let mut parts = path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>();
        let mut kind = RepositoryKind::Model;
        if let Some(named) = RepositoryKind::ALL.iter().find(|kind| parts.first() == Some(&kind.name())) {
            kind = *named;
            parts.remove(0);
        }
        let [owner, name, rest @ ..] = parts.as_slice() else { return Err(no_repository()) };
        let (name, revision) = name.split_once('@').map_or((*name, None), |(name, rev)| (name, Some(rev)));
        let after: Vec<&str> = revision.into_iter().chain(rest.iter().copied()).collect();
        let (revision, path) = match revision {
            Some(_) => split_revision(&after)?,
            None => (DEFAULT_REVISION.to_owned(), joined(&after)?),
        };
        let is_file = choose::is_file(&path);
        Self { endpoint: endpoint.to_owned(), kind, repository: String::new(), revision, path, is_file }
            .of_repository(owner, name)
    }

    /// The parts of a page's path on a host; whether that is known as a hub.
    fn of_page(host: &str, parts: &[&str], is_hub: bool) -> Result<Option<Self>> {
        let (kind, parts) = match parts {
            ["datasets", rest @ ..] => (RepositoryKind::Dataset, rest),
            ["spaces", rest @ ..] => (RepositoryKind::Space, rest),
            parts => (RepositoryKind::Model, parts),
        };
        let (owner, name, revision, path, is_file) = match parts {
            [owner, name] if is_hub => (owner, name, DEFAULT_REVISION.to_owned(), String::new(), false),
            [owner, name, word @ ("tree" | "blob" | "resolve"), rest @ ..] if !rest.is_empty() => {
                let (revision, path) = split_revision(rest)?;
                (owner, name, revision, path, *word != "tree")
            }
            _ => return Ok(None),
        };
        if is_file && path.is_empty() {
            return Ok(None);
        }
        Self { endpoint: host.to_owned(), kind, repository: String::new(), revision, path, is_file }
            .of_repository(owner, name)
            .map(Some)
    }

    /// With the names of its repository, which are plain.
    fn of_repository(self, owner: &str, name: &str) -> Result<Self> {
        let is_plain = |name: &str| {
            !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        if !is_plain(owner) || !is_plain(name) || name.is_empty() {
            return Err(no_repository());
        }
        Ok(Self { repository: format!("{owner}/{name}"), ..self })
    }

    /// The folder that it lies in or is; empty for all of the repository.
    pub fn folder(&self) -> &str {
        match self.path.rsplit_once('/') {
            _ if !self.is_file => &self.path,
            Some((folder, _)) => folder,
            None => "",
        }
    }

    /// The name to show: of the file, the folder or the repository.
    pub fn name(&self) -> &str {
        let whole = if self.path.is_empty() { &self.repository } else { &self.path };
        whole.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the file is an artifact by itself, so that no listing is needed.
    pub fn stands_alone(&self) -> bool {
        self.is_file && !choose::has_neighbours(&self.path)
    }

    /// Where the bytes of a file of the repository are, or lead to.
    pub fn file_url(&self, path: &str) -> String {
        self.url_of("resolve", path)
    }

    /// Where a text of the repository is that does not lie in the hub's store for large files. There is no range of it.
    pub fn text_url(&self, path: &str) -> String {
        self.url_of("raw", path)
    }

    fn url_of(&self, word: &str, path: &str) -> String {
        let kind = match self.kind {
            RepositoryKind::Model => String::new(),
            kind => format!("{}/", kind.name()),
        };
        let (repository, revision) = (&self.repository, percent_encoded(&self.revision, ""));
        format!("{}/{kind}{repository}/{word}/{revision}/{}", self.endpoint, percent_encoded(path, "/"))
    }

    /// What the hub answers with the files in the folder and below it, as JSON. Long answers come in pages: the header
    /// `Link` has the address of the next.
    pub fn listing_url(&self) -> String {
        let (kind, repository) = (self.kind.name(), &self.repository);
        let (revision, folder) = (percent_encoded(&self.revision, ""), percent_encoded(self.folder(), "/"));
        let slash = if folder.is_empty() { "" } else { "/" };
        format!("{}/api/{kind}/{repository}/tree/{revision}{slash}{folder}?recursive=true", self.endpoint)
    }
}

fn no_repository() -> Error {
    Error::new(ErrorKind::BadValue, "the address names no repository")
        .expected_found("hf://OWNER/NAME[@REVISION][/FILE]", "other parts")
        .hint("copy the address of the repository's page")
}

/// The revision in front, and the path behind it.
fn split_revision(parts: &[&str]) -> Result<(String, String)> {
    let length = match parts {
        ["refs", kind, _, ..] if REFS.contains(kind) => 3,
        _ => 1,
    };
    let (revision, path) = parts.split_at(length.min(parts.len()));
    Ok((joined(revision)?, joined(path)?))
}

/// Parts of an address as a path.
fn joined(parts: &[&str]) -> Result<String> {
    let path = percent_decoded(&parts.join("/"));
    match path {
        Some(path) if !path.split('/').any(|part| part == ".." || part == ".") => Ok(path),
        _ => Err(Error::new(ErrorKind::BadValue, "the address has an invalid part")
            .expected_found("plain names, or %XX for other bytes", parts.join("/"))),
    }
}

/// What `%XX` stands for; `None` where that is no text.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

/// Text as it stands in an address; what is in `kept` stays, too.
pub fn percent_encoded(text: &str, kept: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || kept.as_bytes().contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
