//! JSON reports: what is read is what was written, floats to the bit, and what Python reads.

use bitgauge_core::contract::python;
use bitgauge_core::report::link::{Detail, decode, encode};
use bitgauge_core::report::{Report, Verdict};
use serde_json::Value;

use crate::Outcome;

/// A report as somebody wrote it.
pub fn check(input: &[u8]) -> Outcome {
    let Some(report) = std::str::from_utf8(input).ok().and_then(|text| Report::from_json(text).ok()) else {
        return Outcome::Refused;
    };
    check_json(&report);
    // Whatever it says, it may be put into a link; what comes back may be put into one again.
    if let Ok(Some(shared)) = decode(&encode(&report, Detail::Full)) {
        check_link(&shared);
    }
    let text = std::str::from_utf8(input).expect("a text, since it was read");
    let theirs = python::Value::parse(text).expect("JSON to Python, too");
    let ours = serde_json::to_value(&report).expect("a report can be written");
    assert_agrees(&ours, Some(&theirs), &mut String::from("report"));
    Outcome::Accepted
}

/// A report that we made: every bit is counted once, and it can be stored and shared.
pub fn check_own(report: &Report) {
    let accounting = &report.accounting;
    let sum: u128 = accounting.buckets.iter().map(|entry| u128::from(entry.bits)).sum();
    let size = 8 * u128::from(report.artifact.size_bytes);
    assert_eq!(sum, size + u128::from(accounting.saved_by_compression_bits), "{accounting:?}");
    assert_eq!(u128::from(accounting.total_bits), size);
    assert_eq!(report.verdict, Verdict::of(&report.gates));
    check_json(report);
    let link = encode(report, Detail::Full);
    let shared = decode(&link).unwrap_or_else(|error| panic!("our own link is refused: {error}"));
    check_link(&shared.expect("a link with a report"));
}

/// What is written is read back to the bit.
fn check_json(report: &Report) {
    let json = report.to_json();
    let again = Report::from_json(&json).unwrap_or_else(|error| panic!("our own JSON is refused: {error}"));
    assert_eq!(&again, report);
    // Equal figures may differ in their bits; equal texts may not.
    assert_eq!(again.to_json(), json);
}

/// A report from a link makes the same link again, and that link makes the same report.
pub fn check_link(report: &Report) {
    let link = encode(report, Detail::Full);
    let again = decode(&link).unwrap_or_else(|error| panic!("our own link is refused: {error}"));
    let again = again.expect("a link with a report");
    assert_eq!(&again, report);
    assert_eq!(again.to_json(), report.to_json());
    assert_eq!(encode(&again, Detail::Full), link);
    check_json(report);
}

/// Every value that we read is the one that Python reads; what Python does not find is nothing to us.
fn assert_agrees(ours: &Value, theirs: Option<&python::Value>, place: &mut String) {
    use python::Value as Python;
    let agrees = match (ours, theirs) {
        (Value::Null, None | Some(Python::Null)) => true,
        (Value::Array(items), None) => items.is_empty(),
        (Value::Bool(ours), Some(Python::Bool(theirs))) => ours == theirs,
        (Value::String(ours), Some(Python::String(theirs))) => ours == theirs,
        (Value::Number(ours), Some(Python::Int(theirs))) => match ours.as_f64().filter(|_| ours.is_f64()) {
            Some(ours) => theirs.to_string().parse() == Ok(ours),
            None => ours.to_string() == theirs.to_string(),
        },
        (Value::Number(ours), Some(Python::Float(theirs))) => {
            ours.as_f64().map(f64::to_bits) == Some(theirs.to_bits())
        }
        (Value::Array(ours), Some(Python::Array(theirs))) => {
            assert_eq!(ours.len(), theirs.len(), "{place}");
            ours.iter().zip(theirs).for_each(|(ours, theirs)| within(place, "[]", ours, Some(theirs)));
            true
        }
        (Value::Object(ours), Some(theirs @ Python::Object(_))) => {
            ours.iter().for_each(|(key, ours)| within(place, key, ours, theirs.get(key)));
            true
        }
        _ => false,
    };
    assert!(agrees, "{place}: {ours} to us, {theirs:?} to Python");
}

fn within(place: &mut String, name: &str, ours: &Value, theirs: Option<&python::Value>) {
    let outer = place.len();
    place.push('.');
    place.push_str(name);
    assert_agrees(ours, theirs, place);
    place.truncate(outer);
}
