//! Where the bits go, in numbers.

use bitgauge_core::report::Report;
use bitgauge_core::report::words;

use crate::markup::{Markup, row, section, table};

/// Every bucket that holds anything; nothing of an artifact whose bits are not told apart.
pub fn accounting(report: &Report) -> Option<Markup> {
    let accounting = &report.accounting;
    let total = accounting.total_bits;
    let parameters = report.model.as_ref().and_then(|model| model.parameters).filter(|&p| p > 0);
    let line = |name: &str, bits: u64, sign: &str| {
        let per_parameter = parameters.map(|p| format!("{sign}{:.4}", bits as f64 / p as f64));
        row([
            name,
            &format!("{sign}{}", words::bits_as_bytes(bits)),
            &format!("{sign}{}", words::percent(bits, total)),
            per_parameter.as_deref().unwrap_or(words::UNKNOWN),
        ])
    };
    let buckets = accounting.buckets.iter().filter(|entry| entry.bits > 0);
    let mut rows: Vec<_> =
        buckets.map(|entry| line(words::bucket(entry.bucket, report), entry.bits, "")).collect();
    if accounting.saved_by_compression_bits > 0 {
        rows.push(line("saved by compression", accounting.saved_by_compression_bits, words::MINUS));
    }
    rows.push(line("total", total, ""));
    let heads = ["What", "Size", "Share", "Bits per parameter"];
    let section = section("bits", "Where the bits go").child(table("Where the bits go", &heads, rows));
    (!accounting.buckets.is_empty()).then_some(section)
}
