//! Files on another host, read by range requests from a worker.

use std::cell::{Cell, RefCell};
use std::fmt::Display;

use bitgauge_core::container::{Need, READ_AHEAD_BYTES, Window};
use bitgauge_core::{Error, ErrorKind, Result};
use js_sys::{Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DedicatedWorkerGlobalScope, ReadableStream, ReferrerPolicy, RequestCredentials, RequestInit, Response,
};

use crate::address::refusal;
use crate::files::browser_error;
use crate::protocol::{Event, RemoteFile};

/// Bytes asked for first, of all files with tensors together: the end of most headers lies among them.
const HEAD_BYTES: u64 = 384 << 10;
/// Fewest bytes of a later request: a round trip costs more than they do.
const LEAST_BYTES: u64 = 16 << 10;
const PARTIAL_CONTENT: u16 = 206;

thread_local! {
    /// Range requests made, and bytes that came.
    static FETCHED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// How little was fetched.
pub fn fetched() -> Event {
    let (requests, bytes) = FETCHED.get();
    Event::Fetched { requests, bytes }
}

/// A file, whose length is known.
struct File {
    url: String,
    /// Where that led, which saves a later request the way.
    direct: RefCell<Option<String>>,
    len: u64,
}

/// The files.
pub struct Remote(Vec<File>);

impl Remote {
    /// Files and what is known of them. One whose length is not known is asked for its beginning.
    ///
    /// # Errors
    /// A host that does not answer, or does not say how long a file is.
    pub async fn open(files: Vec<RemoteFile>) -> Result<(Self, Window)> {
        let (mut opened, mut names, mut beginnings) = (Vec::new(), Vec::new(), Vec::new());
        for RemoteFile { path, url, bytes } in files {
            let mut file = File { url, direct: RefCell::default(), len: bytes.unwrap_or_default() };
            let first = match bytes {
                Some(_) => None,
                None => Some(file.begin().await.map_err(|error| error.within(&path))?),
            };
            names.push((path, file.len));
            beginnings.push(first);
            opened.push(file);
        }
        let mut window = Window::new(names);
        for (file, first) in beginnings.into_iter().enumerate() {
            first.map_or(Ok(()), |first| window.feed(file, 0, first))?;
        }
        Ok((Self(opened), window))
    }

    /// The length of each file in bytes.
    pub fn lengths(&self) -> Vec<u64> {
        self.0.iter().map(|file| file.len).collect()
    }

    /// Feeds what is needed, and more where more costs nothing. All of it is asked for at once.
    ///
    /// # Errors
    /// A host that does not answer, or with other bytes.
    pub async fn feed(&self, window: &mut Window, needs: Vec<Need>) -> Result<()> {
        let is_head = |need: &Need| need.offset == 0 && need.len == READ_AHEAD_BYTES;
        let heads = needs.iter().filter(|need| is_head(need)).count().max(1) as u64;
        let asked = needs.into_iter().map(|need| {
            let least = if is_head(&need) { HEAD_BYTES / heads } else { LEAST_BYTES };
            let need = Need { len: need.len.max(least).min(self.0[need.file].len - need.offset), ..need };
            (need, self.ask(need))
        });
        for (need, answer) in asked.collect::<Vec<_>>() {
            let bytes = self.answer(need, answer).await;
            let bytes = bytes.map_err(|error| error.within(window.name(need.file)))?;
            window.feed(need.file, need.offset, bytes)?;
        }
        Ok(())
    }

    /// The bytes of a need: their offset, and the bytes.
    ///
    /// # Errors
    /// A host that does not answer, or with other bytes.
    pub async fn range(&self, need: Need) -> Result<(u64, Vec<u8>)> {
        Ok((need.offset, self.answer(need, self.ask(need)).await?))
    }

    /// All bytes of a file, as they come.
    ///
    /// # Errors
    /// A host that does not answer.
    pub async fn stream(&self, file: usize) -> Result<ReadableStream> {
        // By its lasting address: the direct one may have run out since.
        checked(request(&self.0[file].url, None)?).await?.body().ok_or_else(no_ranges)
    }

    /// `len` bytes of a file at an offset, as they come.
    ///
    /// # Errors
    /// A host that does not answer, or sends whole files only.
    pub async fn stream_range(&self, need: Need) -> Result<ReadableStream> {
        let response = checked(self.ask(need)?).await?;
        let is_part = response.status() == PARTIAL_CONTENT || need.len == self.0[need.file].len;
        is_part.then(|| response.body()).flatten().ok_or_else(no_ranges)
    }

    fn ask(&self, need: Need) -> Result<Promise> {
        let File { url, direct, .. } = &self.0[need.file];
        request(direct.borrow().as_ref().unwrap_or(url), Some((need.offset, need.len)))
    }

    async fn answer(&self, need: Need, asked: Result<Promise>) -> Result<Vec<u8>> {
        let file = &self.0[need.file];
        let response = checked(asked?).await?;
        if response.status() != PARTIAL_CONTENT && need.len < file.len {
            return Err(no_ranges());
        }
        if let Some(total) = total(&response).filter(|&total| total != file.len) {
            return Err(replaced(format!("a file of {} bytes", file.len), format!("one of {total}")));
        }
        file.lead_on(&response);
        let bytes = body(&response).await?;
        if bytes.len() as u64 != need.len {
            return Err(replaced(format!("{} bytes", need.len), bytes.len()));
        }
        Ok(bytes)
    }
}

impl File {
    /// Asks for the beginning: learns the length, and gives the first bytes.
    async fn begin(&mut self) -> Result<Vec<u8>> {
        let response = checked(request(&self.url, Some((0, HEAD_BYTES)))?).await?;
        self.len = match total(&response) {
            Some(len) => len,
            None if response.status() == PARTIAL_CONTENT => length_by_head(&self.url).await?,
            None => return Err(no_ranges()),
        };
        self.lead_on(&response);
        let first = body(&response).await?;
        let expected = self.len.min(HEAD_BYTES);
        if first.len() as u64 != expected {
            return Err(replaced(format!("{expected} bytes"), first.len()));
        }
        Ok(first)
    }

    /// Asks where the host led to from now on.
    fn lead_on(&self, response: &Response) {
        if response.redirected() {
            self.direct.replace(Some(response.url()));
        }
    }
}

/// Requests `len` bytes at an offset, or everything.
fn request(url: &str, range: Option<(u64, u64)>) -> Result<Promise> {
    let init = RequestInit::new();
    if let Some((offset, len)) = range {
        // `bytes=a-b` needs no leave from the host beforehand, `bytes=-n` would.
        let headers = Object::new();
        let range = format!("bytes={offset}-{}", offset + len - 1);
        Reflect::set(&headers, &"Range".into(), &range.into()).map_err(|e| unreachable_host(&e))?;
        init.set_headers(&headers);
    }
    Ok(send(url, &init))
}

fn send(url: &str, init: &RequestInit) -> Promise {
    init.set_credentials(RequestCredentials::Omit);
    init.set_referrer_policy(ReferrerPolicy::NoReferrer);
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    scope.fetch_with_str_and_init(url, init).unchecked_into()
}

/// The answer, where it is none of an error.
async fn checked(asked: Promise) -> Result<Response> {
    let response: Response =
        JsFuture::from(asked).await.map_err(|error| unreachable_host(&error))?.unchecked_into();
    if response.ok() { Ok(response) } else { Err(refusal(response.status(), &response.status_text())) }
}

async fn body(response: &Response) -> Result<Vec<u8>> {
    let buffer = response.array_buffer().map_err(|error| unreachable_host(&error))?;
    let buffer = JsFuture::from(buffer).await.map_err(|error| unreachable_host(&error))?;
    let bytes = Uint8Array::new(&buffer).to_vec();
    let (requests, before) = FETCHED.get();
    FETCHED.set((requests + 1, before + bytes.len() as u64));
    Ok(bytes)
}

/// The file's length from `Content-Range: bytes 0-9/1234`.
fn total(response: &Response) -> Option<u64> {
    let range = response.headers().get("content-range").ok()??;
    range.rsplit_once('/')?.1.parse().ok()
}

/// For hosts that do not let pages see `Content-Range`.
async fn length_by_head(url: &str) -> Result<u64> {
    let init = RequestInit::new();
    init.set_method("HEAD");
    let response = checked(send(url, &init)).await;
    let length = response.ok().and_then(|response| response.headers().get("content-length").ok().flatten());
    length.and_then(|length| length.parse().ok()).ok_or_else(|| {
        Error::new(ErrorKind::Io, "the host does not say how long the file is")
            .expected_found("the header Access-Control-Expose-Headers: Content-Range", "no such header")
            .hint("the host's owner can add the header; or download the file and open it here")
    })
}

fn no_ranges() -> Error {
    Error::new(ErrorKind::Io, "the host sends whole files only")
        .expected_found("an answer to the header Range, HTTP status 206", "HTTP status 200")
        .hint("download the file and open it here")
}

fn replaced(wanted: String, found: impl Display) -> Error {
    Error::new(ErrorKind::Truncated, "the host sent other bytes than asked for")
        .expected_found(wanted, found)
        .hint("the file may have been replaced meanwhile: connect again")
}

fn unreachable_host(error: &JsValue) -> Error {
    browser_error("the browser got no answer that it may read", error)
        .expected_found(
            "a host that answers, with the header Access-Control-Allow-Origin",
            "none, or one without it",
        )
        .hint("check the address; or download the file and open it here")
}
