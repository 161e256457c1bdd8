//! Why something could not be judged.

use bitgauge_core::Error;

use super::verdict;
use crate::headline::{Headline, Tone};
use crate::markup::{Markup, element};

/// What is wrong, where, what was expected and found, and what to do.
pub fn fault(error: &Error, title: &str) -> Markup {
    let place = match (error.place.is_empty(), error.offset) {
        (false, Some(offset)) => format!("{}, byte {offset}", error.place),
        (false, None) => error.place.clone(),
        (true, Some(offset)) => format!("byte {offset}"),
        (true, None) => String::new(),
    };
    let hint = error.hint.as_deref().unwrap_or_default();
    let rows = [
        ("where", place.as_str()),
        ("expected", &error.expected),
        ("found", &error.found),
        ("what to do", hint),
    ];
    let rows = rows.into_iter().filter(|(_, value)| !value.is_empty()).map(|(label, value)| {
        element("div").child(element("dt").text(label)).child(element("dd").prose(value))
    });
    let details = element("dl").class("fault").children(rows);
    let headline = Headline { tone: Tone::Bad, word: title.to_owned(), sentence: error.what.clone() };
    verdict::verdict_with(&headline, "", Some(details)).with("role", "alert")
}
