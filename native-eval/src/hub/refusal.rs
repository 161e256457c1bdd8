//! What hosts say instead of giving a file, in words that help.

use bitgauge_core::{Error, ErrorKind};

use crate::http::Reply;

/// The header in which the hub says more.
const CODE: &str = "x-error-code";
/// How the hub is told who asks.
const LOG_IN: &str = "set HF_TOKEN or run `hf auth login`";

/// The error for an answer that is none of the file. `has_key` tells whether the host was shown a token.
pub(super) fn refusal(reply: &Reply, has_key: bool) -> Error {
    let code = reply.header(CODE);
    let retry_after = reply.header("retry-after");
    words(reply.status, code, retry_after, has_key).within(&reply.url)
}

fn words(status: u16, code: Option<&str>, retry_after: Option<&str>, has_key: bool) -> Error {
    let (kind, what, hint) = match (status, code) {
        (401 | 403, Some("GatedRepo")) | (403, _) => (
            ErrorKind::Missing,
            "the host does not give the file to everyone",
            if has_key {
                "accept the model's conditions on its page, with the account of your token".into()
            } else {
                format!("accept the model's conditions on its page; then {LOG_IN} with that account")
            },
        ),
        (401, _) => (
            ErrorKind::Missing,
            "the host wants to know who asks",
            if has_key {
                "check the name: the hub says so where there is none; else the token lacks the right (HF_TOKEN, else \
                 the one of `hf auth login`)"
                    .into()
            } else {
                format!("check the name: the hub says so where there is none; for a private model {LOG_IN}")
            },
        ),
        (404, Some("RevisionNotFound")) => (
            ErrorKind::Missing,
            "the repository has no such revision",
            "check the branch, tag or commit".into(),
        ),
        (404, Some("EntryNotFound")) => {
            (ErrorKind::Missing, "the repository has no such file", "check the name: case counts".into())
        }
        (404, Some("RepoNotFound")) => {
            (ErrorKind::Missing, "there is no such repository", "check OWNER/REPO: case counts".into())
        }
        (404 | 410, _) => {
            (ErrorKind::Missing, "there is nothing at the address", "check it: case counts".into())
        }
        (429, _) => (
            ErrorKind::Unsupported,
            "the host takes no more requests for now",
            match retry_after {
                Some(seconds) => format!("try again in {seconds} s; HF_TOKEN raises the hub's limits"),
                None => "try again in some minutes; HF_TOKEN raises the hub's limits".into(),
            },
        ),
        (500.., _) => {
            (ErrorKind::Unsupported, "the host reports an internal error", "try again later".into())
        }
        _ => (
            ErrorKind::Unsupported,
            "the host does not give the file",
            "open the address in a browser".into(),
        ),
    };
    let found = code.map_or_else(|| format!("status {status}"), |code| format!("status {status}, {code}"));
    Error::new(kind, what).expected_found("the file", found).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_words_of_its_own() {
        let kinds = [
            (401, None, false),
            (401, None, true),
            (401, Some("GatedRepo"), false),
            (403, None, true),
            (404, Some("RevisionNotFound"), false),
            (404, Some("EntryNotFound"), false),
            (404, Some("RepoNotFound"), false),
            (404, None, false),
            (429, None, false),
            (503, None, false),
            (418, None, false),
        ];
        let mut texts: Vec<String> =
            kinds.iter().map(|&(status, code, key)| words(status, code, None, key).to_string()).collect();
        texts.push(words(429, None, Some("77"), false).to_string());
        assert!(texts.last().is_some_and(|text| text.contains("77 s")));
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), kinds.len() + 1);
    }
}
