//! `logits.json`: all logits of a short input.

use bitgauge_core::contract::python::{Value, to_float, to_int};
use bitgauge_eval::{Batch, CpuBackend, Model};
use conformance::{compare, open_model};
use native_eval::open_cpu;
use num_traits::ToPrimitive;
use pollster::block_on;

use crate::golden::{Goldens, Outcome, field, text};

/// Absolute bound on f32 logits against float64.
const LOGITS: f64 = 1e-4;

pub fn case(goldens: &Goldens, _: &Value, case: &Value) -> Outcome {
    run(goldens, case).into()
}

fn run(goldens: &Goldens, case: &Value) -> Result<(), String> {
    let input = field(case, "input")?;
    let ids = ids(input)?;
    let got = with_model(goldens, text(input, "model")?, |backend, model| {
        let mut batch = Batch::default();
        batch.push(&ids);
        block_on(model.logits(backend, &batch, &mut ())).map_err(|e| e.to_string())
    })?;
    let Value::Array(rows) = field(field(case, "expected")?, "logits_f64")? else {
        return Err("`logits_f64` is no list".into());
    };
    let mut wanted = Vec::new();
    for row in rows {
        let Value::Array(row) = row else { return Err("a row of logits is no list".into()) };
        for logit in row {
            wanted.push(to_float(logit).map_err(|e| e.to_string())? as f32);
        }
    }
    compare("logits", &got, &wanted, LOGITS).map(|_| ())
}

/// The token ids of a case.
pub fn ids(input: &Value) -> Result<Vec<u32>, String> {
    let Value::Array(ids) = field(input, "input_ids")? else { return Err("`input_ids` is no list".into()) };
    ids.iter()
        .map(|id| to_int(id).ok().and_then(|id| id.to_u32()).ok_or_else(|| "no token id".into()))
        .collect()
}

/// Does something with a model of the goldens on the CPU.
pub fn with_model<T>(
    goldens: &Goldens,
    name: &str,
    work: impl FnOnce(&mut CpuBackend, &Model<CpuBackend>) -> Result<T, String>,
) -> Result<T, String> {
    let mut backend = open_cpu(None).expect("threads");
    let model = open_model(&mut backend, &goldens.folder().join("direct_run").join(name))?;
    work(&mut backend, &model)
}
