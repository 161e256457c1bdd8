//! Two reports side by side.

use bitgauge_core::accounting::Bucket;
use bitgauge_core::report::compare::{self, Figure, Line, Pair, Side};
use bitgauge_core::report::words;
use bitgauge_core::report::{LayerSummary, Report, WeightSummary};

use super::{estimate, verdict};
use crate::headline::{self, Headline, Tone};
use crate::markup::{Markup, element, mark, row, section, table};

/// Figures of two reports, with what `of` says of each line.
pub fn lines(lines: &[Line], heads: [&str; 2], of: fn(&Line) -> (Tone, &'static str)) -> Markup {
    let rows = lines.iter().map(|line| {
        let (tone, word) = of(line);
        row([&title(&line.what), &shown(&line.left), &shown(&line.right)])
            .class(&format!("line line--{}", tone.class()))
            .child(agreement_cell(tone, word))
    });
    table("Figures side by side", &["Figure", heads[0], heads[1], "Agreement"], rows)
}

/// Figures of a claim and of a copy. What was found comes first, since narrow screens show only the first columns.
pub fn checked(lines: &[Line], of: fn(&Line) -> (Tone, &'static str)) -> Markup {
    let rows = lines.iter().map(|line| {
        let (tone, word) = of(line);
        element("tr")
            .class(&format!("line line--{}", tone.class()))
            .child(element("th").with("scope", "row").text(&title(&line.what)))
            .child(element("td").text(&shown(&line.right)))
            .child(agreement_cell(tone, word))
            .child(element("td").text(&shown(&line.left)))
    });
    table("Figures side by side", &["Figure", "Your copy", "Agreement", "Claimed"], rows)
}

fn shown(side: &Option<Figure>) -> String {
    side.as_ref().map_or_else(|| words::UNKNOWN.into(), figure)
}

fn agreement_cell(tone: Tone, word: &str) -> Markup {
    element("td").child(element("span").class("line__word").child(mark(tone)).text(word))
}

/// What a figure is, as the beginning of a line; a file's name stays as it is.
fn title(what: &str) -> String {
    if what == Bucket::Config.words() { what.to_owned() } else { headline::capitalised(what) }
}

/// A figure as the page shows it: bits are given as bytes.
pub fn figure(figure: &Figure) -> String {
    match figure {
        Figure::Count(bits, "bits") => words::bits_as_bytes(*bits),
        figure => words::figure(figure),
    }
}

/// Whether two figures are the same.
pub fn agreement(line: &Line) -> (Tone, &'static str) {
    match line.agrees() {
        Some(true) => (Tone::Good, "same"),
        Some(false) => (Tone::Bad, "differs"),
        None => (Tone::Unsure, "missing"),
    }
}

/// Most rows of a table of differences: two unrelated models differ in everything.
const MOST_ROWS: usize = 200;

/// Which of two artifacts ranks first, and everything in which their reports differ.
pub fn comparison(left: &Report, right: &Report) -> Vec<Markup> {
    let names = [left, right].map(|report| report.artifact.name.as_str());
    let heads = if names[0] == names[1] { ["The first", "The second"] } else { names };
    let figures =
        section("figures", "Figures").child(lines(&compare::figures(left, right), heads, agreement));
    vec![ranking(left, right, heads), figures, layers(left, right, heads), weights(left, right, heads)]
}

/// The winner under the competition's rule, or why there is none.
fn ranking(left: &Report, right: &Report, names: [&str; 2]) -> Markup {
    let decision = compare::decide(left, right);
    let name = |side| names[usize::from(side == Side::Right)];
    let (tone, word) = match decision.winner {
        Some(side) => (Tone::Good, format!("{} ranks first", name(side))),
        None => (Tone::Unsure, "Undecided".to_owned()),
    };
    let mut facts = vec![format!("{}.", headline::capitalised(&decision.reason.words()))];
    facts.extend(decision.nats.map(|nats| format!("Their perplexities are {:.4} nats apart.", nats.abs())));
    facts.push(match decision.smaller {
        Some(side) => format!("{} is {} smaller.", name(side), words::plural(decision.bytes, "byte")),
        None => "Both have the same size.".to_owned(),
    });
    let headline = Headline { tone, word, sentence: facts.join(" ") };
    let rule = "The rule: only eligible artifacts rank; the lower held-out perplexity wins; of two that are less than \
                0.02 nats apart the smaller one.";
    section("ranking", "Ranking")
        .child(verdict::verdict(&headline))
        .child(element("p").class("small").text(rule))
        .children(decision.difference.map(|difference| estimate::difference(&difference, names)))
}

fn layers(left: &Report, right: &Report, heads: [&str; 2]) -> Markup {
    let section = section("layers-differ", "Layers that differ");
    if left.layers.is_empty() || right.layers.is_empty() {
        return section.child(element("p").text("Only one report has figures by layer, or neither."));
    }
    let differ = compare::layers(left, right);
    let cell = |layer: Option<&LayerSummary>| {
        layer.map_or_else(
            || words::UNKNOWN.to_owned(),
            |layer| {
                let rescued = words::count(layer.rescue_parameters);
                format!("{}, {rescued} rescued", words::bits_as_bytes(layer.bits))
            },
        )
    };
    let number = |[left, right]: &Pair<LayerSummary>| match left.or(*right).and_then(|layer| layer.layer) {
        Some(number) => format!("layer {number}"),
        None => words::layer(None),
    };
    differences(section, "Layer", heads, &differ, number, cell)
}

fn weights(left: &Report, right: &Report, heads: [&str; 2]) -> Markup {
    let section = section("weights-differ", "Weights that differ");
    let Some(differ) = compare::weights(left, right) else {
        return section.child(
            element("p").text("Only one report lists its weights, or neither: links do not carry them."),
        );
    };
    let cell = |weight: Option<&WeightSummary>| {
        weight.map_or_else(
            || words::UNKNOWN.to_owned(),
            |weight| {
                let (shape, bytes) = (words::shape(&weight.shape), words::bits_as_bytes(weight.bits));
                format!("{}, {shape}, {bytes}", weight.form)
            },
        )
    };
    let name = |[left, right]: &Pair<WeightSummary>| {
        left.or(*right).map_or_else(String::new, |weight| weight.name.clone())
    };
    differences(section, "Weight", heads, &differ, name, cell)
}

fn differences<T>(
    section: Markup,
    what: &str,
    heads: [&str; 2],
    differ: &[Pair<T>],
    name: impl Fn(&Pair<T>) -> String,
    cell: impl Fn(Option<&T>) -> String,
) -> Markup {
    if differ.is_empty() {
        return section.child(element("p").text("None."));
    }
    let rows = differ.iter().take(MOST_ROWS).map(|pair| row([&name(pair), &cell(pair[0]), &cell(pair[1])]));
    let table = table("Differences", &[what, heads[0], heads[1]], rows);
    let more = differ.len().saturating_sub(MOST_ROWS);
    let more = (more > 0)
        .then(|| element("p").class("small").text(&format!("And {} more.", words::count(more as u64))));
    section.child(table).children(more)
}
