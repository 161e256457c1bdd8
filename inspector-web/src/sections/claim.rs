//! A report that came in a link: what somebody says, and how a copy of the file bears it out.

use bitgauge_core::report::compare::{self, Line};
use bitgauge_core::report::{Report, words};

use super::{comparison, verdict};
use crate::headline::{Headline, Tone};
use crate::markup::{Markup, element, section};

/// Says that what follows is a claim, and what to do about it.
pub fn notice(report: &Report) -> Markup {
    let words = element("p")
        .text("This report says what somebody found in ")
        .child(element("b").class("mono").text(&report.artifact.name))
        .text(
            ". Nobody has checked it here, and the numbers may be made up. If you have the file, check your copy: \
             choose or drop it above, and each hash, gate and figure is compared.",
        );
    let source = report.artifact.source.as_ref().map(|source| {
        let address = format!("./url.html#u={}", percent_encoded(source.as_str()));
        let link =
            element("a").with("href", address).text(&format!("look at the source on {}", source.host()));
        element("p").text("It names where the file is: ").child(link).text(".")
    });
    section("claim", "A claim, not a check").class("claim").child(words).children(source)
}

/// As what follows `#u=` in an address.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// How far the copy is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Copy {
    Reading,
    Whole,
    /// The pass over the bytes was ended early.
    Part,
}

/// How the file that was opened compares with the claim.
pub fn agreement(claim: &Report, copy: &Report, state: Copy) -> Markup {
    let lines = compare::figures(claim, copy);
    let layers = compare::layers(claim, copy).len();
    let below = match layers {
        0 => "Every per-layer figure that both reports have is the same.".to_owned(),
        _ => format!("Layers that differ: {}.", words::count(layers as u64)),
    };
    section("agreement", "Your copy against the claim")
        .child(verdict::verdict(&outcome(&lines, layers, state)))
        .children(unchecked(claim))
        .child(comparison::lines(&lines, ["claimed", "your copy"]))
        .child(element("p").class("small").text(&below))
}

/// What this page cannot check of a claim.
fn unchecked(claim: &Report) -> Option<Markup> {
    let perplexity = claim.evaluation.as_ref()?.heldout_ppl;
    let words = format!("The perplexity ({perplexity:.4} claimed) was not checked: run `bitgauge eval`.");
    Some(element("p").class("small").text(&words))
}

fn outcome(lines: &[Line], layers: usize, state: Copy) -> Headline {
    let differ = layers + lines.iter().filter(|line| line.agrees() == Some(false)).count();
    let same_file = lines.iter().find(|line| line.what == "SHA-256").and_then(Line::agrees);
    let (tone, word, sentence) = match (same_file, differ) {
        _ if state == Copy::Reading => (Tone::Pending, "Comparing…", "The file is still being read."),
        (Some(true), 0) => (Tone::Good, "The claim holds", "Same file, same figures."),
        (Some(true), _) => (Tone::Bad, "The claim is wrong", "Same file, other figures: see below."),
        (Some(false), _) => (Tone::Bad, "Another file", "Your copy is not the file that the link describes."),
        (None, 0) if state == Copy::Whole => (
            Tone::Unsure,
            "No contradiction",
            "Every figure agrees, but neither report has a hash of the whole file.",
        ),
        (None, _) => {
            (Tone::Unsure, "Not the same", "Some figures differ, or the file was not read to the end.")
        }
    };
    Headline { tone, word: word.into(), sentence: sentence.into() }
}
