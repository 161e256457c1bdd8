//! Addresses of artifacts on other hosts, as people write them.

use bitgauge_core::{Error, ErrorKind, Result};

/// Where the hub is unless HF_ENDPOINT says otherwise.
pub(super) const HUB: &str = "https://huggingface.co";
/// The hub's own hosts.
const HUB_HOSTS: [&str; 3] = [HUB, "https://www.huggingface.co", "https://hf.co"];
/// The revision that is meant where none is named.
const MAIN: &str = "main";
/// What can stand in the place of an owner without being one.
const NO_OWNERS: [&str; 8] =
    ["api", "collections", "datasets", "docs", "models", "organizations", "papers", "spaces"];

/// What an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// One file of any host.
    File(String),
    /// What lies in a repository of models.
    Repository(InRepository),
}

/// A file or a folder of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InRepository {
    /// `OWNER/REPO`.
    pub id: String,
    /// A branch, a tag or a commit.
    pub revision: String,
    pub place: Place,
}

/// What is meant of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(String),
    /// All that is below a folder; the root is `""`.
    Folder(String),
}

impl Address {
    /// Reads an address; the hub is at `endpoint`.
    ///
    /// # Errors
    /// One of the hub that names no repository of models, or an unsafe name.
    pub fn parse(text: &str, endpoint: &str) -> Result<Self> {
        let text = text.split('#').next().unwrap_or_default();
        if let Some(rest) = text.strip_prefix("hf://") {
            return short(rest).map(Self::Repository).ok_or_else(|| not_understood(text));
        }
        let hosts = HUB_HOSTS.iter().copied().chain([endpoint]);
        let below = hosts
            .filter_map(|host| text.strip_prefix(host))
            .find(|rest| rest.is_empty() || rest.starts_with('/'));
        let Some(path) = below else { return Ok(Self::File(text.to_owned())) };
        let path = path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if matches!(parts.as_slice(), ["datasets" | "spaces", _, _, "blob" | "resolve", _, _, ..]) {
            // No model, but a file that can be read.
            return Ok(Self::File(format!(
                "{endpoint}/{}",
                parts.join("/").replacen("/blob/", "/resolve/", 1)
            )));
        }
        page(&parts).map(Self::Repository).ok_or_else(|| not_understood(text))
    }
}

/// `OWNER/REPO[@REVISION][/FILE]`.
fn short(rest: &str) -> Option<InRepository> {
    let rest = rest.trim_end_matches('/');
    let (owner, rest) = rest.split_once('/')?;
    let (repository, rest) =
        rest.split_once(['@', '/']).map_or((rest, ""), |(name, _)| (name, &rest[name.len()..]));
    let (revision, file) = match rest.strip_prefix('@') {
        None => (MAIN.to_owned(), rest.trim_start_matches('/')),
        Some(rest) => {
            let (first, after) = rest.split_once('/').unwrap_or((rest, ""));
            // refs/pr/1 and refs/convert/NAME are revisions with slashes of their own.
            let mut parts = after.splitn(3, '/');
            match (first, parts.next(), parts.next()) {
                ("refs", Some(kind), Some(name)) => {
                    (format!("refs/{kind}/{name}"), parts.next().unwrap_or(""))
                }
                _ => (decoded(first)?, after),
            }
        }
    };
    let place = if file.is_empty() { Place::Folder(String::new()) } else { Place::File(file.to_owned()) };
    in_repository(owner, repository, revision, place)
}

/// The path of one of the hub's pages.
fn page(parts: &[&str]) -> Option<InRepository> {
    let (&[owner, repository], rest) = parts.split_first_chunk()?;
    let path = |parts: &[&str]| decoded(&parts.join("/"));
    let (revision, place) = match rest {
        [] => (MAIN.to_owned(), Place::Folder(String::new())),
        ["tree", revision, folder @ ..] => (decoded(revision)?, Place::Folder(path(folder)?)),
        ["blob" | "resolve" | "raw", revision, first, ..] => {
            let file = if first.is_empty() { return None } else { path(&rest[2..])? };
            (decoded(revision)?, Place::File(file))
        }
        _ => return None,
    };
    in_repository(owner, repository, revision, place)
}

fn in_repository(owner: &str, repository: &str, revision: String, place: Place) -> Option<InRepository> {
    let is_name = |name: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        !name.is_empty() && name.bytes().all(known) && !name.starts_with('.')
    };
    let (Place::File(path) | Place::Folder(path)) = &place;
    let is_whole = is_name(owner) && is_name(repository) && !NO_OWNERS.contains(&owner);
    let is_safe = is_safe(&revision) && (path.is_empty() || is_safe(path));
    (is_whole && is_safe).then(|| InRepository { id: format!("{owner}/{repository}"), revision, place })
}

/// Whether a `/`-separated path stays below where it begins.
pub(super) fn is_safe(path: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.split('/').all(is_part) && !path.contains(['\\', '\0', ':'])
}

fn not_understood(text: &str) -> Error {
    Error::new(ErrorKind::BadValue, "the address names no model of the hub").within(text).expected_found(
        "hf://OWNER/REPO[@REVISION][/FILE], https://huggingface.co/OWNER/REPO, or its /tree/REVISION, \
             /blob/REVISION/FILE or /resolve/REVISION/FILE",
        "another address",
    )
}

/// A path for an address: what has a meaning there is written as `%XX`; slashes stay.
pub(super) fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                text.push(byte.into())
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// What `%XX` stand for; nothing where they stand for no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address> {
        Address::parse(text, "http://127.0.0.1:7")
    }

    #[test]
    fn addresses_of_the_hub_name_a_repository_a_revision_and_a_place() {
        let file = |name: &str| Place::File(name.to_owned());
        let folder = |name: &str| Place::Folder(name.to_owned());
        for (text, revision, place) in [
            ("hf://o/r", "main", folder("")),
            ("hf://o/r/", "main", folder("")),
            ("hf://o/r@v1.0", "v1.0", folder("")),
            ("hf://o/r/a/m.zip", "main", file("a/m.zip")),
            ("hf://o/r@refs/pr/1/m.zip", "refs/pr/1", file("m.zip")),
            ("hf://o/r@refs%2Fpr%2F1/m.zip", "refs/pr/1", file("m.zip")),
            ("https://huggingface.co/o/r", "main", folder("")),
            ("https://hf.co/o/r/tree/main/sub/", "main", folder("sub")),
            ("https://huggingface.co/o/r/tree/dev?x=1#y", "dev", folder("")),
            ("https://huggingface.co/o/r/blob/dev/m%20x.zip", "dev", file("m x.zip")),
            (
                "https://huggingface.co/o/r/resolve/refs%2Fpr%2F1/a/m.zip?download=true",
                "refs/pr/1",
                file("a/m.zip"),
            ),
            ("http://127.0.0.1:7/o/r/resolve/main/m.zip", "main", file("m.zip")),
        ] {
            let wanted = InRepository { id: "o/r".into(), revision: revision.into(), place };
            assert_eq!(parse(text), Ok(Address::Repository(wanted)), "{text}");
        }
    }

    #[test]
    fn what_names_no_repository_is_another_file_or_refused() {
        for other in
            ["https://example.org/m.zip", "https://huggingface.co.evil.org/o/r", "https://hf.com/o/r"]
        {
            assert_eq!(parse(other), Ok(Address::File(other.to_owned())));
        }
        let data = parse("https://huggingface.co/datasets/o/d/blob/main/m.zip");
        assert_eq!(data, Ok(Address::File("http://127.0.0.1:7/datasets/o/d/resolve/main/m.zip".to_owned())));
        for bad in [
            "hf://",
            "hf://o",
            "hf://o/",
            "hf://datasets/o",
            "hf://o/r/../x",
            "hf://o/r@../x",
            "hf://../r",
            "hf://o/r@/x",
            "https://huggingface.co/o",
            "https://huggingface.co/o/r/commits/main",
            "https://huggingface.co/o/r/blob/main",
            "https://huggingface.co/o/r/blob/main/%2e%2e/x",
            "https://huggingface.co/models/x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_come_back_from_addresses() {
        for name in ["m.zip", "a/b c%20#?é.safetensors", "100%"] {
            assert_eq!(decoded(&encoded(name)).as_deref(), Some(name));
        }
        assert_eq!(encoded("a b"), "a%20b");
        assert_eq!(decoded("%ff"), None);
    }
}
