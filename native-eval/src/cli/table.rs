//! Tables that fit the terminal: side by side where there is room, else stacked.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::print::{columns, println};
use super::text;

/// Spaces between columns.
const GAP: u16 = 2;
/// Spaces before the second line of a row.
const INDENT: &str = "    ";

/// A borderless table whose columns after the first `left` are numbers.
pub fn table(header: &[&str], rows: Vec<Vec<String>>, left: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if header.iter().any(|head| !head.is_empty()) {
        table.set_header(header.iter().map(|head| text::faint(head)));
    }
    for row in rows {
        table.add_row(row);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP));
        if index >= left {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Prints a table without the spaces that fill its last column.
pub fn print(table: &Table) {
    println!("{}", table.trim_fmt());
}

/// Whether no line of a table is wider than the terminal.
pub fn fits(table: &Table) -> bool {
    table.trim_fmt().lines().all(|line| text::columns(line.trim_end()) <= columns())
}

/// Prints rows as a table whose columns after the first `left` are numbers. Where that is too wide, the first `lead`
/// cells of each row stand on a line of their own above the others.
pub fn print_rows(header: &[&str], rows: Vec<Vec<String>>, left: usize, lead: usize) {
    let whole = table(header, rows.clone(), left);
    if fits(&whole) {
        return print(&whole);
    }
    let joined = |cells: &[String]| cells.join("  ").trim_end().to_owned();
    let (leads, rests): (Vec<_>, Vec<_>) =
        rows.into_iter().map(|row| (joined(&row[..lead]), row[lead..].to_vec())).unzip();
    let rest = table(&header[lead..], rests, left.saturating_sub(lead));
    let rest = rest.trim_fmt();
    let mut lines = rest.lines();
    let has_header = header[lead..].iter().any(|head| !head.is_empty());
    if let Some(heads) = lines.next().filter(|_| has_header) {
        println!("{INDENT}{heads}");
        print_stacked(leads, lines);
    } else {
        print_stacked(leads, rest.lines());
    }
}

fn print_stacked<'a>(leads: Vec<String>, rests: impl Iterator<Item = &'a str>) {
    for (lead, rest) in leads.into_iter().zip(rests) {
        println!("{lead}");
        if !rest.trim().is_empty() {
            println!("{INDENT}{rest}");
        }
    }
}

/// Prints what two things called `names` have of the same: a name and two cells a row. Where that is too wide, the three
/// stand below each other.
pub fn print_pairs(what: &str, names: [&str; 2], rows: Vec<[String; 3]>) {
    let header = [&format!("  {what}"), names[0], names[1]];
    let indented = |[name, left, right]: &[String; 3]| vec![format!("  {name}"), left.clone(), right.clone()];
    let whole = table(&header, rows.iter().map(indented).collect(), 3);
    if fits(&whole) {
        return print(&whole);
    }
    for [name, left, right] in rows {
        println!("  {name}");
        println!("{INDENT}{}  {left}", text::faint(names[0]));
        println!("{INDENT}{}  {right}", text::faint(names[1]));
    }
}
