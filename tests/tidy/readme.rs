//! README.md's table of the demo, against the demo.

use bitgauge_core::report::Report;
use conformance::demo;

use crate::tree::Tree;

/// Name, share and bits per parameter of a row.
type Row = [String; 3];

#[test]
fn its_table_of_the_demo_has_the_demos_figures() {
    let tree = Tree::of_repository();
    let report = demo::report();
    let wanted = figures(&report);
    assert_eq!(table(tree.text("README.md")), wanted);
    // One digit of one share, and one row.
    let first = &wanted[0];
    let other = first[1].replace(|digit: char| digit.is_ascii_digit(), "0");
    assert_ne!(table(tree.with("README.md", &first[1], &other).text("README.md")), wanted);
    assert_ne!(table(tree.with("README.md", &first[0], "sign").text("README.md")), wanted);
}

/// The rows as the report has them.
fn figures(report: &Report) -> Vec<Row> {
    let accounting = &report.accounting;
    let parameters = report.model.as_ref().and_then(|model| model.parameters).expect("a known architecture");
    let cells = |name: &str, sign: &str, bits: u64| {
        let share = 100.0 * bits as f64 / accounting.total_bits as f64;
        let each = bits as f64 / parameters as f64;
        [name.to_owned(), format!("{sign}{share:.2} %"), format!("{sign}{each:.4} bits/parameter")]
    };
    let used = accounting.buckets.iter().filter(|entry| entry.bits > 0);
    let mut rows: Vec<_> = used.map(|entry| cells(entry.bucket.words(), "", entry.bits)).collect();
    rows.push(cells("saved by compression", "−", accounting.saved_by_compression_bits));
    rows.push(cells("total", "", accounting.total_bits));
    rows
}

/// The rows as the document has them.
fn table(readme: &str) -> Vec<Row> {
    let rows = readme.lines().skip_while(|line| line.trim() != "Where the bits go").skip(2);
    rows.take_while(|line| line.contains('%')).map(row).collect()
}

/// Name, share and bits per parameter of a row; its size is the second cell.
fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let [name, _, share, each] = cells[..] else { panic!("{line}") };
    [name, share, each].map(str::to_owned)
}
