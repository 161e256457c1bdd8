//! `canonical_json.json`: lenient reading, canonical and report-style writing, the artifact's hash.

use bitgauge_core::contract::python::{Json, Value};
use sha2::{Digest, Sha256};

use crate::golden::{Goldens, Outcome, field, same, text};

pub fn case(_: &Goldens, _: &Value, case: &Value) -> Outcome {
    run(case).into()
}

fn run(case: &Value) -> Result<(), String> {
    let value = Value::parse(text(field(case, "input")?, "json_text")?).map_err(|e| e.to_string())?;
    let canonical = value.to_canonical();
    // The artifact's hash is taken without a tree of values.
    let json = Json::parse(text(field(case, "input")?, "json_text")?).map_err(|e| format!("{e:?}"))?;
    let mut streamed = String::new();
    json.root().write_canonical(&mut streamed).map_err(|e| e.to_string())?;
    if streamed != canonical || json.root().to_text().map_err(|e| e.to_string())? != value.to_text() {
        return Err(format!("streamed {streamed:?}, from the tree {canonical:?}"));
    }
    let hash: String = Sha256::digest(&canonical).iter().map(|byte| format!("{byte:02x}")).collect();
    let got = Value::from([
        ("sha256", hash.into()),
        ("size_bytes", canonical.len().into()),
        ("canonical", canonical.into()),
        ("pretty", value.to_pretty().into()),
    ]);
    same(&got, field(case, "expected")?)
}
