//! Prints results: tables for people, JSON for programs, one line for scripts.

use bitgauge_core::report::words;
use std::path::{Path, PathBuf};

use bitgauge_core::Error;
use bitgauge_core::report::{Evaluation, Gate, Outcome, Report, WeightSummary, link};
use comfy_table::{CellAlignment, Table};
use native_eval::OutputFile;

use super::args::Format;
use super::print::{self, print, println};
use super::{table, text};

/// Prints a report in the wanted format; `weights` adds the table of every weight.
pub fn print_report(report: &Report, format: Format, weights: bool) {
    match format {
        Format::Json => print!("{}", report.to_json()),
        Format::Quiet => match &report.evaluation {
            Some(evaluation) => println!("{:.6}", evaluation.heldout_ppl),
            None => println!("{}", report.verdict.words()),
        },
        Format::Human => print_for_people(report, weights),
    }
}

/// Prints a link that carries the report: after the result, and on stderr where stdout is for programs.
pub fn print_link(report: &Report, base: &str, format: Format) {
    let link = format!("{base}#{}", link::encode(report, link::Detail::Full));
    match format {
        Format::Human => println!("\n{}  {link}", text::heading("share")),
        Format::Json | Format::Quiet => print::second_result(format_args!("{link}\n")),
    }
}

/// Prints the perplexity of a report and how it was measured, for people.
pub fn print_perplexity(report: &Report) {
    print_identity(report);
    if let Some(evaluation) = &report.evaluation {
        print_evaluation(evaluation);
    }
}

/// Name, model and hash.
fn print_identity(report: &Report) {
    let artifact = &report.artifact;
    let model = report.model.as_ref();
    let parameters = model.and_then(|m| m.parameters).map(|p| format!(", {} parameters", words::count(p)));
    let model_type = model.map(|m| format!("  {}", text::plain(&m.model_type))).unwrap_or_default();
    println!("{}{model_type}{}", text::heading(&text::plain(&artifact.name)), parameters.unwrap_or_default());
    if let Some(sha256) = &artifact.sha256 {
        println!("  sha256       {sha256}");
    }
}

/// First those figures by which an artifact is known: hash, size and perplexity.
fn print_for_people(report: &Report, weights: bool) {
    let artifact = &report.artifact;
    print_identity(report);
    println!("  size         {}", words::plural(artifact.size_bytes, "byte"));
    if let Some(evaluation) = &report.evaluation {
        println!("  heldout_ppl  {:.4}", evaluation.heldout_ppl);
    }
    println!("{}  under the {} limits\n", text::verdict(report.verdict), report.pack.name());
    print_gates(&report.gates);
    print_gate_particulars(&report.gates);
    let is_counted = !report.accounting.buckets.is_empty();
    if is_counted {
        println!("{}", text::heading("Where the bits go"));
        table::print(&accounting_table(report));
    }
    // A proxy's few matrices are all there is to say of it.
    if weights || !is_counted && !report.weights.is_empty() {
        println!("\n{}", text::heading("Weights"));
        print_weights(report);
    }
    println!();
    for note in &report.notes {
        println!("{}", text::faint(&text::plain(&format!("note: {note}"))));
    }
    if let Some(source) = &artifact.source {
        println!("{}", text::faint(&format!("source: {}", source.as_str())));
    }
    if let Some(evaluation) = &report.evaluation {
        print_evaluation(evaluation);
    }
}

/// Perplexity first, then how it was measured.
fn print_evaluation(evaluation: &Evaluation) {
    println!();
    println!(
        "{}  {}",
        text::heading("heldout_ppl"),
        text::heading(&format!("{:.4}", evaluation.heldout_ppl))
    );
    if let Some(estimate) = evaluation.estimate() {
        println!("  95 % interval  {}", words::uncertainty(&estimate));
    }
    println!("  cross entropy  {:.6} nats per token", evaluation.cross_entropy_nats);
    println!(
        "  scored         {} of {}, at most {} each",
        words::plural(evaluation.scored_tokens, "token"),
        words::plural(evaluation.scored_documents, "document"),
        words::plural(evaluation.max_tokens, "token")
    );
    print_cut(evaluation);
    println!("  device         {}, {}", evaluation.device, evaluation.precision);
    println!(
        "  speed          {} tokens/s, {:.2} s",
        words::count(evaluation.tokens_per_second as u64),
        evaluation.seconds
    );
}

/// What of the documents was not scored, or how all of it was.
fn print_cut(evaluation: &Evaluation) {
    if let Some((window, stride)) = evaluation.window.zip(evaluation.stride) {
        println!("  windows        {}, {stride} apart", words::plural(window, "token"));
    }
    if let Some(cut) = evaluation.cut_tokens {
        let all = cut + evaluation.scored_tokens + evaluation.scored_documents;
        let rest = if cut > 0 { ": --max-tokens or --window scores more" } else { "" };
        println!("  cut off        {} of the tokens{rest}", words::percent(cut, all));
    }
}

/// Prints what each gate wants and got, on two lines where one is too long.
fn print_gates(gates: &[Gate]) {
    let wide = wide_gates(gates);
    let is_wide = table::fits(&wide);
    table::print(&if is_wide { wide } else { narrow_gates(gates) });
}

fn wide_gates(gates: &[Gate]) -> Table {
    let number = |n: Option<u64>| n.map_or_else(|| words::UNKNOWN.to_owned(), words::count);
    let row = |gate: &Gate| {
        let (got, limit) = match gate.wanted {
            // A gate that counts faults.
            Some(0) => (faults(gate.got.unwrap_or(0)), String::new()),
            wanted => (number(gate.got), number(wanted)),
        };
        let unit = if gate.wanted == Some(0) || gate.wanted.is_none() { "" } else { gate.unit.name() };
        let margin = words::margin(gate).unwrap_or_default();
        vec![text::outcome(gate.outcome), gate.title.to_string(), got, limit, margin, unit.to_owned()]
    };
    let rows = gates.iter().map(row).collect();
    let mut table = table::table(&["", "gate", "got", "limit", "margin", ""], rows, 2);
    if let Some(column) = table.column_mut(5) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    table
}

/// The margin beside each gate; below, what it comes from.
fn narrow_gates(gates: &[Gate]) -> Table {
    let mut rows = Vec::new();
    for gate in gates {
        let margin = gate.margin.filter(|_| gate.wanted != Some(0)).map(|margin| {
            let side = if margin < 0 { "over" } else { "left" };
            format!("{} {side}", words::counted(margin.unsigned_abs(), gate.unit))
        });
        let margin = margin.or_else(|| gate.got.filter(|_| gate.wanted == Some(0)).map(faults));
        let margin = margin.unwrap_or_else(|| words::UNKNOWN.to_owned());
        rows.push(vec![text::outcome(gate.outcome), gate.title.to_string(), margin]);
        if let (Some(got), Some(limit @ 1..)) = (gate.got, gate.wanted) {
            let both = format!("  {} of {}", words::count(got), words::count(limit));
            rows.push(vec![String::new(), text::faint(&both), String::new()]);
        }
    }
    table::table(&["", "gate", "margin"], rows, 2)
}

fn faults(count: u64) -> String {
    if count == 0 { "no fault".to_owned() } else { words::plural(count, "fault") }
}

/// Rule, names and hint of every gate that did not pass.
fn print_gate_particulars(gates: &[Gate]) {
    for gate in gates.iter().filter(|g| g.outcome != Outcome::Pass) {
        println!("\n{} {}", text::outcome(gate.outcome), text::heading(&text::plain(&gate.title)));
        for detail in &gate.details {
            println!("  {}", text::plain(detail));
        }
        println!("  rule: {}", text::plain(&gate.rule));
        if let Some(hint) = &gate.hint {
            println!("  hint: {}", text::plain(hint));
        }
    }
    println!();
}

fn accounting_table(report: &Report) -> Table {
    let accounting = &report.accounting;
    let parameters = report.model.as_ref().and_then(|m| m.parameters).filter(|&p| p > 0);
    let share = |bits: u64| words::percent(bits, accounting.total_bits);
    let per_parameter = |bits: u64| {
        parameters.map_or_else(String::new, |p| format!("{:.4} bits/parameter", bits as f64 / p as f64))
    };
    let row = |name: &str, bits: u64| {
        vec![format!("  {name}"), words::bits_as_bytes(bits), share(bits), per_parameter(bits)]
    };
    let used = accounting.buckets.iter().filter(|entry| entry.bits > 0);
    let mut rows: Vec<_> = used.map(|entry| row(words::bucket(entry.bucket, report), entry.bits)).collect();
    if accounting.saved_by_compression_bits > 0 {
        let saved = accounting.saved_by_compression_bits;
        let minus = |cell: String| format!("{}{cell}", words::MINUS);
        rows.push(vec![
            "  saved by compression".to_owned(),
            minus(words::bits_as_bytes(saved)),
            minus(share(saved)),
            parameters.map_or_else(String::new, |_| minus(per_parameter(saved))),
        ]);
    }
    rows.push(row("total", accounting.total_bits));
    table::table(&["", "size", "share", ""], rows, 1)
}

fn print_weights(report: &Report) {
    let row = |weight: &WeightSummary| {
        let per =
            |p: u64| if p == 0 { String::new() } else { format!("{:.4}", weight.bits as f64 / p as f64) };
        let rescue = words::percent(weight.rescue_parameters, weight.parameters);
        vec![
            format!("  {}", text::plain(&weight.name)),
            text::plain(&weight.form),
            words::shape(&weight.shape),
            words::bits_as_bytes(weight.bits),
            per(weight.parameters),
            if weight.rescue_parameters == 0 { String::new() } else { rescue },
        ]
    };
    let header = ["  weight", "form", "shape", "size", "bits/parameter", "rescued"];
    table::print_rows(&header, report.weights.iter().map(row).collect(), 2, 1);
}

/// The file that a report goes to, if it is to go to one, checked before there is a report.
pub fn check_file(path: Option<&Path>, inputs: &[PathBuf]) -> Result<Option<OutputFile>, Error> {
    path.map(|path| OutputFile::check(path, inputs)).transpose()
}

/// Writes a report to its file, if it has one. Print the report even if this fails: it would be lost otherwise.
pub fn write_report(report: &Report, file: Option<&OutputFile>) -> Result<(), Error> {
    file.map_or(Ok(()), |file| file.write(report.to_json().as_bytes()))
}
