//! `doc_nll.json`: the summed loss of single documents.

use bitgauge_core::contract::python::Value;
use pollster::block_on;

use super::logits::{ids, with_model};
use crate::golden::{Goldens, Outcome, close, field, text};

/// Relative bound on a sum of f32 losses against float64.
const NATS: f64 = 1e-6;

pub fn case(goldens: &Goldens, _: &Value, case: &Value) -> Outcome {
    run(goldens, case).into()
}

fn run(goldens: &Goldens, case: &Value) -> Result<(), String> {
    let input = field(case, "input")?;
    let ids = ids(input)?;
    let losses = with_model(goldens, text(input, "model")?, |backend, model| {
        let mut batch = bitgauge_eval::Batch::default();
        batch.push(&ids);
        block_on(model.losses(backend, &batch, &mut ())).map_err(|e| e.to_string())
    })?;
    let nats: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
    let expected = field(case, "expected")?;
    let targets = losses.len() - 1;
    if field(expected, "targets")? != &Value::from(targets) {
        return Err(format!("{targets} targets"));
    }
    close(&nats.into(), field(expected, "nll_f64")?, NATS)
}
