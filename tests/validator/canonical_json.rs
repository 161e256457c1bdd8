//! `canonical_json.json`: lenient reading, canonical and report-style writing, the artifact's hash.

use bitgauge_core::contract::python::Value;
use sha2::{Digest, Sha256};

use crate::golden::{Goldens, Outcome, field, same, text};

pub fn case(_: &Goldens, _: &Value, case: &Value) -> Outcome {
    run(case).into()
}

fn run(case: &Value) -> Result<(), String> {
    let value = Value::parse(text(field(case, "input")?, "json_text")?).map_err(|e| e.to_string())?;
    let canonical = value.to_canonical();
    let hash: String = Sha256::digest(&canonical).iter().map(|byte| format!("{byte:02x}")).collect();
    let got = Value::from([
        ("sha256", hash.into()),
        ("size_bytes", canonical.len().into()),
        ("canonical", canonical.into()),
        ("pretty", value.to_pretty().into()),
    ]);
    same(&got, field(case, "expected")?)
}
