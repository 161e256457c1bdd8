//! `materialize.json`: what is in an archive, and which folder is the model's.

use bitgauge_core::ErrorKind;
use bitgauge_core::contract::Halt;
use bitgauge_core::contract::python::{Raised, Value};
use native_eval::Source;

use crate::golden::{Goldens, Outcome, expect, field, same, text};

/// Archives that the validator takes and bitgauge can't judge: readers differ in what `..` inside a path means.
const NOT_JUDGED: [&str; 2] = ["inner_dotdot.tar", "inner_dotdot.zip"];

pub fn case(goldens: &Goldens, _: &Value, case: &Value) -> Outcome {
    run(goldens, case).unwrap_or_else(Outcome::Fail)
}

fn run(goldens: &Goldens, case: &Value) -> Result<Outcome, String> {
    let archive = goldens.folder().join("direct_run").join(text(field(case, "input")?, "archive")?);
    let expected = field(case, "expected")?;
    let is_undefined =
        case.get("note").and_then(Value::as_str).is_some_and(|note| note.contains("do not require"));
    let opened = Source::open_as_validator(&archive);
    let Some(ok) = expected.get("ok") else {
        return match opened {
            Err(Halt::Raised(raised)) => Ok(expect(Err::<Value, Raised>(raised), expected).into()),
            Err(Halt::Fault(error)) => Err(format!("bitgauge's own error: {error}")),
            Ok(_) => Err("it opened".into()),
        };
    };
    let model_dir = field(ok, "model_dir")?;
    match opened {
        Ok(_) if is_undefined => Err("an undefined choice was made".into()),
        Err(Halt::Fault(error)) if is_undefined && error.what.contains("not clear which") => {
            Ok(Outcome::Refused)
        }
        Err(Halt::Fault(error)) if NOT_JUDGED.contains(&text(case, "name")?) => not_judged(&error),
        Err(Halt::Fault(error)) => Err(error.to_string()),
        Ok(source) => {
            let artifact = source.artifact();
            let mut files: Vec<&str> = artifact.members.iter().map(|member| member.name.as_str()).collect();
            files.sort_unstable();
            same(&files.into(), field(ok, "files")?)?;
            let folder = artifact.model_dir.as_deref().unwrap_or_default();
            Ok(same(&if folder.is_empty() { "." } else { folder }.into(), model_dir).into())
        }
        Err(Halt::Raised(raised)) => Ok(check_message(&raised, text(model_dir, "error")?).into()),
    }
}

/// What can't be judged is bitgauge's own error, about the path.
fn not_judged(error: &bitgauge_core::Error) -> Result<Outcome, String> {
    let is_path = error.kind == ErrorKind::BadName && error.found.contains("..") && error.rejection.is_none();
    if is_path { Ok(Outcome::Refused) } else { Err(error.to_string()) }
}

/// What a user is told of an archive without a model.
fn check_message(raised: &Raised, wanted: &str) -> Result<(), String> {
    let (before, after) = wanted.split_once("{TMP}").ok_or("the message names no folder")?;
    if raised.message.starts_with(before) && raised.message.ends_with(after) {
        return Ok(());
    }
    Err(format!("got {raised}, expected {wanted}"))
}
