//! A file on another host, read by range requests.

use std::cell::Cell;
use std::fmt::Display;

use bitgauge_core::container::Need;
use bitgauge_core::{Error, ErrorKind, Result};
use js_sys::{Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStream, ReferrerPolicy, RequestCredentials, RequestInit, Response};

use super::{browser_error, scope};
use crate::protocol::Event;

/// Bytes asked for first: the end of most archives' headers lies among them.
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

/// The file, whose length is known from the first answer.
pub struct Remote {
    url: String,
    /// In bytes.
    pub len: u64,
}

impl Remote {
    /// Asks for the beginning: gives the file and its first bytes.
    pub async fn open(url: String) -> Result<(Self, Vec<u8>)> {
        let response = get(&url, Some((0, HEAD_BYTES))).await?;
        let len = match total(&response) {
            Some(len) => len,
            None if response.status() == PARTIAL_CONTENT => length_by_head(&url).await?,
            None => return Err(no_ranges()),
        };
        let first = body(&response).await?;
        if first.len() as u64 != len.min(HEAD_BYTES) {
            return Err(replaced(format!("{} bytes", len.min(HEAD_BYTES)), first.len()));
        }
        Ok((Self { url, len }, first))
    }

    /// The bytes of a need, and more where more costs nothing: their offset, and the bytes.
    pub async fn range(&self, need: Need) -> Result<(u64, Vec<u8>)> {
        let len = need.len.max(LEAST_BYTES).min(self.len - need.offset);
        let response = get(&self.url, Some((need.offset, len))).await?;
        if response.status() != PARTIAL_CONTENT {
            return Err(no_ranges());
        }
        if let Some(total) = total(&response).filter(|&total| total != self.len) {
            return Err(replaced(format!("a file of {} bytes", self.len), format!("one of {total}")));
        }
        let bytes = body(&response).await?;
        if bytes.len() as u64 != len {
            return Err(replaced(format!("{len} bytes"), bytes.len()));
        }
        Ok((need.offset, bytes))
    }

    /// All bytes, as they come.
    pub async fn stream(&self) -> Result<ReadableStream> {
        get(&self.url, None).await?.body().ok_or_else(no_ranges)
    }
}

/// Requests `len` bytes at an offset, or everything.
async fn get(url: &str, range: Option<(u64, u64)>) -> Result<Response> {
    let init = RequestInit::new();
    if let Some((offset, len)) = range {
        // `bytes=a-b` needs no leave from the host beforehand, `bytes=-n` would.
        let headers = Object::new();
        let range = format!("bytes={offset}-{}", offset + len - 1);
        Reflect::set(&headers, &"Range".into(), &range.into()).map_err(|e| unreachable_host(&e))?;
        init.set_headers(&headers);
    }
    let response = send(url, &init).await?;
    if response.ok() {
        return Ok(response);
    }
    let hint = match response.status() {
        401 | 403 => {
            "a private or gated file needs a login, which this page has not: download it, and open it here"
        }
        404 => "check the address: owner, name, revision and file",
        _ => "try again later, or download the file and open it here",
    };
    Err(Error::new(ErrorKind::Io, "the host refuses")
        .expected_found("HTTP status 206", format!("{} {}", response.status(), response.status_text()))
        .hint(hint))
}

async fn send(url: &str, init: &RequestInit) -> Result<Response> {
    init.set_credentials(RequestCredentials::Omit);
    init.set_referrer_policy(ReferrerPolicy::NoReferrer);
    let response = JsFuture::from(scope().fetch_with_str_and_init(url, init)).await;
    response.map(JsCast::unchecked_into).map_err(|error| unreachable_host(&error))
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
    let response = send(url, &init).await?;
    let length = response.headers().get("content-length").ok().flatten();
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
