//! Two reports side by side: figure by figure, layer by layer, weight by weight.
//!
//! A report from a link lacks what links do not carry, so every line says whether both sides have it.

use std::collections::BTreeMap;

use half::f16;

use super::{Evaluation, Gate, LayerSummary, Report, WeightSummary};
use crate::accounting::Bucket;

/// A figure of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    /// Words, a name, a hash.
    Text(String),
    /// A count and its unit.
    Count(u64, &'static str),
    /// A measurement.
    Measured(f64),
}

/// One figure of both reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is.
    pub what: String,
    /// The first report's, if it has it.
    pub left: Option<Figure>,
    /// The second's.
    pub right: Option<Figure>,
}

impl Line {
    /// Whether the two agree, when both reports have the figure.
    pub fn agrees(&self) -> Option<bool> {
        Some(self.left.as_ref()? == self.right.as_ref()?)
    }
}

/// All figures that either report has, in the order of reports; names are not compared.
pub fn figures(left: &Report, right: &Report) -> Vec<Line> {
    let mut lines = Lines(Vec::new());
    let text = |text: &str| Some(Figure::Text(text.to_owned()));
    let both = [left, right];
    lines.add("SHA-256", both.map(|r| r.artifact.sha256.as_deref().and_then(text)));
    lines.add("size", both.map(|r| Some(Figure::Count(r.artifact.size_bytes, "bytes"))));
    lines.add("limits", both.map(|r| text(r.pack.name())));
    lines.add("verdict", both.map(|r| text(r.verdict.words())));
    for id in gate_ids(left, right) {
        let gates = both.map(|report| report.gates.iter().find(|gate| gate.id == id));
        let title = gates[0].or(gates[1]).map_or(id, |gate| &gate.title).to_owned();
        lines.add(&title, gates.map(|gate| gate.map(gate_figure)));
    }
    lines.add("model type", both.map(|r| r.model.as_ref().and_then(|model| text(&model.model_type))));
    let parameters = |r: &Report| r.model.as_ref()?.parameters;
    lines.add("parameters", both.map(|r| parameters(r).map(|p| Figure::Count(p, ""))));
    for bucket in Bucket::ALL {
        let bits = both.map(|report| {
            report.accounting.buckets.iter().find(|e| e.bucket == bucket).map_or(0, |e| e.bits)
        });
        if bits != [0, 0] {
            lines.add(bucket.name(), bits.map(|bits| Some(Figure::Count(bits, "bits"))));
        }
    }
    let evaluations = both.map(|report| report.evaluation.as_ref());
    lines.add("held-out perplexity", evaluations.map(|e| e.map(|e| Figure::Measured(e.heldout_ppl))));
    lines.add("documents", evaluations.map(|e| e.and_then(|e| text(&e.documents_sha256))));
    lines.0
}

struct Lines(Vec<Line>);

impl Lines {
    /// Adds a figure that at least one report has.
    fn add(&mut self, what: &str, [left, right]: [Option<Figure>; 2]) {
        if left.is_some() || right.is_some() {
            self.0.push(Line { what: what.to_owned(), left, right });
        }
    }
}

/// The identifiers of all gates, the first report's first.
fn gate_ids<'r>(left: &'r Report, right: &'r Report) -> Vec<&'r str> {
    let mut ids: Vec<&str> = Vec::new();
    for gate in left.gates.iter().chain(&right.gates) {
        if !ids.contains(&&*gate.id) {
            ids.push(&gate.id);
        }
    }
    ids
}

fn gate_figure(gate: &Gate) -> Figure {
    let outcome = match gate.outcome {
        super::Outcome::Pass => "pass",
        super::Outcome::Fail => "fail",
        super::Outcome::NotRun => "not run",
    };
    let got = gate.got.map(|got| format!(", {got} {}", gate.unit.name())).unwrap_or_default();
    Figure::Text(format!("{outcome}{got}"))
}

/// Layers whose figures differ, by number; those outside the layers are `None`.
pub fn layers<'r>(left: &'r Report, right: &'r Report) -> Vec<[Option<&'r LayerSummary>; 2]> {
    let mut by_number: BTreeMap<Option<u32>, [Option<&LayerSummary>; 2]> = BTreeMap::new();
    if left.layers.is_empty() || right.layers.is_empty() {
        return Vec::new();
    }
    for (side, report) in [left, right].into_iter().enumerate() {
        for layer in &report.layers {
            by_number.entry(layer.layer).or_default()[side] = Some(layer);
        }
    }
    by_number.into_values().filter(|pair| !same_layer(pair)).collect()
}

/// Whether all that both have is the same. Links round the mean of the scales to an f16.
fn same_layer([left, right]: &[Option<&LayerSummary>; 2]) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return false };
    let sizes = |layer: &LayerSummary| [layer.parameters, layer.rescue_parameters, layer.bits];
    let values = match (&left.values, &right.values) {
        (Some(left), Some(right)) => {
            [left.signs, left.plus, left.scales] == [right.signs, right.plus, right.scales]
                && f16::from_f64(left.scale_mean) == f16::from_f64(right.scale_mean)
                && (left.scale_min, left.scale_max) == (right.scale_min, right.scale_max)
        }
        _ => true,
    };
    sizes(left) == sizes(right) && values
}

/// Weights that differ, by name; nothing when a report does not list its weights.
pub fn weights<'r>(left: &'r Report, right: &'r Report) -> Vec<[Option<&'r WeightSummary>; 2]> {
    let mut by_name: BTreeMap<&str, [Option<&WeightSummary>; 2]> = BTreeMap::new();
    if left.weights.is_empty() || right.weights.is_empty() {
        return Vec::new();
    }
    for (side, report) in [left, right].into_iter().enumerate() {
        for weight in &report.weights {
            by_name.entry(&weight.name).or_default()[side] = Some(weight);
        }
    }
    by_name.into_values().filter(|[left, right]| left != right).collect()
}

/// Which of two reports comes first under the contract's rule, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ranking {
    /// Only this side (0 or 1) is eligible.
    OnlyEligible(usize),
    /// This side's loss is lower by so many nats, more than the pack's resolution.
    Better(usize, f64),
    /// The losses lie within the band, and this side is smaller by so many bytes.
    Smaller(usize, u64),
    /// The losses lie within the band, and so does the size.
    Equal,
    /// Neither is eligible.
    NoneEligible,
    /// Perplexities are missing, or were measured on other documents or under other limits.
    Unknown,
}

/// Ranks two reports: eligible ones by perplexity, and within the pack's resolution of perplexity by size.
pub fn rank(left: &Report, right: &Report) -> Ranking {
    let eligible = [left, right].map(|report| report.verdict == super::Verdict::Eligible);
    match eligible {
        [true, false] => return Ranking::OnlyEligible(0),
        [false, true] => return Ranking::OnlyEligible(1),
        [false, false] => return Ranking::NoneEligible,
        [true, true] => {}
    }
    let (Some(first), Some(second)) = (&left.evaluation, &right.evaluation) else { return Ranking::Unknown };
    let terms = |e: &Evaluation| (e.documents_sha256.clone(), e.max_tokens);
    if left.pack != right.pack || terms(first) != terms(second) {
        return Ranking::Unknown;
    }
    let nats = first.heldout_ppl.ln() - second.heldout_ppl.ln();
    if nats.is_nan() {
        return Ranking::Unknown;
    }
    if nats.abs() > left.pack.config().ppl_resolution_nats {
        return Ranking::Better(usize::from(nats > 0.0), nats.abs());
    }
    let [first, second] = [left, right].map(|report| report.artifact.size_bytes);
    match first.abs_diff(second) {
        0 => Ranking::Equal,
        bytes => Ranking::Smaller(usize::from(first > second), bytes),
    }
}
