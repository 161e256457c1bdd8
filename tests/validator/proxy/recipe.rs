//! Artifacts of the golden files: a recorded submission with changes.

use std::io::Read;

use bitgauge_core::contract::python::{Object, Value};
use flate2::read::GzDecoder;

use crate::golden::{Goldens, field, text};

/// The artifact that a recipe `{"base", "set", "remove"}` describes.
pub fn build(goldens: &Goldens, recipe: &Value) -> Result<Value, String> {
    let mut artifact = base(goldens, text(recipe, "base")?)?;
    for change in list(recipe, "set")? {
        let Value::Array(change) = change else { return Err("a change is no list".into()) };
        let [pointer, value] = &change[..] else { return Err("a change is no pair".into()) };
        set(&mut artifact, pointer.as_str().ok_or("a pointer is no text")?, expand(value)?)?;
    }
    for pointer in list(recipe, "remove")? {
        remove(&mut artifact, pointer.as_str().ok_or("a pointer is no text")?)?;
    }
    Ok(artifact)
}

/// A recorded submission.
pub fn base(goldens: &Goldens, name: &str) -> Result<Value, String> {
    let path = goldens.folder().join(format!("proxy_artifact_{name}.json.gz"));
    let file = std::fs::File::open(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut json = String::new();
    GzDecoder::new(file).read_to_string(&mut json).map_err(|e| e.to_string())?;
    Value::parse(&json).map_err(|e| e.to_string())
}

fn list<'v>(recipe: &'v Value, key: &str) -> Result<&'v [Value], String> {
    match field(recipe, key)? {
        Value::Array(items) => Ok(items),
        _ => Err(format!("`{key}` is no list")),
    }
}

/// Writes out `{"$repeat": [value, n]}` and `{"$json": text}`, wherever they stand.
fn expand(value: &Value) -> Result<Value, String> {
    match value {
        Value::Object(object) => match (object.get("$repeat"), object.get("$json")) {
            (Some(Value::Array(repeat)), _) => {
                let [value, Value::Int(n)] = &repeat[..] else { return Err("a faulty $repeat".into()) };
                let n = usize::try_from(n).map_err(|e| e.to_string())?;
                Ok(Value::Array(vec![expand(value)?; n]))
            }
            (_, Some(Value::String(json))) => Value::parse(json).map_err(|e| e.to_string()),
            _ => {
                let member = |(key, value): (&String, &Value)| Ok((key.clone(), expand(value)?));
                Ok(Value::Object(object.iter().map(member).collect::<Result<Object, String>>()?))
            }
        },
        Value::Array(items) => Ok(Value::Array(items.iter().map(expand).collect::<Result<_, _>>()?)),
        value => Ok(value.clone()),
    }
}

/// The parent of what a JSON pointer names, and the last token.
fn parent<'v>(value: &'v mut Value, pointer: &str) -> Result<(&'v mut Value, String), String> {
    let mut tokens: Vec<String> =
        pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    let last = tokens.pop().ok_or("a pointer to the whole document")?;
    let step = |value: &'v mut Value, token: String| match value {
        Value::Object(object) => object.get_mut(&token).ok_or(format!("no member {token}")),
        Value::Array(items) => {
            token.parse().ok().and_then(|i: usize| items.get_mut(i)).ok_or(format!("no item {token}"))
        }
        _ => Err(format!("no members at {token}")),
    };
    Ok((tokens.into_iter().try_fold(value, step)?, last))
}

fn set(artifact: &mut Value, pointer: &str, value: Value) -> Result<(), String> {
    if pointer.is_empty() {
        *artifact = value;
        return Ok(());
    }
    match parent(artifact, pointer)? {
        (Value::Object(object), key) => drop(object.insert(key, value)),
        (Value::Array(items), token) if token == "-" => items.push(value),
        (Value::Array(items), token) => {
            let index: usize = token.parse().map_err(|_| format!("no index {token}"))?;
            *items.get_mut(index).ok_or("an index past the end")? = value;
        }
        _ => return Err(format!("nothing to set at {pointer}")),
    }
    Ok(())
}

fn remove(artifact: &mut Value, pointer: &str) -> Result<(), String> {
    match parent(artifact, pointer)? {
        (Value::Object(object), key) => object.shift_remove(&key).map(drop).ok_or("nothing to remove")?,
        (Value::Array(items), token) => {
            let index: usize = token.parse().map_err(|_| format!("no index {token}"))?;
            if index >= items.len() {
                return Err("an index past the end".into());
            }
            items.remove(index);
        }
        _ => return Err(format!("nothing to remove at {pointer}")),
    }
    Ok(())
}
