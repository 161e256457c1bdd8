//! What the hub lists of a repository.

use std::collections::HashMap;

use bitgauge_core::hub::ListedFile;
use bitgauge_core::{Error, ErrorKind, Result, limits};
use serde::Deserialize;

use super::cache::is_commit;
use super::refusal::refusal;
use crate::http::{self, Ask, Key};

/// Longest listing.
const LISTING_BYTES: u64 = 64 << 20;

/// The files of a commit.
pub(super) struct Listing {
    pub commit: String,
    pub files: Vec<ListedFile>,
    /// What the hub calls each file's content: its SHA-256 in large file storage, else git's hash.
    pub tags: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Info {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

impl Listing {
    /// Reads the hub's description of a revision, with its files.
    ///
    /// # Errors
    /// What the hub says; an answer that is no such description.
    pub fn read(url: &str, key: Option<&Key>) -> Result<Self> {
        let reply = http::ask(url, Ask { key, ..Ask::default() })?;
        if reply.status != 200 {
            return Err(refusal(&reply, key.is_some()));
        }
        let body = reply.into_answer(LISTING_BYTES)?.body;
        let malformed = |found: String| {
            Error::new(ErrorKind::Malformed, "the hub's listing can't be read")
                .within(url)
                .expected_found("a commit and its files with their sizes", found)
        };
        let info: Info = serde_json::from_slice(&body).map_err(|error| malformed(error.to_string()))?;
        if !is_commit(&info.sha) {
            return Err(malformed(format!("a commit called {:?}", info.sha)));
        }
        if info.siblings.len() as u64 > limits::MEMBERS_COUNT {
            return Err(malformed(format!("{} files", info.siblings.len())));
        }
        let (mut files, mut tags) = (Vec::new(), HashMap::new());
        for Sibling { rfilename: path, size, blob_id, lfs } in info.siblings {
            let bytes = lfs.as_ref().map(|lfs| lfs.size).or(size);
            let bytes = bytes.ok_or_else(|| malformed(format!("no size of {path}")))?;
            let sha256 = lfs.map(|lfs| lfs.sha256);
            tags.extend(sha256.clone().or(blob_id).map(|tag| (path.clone(), tag)));
            files.push(ListedFile { path, bytes, sha256 });
        }
        Ok(Self { commit: info.sha, files, tags })
    }
}
