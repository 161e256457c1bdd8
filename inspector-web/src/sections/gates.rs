//! Every gate, in the validator's order.

use bitgauge_core::report::words;
use bitgauge_core::report::{Gate, Report};

use crate::headline;
use crate::markup::{Markup, element, mark, section};

/// The gates with their figures, rules and fixes.
pub fn gates(report: &Report) -> Markup {
    let list = element("ol").class("gates").children(report.gates.iter().map(gate));
    section("gates", "Gates").child(list)
}

fn gate(gate: &Gate) -> Markup {
    let tone = headline::tone(gate.outcome);
    let outcome = element("p").class("gate__outcome").child(mark(tone)).text(gate.outcome.words());
    let mut what = element("div").class("gate__what");
    what = what.child(element("h3").text(&headline::capitalised(&gate.title)));
    if !gate.details.is_empty() {
        let details = gate.details.iter().map(|detail| element("li").prose(detail));
        what = what.child(element("ul").class("gate__details").children(details));
    }
    if let Some(hint) = &gate.hint {
        what =
            what.child(element("p").class("gate__fix").child(element("b").text("How to fix: ")).prose(hint));
    }
    if !gate.rule.is_empty() {
        what = what.child(element("p").class("gate__rule").text("Rule: ").prose(&gate.rule));
    }
    element("li")
        .class(&format!("gate gate--{}", tone.class()))
        .with("id", format!("gate-{}", gate.id))
        .child(outcome)
        .child(what)
        .child(figures(gate))
}

/// What it has, the limit and what is left. A gate that wants none of something counts what is wrong.
fn figures(gate: &Gate) -> Markup {
    let got = gate.got.map(|got| words::counted(got, gate.unit));
    let figures = match gate.wanted {
        Some(0) => vec![("at fault", got)],
        wanted => vec![("has", got), ("limit", wanted.map(words::count)), ("margin", words::margin(gate))],
    };
    let known = figures.into_iter().filter_map(|(label, value)| Some((label, value?)));
    element("dl").class("gate__figures").children(known.map(|(label, value)| {
        element("div").child(element("dt").text(label)).child(element("dd").text(&value))
    }))
}
