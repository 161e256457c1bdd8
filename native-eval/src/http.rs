//! Reads over HTTP. Only GET and HEAD, without a body and without a key: nothing is ever sent.
//!
//! Addresses are https; plain http is taken from this machine alone, for servers on loopback.

use std::time::Duration;

use bitgauge_core::{Error, ErrorKind, Result};
use ureq::Agent;
use ureq::http::{HeaderMap, Response};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Hosts of this machine.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

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
        self.headers.get(name)?.to_str().ok()
    }
}

/// Fetches a document of at most `cap_bytes`, through redirects.
///
/// # Errors
/// An address of another kind, a server that does not answer, a longer body. A status is none.
pub fn get(url: &str, cap_bytes: u64) -> Result<Answer> {
    let answer = agent(url, 5)?.get(url).call().map_err(|error| fault(url, &error))?;
    read(url, answer, cap_bytes)
}

/// Asks for a document's headers, without following redirects: hubs tell the hash in the redirect itself.
///
/// # Errors
/// Those of [`get`].
pub fn head(url: &str) -> Result<Answer> {
    let answer = agent(url, 0)?.head(url).call().map_err(|error| fault(url, &error))?;
    read(url, answer, 0)
}

fn agent(url: &str, redirects: u32) -> Result<Agent> {
    expect_known(url)?;
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(redirects)
        .max_redirects_will_error(false)
        .timeout_global(Some(TIMEOUT))
        .user_agent(concat!("bitgauge/", env!("CARGO_PKG_VERSION")));
    Ok(config.build().into())
}

fn read(url: &str, answer: Response<ureq::Body>, cap_bytes: u64) -> Result<Answer> {
    let (parts, mut body) = answer.into_parts();
    let body = match cap_bytes {
        0 => Vec::new(),
        cap => body.with_config().limit(cap).read_to_vec().map_err(|error| fault(url, &error))?,
    };
    Ok(Answer { status: parts.status.as_u16(), body, headers: parts.headers })
}

/// Whether an address is one of https, or of this machine.
fn expect_known(url: &str) -> Result<()> {
    let is_here = |rest: &str| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        LOOPBACK.iter().any(|host| {
            let port = authority.strip_prefix(host);
            port.is_some_and(|port| port.is_empty() || port.starts_with(':'))
        })
    };
    if url.starts_with("https://") || url.strip_prefix("http://").is_some_and(is_here) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::BadValue, "the address can't be read")
        .within(url)
        .expected_found("an address that begins with https://", "another"))
}

fn fault(url: &str, error: &ureq::Error) -> Error {
    Error::new(ErrorKind::Io, "the server gave no answer that can be used")
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
        ] {
            assert!(expect_known(bad).is_err(), "{bad}");
        }
    }
}
