//! Reads over HTTP. Only GET and HEAD, without a body: nothing is ever sent but, to the one host that it is for, a key.
//!
//! Addresses are https; plain http is taken from this machine alone, for servers on loopback. Redirects are followed
//! here and not by the library, so that a key stays with its host and what a redirect itself says can be read.

use std::io::Read;
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::Duration;

use bitgauge_core::{Error, ErrorKind, Result};
use ureq::http::{HeaderMap, Response};
use ureq::typestate::WithoutBody;
use ureq::{Agent, Body, BodyReader, RequestBuilder};

/// How long connecting may take, and waiting for an answer's first byte.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a connection may be silent within an answer.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections that are kept for the next request.
const IDLE_CONNECTIONS: usize = 64;
/// Most redirects on the way to an answer.
const REDIRECTS: usize = 10;
/// Longest time that servers' pleas to come back later are heeded for, in one request.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a request is made that a server could not answer just then.
const TRIES: u32 = 4;
/// The first pause before a request is made again; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(250);
/// Hosts of this machine.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(ANSWER_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .timeout_per_read(Some(SILENCE_TIMEOUT))
        .max_idle_connections(IDLE_CONNECTIONS)
        .max_idle_connections_per_host(IDLE_CONNECTIONS)
        .user_agent(concat!("bitgauge/", env!("CARGO_PKG_VERSION")));
    config.build().into()
});

/// A key, and the only host that it is shown to.
pub struct Key {
    /// Scheme, host and port.
    origin: String,
    token: String,
}

impl Key {
    /// A key for the host of an address.
    pub fn new(url: &str, token: String) -> Self {
        Self { origin: origin(url).to_owned(), token }
    }
}

/// A request for a document or a range of its bytes.
#[derive(Default, Clone, Copy)]
pub struct Ask<'a> {
    /// The range from its first byte to before its end; without an end to the document's own.
    pub range: Option<(u64, Option<u64>)>,
    /// The ETag of the version that the range is of.
    pub of_version: Option<&'a str>,
    /// What opens the door.
    pub key: Option<&'a Key>,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, of a GET.
    pub body: Vec<u8>,
    headers: HeaderMap,
}

impl Answer {
    /// A header's text, if it is there and plain.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

/// An answer whose body is still to be read.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Where redirects led.
    pub url: String,
    headers: HeaderMap,
    /// Of the redirects, in their order.
    passed: Vec<HeaderMap>,
    body: Body,
}

impl Reply {
    /// A header of the answer itself.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// A header of the first of the redirects that has it, else of the answer.
    pub fn first_header(&self, name: &str) -> Option<&str> {
        self.passed.iter().chain([&self.headers]).find_map(|headers| header(headers, name))
    }

    /// The body's length, where the server says it.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// The body, as it comes.
    pub fn reader(self) -> BodyReader<'static> {
        self.body.into_reader()
    }

    /// How long the server wants to be left alone, where it could not answer just now.
    fn retry_after(&self, tries: u32) -> Option<Duration> {
        let asked = || self.header("retry-after")?.trim().parse().ok().map(Duration::from_secs);
        matches!(self.status, 429 | 500 | 502 | 503 | 504).then(|| asked().unwrap_or(pause(tries)))
    }
}

/// How long to wait before a request is made again.
pub fn pause(tries: u32) -> Duration {
    PAUSE * 2_u32.saturating_pow(tries.min(TRIES))
}

/// Fetches a document of at most `cap_bytes`, through redirects.
///
/// # Errors
/// An address of another kind, a server that does not answer, a longer body. A status is none.
pub fn get(url: &str, cap_bytes: u64) -> Result<Answer> {
    ask(url, Ask::default())?.into_answer(cap_bytes)
}

/// Asks for a document's headers, without following redirects: hubs tell the hash in the redirect itself.
///
/// # Errors
/// Those of [`get`].
pub fn head(url: &str, key: Option<&Key>) -> Result<Answer> {
    expect_known(url)?;
    let request = unlocked(AGENT.head(url), url, key);
    let (parts, _) = request.call().map_err(|error| fault(url, &error))?.into_parts();
    Ok(Answer { status: parts.status.as_u16(), body: Vec::new(), headers: parts.headers })
}

/// Asks for a document or a part of it, through redirects; asks again where the server is too busy just then, in
/// bounds.
///
/// # Errors
/// Those of [`get`]; with [`ErrorKind::Io`] those that may pass.
pub fn ask(url: &str, ask: Ask) -> Result<Reply> {
    let (mut waited, mut tries) = (Duration::ZERO, 0);
    loop {
        let reply = follow(url, ask)?;
        let Some(pause) = reply.retry_after(tries) else { return Ok(reply) };
        (waited, tries) = (waited + pause, tries + 1);
        if tries == TRIES || waited > PATIENCE {
            return Ok(reply);
        }
        sleep(pause);
    }
}

/// One request, through redirects.
fn follow(url: &str, ask: Ask) -> Result<Reply> {
    let (mut url, mut passed) = (url.to_owned(), Vec::new());
    loop {
        expect_known(&url)?;
        let (parts, body) = send(&url, ask)?.into_parts();
        let target = parts.status.is_redirection().then(|| header(&parts.headers, "location")).flatten();
        let Some(target) = target else {
            return Ok(Reply { status: parts.status.as_u16(), url, headers: parts.headers, passed, body });
        };
        if passed.len() == REDIRECTS {
            return Err(Error::new(ErrorKind::BadValue, "the address redirects too often")
                .within(&url)
                .expected_found(format!("at most {REDIRECTS} redirects"), "more"));
        }
        let target = join(&url, target)?;
        passed.push(parts.headers);
        url = target;
    }
}

fn send(url: &str, ask: Ask) -> Result<Response<Body>> {
    let mut request = AGENT.get(url);
    if let Some((first, end)) = ask.range {
        let last = end.map_or_else(String::new, |end| end.saturating_sub(1).to_string());
        request = request.header("range", format!("bytes={first}-{last}"));
        if let Some(version) = ask.of_version {
            request = request.header("if-range", version);
        }
    }
    unlocked(request, url, ask.key).call().map_err(|error| fault(url, &error))
}

/// The request with the key, if it goes to the key's host.
fn unlocked(
    request: RequestBuilder<WithoutBody>,
    url: &str,
    key: Option<&Key>,
) -> RequestBuilder<WithoutBody> {
    match key.filter(|key| key.origin == origin(url)) {
        Some(key) => request.header("authorization", format!("Bearer {}", key.token)),
        None => request,
    }
}

impl Reply {
    /// The answer with its body, of at most `cap_bytes`.
    ///
    /// # Errors
    /// A connection that breaks, a longer body.
    pub fn into_answer(self, cap_bytes: u64) -> Result<Answer> {
        let mut bytes = Vec::new();
        let mut body = self.body.into_reader();
        let read = body.by_ref().take(cap_bytes + 1).read_to_end(&mut bytes);
        read.map_err(|error| fault(&self.url, &error))?;
        if bytes.len() as u64 > cap_bytes {
            return Err(Error::new(ErrorKind::TooLarge, "the server's answer is too long")
                .within(&self.url)
                .expected_found(format!("at most {cap_bytes} bytes"), "more"));
        }
        Ok(Answer { status: self.status, body: bytes, headers: self.headers })
    }
}

/// Where a redirect leads. One from another host never leads to this machine.
fn join(url: &str, target: &str) -> Result<String> {
    let target = target.split('#').next().unwrap_or_default();
    let target = match target {
        _ if target.starts_with("//") => format!("{}{target}", &url[..url.find("//").unwrap_or_default()]),
        _ if target.starts_with('/') => format!("{}{target}", origin(url)),
        _ if target.contains("://") => target.to_owned(),
        _ => {
            let folder = url.split(['?', '#']).next().unwrap_or_default();
            format!("{}/{target}", folder.rsplit_once('/').map_or(folder, |(folder, _)| folder))
        }
    };
    if url.starts_with("https://") && !target.starts_with("https://") {
        return Err(Error::new(ErrorKind::BadValue, "the address redirects to one without encryption")
            .within(url)
            .expected_found("a redirect to https://", origin(&target)));
    }
    Ok(target)
}

/// Scheme, host and port of an address.
pub fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Whether an address is one of https, or of this machine.
pub fn expect_known(url: &str) -> Result<()> {
    let is_here = |rest: &str| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        LOOPBACK.iter().any(|host| {
            let port = authority.strip_prefix(host);
            port.is_some_and(|port| port.is_empty() || port.starts_with(':'))
        })
    };
    let has_user = origin(url).contains('@');
    if !has_user && (url.starts_with("https://") || url.strip_prefix("http://").is_some_and(is_here)) {
        return Ok(());
    }
    let found = if has_user { "one with a user's name" } else { "another" };
    Err(Error::new(ErrorKind::BadValue, "the address can't be read")
        .within(url)
        .expected_found("an address that begins with https://", found))
}

/// A server that gave no answer, or the beginning of one. It may be there again in a moment.
pub fn fault(url: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Io, "the server's answer can't be used")
        .within(url)
        .expected_found("an answer", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_read() {
        for good in ["https://example.org/a", "http://127.0.0.1:80/a", "http://localhost", "http://[::1]:9/x"]
        {
            assert!(expect_known(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.org",
            "http://127.0.0.1.evil.org/",
            "http://localhost.evil.org",
            "ftp://x",
            "file:///etc/passwd",
            "example.org",
            "http://127.0.0.1@evil.org/",
            "https://user:word@example.org/",
        ] {
            assert!(expect_known(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn redirects_lead_where_they_say() {
        let base = "https://a.example:8/x/y?q=/z";
        for (target, joined) in [
            ("/b?c", "https://a.example:8/b?c"),
            ("//other.example/b", "https://other.example/b"),
            ("https://other.example/b#c", "https://other.example/b"),
            ("z", "https://a.example:8/x/z"),
        ] {
            assert_eq!(join(base, target).as_deref(), Ok(joined), "{target}");
        }
        assert!(join(base, "http://127.0.0.1/").is_err(), "no way from another host to this machine");
        assert_eq!(join("http://127.0.0.1:1/", "http://127.0.0.1:2/").as_deref(), Ok("http://127.0.0.1:2/"));
    }
}
