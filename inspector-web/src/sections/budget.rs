//! The budget as a picture: one bar for each cap, filled by what the bits are spent on.

use bitgauge_core::accounting::Bucket;
use bitgauge_core::report::words;
use bitgauge_core::report::{Gate, Report};

use crate::headline;
use crate::markup::{Markup, details, element, row, section, table};

/// Width of a bar in its own units.
const WIDTH: f64 = 1_000.0;
/// Height of a bar in its own units.
const HEIGHT: f64 = 36.0;

/// What the picture tells apart, in its order.
const SERIES: [(&str, &[Bucket]); 8] = [
    ("sign bits", &[Bucket::SignBits]),
    ("scales", &[Bucket::Scales]),
    ("rescue codes", &[Bucket::RescueCodes]),
    ("rescue scales", &[Bucket::RescueScales]),
    ("rescue row numbers", &[Bucket::RescueRowNumbers]),
    ("unpacked and other tensors", &[Bucket::Unpacked, Bucket::OtherTensors]),
    (
        "metadata",
        &[
            Bucket::Headers,
            Bucket::Config,
            Bucket::Tokenizer,
            Bucket::Code,
            Bucket::OtherFiles,
            Bucket::Archive,
        ],
    ),
    ("padding", &[Bucket::SignPadding, Bucket::RescueCodePadding]),
];

/// A bar for each cap on the artifact's size; nothing of an artifact whose bits are not told apart.
pub fn budget(report: &Report) -> Option<Markup> {
    let caps = report.gates.iter().filter(|gate| matches!(&*gate.id, "artifact_size" | "model_budget"));
    let bits = series_bits(report);
    let mut section = section("budget", "The budget").children(caps.filter_map(|gate| bar(gate, &bits)));
    let shown = || (1..).zip(SERIES).zip(bits).filter(|(_, bits)| *bits > 0);
    let legend = shown().map(|((number, (name, _)), bits)| {
        let swatch = element("span").class(&format!("swatch series-{number}")).with("aria-hidden", "true");
        element("li").child(swatch).text(&format!("{name} {}", words::bits_as_bytes(bits)))
    });
    section = section.child(element("ul").class("legend").children(legend));
    if report.accounting.saved_by_compression_bits > 0 {
        let note =
            "Compression makes the artifact smaller than its contents; the bars show each part’s share.";
        section = section.child(element("p").class("small").text(note));
    }
    let rows = shown().map(|((_, (name, _)), bits)| row([name, &words::bits_as_bytes(bits)]));
    let section = section.child(details("Show data", table("The budget", &["Part", "Size"], rows)));
    (!report.accounting.buckets.is_empty()).then_some(section)
}

/// Bits of each series.
fn series_bits(report: &Report) -> [u64; SERIES.len()] {
    let of =
        |bucket| report.accounting.buckets.iter().find(|entry| entry.bucket == bucket).map_or(0, |e| e.bits);
    SERIES.map(|(_, buckets)| buckets.iter().copied().map(of).sum())
}

/// The bar of one cap; the whole width is the cap, or the artifact where that is larger.
fn bar(gate: &Gate, bits: &[u64; SERIES.len()]) -> Option<Markup> {
    let (got, limit) = (gate.got?, gate.wanted?);
    let whole = got.max(limit).max(1) as f64;
    let used = WIDTH * got as f64 / whole;
    let all: u64 = bits.iter().sum();
    let mut start = 0.0;
    let mut parts = Vec::new();
    for ((number, (name, _)), bits) in (1..).zip(SERIES).zip(bits) {
        let width = used * *bits as f64 / (all as f64).max(1.0);
        let words = format!("{name}: {}", words::bits_as_bytes(*bits));
        parts.push(rectangle(start, width, &format!("series-{number}")).child(element("title").text(&words)));
        start += width;
    }
    let margin = words::margin(gate)?;
    let title = format!("{}: {} of {} bytes, {margin}", gate.title, words::count(got), words::count(limit));
    let at = WIDTH * limit as f64 / whole;
    let picture = element("svg")
        .class("bar")
        .with("role", "img")
        .with("viewBox", format!("0 0 {WIDTH} {HEIGHT}"))
        .with("preserveAspectRatio", "none")
        .child(element("title").text(&title))
        .child(rectangle(0.0, WIDTH, "bar__free"))
        .children(parts)
        .child(rectangle((at - 1.5).max(0.0), 3.0, "bar__limit"));
    let caption =
        element("p").class("bar__caption").child(element("b").text(&headline::capitalised(&gate.title)));
    let over = if got > limit { "bar__margin bar__margin--over" } else { "bar__margin" };
    let margin = element("span")
        .class(over)
        .text(&format!("{margin} ({})", words::percent(got.abs_diff(limit), limit)));
    Some(element("div").class("budget").child(caption.text(" ").child(margin)).child(picture))
}

fn rectangle(x: f64, width: f64, class: &str) -> Markup {
    let rectangle = element("rect").with("x", format!("{x:.2}")).with("y", 0).with("height", HEIGHT);
    rectangle.with("width", format!("{width:.2}")).class(class)
}
