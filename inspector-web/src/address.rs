//! Addresses of models on other hosts, and what is said where one can't be opened.

use bitgauge_core::hub::{percent_decoded, percent_encoded};
use bitgauge_core::{Error, ErrorKind};

/// What a page's own address asks to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Where.
    pub address: String,
    /// Whether without another click: the address is that of a look, and not of a report's source.
    pub at_once: bool,
}

impl Look {
    const LOOK: &str = "look=";
    const SOURCE: &str = "u=";

    /// Reads a fragment, with its `#`.
    pub fn parse(fragment: &str) -> Option<Self> {
        let fragment = fragment.strip_prefix('#')?;
        let looked = fragment.strip_prefix(Self::LOOK);
        let address = percent_decoded(looked.or_else(|| fragment.strip_prefix(Self::SOURCE))?)?;
        Some(Self { address, at_once: looked.is_some() })
    }

    /// The fragment of a look at this address, without its `#`.
    pub fn fragment(address: &str) -> String {
        format!("{}{}", Self::LOOK, percent_encoded(address, "/:@"))
    }
}

/// Whether a page may open it: TLS, or this very machine.
pub fn is_allowed(protocol: &str, hostname: &str) -> bool {
    protocol == "https:" || (protocol == "http:" && matches!(hostname, "localhost" | "127.0.0.1"))
}

/// A host's answer other than the one that was asked for.
pub fn refusal(status: u16, text: &str) -> Error {
    let hint = match status {
        401 | 403 => {
            "a private or gated repository needs a login, which this page has not, and the hub says the same of one that \
             does not exist: check the address, or download the files and open them here"
        }
        404 => "check the address: owner, name, revision and file",
        429 => "the host asks for fewer requests: wait a minute and connect again",
        _ => "try again later, or download the files and open them here",
    };
    Error::new(ErrorKind::Io, "the host refuses")
        .expected_found("HTTP status 200 or 206", format!("{status} {text}"))
        .hint(hint)
}

/// The address of the next page, from the header `Link` of a listing.
pub fn next_page(link: &str) -> Option<&str> {
    let of = link.split(',').find(|link| link.contains("rel=\"next\""))?;
    of.split_once('<')?.1.split_once('>').map(|(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_comes_back_from_its_fragment() {
        for address in ["hf://o/m@refs/pr/1", "https://h/a b?c=1&d#é%20"] {
            let look = Look::parse(&format!("#{}", Look::fragment(address)));
            assert_eq!(look, Some(Look { address: address.into(), at_once: true }));
        }
        let source = Look::parse("#u=https%3A%2F%2Fh%2Fm.zip");
        assert_eq!(source, Some(Look { address: "https://h/m.zip".into(), at_once: false }));
        assert_eq!([Look::parse(""), Look::parse("#r=AA"), Look::parse("#look=%zz")], [None, None, None]);
    }

    #[test]
    fn refusals_say_what_to_do() {
        let hint = |status| refusal(status, "").hint.clone().unwrap_or_default();
        assert!(hint(401).contains("login") && hint(404).contains("revision") && hint(429).contains("wait"));
        assert_eq!(refusal(404, "Not Found").found, "404 Not Found");
    }

    #[test]
    fn listings_go_on_at_the_next_page() {
        let next = "<https://huggingface.co/api/x?cursor=a%3D>; rel=\"next\"";
        assert_eq!(next_page(next), Some("https://huggingface.co/api/x?cursor=a%3D"));
        assert_eq!(next_page(&format!("<https://a/>; rel=\"prev\", {next}")), next_page(next));
        assert_eq!(next_page("<https://a/>; rel=\"prev\""), None);
    }

    #[test]
    fn only_tls_and_this_machine() {
        assert!(is_allowed("https:", "example.org") && is_allowed("http:", "127.0.0.1"));
        assert!(
            !is_allowed("http:", "example.org")
                && !is_allowed("file:", "")
                && !is_allowed("ftp:", "localhost")
        );
    }
}
