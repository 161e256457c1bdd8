//! The parts of a report as a reader meets them.

use bitgauge_core::contract::Rules;
use bitgauge_core::report::compare::{Figure, Line};
use bitgauge_core::report::{
    DocumentLoss, Estimate, Evaluation, MemberSummary, MetadataEntry, MisshapenSummary, Outcome, Report,
    TensorSummary, Unit,
};

use super::*;
use crate::headline::tests::{gate, report as with_gates};
use crate::markup::Child;

/// A report from a link is a whole report with layers, made here without a file.
fn report() -> Report {
    let text = include_str!("../../../tests/fixtures/link-version-1.json");
    Report::from_json(text).expect("a report")
}

#[test]
fn the_bars_of_the_budget_fill_what_is_used_and_no_more() {
    let report = report();
    assert_eq!(report.pack, Rules::Binary);
    let markup = budget::budget(&report).expect("a budget");
    for (bar, gate) in markup.find("svg").into_iter().zip([&report.gates[0], &report.gates[6]]) {
        let width =
            |part: &crate::markup::Markup| part.attribute("width").and_then(|w| w.parse::<f64>().ok());
        let parts = bar
            .find("rect")
            .into_iter()
            .filter(|part| part.attribute("class").is_some_and(|c| c.starts_with("series")));
        let used: f64 = parts.filter_map(width).sum();
        let wanted = 1_000.0 * gate.got.unwrap() as f64 / gate.wanted.unwrap() as f64;
        assert!((used - wanted).abs() < 0.1, "{used} of {wanted}");
    }
    let over = with_gates(vec![gate(Outcome::Fail, Unit::Bytes, 120, 100)]);
    let mut over = Report { accounting: report.accounting, ..over };
    over.gates[0].id = "artifact_size".into();
    let text = budget::budget(&over).expect("a budget").all_text();
    assert!(text.contains("20 over (20.00 %)"), "{text}");
    over.accounting.buckets.clear();
    assert!(budget::budget(&over).is_none());
}

#[test]
fn charts_say_the_numbers_of_their_table() {
    let report = report();
    let markup = layers::layers(&report).expect("layers");
    let charts = markup.find("svg");
    assert_eq!(charts.len(), 4);
    for chart in charts {
        assert_eq!(chart.find("rect").len(), report.layers.len());
        for bar in chart.find("rect") {
            let number = |name| bar.attribute(name).and_then(|n| n.parse::<f64>().ok()).expect("a number");
            assert!(number("y") >= 0.0 && number("y") + number("height") <= 100.01, "{bar:?}");
        }
    }
    assert_eq!(markup.find("tr").len(), 1 + report.layers.len());
    assert!(layers::layers(&with_gates(Vec::new())).is_none());
}

#[test]
fn differences_from_the_manifest_are_named() {
    let mut report = report();
    assert!(manifest::manifest(&report).is_none());
    report.manifest = Some(bitgauge_core::report::ManifestSummary {
        expected: 134,
        missing: vec!["model.norm.weight".into()],
        unknown: vec!["<b>mtp</b>".into()],
        doubled: Vec::new(),
        misshapen: vec![MisshapenSummary {
            name: "w".into(),
            expected: "[2, 3]".into(),
            found: "[3, 2]".into(),
        }],
    });
    let markup = manifest::manifest(&report).expect("a manifest");
    assert_eq!(markup.find("tr").len(), 4);
    assert!(markup.all_text().contains("134 weights; 3 differences"));
    // Text stays text.
    assert!(markup.find("th").iter().any(|cell| cell.children == [Child::Text("<b>mtp</b>".into())]));
}

#[test]
fn metadata_stands_beside_the_configuration_and_stays_text() {
    let mut report = with_gates(Vec::new());
    let entry = MetadataEntry { key: "format".into(), value: "<i>pt</i>".into() };
    let named = |name: &str| MemberSummary { name: name.into(), ..MemberSummary::default() };
    let with_metadata = MemberSummary { metadata: vec![entry], ..named("model.safetensors") };
    report.artifact.members = vec![named("config.json"), with_metadata];
    let markup = notes::notes(&report, Some("{}"));
    let summaries: Vec<_> = markup.find("summary").iter().map(|summary| summary.all_text()).collect();
    assert_eq!(summaries, ["config.json", "Metadata of model.safetensors"]);
    assert_eq!(markup.find("dt")[0].all_text(), "format");
    assert_eq!(markup.find("dd")[0].children, [Child::Text("<i>pt</i>".into())]);
}

#[test]
fn a_published_hash_is_found_however_it_is_written() {
    let report = report();
    let hash = report.artifact.sha256.clone().expect("a hash");
    let compare = |text: &str| hashes::compare(&report, text);
    for text in [hash.clone(), format!(" sha256:{} ", hash.to_uppercase())] {
        assert_eq!(compare(&text), Some(Ok("This is the hash of model.zip.".into())));
    }
    let tensor = TensorSummary { name: "w".into(), sha256: "cd".repeat(32), ..TensorSummary::default() };
    assert!(
        compare(&tensor.sha256).is_some_and(|result| result.is_err()) && hashes::tensors(&report).is_none()
    );
    let with_tensors = Report { tensors: Some(vec![tensor.clone()]), ..report.clone() };
    assert_eq!(hashes::compare(&with_tensors, &tensor.sha256), Some(Ok("This is the hash of w.".into())));
    assert_eq!(hashes::tensors(&with_tensors).expect("a list").find("code")[0].all_text(), tensor.sha256);
    assert_eq!(compare(" "), None);
    assert!(compare(&"0".repeat(64)).is_some_and(|result| result.is_err()));
    assert!(
        compare("12").is_some_and(|result| result.is_err_and(|words| words.contains("has 2 characters")))
    );
}

#[test]
fn compared_figures_are_in_words() {
    let words = comparison::figure;
    assert_eq!(words(&Figure::Text("ab".repeat(32))), "abababab…abababab");
    assert_eq!(words(&Figure::Count(2_492_547, "bytes")), "2,492,547 bytes");
    assert_eq!(words(&Figure::Count(16_000_000, "bits")), "2.00 MB");
    assert_eq!(words(&Figure::Measured(19.826_01)), "19.8260");
    assert_eq!(words(&Figure::Gate(Outcome::Fail, Some(1_234), Unit::Bytes)), "fail, 1,234 bytes");
    assert_eq!(words(&Figure::Gate(Outcome::NotRun, None, Unit::Files)), "not run");
    let config = Line { what: "config.json".into(), left: None, right: None };
    assert!(
        comparison::lines(&[config], ["a", "b"], comparison::agreement).all_text().contains("config.json")
    );
    let line =
        |left: u64, right| Line { what: "size".into(), left: Some(Figure::Count(left, "bytes")), right };
    let rows = comparison::lines(
        &[line(1, Some(Figure::Count(2, "bytes"))), line(1, None)],
        ["a", "b"],
        comparison::agreement,
    );
    assert!(rows.all_text().contains("Size1 bytes2 bytes✗differsSize1 bytes–?missing"));
}

/// A report with a perplexity of these documents, their nats per token.
fn evaluated(means: &[f64]) -> Report {
    let documents: Vec<_> =
        means.iter().map(|mean| DocumentLoss { tokens: 100, nats: 100.0 * mean }).collect();
    let nats = means.iter().sum::<f64>() / means.len() as f64;
    let evaluation = Evaluation {
        heldout_ppl: nats.exp(),
        cross_entropy_nats: nats,
        scored_documents: means.len() as u64,
        scored_tokens: 100 * means.len() as u64,
        documents,
        ..Evaluation::default()
    };
    Report { evaluation: Some(evaluation), ..with_gates(Vec::new()) }
}

#[test]
fn a_histogram_has_every_document_in_one_bar() {
    let means: Vec<f64> = (0..24).map(|i| 2.0 + 0.1 * f64::from(i % 7)).collect();
    let markup = estimate::estimate(&evaluated(&means)).expect("a section");
    let svg = markup.find("svg")[0];
    let words = |part: &crate::markup::Markup| part.find("title")[0].all_text();
    let bars: Vec<_> =
        svg.find("rect").into_iter().filter(|r| r.attribute("class") == Some("histogram__bar")).collect();
    let documents = bars.iter().map(|bar| {
        let (_, count) =
            words(bar).rsplit_once(": ").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a count");
        count.split(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a number")
    });
    assert_eq!(documents.sum::<u64>(), 24);
    let spread = evaluated(&means).evaluation.and_then(|e| e.estimate()).expect("an estimate");
    let [low, high] = spread.interval();
    let desc = svg.find("desc")[0].all_text();
    assert!(desc.contains(&format!("{low:.4} to {high:.4}")) && desc.contains("24 documents"), "{desc}");
    let rows: Vec<_> = markup.find("table").iter().map(|table| table.find("tr").len() - 1).collect();
    assert_eq!(rows, [bars.len(), 5, 5]);
    // The best are numbered as the documents are.
    assert!(markup.all_text().contains("Perplexity11002.00007.3891"), "{}", markup.all_text());
}

#[test]
fn few_documents_are_listed_once_and_one_has_no_spread() {
    let markup = estimate::estimate(&evaluated(&[2.0, 3.0])).expect("a section");
    assert!(markup.all_text().contains("From best to worst"));
    assert!(estimate::estimate(&evaluated(&[2.0])).is_none());
    assert!(estimate::estimate(&with_gates(Vec::new())).is_none());
    // All alike: no width to divide by.
    assert!(estimate::estimate(&evaluated(&[2.0; 9])).is_some());
}

#[test]
fn a_difference_stands_where_its_numbers_are() {
    let pair = Estimate { nats: -0.03, standard_error: 0.001, documents: 24 };
    let markup = estimate::difference(&pair, ["a.zip", "b.zip"]);
    assert!(
        markup.all_text().contains("a.zip is better by 0.0300 nats, 0.0279 to 0.0321 over 24 documents"),
        "{}",
        markup.all_text()
    );
    let rect = |class: &str| {
        let found = markup.find("rect").into_iter().find(|r| r.attribute("class") == Some(class));
        let number = |name| {
            found.and_then(|r| r.attribute(name)).and_then(|n| n.parse::<f64>().ok()).expect("a number")
        };
        [number("x"), number("x") + number("width")]
    };
    let [rule, interval] = [rect("interval__rule"), rect("interval interval--strong")];
    // Left of zero, which is in the middle, and beyond the rule's limit.
    assert!(
        interval[1] < rule[0] && rule[0] < 500.0 && (rule[0] + rule[1] - 1_000.0).abs() < 0.1,
        "{rule:?} {interval:?}"
    );
    let other = estimate::difference(&Estimate { nats: 0.03, ..pair }, ["a.zip", "b.zip"]);
    assert!(other.all_text().contains("b.zip is better by"));
}

#[test]
fn commands_are_code_and_single_backticks_stay() {
    let markup = crate::markup::element("p").prose("run `a b` and `c`, not a ` alone");
    let code: Vec<_> = markup.find("code").iter().map(|code| code.all_text()).collect();
    assert_eq!(code, ["a b", "c"]);
    assert_eq!(markup.all_text(), "run a b and c, not a ` alone");
}

#[test]
fn each_page_and_each_file_has_a_title() {
    use frame::{Page, title};
    assert_eq!(title(Page::Url, None), "By address · bitgauge inspector");
    assert_eq!(title(Page::Inspect, Some("m.zip")), "m.zip · Inspect · bitgauge");
}

#[test]
fn a_claim_shows_the_copy_first() {
    let line = Line {
        what: "size".into(),
        left: Some(Figure::Count(1, "bytes")),
        right: Some(Figure::Count(2, "bytes")),
    };
    let markup = comparison::checked(&[line], comparison::agreement);
    assert!(markup.all_text().contains("Size2 bytes✗differs1 bytes"), "{}", markup.all_text());
}
