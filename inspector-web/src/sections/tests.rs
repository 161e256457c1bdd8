//! The parts of a report as a reader meets them.

use bitgauge_core::contract::Rules;
use bitgauge_core::report::compare::{Figure, Line};
use bitgauge_core::report::{
    MemberSummary, MetadataEntry, MisshapenSummary, Outcome, Report, TensorSummary, Unit,
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
    assert!(rows.all_text().contains("Size1 bytes2 bytes✗differsSize1 bytes–?one side only"));
}
