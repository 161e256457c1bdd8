//! Finding and reading golden files; comparing values; changing expectations.

use std::fs;
use std::path::{Path, PathBuf};

use bitgauge_core::contract::RuleSet;
use bitgauge_core::contract::documents::Corpus;
use bitgauge_core::contract::python::{Raised, Value};

/// What became of one case.
pub enum Outcome {
    Pass,
    /// bitgauge refuses by name what the validator takes: there is no figure to compare, and none to change.
    Refused,
    /// Why it failed.
    Fail(String),
    /// It draws from the built-in texts, and there is no corpus.json.
    NeedsCorpus,
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Self::Pass,
            Err(why) => Self::Fail(why),
        }
    }
}

/// A folder of golden files.
pub struct Goldens {
    folder: PathBuf,
}

impl Goldens {
    /// The folder that the environment names, else the fixtures in the tree.
    pub fn find() -> Self {
        let own = || conformance::fixtures().join("validator");
        Self { folder: std::env::var_os("BITGAUGE_VALIDATOR_GOLDENS").map_or_else(own, PathBuf::from) }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The built-in texts, where corpus.json is there.
    pub fn corpus(&self) -> Result<Option<Corpus>, String> {
        match fs::read_to_string(self.folder.join("corpus.json")) {
            Ok(text) => Corpus::parse(&text).map(Some).map_err(|e| e.to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The JSON of a file.
    pub fn read(&self, name: &str) -> Result<Value, String> {
        let text = fs::read_to_string(self.folder.join(name)).map_err(|e| e.to_string())?;
        Value::parse(&text).map_err(|e| e.to_string())
    }
}

/// The cases of a golden file.
pub fn cases(file: &Value) -> &[Value] {
    match file.get("cases") {
        Some(Value::Array(cases)) => cases,
        _ => &[],
    }
}

/// The name of a case.
pub fn name(case: &Value) -> &str {
    case.get("name").and_then(Value::as_str).unwrap_or("a case without a name")
}

/// The member of an object that a golden file always has.
pub fn field<'v>(value: &'v Value, key: &str) -> Result<&'v Value, String> {
    value.get(key).ok_or_else(|| format!("the case has no `{key}`"))
}

/// The text of a member that a golden file always has.
pub fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str, String> {
    field(value, key)?.as_str().ok_or_else(|| format!("`{key}` is no text"))
}

/// The config of a case's input.
pub fn config(input: &Value) -> Result<RuleSet, String> {
    RuleSet::from_json(field(input, "config")?).map_err(|e| e.to_string())
}

/// Holds a result against `{"ok": value}` or `{"error": {"type", "message"}}`.
pub fn expect(got: Result<Value, Raised>, expected: &Value) -> Result<(), String> {
    let got = match got {
        Ok(value) => Value::from([("ok", value)]),
        Err(raised) => Value::from([(
            "error",
            Value::from([("type", raised.exception.name().into()), ("message", raised.message.into())]),
        )]),
    };
    let wanted = match (expected.get("ok"), expected.get("error")) {
        (Some(ok), _) => Value::from([("ok", ok.clone())]),
        (None, Some(error)) => Value::from([("error", error.clone())]),
        (None, None) => return Err("the case expects neither a result nor an error".into()),
    };
    same(&got, &wanted)
}

/// Whether two values are equal, integers and floats told apart; where they first differ.
pub fn same(got: &Value, wanted: &Value) -> Result<(), String> {
    close(got, wanted, 0.0)
}

/// [`same`] with a relative bound on floats.
pub fn close(got: &Value, wanted: &Value, relative: f64) -> Result<(), String> {
    difference(got, wanted, relative).map_or(Ok(()), |(path, what)| Err(format!("at `{path}`: {what}")))
}

fn difference(got: &Value, wanted: &Value, relative: f64) -> Option<(String, String)> {
    let within = |path: &str| {
        let path = path.to_owned();
        move |(inner, what): (String, String)| (format!("{path}/{inner}"), what)
    };
    match (got, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            let missing = b.keys().find(|key| !a.contains_key(*key)).map(|key| format!("no {key}"));
            let extra = || a.keys().find(|key| !b.contains_key(*key)).map(|key| format!("unexpected {key}"));
            if let Some(what) = missing.or_else(extra) {
                return Some((String::new(), what));
            }
            b.iter().find_map(|(key, value)| difference(&a[key], value, relative).map(within(key)))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => (a.iter().zip(b).enumerate())
            .find_map(|(i, (a, b))| difference(a, b, relative).map(within(&i.to_string()))),
        (Value::Float(a), Value::Float(b)) => {
            let is_close = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= relative * b.abs();
            (!is_close).then(|| (String::new(), format!("got {a:?}, expected {b:?}")))
        }
        _ => (got != wanted)
            .then(|| (String::new(), format!("got {}, expected {}", brief(got), brief(wanted)))),
    }
}

/// A value for a message.
fn brief(value: &Value) -> String {
    const MOST: usize = 200;
    let text = value.repr();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The case with one leaf of its expectation changed, once for each of the first leaves.
pub fn mutations(case: &Value) -> Vec<Value> {
    let mut changed = Vec::new();
    for target in 0..8 {
        let (mut copy, mut left) = (case.clone(), target);
        let Value::Object(members) = &mut copy else { continue };
        if members.get_mut("expected").is_some_and(|expected| change_leaf(expected, &mut left)) {
            changed.push(copy);
        }
    }
    changed
}

/// Changes the leaf number `left`; whether there is one.
fn change_leaf(value: &mut Value, left: &mut usize) -> bool {
    match value {
        Value::Object(members) => return members.values_mut().any(|member| change_leaf(member, left)),
        Value::Array(items) if !items.is_empty() => {
            return items.iter_mut().any(|item| change_leaf(item, left));
        }
        _ if *left > 0 => {
            *left -= 1;
            return false;
        }
        Value::Array(items) => items.push(Value::Null),
        Value::Int(int) => *int += 1,
        Value::Float(float) => *float = *float * 1.5 + 1.0,
        Value::String(text) => text.push('~'),
        Value::Bool(flag) => *flag = !*flag,
        Value::Null => *value = Value::Bool(true),
    }
    true
}
