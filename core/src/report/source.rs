//! Where an artifact can be downloaded, as whoever made the report says.

use serde::Serialize;
use serde_json::Value;

use crate::json::FromJson;
use crate::{Error, ErrorKind, Result, limits};

const SCHEME: &str = "https://";

/// An address that is safe to show and to follow: https, a plain host, no user, no fragment, all of it visible
/// ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SourceUrl(String);

impl SourceUrl {
    /// Checks an address.
    ///
    /// # Errors
    /// Another scheme, a host that is none, more than [`limits::SOURCE_URL_BYTES`], characters that an address
    /// does not have.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |what: &str, expected: &str| {
            let found = text.chars().take(80).collect::<String>();
            Err(Error::new(ErrorKind::BadValue, what).expected_found(expected, format!("{found:?}")))
        };
        if text.len() > limits::SOURCE_URL_BYTES {
            return Err(Error::new(ErrorKind::TooLarge, "the source's address is too long")
                .expected_found(format!("at most {} bytes", limits::SOURCE_URL_BYTES), text.len()));
        }
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return refuse("the source's address has another scheme", SCHEME);
        };
        if !rest.bytes().all(is_allowed) {
            return refuse("the source's address has characters of no address", "no spaces, quotes or #");
        }
        if !is_host(host_and_port(rest)) {
            return refuse("the source's address has no plain host", "https://host/path");
        }
        Ok(Self(text.to_owned()))
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, with its port if it names one.
    pub fn host(&self) -> &str {
        host_and_port(&self.0[SCHEME.len()..])
    }
}

/// What stands in front of the path.
fn host_and_port(rest: &str) -> &str {
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Whether a byte may stand in an address (RFC 3986), but for `#`.
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte)
}

/// Letters, digits, hyphens and dots (other scripts as `xn--`), and maybe a port; no user name.
fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "443"));
    let is_label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0) && port.bytes().all(|b| b.is_ascii_digit());
    host.split('.').all(is_label) && is_port
}

impl FromJson for SourceUrl {
    fn from_json(value: Value) -> Result<Self, String> {
        Self::parse(&String::from_json(value)?).map_err(|error| format!(": {}", error.what))
    }
}

impl std::str::FromStr for SourceUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_taken() {
        let good = [
            ("https://huggingface.co/a/b/resolve/main/model.zip?download=true", "huggingface.co"),
            ("https://xn--bcher-kva.example:8443", "xn--bcher-kva.example:8443"),
            ("https://10.0.0.1/a@b:c", "10.0.0.1"),
        ];
        for (text, host) in good {
            let url = SourceUrl::parse(text).unwrap();
            assert_eq!((url.as_str(), url.host()), (text, host));
        }
        for bad in [
            "",
            "https://",
            "https:///path",
            "http://example.org/",
            "javascript:alert(1)",
            "HTTPS://example.org",
            " https://example.org",
            "https://user@example.org/",
            "https://user:pass@example.org/",
            "https://example.org:0/",
            "https://example.org:+80/",
            "https://example.org:x/",
            "https://-a.org/",
            "https://a..org/",
            "https://example.org\\@evil.org/",
            "https://exämple.org/",
            "https://example.org/\u{202e}",
            "https://example.org/a b",
            "https://example.org/#r=AAAA",
            "https://example.org/\"><script>",
        ] {
            assert!(SourceUrl::parse(bad).is_err(), "{bad}");
        }
        let long = format!("https://example.org/{}", "a".repeat(limits::SOURCE_URL_BYTES));
        assert_eq!(SourceUrl::parse(&long).unwrap_err().kind, ErrorKind::TooLarge);
        assert!(SourceUrl::parse(&long[..limits::SOURCE_URL_BYTES]).is_ok());
    }
}
