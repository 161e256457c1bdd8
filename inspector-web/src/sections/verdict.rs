//! The verdict, and what it is about.

use bitgauge_core::report::Report;
use bitgauge_core::report::words;

use crate::headline::Headline;
use crate::markup::{Markup, element, mark};

/// The verdict in a word, a sign and a colour, and what it rests on.
pub fn verdict(headline: &Headline) -> Markup {
    verdict_with(headline, "", None).with("role", "status")
}

/// The same of a verdict that somebody claims.
pub fn claimed(headline: Headline) -> Markup {
    let word = format!("Claimed: {}", headline.word.to_ascii_lowercase());
    verdict_with(&Headline { word, ..headline }, " verdict--claimed", None).with("role", "status")
}

/// The box without its role; what follows its classes, and what else stands in it.
pub(super) fn verdict_with(headline: &Headline, classes: &str, more: Option<Markup>) -> Markup {
    let words = element("div")
        .child(element("h2").class("verdict__word").text(&headline.word))
        .child(element("p").class("verdict__sentence").prose(&headline.sentence))
        .children(more);
    element("div")
        .class(&format!("verdict verdict--{}{classes}", headline.tone.class()))
        .child(mark(headline.tone))
        .child(words)
}

/// How the device of a perplexity begins that was measured on a page like this one.
const IN_THE_BROWSER: &str = "in the browser, ";

/// What was inspected: first the figures by which it is known.
pub fn subject(report: &Report) -> Markup {
    let artifact = &report.artifact;
    let hash = artifact.sha256.as_ref().map(|hash| {
        let code = element("code").class("mono subject__hash").text(hash);
        element("p").class("subject__facts").text("SHA-256 ").child(code)
    });
    let mut known = vec![words::plural(artifact.size_bytes, "byte")];
    let mut facts = Vec::new();
    if let Some(evaluation) = &report.evaluation {
        known.push(format!("held-out perplexity {:.4}", evaluation.heldout_ppl));
        let [tokens, documents] =
            [(evaluation.scored_tokens, "scored token"), (evaluation.scored_documents, "document")]
                .map(|(number, what)| words::plural(number, what));
        facts.push(format!("{tokens} of {documents}"));
        if evaluation.device.starts_with(IN_THE_BROWSER) {
            facts.push(format!("measured {}", evaluation.device));
        }
    }
    if let Some(model) = &report.model {
        facts.push(model.model_type.clone());
        facts.extend(model.parameters.map(|p| format!("{} parameters", words::count(p))));
    }
    facts.extend(report.accounting.bits_per_parameter.map(|bits| format!("{bits:.4} bits per parameter")));
    let lines = [known, facts].into_iter().filter(|line| !line.is_empty());
    element("div")
        .child(element("p").class("subject__name").text(&artifact.name))
        .children(hash)
        .children(lines.map(|line| element("p").class("subject__facts").text(&line.join(" · "))))
}

/// The subject of a report whose limits can't be changed.
pub fn fixed_subject(report: &Report) -> Markup {
    let limits = format!("{} limits", report.pack.name());
    element("div")
        .class("subject")
        .child(subject(report))
        .child(element("p").class("subject__facts").text(&limits))
}
