//! One file on another host, read by ranges or in one stream.

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;

use bitgauge_core::{Error, ErrorKind, Result};
use bitgauge_eval::memory::ask;

use super::refusal::refusal;
use crate::http::{self, Ask, Key, Reply};

/// Bytes that the first request asks for: the headers of a packed model of 27 billion parameters take 350 KB.
const BEGINNING_BYTES: u64 = 384 << 10;
/// Bytes handed on at once.
const PIECE_BYTES: usize = 1 << 20;
/// How often a connection may break without a byte between.
const TRIES: u32 = 5;
/// Longest file that is asked for as a whole.
pub(super) const SMALL_BYTES: u64 = 16 << 20;
/// Characters of a SHA-256 in hex.
const SHA256_DIGITS: usize = 64;

/// What is known of a file before it is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    pub length: Option<u64>,
    pub sha256: Option<String>,
    /// The hub's name of the content.
    pub tag: Option<String>,
}

/// A file on another host, which must stay the same from the first answer on.
pub(super) struct RemoteFile {
    /// For messages.
    name: String,
    address: String,
    key: Option<Arc<Key>>,
    /// Whether it is asked for as a whole, which takes one request.
    is_small: bool,
    known: Mutex<Known>,
}

#[derive(Default, Clone)]
struct Known {
    length: Option<u64>,
    sha256: Option<String>,
    /// ETag, else the time of the last change, of what gives the bytes.
    version: Option<String>,
    /// Where redirects led last time.
    direct: Option<String>,
    /// The hub's own name of the content, and the commit that it answered for.
    tag: Option<String>,
    commit: Option<String>,
    /// A small file's bytes.
    whole: Option<Arc<Vec<u8>>>,
}

/// Why something could not be read.
enum Trouble {
    /// Another try may do.
    Passing(Error),
    Lasting(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        if error.kind == ErrorKind::Io { Self::Passing(error) } else { Self::Lasting(error) }
    }
}

impl RemoteFile {
    pub fn new(name: String, address: String, key: Option<Arc<Key>>, expected: Expected) -> Self {
        let Expected { length, sha256, tag } = expected;
        let known = Known { length, sha256, tag, ..Known::default() };
        Self { name, address, key, is_small: false, known: Mutex::new(known) }
    }

    /// The same for a file that its host gives as a whole.
    pub fn small(self) -> Self {
        Self { is_small: true, ..self }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its bytes, once the host or a listing told them.
    pub fn length(&self) -> u64 {
        self.known().length.unwrap_or_default()
    }

    /// SHA-256 in hex, where the host tells it.
    pub fn sha256(&self) -> Option<String> {
        self.known().sha256.clone()
    }

    /// The hub's name of the content.
    pub fn tag(&self) -> Option<String> {
        self.known().tag.clone()
    }

    /// The commit that the hub answered for.
    pub fn commit(&self) -> Option<String> {
        self.known().commit.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first bytes, as many as are worth a request; with them the length is known.
    ///
    /// # Errors
    /// What the host says, and one that does not tell the length or gives no ranges.
    pub fn begin(&self) -> Result<Vec<u8>> {
        self.persist(|| {
            let reply = self.request(0, Some(BEGINNING_BYTES))?;
            let len = self.length().min(BEGINNING_BYTES);
            // A host without ranges would be asked for the whole again and again.
            if reply.status == 200 && self.length() > len {
                return Err(Trouble::Lasting(self.no_ranges()));
            }
            let mut bytes = vec![0; len as usize];
            self.fill(reply, &mut bytes)?;
            Ok(bytes)
        })
    }

    /// Fills `out` from byte `first` on, by a request of its own.
    ///
    /// # Errors
    /// What the host says, a file that changed.
    pub fn read(&self, first: u64, out: &mut [u8]) -> Result<()> {
        if self.is_small {
            let whole = self.whole()?;
            let start = usize::try_from(first).unwrap_or(usize::MAX);
            let bytes = whole.get(start..).and_then(|rest| rest.get(..out.len()));
            out.copy_from_slice(bytes.ok_or_else(|| self.changed("its length", whole.len(), "another"))?);
            return Ok(());
        }
        self.persist(|| {
            let reply = self.request(first, Some(first + out.len() as u64))?;
            self.fill(reply, out)
        })
    }

    /// Hands the bytes from `first` on to `sink`, in pieces of at most 1 MiB. Goes on where it was when a connection
    /// breaks.
    ///
    /// # Errors
    /// What the host says, a file that changed, connections that break without a byte; those of `sink`.
    pub fn stream(&self, first: u64, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let Some(whole) = self.known().whole.clone() {
            return sink(whole.get(first as usize..).unwrap_or_default());
        }
        let (mut position, mut breaks) = (first, 0);
        let mut piece = vec![0; PIECE_BYTES];
        while position < self.length() {
            let before = position;
            let trouble = match self.request(position, None) {
                Err(trouble) => trouble,
                Ok(reply) => {
                    let broken = self.pass_on(reply, &mut position, &mut piece, sink)?;
                    if position == self.length() {
                        break;
                    }
                    Trouble::Passing(broken)
                }
            };
            breaks = if position > before { 0 } else { breaks + 1 };
            match trouble {
                Trouble::Lasting(error) => return Err(error),
                Trouble::Passing(error) if breaks == TRIES => return Err(error.at(position)),
                Trouble::Passing(_) => sleep(http::pause(breaks)),
            }
        }
        Ok(())
    }

    /// Hands on what comes of an answer. Gives the reason why it ended.
    fn pass_on(
        &self,
        reply: Reply,
        position: &mut u64,
        piece: &mut [u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Error> {
        let url = reply.url.clone();
        let mut body = reply.reader().take(self.length() - *position);
        loop {
            let (mut filled, mut end) = (0, None);
            while filled < piece.len() && end.is_none() {
                match body.read(&mut piece[filled..]) {
                    Ok(0) => end = Some(http::fault(&url, &"the connection ended early")),
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => end = Some(http::fault(&url, &error)),
                }
            }
            sink(&piece[..filled])?;
            *position += filled as u64;
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    /// A small file's bytes.
    fn whole(&self) -> Result<Arc<Vec<u8>>> {
        if let Some(whole) = &self.known().whole {
            return Ok(Arc::clone(whole));
        }
        let whole = self.persist(|| {
            let reply = self.request(0, None)?;
            let mut bytes = Vec::new();
            // At most SMALL_BYTES.
            let length = self.length() as usize;
            ask(|| bytes.try_reserve_exact(length)).map_err(|_| Error::no_memory("a file", length as u64))?;
            bytes.resize(length, 0);
            self.fill(reply, &mut bytes)?;
            Ok(Arc::new(bytes))
        })?;
        self.known().whole = Some(Arc::clone(&whole));
        Ok(whole)
    }

    fn fill(&self, reply: Reply, out: &mut [u8]) -> Result<(), Trouble> {
        let url = reply.url.clone();
        let mut body = reply.reader();
        body.read_exact(out).map_err(|error| Trouble::Passing(http::fault(&url, &error)))?;
        // An answer that was read to its end leaves its connection to the next request.
        let _ = body.read(&mut [0]);
        Ok(())
    }

    /// Tries until it is done or there is no hope.
    fn persist<T>(&self, mut attempt: impl FnMut() -> Result<T, Trouble>) -> Result<T> {
        let mut tries = 0;
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(Trouble::Lasting(error)) => return Err(error),
                Err(Trouble::Passing(error)) if tries + 1 == TRIES => return Err(error),
                Err(Trouble::Passing(_)) => {
                    sleep(http::pause(tries));
                    tries += 1;
                }
            }
        }
    }

    /// Asks for the bytes from `first` to before `end`. What comes belongs to the file that was seen first.
    fn request(&self, first: u64, end: Option<u64>) -> Result<Reply, Trouble> {
        let Known { direct, version, .. } = self.known().clone();
        let range = (!self.is_small || first > 0).then_some((first, end));
        let of_version = version.as_deref().filter(|version| version.starts_with('"'));
        let ask = Ask { range, of_version, key: self.key.as_deref() };
        let mut reply = http::ask(direct.as_deref().unwrap_or(&self.address), ask)?;
        if direct.is_some() && matches!(reply.status, 400 | 401 | 403 | 404 | 410) {
            // Signed addresses are good for a while only.
            self.known().direct = None;
            reply = http::ask(&self.address, ask)?;
        }
        let begins_there = match reply.status {
            206 => reply.header("content-range").and_then(first_of_range) == Some(first),
            200 => first == 0,
            416 if self.known().length.is_some_and(|length| first < length) => {
                return Err(Trouble::Lasting(self.changed("its length", self.length(), "less")));
            }
            416 if first == 0 => true,
            _ => return Err(Trouble::Lasting(refusal(&reply, self.key.is_some()))),
        };
        self.note(&reply).map_err(Trouble::Lasting)?;
        if !begins_there {
            return Err(Trouble::Lasting(self.no_ranges()));
        }
        Ok(reply)
    }

    /// Compares what an answer says of the file with what is known, and notes what is new.
    fn note(&self, reply: &Reply) -> Result<()> {
        let mut known = self.known();
        let of_range = || reply.header("content-range")?.rsplit_once('/')?.1.parse().ok();
        let length = if reply.status == 200 { reply.length() } else { of_range() };
        let linked = reply.first_header("x-linked-size").and_then(|size| size.parse::<u64>().ok());
        let Some(length) = length else {
            return Err(Error::new(ErrorKind::Unsupported, "the host does not say how long the file is")
                .within(&self.address)
                .expected_found("a length", "none")
                .hint("download the file and name it"));
        };
        if let Some(other) = linked.into_iter().chain(known.length).find(|other| *other != length) {
            return Err(self.changed("its length", other, length));
        }
        let tag = reply.first_header("x-linked-etag").or(reply.first_header("etag")).map(plain_tag);
        let sha256 = reply.first_header("x-linked-etag").map(plain_tag).filter(|tag| is_sha256(tag));
        if let (Some(known), Some(now)) = (&known.sha256, &sha256)
            && known != now
        {
            return Err(self.changed("its hash", known, now));
        }
        let version = reply.header("etag").or(reply.header("last-modified")).map(str::to_owned);
        if let (Some(known), Some(now)) = (&known.version, &version)
            && known != now
        {
            return Err(self.changed("its version", known, now));
        }
        let commit = reply.first_header("x-repo-commit").map(str::to_owned);
        known.length = Some(length);
        known.sha256 = known.sha256.take().or(sha256);
        known.version = known.version.take().or(version);
        known.tag = known.tag.take().or(tag);
        known.commit = known.commit.take().or(commit);
        known.direct = (reply.url != self.address).then(|| reply.url.clone());
        Ok(())
    }

    fn changed(&self, what: &str, before: impl std::fmt::Display, now: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::Malformed, "the file on the host changed while it was read")
            .within(&self.address)
            .expected_found(format!("{what}: {before}"), now)
            .hint("try again; an address that names a commit does not change")
    }

    fn no_ranges(&self) -> Error {
        Error::new(ErrorKind::Unsupported, "the host gives no part of the file")
            .within(&self.address)
            .expected_found("the bytes of a range", "the whole file")
            .hint("download the file and name it")
    }
}

/// The first byte that a Content-Range names.
fn first_of_range(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// An ETag without its quotes and its mark of weakness.
fn plain_tag(tag: &str) -> String {
    tag.trim_start_matches("W/").trim_matches('"').to_owned()
}

/// Whether a text is a SHA-256 in hex.
pub(super) fn is_sha256(tag: &str) -> bool {
    tag.len() == SHA256_DIGITS && tag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
