//! `cases.json`: whole runs of `bitgauge benchmark`, compared by what they print and write.
//!
//! Integers and strings are exact, floats within 1e-6. The two printed figures that carry the model's
//! f32 arithmetic, perplexity and cross entropy, are held to the same bound: their last printed digits
//! lie beyond f32, and the recorded ones depend on the batch size there.

use std::process::Output;

use bitgauge_core::contract::python::{Value, parse_float};

use crate::binary::bitgauge;
use crate::golden::{Goldens, Outcome, close, field};

/// Relative bound on floats.
const FLOATS: f64 = 1e-6;

pub fn case(goldens: &Goldens, _: &Value, case: &Value) -> Outcome {
    match run(goldens, case) {
        Ok(outcome) => outcome,
        Err(why) => Outcome::Fail(why),
    }
}

fn run(goldens: &Goldens, case: &Value) -> Result<Outcome, String> {
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let result = scratch.path().join("last_run.json");
    let input = field(case, "input")?;
    let output = start(goldens, input, scratch.path())?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(2) && stderr.contains("built-in texts") {
        return Ok(Outcome::NeedsCorpus);
    }
    let expected = field(case, "expected")?;
    Ok(match expected.get("ok") {
        Some(ok) => {
            if output.status.code() != Some(0) {
                return Err(format!("status {:?}: {stderr}", output.status.code()));
            }
            let text = std::fs::read_to_string(&result).map_err(|e| e.to_string())?;
            check_result(&text, field(ok, "result")?)?;
            check_stdout(
                &String::from_utf8_lossy(&output.stdout),
                field(ok, "stdout")?.as_str().unwrap_or_default(),
            )
        }
        None if result.exists() => Err("a failed run left a result".into()),
        None => check_failure(goldens, &output, &stderr, field(expected, "error")?),
    }
    .into())
}

fn start(goldens: &Goldens, input: &Value, scratch: &std::path::Path) -> Result<Output, String> {
    let config = scratch.join("config.json");
    std::fs::write(&config, field(input, "config")?.to_canonical()).map_err(|e| e.to_string())?;
    let folder = goldens.folder().join("direct_run");
    let mut command = bitgauge();
    command.current_dir(&folder).arg("benchmark").arg("--config").arg(config);
    command.arg("--result").arg(scratch.join("last_run.json"));
    let corpus = goldens.folder().join("corpus.json");
    if corpus.exists() {
        command.arg("--corpus").arg(corpus.canonicalize().map_err(|e| e.to_string())?);
    }
    if let Some(simulate) = input.get("simulate") {
        for (key, option) in [("max_positions", "--limit-positions"), ("vocab", "--limit-vocabulary")] {
            if let Some(limit) = simulate.get(key) {
                command.arg(option).arg(limit.to_text());
            }
        }
    }
    let Value::Object(variables) = field(input, "env")? else { return Err("`env` is no object".into()) };
    command.env_clear().envs(variables.iter().map(|(key, value)| (key, value.to_text())));
    command.output().map_err(|e| e.to_string())
}

/// The file parsed, and its text's form: what writing the parsed value again would give.
fn check_result(text: &str, expected: &Value) -> Result<(), String> {
    let got = Value::parse(text).map_err(|e| e.to_string())?;
    if got.to_pretty() != text {
        return Err("last_run.json is not formatted as the validator formats it".into());
    }
    close(&got, expected, FLOATS)
}

fn check_stdout(got: &str, expected: &str) -> Result<(), String> {
    let pairs = |text: &str| -> Vec<(String, String)> {
        let pair = |line: &str| line.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
        text.split_inclusive('\n').filter_map(pair).collect()
    };
    let (lines, wanted) = (pairs(got), pairs(expected));
    if lines.len() != wanted.len() {
        return Err(format!("stdout is {got:?}, expected {expected:?}"));
    }
    for ((name, value), (wanted_name, wanted_value)) in lines.iter().zip(&wanted) {
        let is_rounded = matches!(name.as_str(), "heldout_ppl" | "heldout_cross_entropy_nats");
        let close_enough = || {
            // Six decimals, as printed, and half a unit of the last beside the bound itself.
            let decimals = |value: &str| value.split_once('.').map(|(_, d)| d.len());
            let (a, b) = (parse_float(value)?, parse_float(wanted_value)?);
            Some(decimals(value) == decimals(wanted_value) && (a - b).abs() <= FLOATS * b.abs() + 5e-7)
        };
        if name != wanted_name || (value != wanted_value && !(is_rounded && close_enough() == Some(true))) {
            return Err(format!("printed {name}={value:?}, expected {wanted_name}={wanted_value:?}"));
        }
    }
    Ok(())
}

/// A rejection is all of stderr; another failure is its last line. Nothing else is printed.
fn check_failure(goldens: &Goldens, output: &Output, stderr: &str, expected: &Value) -> Result<(), String> {
    let text = |key: &str| expected.get(key).and_then(Value::as_str).unwrap_or_default();
    let folder = goldens.folder().join("direct_run").canonicalize().map_err(|e| e.to_string())?;
    let message = text("message").replace("{CWD}", &folder.to_string_lossy());
    let wanted = if text("type") == "SystemExit" { message } else { format!("{}: {message}", text("type")) };
    let got = stderr.strip_suffix('\n').unwrap_or(stderr);
    let is_same = match wanted.split_once("{TMP}") {
        Some((before, after)) => {
            got.starts_with(before) && got.ends_with(after) && got.len() > wanted.len() - "{TMP}".len()
        }
        None => got == wanted,
    };
    if output.status.code() != Some(1) || !output.stdout.is_empty() || !is_same {
        let (code, stdout) = (output.status.code(), String::from_utf8_lossy(&output.stdout));
        return Err(format!("status {code:?}, stdout {stdout:?}, stderr {got:?}, expected {wanted:?}"));
    }
    Ok(())
}
