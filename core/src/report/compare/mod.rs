//! Two reports side by side: figure by figure, gate by gate, layer by layer, weight by weight, and which of
//! the two artifacts ranks first.
//!
//! A report from a link lacks what links do not carry, so every line says whether both sides have it.

mod decision;
mod pairs;

use std::collections::BTreeMap;

use half::f16;

use super::{LayerSummary, MemberSummary, Outcome, Report, Unit};
use crate::accounting::Bucket;

pub use decision::{Decision, Reason, Side, decide};
pub use pairs::{Pair, gates, tensors, weights};

/// A figure of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    /// Words, a name, a hash.
    Text(String),
    /// A count and its unit.
    Count(u64, &'static str),
    /// A measurement.
    Measured(f64),
    /// What became of a gate, and what it counted.
    Gate(Outcome, Option<u64>, Unit),
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
    for pair in gates(left, right) {
        let title = pair[0].or(pair[1]).map_or("", |gate| &gate.title);
        lines.add(title, pair.map(|gate| gate.map(|gate| Figure::Gate(gate.outcome, gate.got, gate.unit))));
    }
    lines.add("model type", both.map(|r| r.model.as_ref().and_then(|model| text(&model.model_type))));
    let parameters = |r: &Report| r.model.as_ref()?.parameters;
    lines.add("parameters", both.map(|r| parameters(r).map(|p| Figure::Count(p, ""))));
    for bucket in Bucket::ALL {
        let bits = both.map(|report| {
            report.accounting.buckets.iter().find(|e| e.bucket == bucket).map_or(0, |e| e.bits)
        });
        if bits != [0, 0] {
            lines.add(bucket.words(), bits.map(|bits| Some(Figure::Count(bits, "bits"))));
        }
    }
    let evaluations = both.map(|report| report.evaluation.as_ref());
    lines.add("held-out perplexity", evaluations.map(|e| e.map(|e| Figure::Measured(e.heldout_ppl))));
    lines.add("documents", evaluations.map(|e| e.and_then(|e| text(&e.documents_sha256))));
    lines.add("longest document", evaluations.map(|e| e.map(|e| Figure::Count(e.max_tokens, "tokens"))));
    lines.0
}

/// Whether both are reports of the same bytes, as far as both have hashes: of the file or, for folders, of every file.
pub fn same_artifact(left: &Report, right: &Report) -> Option<bool> {
    let [left, right] = [&left.artifact, &right.artifact];
    if let (Some(left), Some(right)) = (&left.sha256, &right.sha256) {
        return Some(left == right);
    }
    let hashed =
        |members: &[MemberSummary]| !members.is_empty() && members.iter().all(|m| m.sha256.is_some());
    let same = |a: &MemberSummary, b: &MemberSummary| (&a.name, &a.sha256) == (&b.name, &b.sha256);
    let known = left.kind == right.kind && hashed(&left.members) && hashed(&right.members);
    known.then(|| {
        left.members.len() == right.members.len()
            && left.members.iter().zip(&right.members).all(|(a, b)| same(a, b))
    })
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

/// Layers whose figures differ, by number; those outside the layers are `None`.
pub fn layers<'r>(left: &'r Report, right: &'r Report) -> Vec<Pair<'r, LayerSummary>> {
    let mut by_number: BTreeMap<Option<u32>, Pair<LayerSummary>> = BTreeMap::new();
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
fn same_layer([left, right]: &Pair<LayerSummary>) -> bool {
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
