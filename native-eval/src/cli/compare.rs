//! `bitgauge compare`: two artifacts side by side, and which of them ranks first.

mod best;
mod claim;
mod json;

use bitgauge_core::report::compare::{self, Decision, Figure, Line, Pair, Reason, Side};
use bitgauge_core::report::words;
use bitgauge_core::report::{Gate, LayerSummary, Report, TensorSummary, WeightSummary};

use self::claim::Claim;
use super::args::{CompareOptions, Format};
use super::inspect::{Reading, Settings};
use super::print::{print, println};
use super::{Exit, Failure, subject, table, text};

/// Weights and layers that are listed unless all are asked for.
const LISTED: usize = 12;
/// What the two are called.
const NAMES: [&str; 2] = ["A", "B"];

/// Compares two artifacts, reports or links.
pub fn run(options: &CompareOptions, format: Format) -> Result<Exit, Failure> {
    let settings = Settings {
        rules: options.pack.into(),
        reading: Reading::of(options.headers_only, options.hash_tensors),
        access: options.remote.access(false),
    };
    let left = subject::find(&options.a, &settings)?;
    let right = match (&options.b, &options.best) {
        (Some(b), _) => subject::find(b, &settings)?,
        (None, Some(url)) => return best::run(&left.report, url, format),
        (None, None) => return Err(Failure("there is nothing to compare it with".to_owned())),
    };
    let claim = Claim::of(&left, &right);
    let [left, right] = [left.report, right.report];
    let decision = compare::decide(&left, &right);
    match format {
        Format::Json => print!("{}", json::document(&left, &right, &decision, claim.as_ref())),
        Format::Quiet => println!("{}", outcome(&decision)),
        Format::Human => print_for_people([&left, &right], &decision, claim.as_ref(), options.all),
    }
    Ok(exit(&decision))
}

fn exit(decision: &Decision) -> Exit {
    match (decision.winner, decision.reason) {
        (Some(_), _) | (None, Reason::Tie) => Exit::Done,
        (None, Reason::NoneEligible) => Exit::NotEligible,
        (None, _) => Exit::Inconclusive,
    }
}

/// The outcome in a few words.
fn outcome(decision: &Decision) -> String {
    match (decision.winner, decision.reason) {
        (Some(side), _) => format!("{} wins", name(side)),
        (None, Reason::Tie) => "tie".to_owned(),
        (None, Reason::NoneEligible) => "neither wins".to_owned(),
        (None, _) => "undecided".to_owned(),
    }
}

fn name(side: Side) -> &'static str {
    NAMES[side as usize]
}

fn print_for_people(both: [&Report; 2], decision: &Decision, claim: Option<&Claim>, all: bool) {
    if compare::same_bytes(&both[0].artifact, &both[1].artifact) == Some(true) {
        println!("{}\n", text::unsure("A and B are the same artifact: every byte is the same"));
    }
    table::print_rows(&["", "artifact", "verdict", "size", "heldout_ppl"], summaries(both), 3, 2);
    println!();
    let style = if decision.winner.is_some() { text::good } else { text::unsure };
    println!("{}: {}", style(&outcome(decision)), decision.reason.words());
    print_margins(decision);
    if let Some(claim) = claim {
        claim.print();
    }

    let [left, right] = both;
    println!("\n{}", text::heading("Gates"));
    print_gates(compare::gates(left, right));

    let figures = compare::figures(left, right);
    let differing: Vec<&Line> =
        figures.iter().filter(|line| !is_gate(line, both) && line.agrees() != Some(true)).collect();
    println!("\n{}", text::heading("Figures that differ"));
    if differing.is_empty() {
        println!("  none");
    } else {
        table::print_pairs("figure", NAMES, differing.iter().map(|line| figure_row(line)).collect());
    }
    let limit = if all { usize::MAX } else { LISTED };
    print_list("Layers", "layer", Some(compare::layers(left, right)), limit, layer_row);
    print_list("Weights", "weight", compare::weights(left, right), limit, weight_row);
    if let Some(tensors) = compare::tensors(left, right) {
        print_list("Tensors", "tensor", Some(tensors), limit, tensor_row);
    }
}

fn summaries(both: [&Report; 2]) -> Vec<Vec<String>> {
    let row = |(name, report): (&str, &Report)| {
        let perplexity = report.evaluation.as_ref().map(|e| format!("{:.4}", e.heldout_ppl));
        vec![
            text::heading(name),
            report.artifact.name.clone(),
            text::verdict(report.verdict),
            words::plural(report.artifact.size_bytes, "byte"),
            perplexity.unwrap_or_else(|| words::UNKNOWN.to_owned()),
        ]
    };
    NAMES.into_iter().zip(both).map(row).collect()
}

/// What lies between the two: nats and bytes.
fn print_margins(decision: &Decision) {
    if let Some(nats) = decision.nats {
        let lower = if nats < 0.0 { Side::Left } else { Side::Right };
        println!("  perplexity  {}'s is lower by {:.6} nats", name(lower), nats.abs());
    }
    if let Some(difference) = &decision.difference {
        println!("  95 %        {}", words::difference(difference));
    }
    match decision.smaller {
        Some(side) => {
            println!("  size        {} is smaller by {}", name(side), words::plural(decision.bytes, "byte"))
        }
        None => println!("  size        the same"),
    }
}

fn is_gate(line: &Line, both: [&Report; 2]) -> bool {
    both.iter().flat_map(|report| &report.gates).any(|gate| gate.title == line.what)
}

/// Prints the gates of both, beside each other or, where that is too wide, below.
fn print_gates(gates: Vec<Pair<Gate>>) {
    let heads = ["  gate", "A", "got", "margin", "B", "got", "margin", ""];
    let wide = table::table(&heads, gates.iter().map(gate_row).collect(), 1);
    if table::fits(&wide) {
        return table::print(&wide);
    }
    let rows = gates.iter().flat_map(|pair| {
        let [title, unit] = title_and_unit(pair);
        let [left, right] = pair.map(|gate| gate_cells(gate));
        let row = |first: String, name: &str, cells: [String; 3]| {
            [first, name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
        };
        [row(title, NAMES[0], left), row(format!("  {unit}"), NAMES[1], right)]
    });
    table::print(&table::table(&["gate", "", "", "got", "margin"], rows.collect(), 3));
}

fn title_and_unit(pair: &Pair<Gate>) -> [String; 2] {
    let gate = pair[0].or(pair[1]);
    [
        gate.map_or_else(String::new, |gate| gate.title.to_string()),
        gate.map_or("", |gate| gate.unit.name()).into(),
    ]
}

/// Outcome, what it got, and its margin.
fn gate_cells(gate: Option<&Gate>) -> [String; 3] {
    let unknown = || words::UNKNOWN.to_owned();
    // A gate whose limit is 0 counts faults, so what it got says all.
    let limited = gate.is_some_and(|gate| gate.wanted != Some(0));
    let margin = gate.and_then(|gate| gate.margin).filter(|_| limited);
    [
        gate.map_or_else(unknown, |gate| text::outcome(gate.outcome)),
        gate.and_then(|gate| gate.got).map_or_else(unknown, words::count),
        margin.map_or_else(String::new, words::signed),
    ]
}

fn gate_row(pair: &Pair<Gate>) -> Vec<String> {
    let [title, unit] = title_and_unit(pair);
    let mut row = vec![format!("  {title}")];
    row.extend(pair.iter().flat_map(|gate| gate_cells(*gate)));
    row.push(unit);
    row
}

fn figure_row(line: &Line) -> [String; 3] {
    let cell =
        |figure: &Option<Figure>| figure.as_ref().map_or_else(|| words::UNKNOWN.to_owned(), words::figure);
    [line.what.to_string(), cell(&line.left), cell(&line.right)]
}

/// Lists pairs that differ, the first `limit` of them.
fn print_list<T>(
    title: &str,
    what: &str,
    pairs: Option<Vec<Pair<T>>>,
    limit: usize,
    row: fn([&T; 2]) -> [String; 2],
) where
    T: Named,
{
    println!("\n{}", text::heading(&format!("{title} that differ")));
    let Some(pairs) = pairs else {
        println!("  not known: a report from a link does not list its weights");
        return;
    };
    if pairs.is_empty() {
        println!("  none");
        return;
    }
    let shown = pairs.iter().take(limit).map(|pair| {
        let cells = match *pair {
            [Some(left), Some(right)] => row([left, right]),
            [left, _] => {
                let there = |is: bool| if is { "stored" } else { words::UNKNOWN }.to_owned();
                [there(left.is_some()), there(left.is_none())]
            }
        };
        let name = pair[0].or(pair[1]).map(Named::name).unwrap_or_default();
        let [left, right] = cells;
        [name, left, right]
    });
    table::print_pairs(what, NAMES, shown.collect());
    if pairs.len() > limit {
        println!(
            "{}",
            text::faint(&format!("  and {} more (--all)", words::count((pairs.len() - limit) as u64)))
        );
    }
}

/// What has a name in a list.
trait Named {
    fn name(&self) -> String;
}

impl Named for WeightSummary {
    fn name(&self) -> String {
        self.name.clone()
    }
}

impl Named for TensorSummary {
    fn name(&self) -> String {
        self.name.clone()
    }
}

impl Named for LayerSummary {
    fn name(&self) -> String {
        words::layer(self.layer)
    }
}

fn weight_row(pair: [&WeightSummary; 2]) -> [String; 2] {
    pair.map(|weight| {
        format!("{}, {}, {} bits", weight.form, words::shape(&weight.shape), words::count(weight.bits))
    })
}

fn tensor_row(pair: [&TensorSummary; 2]) -> [String; 2] {
    pair.map(|tensor| {
        format!("{}, {}, {}", tensor.dtype, words::shape(&tensor.shape), words::short_hash(&tensor.sha256))
    })
}

fn layer_row(pair: [&LayerSummary; 2]) -> [String; 2] {
    pair.map(|layer| {
        let values = layer.values.as_ref().map(|values| {
            let plus = words::percent(values.plus, values.signs);
            format!(", {plus} plus, mean scale {:.4e}", values.scale_mean)
        });
        let (bits, rescued) = (words::count(layer.bits), words::count(layer.rescue_parameters));
        format!("{bits} bits, {rescued} rescued{}", values.unwrap_or_default())
    })
}
