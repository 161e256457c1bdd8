//! What config.json asks for against what is stored.

use bitgauge_core::report::Report;
use bitgauge_core::report::words;

use crate::markup::{Markup, element, row, section, table};

/// Every difference by name; nothing when the architecture is not known.
pub fn manifest(report: &Report) -> Option<Markup> {
    let manifest = report.manifest.as_ref()?;
    let mut rows = Vec::new();
    let mut add = |names: &[String], expected: &str, found: &str| {
        rows.extend(names.iter().map(|name| row([name, expected, found])));
    };
    add(&manifest.missing, "once", "missing");
    add(&manifest.doubled, "once", "more than once");
    add(&manifest.unknown, "nothing", "stored");
    rows.extend(manifest.misshapen.iter().map(|m| row([&m.name, &m.expected, &m.found])));
    let section = section("manifest", "Expected and found");
    if rows.is_empty() {
        let words = format!(
            "All {} weights that config.json asks for are stored once, with their shapes.",
            words::count(manifest.expected)
        );
        return Some(section.child(element("p").text(&words)));
    }
    let words = format!(
        "config.json asks for {} weights; {}.",
        words::count(manifest.expected),
        words::plural(rows.len() as u64, "difference")
    );
    let table = table("Expected and found", &["Weight", "Expected", "Found"], rows);
    Some(section.child(element("p").text(&words)).child(table))
}
