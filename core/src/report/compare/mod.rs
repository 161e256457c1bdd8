//! Two reports side by side: figure by figure, gate by gate, layer by layer, weight by weight, and which of
//! the two artifacts ranks first.
//!
//! A report from a link lacks what links do not carry, so every line says whether both sides have it.

mod claim;
mod decision;
mod pairs;

use std::collections::BTreeMap;

use half::f16;

use super::{LayerSummary, Outcome, Report, Unit, Verdict};
use crate::accounting::Bucket;

pub use claim::{Answer, Check, Finding, same_bytes};
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
    /// What became of all gates.
    Verdict(Verdict),
}

/// What the line of the artifacts' hashes is called.
const SHA256: &str = "SHA-256";
/// What the line of the perplexities is called.
const PERPLEXITY: &str = "held-out perplexity";

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

/// All figures that either report has; names are not compared. First those by which an artifact is known: hash, size and
/// perplexity.
pub fn figures(left: &Report, right: &Report) -> Vec<Line> {
    let mut lines = Lines(Vec::new());
    let text = |text: &str| Some(Figure::Text(text.to_owned()));
    let count = |count: u64, unit| Some(Figure::Count(count, unit));
    let both = [left, right];
    lines.add(SHA256, both.map(|r| r.artifact.sha256.as_deref().and_then(text)));
    lines.add("size", both.map(|r| count(r.artifact.size_bytes, "bytes")));
    let evaluations = both.map(|report| report.evaluation.as_ref());
    lines.add(PERPLEXITY, evaluations.map(|e| Some(Figure::Measured(e?.heldout_ppl))));
    lines.add("mean loss in nats", evaluations.map(|e| Some(Figure::Measured(e?.cross_entropy_nats))));
    lines.add("scored tokens", evaluations.map(|e| count(e?.scored_tokens, "")));
    lines.add("scored documents", evaluations.map(|e| count(e?.scored_documents, "")));
    lines.add("longest document", evaluations.map(|e| count(e?.max_tokens, "tokens")));
    lines.add("documents", evaluations.map(|e| text(&e?.documents_sha256)));
    lines.add("limits", both.map(|r| text(r.pack.name())));
    lines.add("verdict", both.map(|r| Some(Figure::Verdict(r.verdict))));
    for pair in gates(left, right) {
        let title = pair[0].or(pair[1]).map_or("", |gate| &gate.title);
        lines.add(title, pair.map(|gate| gate.map(|gate| Figure::Gate(gate.outcome, gate.got, gate.unit))));
    }
    lines.add("container", both.map(|r| text(r.artifact.kind.words())));
    let models = both.map(|r| r.model.as_ref());
    lines.add("model type", models.map(|model| text(&model?.model_type)));
    lines.add("quantization method", models.map(|model| text(model?.quant_method.as_deref()?)));
    lines.add("parameters", models.map(|model| count(model?.parameters?, "")));
    let accounts = both.map(|report| &report.accounting);
    lines.add("bits per parameter", accounts.map(|a| a.bits_per_parameter.map(Figure::Measured)));
    lines.add("binary parameters", accounts.map(|a| count(a.binary_parameters, "")));
    lines.add("parameters in rescue rows", accounts.map(|a| count(a.rescue_parameters, "")));
    lines.add("unpacked parameters", accounts.map(|a| count(a.unpacked_parameters, "")));
    for bucket in Bucket::ALL {
        let bits = accounts.map(|a| a.buckets.iter().find(|e| e.bucket == bucket).map_or(0, |e| e.bits));
        if bits != [0, 0] {
            lines.add(bucket.words(), bits.map(|bits| count(bits, "bits")));
        }
    }
    lines.add("saved by compression", accounts.map(|a| count(a.saved_by_compression_bits, "bits")));
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
