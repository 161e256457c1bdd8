//! What a submission to the competition says, all of it from a report: nothing is claimed that was not measured.
//!
//! It is written to files, never sent: sending takes a key, and bitgauge holds none (docs/submission.md).

mod patch;

use bitgauge_core::report::{Report, SourceUrl, Verdict};
use bitgauge_core::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::http;

pub use patch::check as check_patch;

/// The hub whose addresses name a revision.
const HUB: &str = "huggingface.co";
/// Hexadecimal digits of a commit.
const COMMIT_DIGITS: usize = 40;
/// Headers in which hubs tell what a file's own are, beside those of a redirect.
const LINKED_SIZE: &str = "x-linked-size";
const LINKED_HASH: &str = "x-linked-etag";

/// The body of a submission.
#[derive(Debug, Clone, Serialize)]
pub struct Submission {
    /// What it is, in one sentence.
    pub summary: String,
    /// What was measured.
    pub claimed_metrics: ClaimedMetrics,
    /// Where the artifact is.
    pub artifact_uri: String,
    /// SHA-256 of its bytes, in hex.
    pub artifact_sha256: String,
    /// Its bytes.
    pub artifact_size_bytes: u64,
    /// Changes to the recipe, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
}

/// The measured figures, under the names that the validator gives them.
#[derive(Debug, Clone, Serialize)]
pub struct ClaimedMetrics {
    /// The perplexity.
    pub heldout_ppl: f64,
    /// Its logarithm: nats per token.
    pub heldout_cross_entropy_nats: f64,
    /// Logical parameters.
    pub parameter_count: u64,
    /// Bytes of the artifact.
    pub compressed_size_bytes: u64,
    /// Bits of the artifact per parameter.
    pub artifact_bits_per_parameter: f64,
}

impl Submission {
    /// The submission of the artifact that a report is of. `summary` is the maker's own sentence, if there is one.
    ///
    /// # Errors
    /// A report without a perplexity as the validator measures it, without the artifact's hash or its parameters; an
    /// artifact that is not eligible.
    pub fn new(
        report: &Report,
        uri: &SourceUrl,
        summary: Option<&str>,
        patch: Option<String>,
    ) -> Result<Self> {
        if report.verdict == Verdict::NotEligible {
            let failed =
                report.gates.iter().filter(|gate| gate.outcome == bitgauge_core::report::Outcome::Fail);
            let failed: Vec<&str> = failed.map(|gate| &*gate.title).collect();
            return Err(Error::new(ErrorKind::BadValue, "the artifact is not eligible")
                .expected_found("every gate passed", failed.join(", "))
                .hint("`bitgauge inspect` says what is wrong"));
        }
        let unmeasured = |what: &str, hint: &str| {
            Error::new(ErrorKind::Missing, format!("the report does not say {what}"))
                .expected_found("a measured figure", "none")
                .hint(hint.to_owned())
        };
        let evaluation = report.evaluation.as_ref().ok_or_else(|| {
            unmeasured("the perplexity", "`bitgauge eval ARTIFACT --documents D --report FILE` measures it")
        })?;
        if evaluation.window.is_some() {
            return Err(Error::new(ErrorKind::BadValue, "the perplexity was measured in windows")
                .expected_found("documents cut off, as the validator does", "--window")
                .hint("evaluate again without --window"));
        }
        let sha256 = report.artifact.sha256.clone().ok_or_else(|| {
            unmeasured("the artifact's SHA-256", "submit one file (.zip or .tar), and read all of it")
        })?;
        let parameters = report.model.as_ref().and_then(|model| model.parameters).filter(|count| *count > 0);
        let parameters = parameters
            .ok_or_else(|| unmeasured("the number of parameters", "its architecture must be a known one"))?;
        let size = report.artifact.size_bytes;
        let summary = summary.map_or_else(
            || {
                format!(
                    "{}: heldout_ppl {:.4} on {} documents ({} tokens), {size} bytes, measured by bitgauge {} on {} ({})",
                    report.artifact.name,
                    evaluation.heldout_ppl,
                    evaluation.scored_documents,
                    evaluation.scored_tokens,
                    report.bitgauge_version,
                    evaluation.device,
                    evaluation.precision
                )
            },
            str::to_owned,
        );
        Ok(Self {
            summary,
            claimed_metrics: ClaimedMetrics {
                heldout_ppl: evaluation.heldout_ppl,
                heldout_cross_entropy_nats: evaluation.cross_entropy_nats,
                parameter_count: parameters,
                compressed_size_bytes: size,
                artifact_bits_per_parameter: 8.0 * size as f64 / parameters as f64,
            },
            artifact_uri: uri.as_str().to_owned(),
            artifact_sha256: sha256,
            artifact_size_bytes: size,
            patch,
        })
    }

    /// Asks the host whether the file there has this size and, where it says one, this hash.
    ///
    /// # Errors
    /// No answer, no such file, another size or hash.
    pub fn verify(&self, url: &str) -> Result<Verified> {
        let answer = http::head(url, None)?;
        let differs = |what: &str, expected: String, found: String| {
            Err(Error::new(ErrorKind::BadValue, format!("the host's file has another {what}"))
                .within(url)
                .expected_found(expected, found)
                .hint("upload the artifact of this report, and name its commit"))
        };
        if !(200..400).contains(&answer.status) {
            return Err(Error::new(ErrorKind::Missing, "the host does not have the file")
                .within(url)
                .expected_found("status 200", answer.status));
        }
        let is_redirect = answer.status >= 300;
        let own = answer.header("content-length").filter(|_| !is_redirect);
        let size = answer.header(LINKED_SIZE).or(own).and_then(|text| text.parse::<u64>().ok());
        if let Some(size) = size.filter(|size| *size != self.artifact_size_bytes) {
            return differs("size", format!("{} bytes", self.artifact_size_bytes), format!("{size} bytes"));
        }
        let hash = answer.header(LINKED_HASH).map(|text| text.trim_matches('"').to_ascii_lowercase());
        let hash = hash.filter(|hash| hash.len() == self.artifact_sha256.len());
        if let Some(hash) = hash.as_ref().filter(|hash| **hash != self.artifact_sha256) {
            return differs("hash", self.artifact_sha256.clone(), hash.clone());
        }
        Ok(Verified { size: size.is_some(), hash: hash.is_some() })
    }
}

/// What a host confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The size.
    pub size: bool,
    /// The hash; most hosts tell none.
    pub hash: bool,
}

/// Checks where an artifact is said to be. Gives a warning where what lies there may change.
///
/// # Errors
/// An address of the hub that names no file of a revision.
pub fn check_address(uri: &SourceUrl) -> Result<Option<String>> {
    if uri.host() != HUB {
        return Ok(None);
    }
    let path = uri.as_str().split_once(uri.host()).map_or("", |(_, path)| path);
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let parts = match parts.as_slice() {
        ["datasets" | "spaces", rest @ ..] => rest,
        parts => parts,
    };
    let [_, _, "resolve", revision, file @ ..] = parts else {
        return Err(Error::new(ErrorKind::BadValue, "the address is not pinned")
            .within(uri.as_str())
            .expected_found("https://huggingface.co/OWNER/REPO/resolve/COMMIT/FILE", "no /resolve/COMMIT/"));
    };
    if file.is_empty() || file.iter().any(|part| part.is_empty()) {
        return Err(Error::new(ErrorKind::BadValue, "the address names no file")
            .within(uri.as_str())
            .expected_found("a file behind the revision", path));
    }
    let is_commit = revision.len() == COMMIT_DIGITS && revision.bytes().all(|b| b.is_ascii_hexdigit());
    Ok((!is_commit).then(|| {
        format!(
            "`{revision}` can move to another commit, and the hash would fit no more: name the commit instead"
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_hub_names_a_file_of_a_commit() {
        let check = |text: &str| check_address(&text.parse().unwrap());
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(
            check(&format!("https://huggingface.co/a/b/resolve/{commit}/m.zip?download=true")),
            Ok(None)
        );
        assert_eq!(check(&format!("https://huggingface.co/datasets/a/b/resolve/{commit}/x/m.zip")), Ok(None));
        assert_eq!(check("https://example.org/m.zip"), Ok(None));
        for moving in ["main", "v1", &commit[1..], "refs%2Fpr%2F1"] {
            let warning = check(&format!("https://huggingface.co/a/b/resolve/{moving}/m.zip")).unwrap();
            assert!(warning.unwrap().contains(moving));
        }
        for bad in [
            "a/b",
            "a/b/blob/main/m.zip",
            "a/b/tree/main",
            "a/b/resolve/main",
            "a/b/resolve/main/",
            "a/resolve/main/m.zip",
        ] {
            assert!(check(&format!("https://huggingface.co/{bad}")).is_err(), "{bad}");
        }
    }
}
