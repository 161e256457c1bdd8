//! A hub on this machine: lists repositories, redirects large files to another port, gives ranges, and misbehaves
//! where it is told to. It remembers every request.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use bitgauge_core::scan::{Digest, Sha256, hex};
use serde_json::{Value, json};

/// The commit that the branch `main` is.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// The only token that opens private repositories.
pub const TOKEN: &str = "hf_secretOfTheTest";
/// How long a wave of requests is waited for, before the test fails.
const WAVE_TIMEOUT: Duration = Duration::from_secs(60);

/// A file of a repository; only what is not zero is held.
#[derive(Clone)]
pub struct Content {
    beginning: Vec<u8>,
    length: u64,
    end: Vec<u8>,
    /// Whether it is in large file storage.
    is_large: bool,
}

impl Content {
    pub fn small(bytes: impl Into<Vec<u8>>) -> Self {
        Self { is_large: false, ..Self::large(bytes) }
    }

    pub fn large(bytes: impl Into<Vec<u8>>) -> Self {
        let beginning = bytes.into();
        Self { length: beginning.len() as u64, beginning, end: Vec::new(), is_large: true }
    }

    /// `length` bytes that begin and end like this, with zeros between.
    pub fn hollow(beginning: Vec<u8>, length: u64, end: Vec<u8>) -> Self {
        Self { beginning, length, end, is_large: true }
    }

    /// With more bytes at the end.
    pub fn with(&self, more: &[u8]) -> Self {
        let bytes = [&self.beginning[..], more].concat();
        Self { length: bytes.len() as u64, beginning: bytes, ..self.clone() }
    }

    fn range(&self, first: u64, end: u64) -> Vec<u8> {
        let end_begins = self.length - self.end.len() as u64;
        let byte = |at: u64| {
            let of_end = at.checked_sub(end_begins).and_then(|at| self.end.get(at as usize));
            of_end.or(self.beginning.get(at as usize)).copied().unwrap_or(0)
        };
        if first == 0 && end == self.length && self.end.is_empty() && self.beginning.len() as u64 == end {
            return self.beginning.clone();
        }
        (first..end).map(byte).collect()
    }

    /// What its content is called: SHA-256, or some other hash where it is not large.
    fn tag(&self) -> String {
        let hash = Sha256::new().chain_update(self.length.to_le_bytes());
        let hash = if self.beginning.len() as u64 == self.length {
            Sha256::new().chain_update(&self.beginning)
        } else {
            hash.chain_update(&self.beginning).chain_update(&self.end)
        };
        let hash = hex(hash);
        if self.is_large { hash } else { hash[..40].to_owned() }
    }
}

/// A request, and what was answered.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Whether the host of large files was asked, not the hub.
    pub is_storage: bool,
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
    /// Bytes of the body.
    pub bytes: u64,
}

/// What the hub does that a hub had better not.
#[derive(Default)]
pub struct Faults {
    /// Breaks the connection after so many bytes of a body of large files; how often.
    pub breaks: Option<(u64, u32)>,
    /// Answers so many requests with 429 and this Retry-After.
    pub busy: (u32, &'static str),
    /// After so many requests for large files each is another file.
    pub changes_after: Option<u32>,
    /// Gives large files as a whole only.
    pub no_ranges: bool,
    /// Tells another hash of large files.
    pub wrong_hash: bool,
    /// Signed addresses are good for so many requests only.
    pub expires_after: Option<u32>,
    /// Repositories are private, or gated.
    pub private: bool,
    pub gated: bool,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Content>,
    faults: Faults,
    seen: Vec<Seen>,
    /// Requests for large files, and for each signed address.
    storage_requests: u32,
    signatures: HashMap<String, u32>,
    /// Sizes of waves in which requests must come, and how many of the current one are there.
    waves: Vec<usize>,
    waiting: usize,
    is_late: bool,
}

/// The hub; it ends with the process.
pub struct Hub {
    /// Its address, without a slash at the end.
    pub address: String,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    wave: Condvar,
    storage: String,
}

impl Hub {
    /// A hub with the repository `owner/model`.
    pub fn start(files: Vec<(&str, Content)>) -> Self {
        let [hub, storage] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let address =
            |listener: &TcpListener| format!("http://{}", listener.local_addr().expect("an address"));
        let files = files.into_iter().map(|(name, content)| (name.to_owned(), content)).collect();
        let state = Mutex::new(State { files, ..State::default() });
        let shared = Arc::new(Shared { state, wave: Condvar::new(), storage: address(&storage) });
        let address = address(&hub);
        for (listener, is_storage) in [(hub, false), (storage, true)] {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let shared = Arc::clone(&shared);
                    // A client that has gone needs no answer.
                    std::thread::spawn(move || serve(stream, is_storage, &shared));
                }
            });
        }
        Self { address, shared }
    }

    pub fn put(&self, name: &str, content: Content) {
        self.state().files.insert(name.to_owned(), content);
    }

    pub fn fault(&self, faults: Faults) {
        let mut state = self.state();
        state.storage_requests = 0;
        state.faults = faults;
    }

    /// From here on requests must come in waves of these sizes: each is answered when all of it are there.
    pub fn expect_waves(&self, waves: &[usize]) {
        self.state().waves = waves.iter().rev().copied().collect();
    }

    /// Whether all waves came.
    pub fn came_in_waves(&self) -> bool {
        let state = self.state();
        state.waves.is_empty() && !state.is_late
    }

    /// The requests since the last call.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("the state")
    }
}

/// An answer: status, headers, body.
struct Answer(u16, Vec<(&'static str, String)>, Vec<u8>);

fn serve(stream: TcpStream, is_storage: bool, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read_request(&mut reader)? {
        let header = |name: &str| request.headers.get(name).cloned();
        wait_for_wave(shared);
        let is_head = request.is_head;
        let (answer, cut) = {
            let mut state = shared.state.lock().expect("the state");
            let answer = answer(&mut state, &request, is_storage, &shared.storage);
            let mut cut = None;
            if let Some((after, times)) = state
                .faults
                .breaks
                .filter(|(after, times)| is_storage && *times > 0 && answer.2.len() as u64 > *after)
            {
                state.faults.breaks = Some((after, times - 1));
                cut = Some(after as usize);
            }
            state.seen.push(Seen {
                is_storage,
                path: request.path.clone(),
                range: header("range"),
                authorization: header("authorization"),
                bytes: if is_head { 0 } else { cut.unwrap_or(answer.2.len()) as u64 },
            });
            (answer, cut)
        };
        let Answer(status, headers, body) = answer;
        let mut head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = &stream;
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        if !is_head {
            stream.write_all(&body[..cut.unwrap_or(body.len())])?;
        }
        if cut.is_some() {
            return stream.shutdown(std::net::Shutdown::Both);
        }
    }
    Ok(())
}

/// Holds a request until all of its wave are there.
fn wait_for_wave(shared: &Shared) {
    let mut state = shared.state.lock().expect("the state");
    let Some(&size) = state.waves.last() else { return };
    state.waiting += 1;
    if state.waiting == size {
        state.waiting = 0;
        state.waves.pop();
        shared.wave.notify_all();
        return;
    }
    let waves = state.waves.len();
    let (mut state, timeout) = shared
        .wave
        .wait_timeout_while(state, WAVE_TIMEOUT, |state| state.waves.len() == waves)
        .expect("the state");
    state.is_late |= timeout.timed_out();
}

struct Request {
    is_head: bool,
    path: String,
    headers: HashMap<String, String>,
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let is_head = line.starts_with("HEAD ");
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            return Ok(Some(Request { is_head, path, headers }));
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
}

fn answer(state: &mut State, request: &Request, is_storage: bool, storage: &str) -> Answer {
    if state.faults.busy.0 > 0 {
        state.faults.busy.0 -= 1;
        return Answer(429, vec![("retry-after", state.faults.busy.1.to_owned())], Vec::new());
    }
    if is_storage { of_storage(state, request) } else { of_hub(state, request, storage) }
}

fn refused(status: u16, code: &str) -> Answer {
    Answer(status, vec![("x-error-code", code.to_owned())], b"refused".to_vec())
}

fn of_hub(state: &mut State, request: &Request, storage: &str) -> Answer {
    let is_known = request.headers.get("authorization").is_some_and(|key| *key == format!("Bearer {TOKEN}"));
    if state.faults.private && !is_known {
        return refused(401, "RepoNotFound");
    }
    if state.faults.gated {
        return refused(403, "GatedRepo");
    }
    let path = request.path.split('?').next().unwrap_or_default();
    let is_revision = |revision: &str| revision == "main" || revision == COMMIT;
    if let Some(revision) = path.strip_prefix("/api/models/owner/model/revision/") {
        return if is_revision(revision) { listing(state) } else { refused(404, "RevisionNotFound") };
    }
    if let Some(tag) = path.strip_prefix("/api/resolve-cache/") {
        let content = state.files.values().find(|content| content.tag() == tag);
        return content.map_or(refused(404, "EntryNotFound"), |content| whole(content, Vec::new()));
    }
    let parts = path.strip_prefix("/owner/model/").and_then(|rest| rest.split_once('/'));
    let Some((verb, (revision, name))) = parts.and_then(|(verb, rest)| Some((verb, rest.split_once('/')?)))
    else {
        return refused(404, "RepoNotFound");
    };
    if !is_revision(revision) {
        return refused(404, "RevisionNotFound");
    }
    let Some(content) = state.files.get(name) else { return refused(404, "EntryNotFound") };
    let tag = content.tag();
    let commit = ("x-repo-commit", COMMIT.to_owned());
    match (verb, content.is_large) {
        ("raw", false) => whole(content, vec![commit]),
        ("resolve", false) => {
            let headers = vec![
                commit,
                ("etag", format!("\"{tag}\"")),
                ("location", format!("/api/resolve-cache/{tag}")),
            ];
            Answer(307, headers, Vec::new())
        }
        ("resolve", true) => {
            let told =
                if state.faults.wrong_hash { tag.replace(['0', '1', '2', '3'], "f") } else { tag.clone() };
            let number = state.signatures.len();
            let location = format!("{storage}/{name}?signature={number}");
            state.signatures.insert(number.to_string(), 0);
            let headers = vec![
                commit,
                ("x-linked-size", content.length.to_string()),
                ("x-linked-etag", format!("\"{told}\"")),
                ("location", location),
            ];
            Answer(302, headers, b"Found. Redirecting".to_vec())
        }
        _ => refused(404, "EntryNotFound"),
    }
}

fn whole(content: &Content, mut headers: Vec<(&'static str, String)>) -> Answer {
    headers.push(("etag", format!("\"{}\"", content.tag())));
    Answer(200, headers, content.range(0, content.length))
}

fn listing(state: &State) -> Answer {
    let file = |(name, content): (&String, &Content)| -> Value {
        let tag = content.tag();
        let mut file = json!({ "rfilename": name, "size": content.length, "blobId": tag[..40] });
        if content.is_large {
            file["lfs"] = json!({ "sha256": tag, "size": content.length, "pointerSize": 135 });
        }
        file
    };
    let siblings: Vec<Value> = state.files.iter().map(file).collect();
    let info = json!({ "id": "owner/model", "sha": COMMIT, "siblings": siblings });
    Answer(200, Vec::new(), info.to_string().into_bytes())
}

fn of_storage(state: &mut State, request: &Request) -> Answer {
    state.storage_requests += 1;
    let (path, signature) = request.path.split_once("?signature=").unwrap_or((&request.path, ""));
    let uses = state.signatures.entry(signature.to_owned()).or_default();
    *uses += 1;
    if state.faults.expires_after.is_some_and(|most| *uses > most) {
        return Answer(403, Vec::new(), b"expired".to_vec());
    }
    let Some(content) = state.files.get(path.trim_start_matches('/')) else {
        return refused(404, "NoSuchKey");
    };
    let is_changed = state.faults.changes_after.is_some_and(|most| state.storage_requests > most);
    let version = format!("\"{}{}\"", content.tag(), if is_changed { "-2" } else { "" });
    let headers = vec![("etag", version.clone()), ("accept-ranges", "bytes".to_owned())];
    let range = request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let is_same = request.headers.get("if-range").is_none_or(|wanted| *wanted == version);
    let Some((first, last)) = range.filter(|_| is_same && !state.faults.no_ranges) else {
        return Answer(200, headers, content.range(0, content.length));
    };
    let first: u64 = first.parse().expect("a range");
    let end = last.parse::<u64>().map_or(content.length, |last| (last + 1).min(content.length));
    if first >= content.length {
        return Answer(416, vec![("content-range", format!("bytes */{}", content.length))], Vec::new());
    }
    let mut body = content.range(first, end);
    if is_changed {
        body.iter_mut().for_each(|byte| *byte ^= 1);
    }
    let content_range = ("content-range", format!("bytes {first}-{}/{}", end - 1, content.length));
    Answer(206, [headers, vec![content_range]].concat(), body)
}
