//! `materialize.json`: what unpacking an archive leaves behind, and which folder is the model's.

use std::path::Path;

use bitgauge_core::contract::Halt;
use bitgauge_core::contract::python::{Raised, Value};
use native_eval::{Source, unpack};

use crate::golden::{Goldens, Outcome, expect, field, same, text};

pub fn case(goldens: &Goldens, _: &Value, case: &Value) -> Outcome {
    run(goldens, case).into()
}

fn run(goldens: &Goldens, case: &Value) -> Result<(), String> {
    let archive = goldens.folder().join("direct_run").join(text(field(case, "input")?, "archive")?);
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let expected = field(case, "expected")?;
    match unpack(&archive, scratch.path()) {
        Ok(()) => {}
        Err(Halt::Raised(raised)) => return expect(Err::<Value, Raised>(raised), expected),
        Err(Halt::Fault(error)) => return Err(error.to_string()),
    }
    let ok = field(expected, "ok")?;
    let mut files = Vec::new();
    list(scratch.path(), "", &mut files)?;
    files.sort();
    same(&files.clone().into(), field(ok, "files")?)?;
    let is_undefined =
        case.get("note").and_then(Value::as_str).is_some_and(|note| note.contains("do not require"));
    match (
        bitgauge_core::container::find_model_dir(files.iter().map(String::as_str)),
        field(ok, "model_dir")?,
    ) {
        (Err(_), _) if is_undefined => Ok(()),
        (Ok(_), _) if is_undefined => Err("an undefined choice was made".into()),
        (Err(error), _) => Err(error.to_string()),
        (Ok(Some(folder)), wanted) => {
            let folder = if folder.is_empty() { ".".to_owned() } else { folder };
            same(&folder.into(), wanted)
        }
        (Ok(None), wanted) => check_message(&archive, text(wanted, "error")?),
    }
}

/// What a user is told of an archive without a model.
fn check_message(archive: &Path, wanted: &str) -> Result<(), String> {
    let (before, after) = wanted.split_once("{TMP}").ok_or("the message names no folder")?;
    match Source::open_as_validator(archive) {
        Err(Halt::Raised(raised))
            if raised.message.starts_with(before) && raised.message.ends_with(after) =>
        {
            Ok(())
        }
        Err(halt) => Err(format!("got {halt}, expected {wanted}")),
        Ok(_) => Err(format!("it opened, expected {wanted}")),
    }
}

fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) -> Result<(), String> {
    for entry in std::fs::read_dir(folder).map_err(|e| e.to_string())? {
        let entry = entry.map_err(|e| e.to_string())?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?
        } else {
            files.push(name)
        }
    }
    Ok(())
}
