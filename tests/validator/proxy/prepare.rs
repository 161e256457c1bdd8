//! `prepare_report.json`: the report's exact text, through the binary.

use bitgauge_core::contract::python::Value;

use crate::binary::bitgauge;
use crate::golden::{Goldens, Outcome, field, same};

pub fn case(_: &Goldens, _: &Value, case: &Value) -> Outcome {
    run(case).into()
}

fn run(case: &Value) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let config = field(field(case, "input")?, "config")?.to_canonical();
    std::fs::write(scratch.path().join("config.json"), config).map_err(|e| e.to_string())?;
    let mut command = bitgauge();
    command.current_dir(scratch.path()).args(["prepare", "--config", "config.json"]);
    let output = command.output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let file_name = "baseline_manifest.json";
    let text = std::fs::read_to_string(scratch.path().join(file_name)).map_err(|e| e.to_string())?;
    let got = Value::from([
        ("file_name", file_name.into()),
        ("text", text.into()),
        ("stdout", String::from_utf8_lossy(&output.stdout).into_owned().into()),
    ]);
    same(&got, field(case, "expected")?)
}
