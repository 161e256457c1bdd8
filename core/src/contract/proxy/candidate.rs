//! An artifact compiled: the weights that it stands for, and what it costs.

use super::entries::{Entry, Rows, accounting, check_rescue_cost, read_entries};
use super::layer::{self, Layer};
use super::model::{LAYERS, Teacher};
use super::totals::Totals;
use crate::contract::python::{Node, Raised, Value, trim};
use crate::contract::{Halt, Limits, RuleSet};

/// A proxy artifact that passed every check of its content. Its gates are judged in [`super::run`].
#[derive(Debug, Clone)]
pub struct Candidate {
    pub(super) layers: Vec<Layer>,
    pub(super) entries: Vec<Entry>,
    /// What it costs.
    pub totals: Totals,
}

impl Candidate {
    /// The dequantized matrices, in the order of [`LAYERS`].
    pub fn weights(&self) -> Vec<&[f64]> {
        self.layers.iter().map(|layer| &layer.weights[..]).collect()
    }

    /// What the report says of the matrices.
    pub fn layer_summaries(&self) -> Value {
        self.layers.iter().map(|layer| layer.summary.clone()).collect::<Vec<_>>().into()
    }

    /// What the report says of the entries beside the matrices.
    ///
    /// # Errors
    /// A figure beyond the range of f64.
    pub fn entry_summaries(&self) -> Result<Value, Raised> {
        self.entries.iter().map(Entry::to_json).collect::<Result<Vec<_>, _>>().map(Value::Array)
    }
}

/// Compiles an artifact whose matrices should come near the teacher's.
///
/// # Errors
/// The first fault that the validator would raise; more additive bases than this program tries.
pub fn compile(artifact: Node, teacher: &Teacher, config: &RuleSet) -> Result<Candidate, Halt> {
    let limits = Limits::of(config)?;
    let rows = read_rows(artifact)?;
    let compile = |(spec, teacher): (&super::LayerSpec, &Vec<f64>)| {
        let missing = || Raised::value(format!("artifact is missing layer: {}", spec.name));
        layer::compile(spec, *rows.get(spec.name).ok_or_else(missing)?, teacher, config)
    };
    let layers = LAYERS.iter().zip(&teacher.weights).map(compile).collect::<Result<Vec<_>, Halt>>()?;
    let entries = read_entries(artifact, &rows, config)?;
    check_rescue_cost(&entries, limits.effective_rescue_bits())?;
    let totals = Totals::of(&layers, &entries, &limits)?;
    if let Some(declared) = accounting(artifact)? {
        totals.check_declared(declared)?;
    }
    Ok(Candidate { layers, entries, totals })
}

/// The rows by name. The last of two equal names wins, in the place of the first.
fn read_rows<'j>(artifact: Node<'j>) -> Result<Rows<'j>, Halt> {
    let list = artifact.get("layers").and_then(Node::items);
    let list = list.ok_or_else(|| Raised::value("artifact.layers must be a list"))?;
    let mut rows = Rows::new();
    for row in list {
        if !row.is_object() {
            return Err(Raised::value("artifact.layers rows must be objects").into());
        }
        let name = row.get("name").filter(|name| name.is_truthy()).map(Node::to_text).transpose()?;
        let name = match trim(&name.unwrap_or_default()) {
            "" => return Err(Raised::value("artifact layer entry is missing a name").into()),
            name => name.to_owned(),
        };
        rows.insert(name, row);
    }
    Ok(rows)
}
