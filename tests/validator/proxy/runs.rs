//! `proxy_run.json`: whole runs of the proxy.

use bitgauge_core::contract::direct::RunOutput;
use bitgauge_core::contract::proxy::{Proxy, Submission, run};
use bitgauge_core::contract::python::Value;
use bitgauge_core::contract::{Environment, Halt};
use native_eval::LocalFiles;

use super::recipe;
use crate::golden::{Goldens, Outcome, close, config, expect, field, same};

/// Relative bound on the floats of a report.
const FLOATS: f64 = 1e-9;

pub fn case(goldens: &Goldens, _: &Value, case: &Value) -> Outcome {
    match run_case(goldens, case) {
        Ok(outcome) => outcome,
        Err(why) => Outcome::Fail(why),
    }
}

fn run_case(goldens: &Goldens, case: &Value) -> Result<Outcome, String> {
    let (input, expected) = (field(case, "input")?, field(case, "expected")?);
    let config = config(input)?;
    let corpus = goldens.corpus()?;
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let path = artifact_file(goldens, input, scratch.path())?;
    let Value::Object(variables) = field(input, "env")? else { return Err("`env` is no object".into()) };
    let environment: Environment = variables.iter().map(|(k, v)| (k.clone(), v.to_text())).collect();
    let files = LocalFiles::new(scratch.path());
    let proxy = Proxy { config: &config, environment: &environment, corpus: corpus.as_ref(), files: &files };
    let mut calls = 0_u64;
    let recorded = recipe::base(goldens, "train_build_submission")?;
    let train = input.get("train").and_then(Value::as_str).unwrap_or_default();
    let mut build = || {
        calls += 1;
        match train {
            "nondeterministic" => Value::from([("call", Value::from(calls))]),
            "list" => Value::Array(Vec::new()),
            _ => recorded.clone(),
        }
    };
    let module = format!("golden_train_{train}");
    let submission = match path.as_deref().unwrap_or(environment.artifact_path()) {
        "" if train == "nobuilder" => Submission::Module { name: &module, build: None },
        "" => Submission::Module { name: &module, build: Some(&mut build) },
        path => Submission::File { path, files: &files },
    };
    let got = match run(&proxy, submission) {
        Ok(verdict) => Ok(verdict),
        Err(Halt::Raised(raised)) => Err(raised),
        Err(Halt::Fault(_)) if corpus.is_none() => return Ok(Outcome::NeedsCorpus),
        Err(Halt::Fault(error)) => return Err(error.to_string()),
    };
    let Some(ok) = expected.get("ok") else {
        let got = got.map(|_| Value::Null).map_err(|mut raised| {
            raised.message = raised.message.replace(&*scratch.path().to_string_lossy(), "{TMP}");
            raised
        });
        return Ok(expect(got, expected).into());
    };
    Ok(got.map_err(|raised| raised.to_string()).and_then(|verdict| check(&verdict, ok)).into())
}

/// Writes the artifact that the environment should name, if there is one.
fn artifact_file(
    goldens: &Goldens,
    input: &Value,
    folder: &std::path::Path,
) -> Result<Option<String>, String> {
    let json = match (input.get("artifact"), input.get("artifact_text")) {
        (Some(recipe), _) => recipe::build(goldens, recipe)?.to_canonical(),
        (None, Some(text)) => text.as_str().ok_or("`artifact_text` is no text")?.to_owned(),
        (None, None) => return Ok(None),
    };
    let path = folder.join("artifact.json");
    std::fs::write(&path, json).map_err(|e| e.to_string())?;
    Ok(Some(path.to_string_lossy().into_owned()))
}

fn check(verdict: &RunOutput, ok: &Value) -> Result<(), String> {
    same(&verdict.stdout.as_str().into(), field(ok, "stdout")?)?;
    close(&verdict.report, field(ok, "result")?, FLOATS)
}
