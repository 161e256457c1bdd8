//! README.md's table of the demo, against the demo.

use conformance::demo;

const README: &str = include_str!("../../README.md");

#[test]
fn the_table_is_the_demos() {
    let report = demo::report();
    let accounting = &report.accounting;
    let parameters = report.model.as_ref().and_then(|model| model.parameters).expect("a known architecture");
    let cells = |name: &str, sign: &str, bits: u64| {
        let share = 100.0 * bits as f64 / accounting.total_bits as f64;
        let each = bits as f64 / parameters as f64;
        [name.to_owned(), format!("{sign}{share:.2} %"), format!("{sign}{each:.4} bits/parameter")]
    };
    let used = accounting.buckets.iter().filter(|entry| entry.bits > 0);
    let mut expected: Vec<_> = used.map(|entry| cells(entry.bucket.name(), "", entry.bits)).collect();
    expected.push(cells("saved by compression", "-", accounting.saved_by_compression_bits));
    expected.push(cells("total", "", accounting.total_bits));

    let table = README.lines().skip_while(|line| line.trim() != "Where the bits go").skip(2);
    let rows: Vec<_> = table.take_while(|line| line.contains('%')).map(row).collect();
    assert_eq!(rows, expected);
}

/// Name, share and bits per parameter of a row; its size is the second cell.
fn row(line: &str) -> [String; 3] {
    let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let [name, _, share, each] = cells[..] else { panic!("{line}") };
    [name, share, each].map(str::to_owned)
}
