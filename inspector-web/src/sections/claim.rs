//! A report that came in a link: what somebody says, and how a copy of the file bears it out.

use bitgauge_core::hub::percent_encoded;
use bitgauge_core::report::Report;
use bitgauge_core::report::compare::{self, Answer, Check, Finding, Line};

use super::{comparison, verdict};
use crate::headline::{self, Headline, Tone};
use crate::markup::{Markup, element, section};

/// Says that what follows is a claim, and what to do about it.
pub fn notice(report: &Report) -> Markup {
    let words = element("p")
        .text("This report says what somebody found in ")
        .child(element("b").class("mono").text(&report.artifact.name))
        .text(
            ". Nobody has checked it here, and the numbers may be made up. If you have the file, choose or drop it \
             above to check it against the claim.",
        );
    let source = report.artifact.source.as_ref().map(|source| {
        let address = format!("./url.html#u={}", percent_encoded(source.as_str(), ""));
        let link =
            element("a").with("href", address).text(&format!("look at the source on {}", source.host()));
        element("p").text("It names the file's address: ").child(link).text(".")
    });
    section("claim", "A claim, not a check").class("claim").child(words).children(source)
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

/// How the file that was opened compares with the claim: three answers, which are never merged.
pub fn agreement(claim: &Report, copy: &Report, state: Copy) -> Markup {
    if state == Copy::Reading {
        let sentence = "The file is still being read.".into();
        let pending = Headline { tone: Tone::Pending, word: "Comparing…".into(), sentence };
        return section("agreement", HEADING).child(verdict::verdict(&pending));
    }
    let lines = compare::figures(claim, copy);
    answered(claim, copy).child(comparison::checked(&lines, finding))
}

const HEADING: &str = "Your copy against the claim";

/// The three answers, each in a box of its own.
pub fn answered(claim: &Report, copy: &Report) -> Markup {
    let boxes =
        Check::of(claim, copy).answers().into_iter().map(|Answer { outcome, answer, particulars }| {
            let sentence = headline::capitalised(&particulars);
            verdict::verdict_with(
                &Headline { tone: headline::tone(outcome), word: answer, sentence },
                "",
                None,
            )
        });
    section("agreement", HEADING)
        .child(element("div").class("answers").with("role", "status").children(boxes))
}

/// What a line of the table ends in.
fn finding(line: &Line) -> (Tone, &'static str) {
    match line.finding() {
        Finding::Agrees => (Tone::Good, "same"),
        Finding::Differs => (Tone::Bad, "differs"),
        Finding::NotMeasured => (Tone::Unsure, "not measured here"),
        Finding::NotClaimed => (Tone::Unsure, "not claimed"),
    }
}
