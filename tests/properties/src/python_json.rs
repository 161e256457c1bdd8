//! JSON as Python reads and writes it.

use bitgauge_core::contract::python::{Json, Value};

use crate::Outcome;

/// What is written is read back as the same value, and written the same again; what serde_json takes is the same
/// to both.
pub fn check(input: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(input) else { return Outcome::Refused };
    let theirs = serde_json::from_str::<serde_json::Value>(text);
    let ours = match Value::parse(text) {
        Ok(ours) => ours,
        Err(error) => {
            assert!(theirs.is_err() || error.what == "an integer of too many digits", "{error}");
            return Outcome::Refused;
        }
    };
    for write in [Value::to_canonical, Value::to_pretty] {
        let written = write(&ours);
        let again = Value::parse(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
        // As Python's text, for which one NaN equals another.
        assert_eq!(again.to_canonical(), ours.to_canonical());
        assert_eq!(write(&again), written);
    }
    // Read where it stands in the text, it is the same.
    let in_place = Json::parse(text).unwrap_or_else(|error| panic!("{error:?}"));
    let mut canonical = String::new();
    in_place.root().write_canonical(&mut canonical).expect("a text can be written");
    assert_eq!(canonical, ours.to_canonical());
    assert_eq!(in_place.root().to_value().repr(), ours.repr());
    assert_eq!(in_place.root().to_text(), Ok(ours.to_text()));
    assert_eq!(in_place.root().is_truthy(), ours.is_truthy());
    if let Ok(theirs) = theirs {
        assert!(is_same(&ours, &theirs), "{} to us, {theirs} to serde_json", ours.to_canonical());
    }
    Outcome::Accepted
}

fn is_same(ours: &Value, theirs: &serde_json::Value) -> bool {
    use serde_json::Value as Theirs;
    match (ours, theirs) {
        (Value::Null, Theirs::Null) => true,
        (Value::Bool(ours), Theirs::Bool(theirs)) => ours == theirs,
        (Value::String(ours), Theirs::String(theirs)) => ours == theirs,
        (Value::Int(ours), Theirs::Number(theirs)) => match theirs.as_f64().filter(|_| theirs.is_f64()) {
            // An integer of more than 64 bits, or -0.
            Some(theirs) => ours.to_string().parse().is_ok_and(|ours| is_near(ours, theirs)),
            None => ours.to_string() == theirs.to_string(),
        },
        (Value::Float(ours), Theirs::Number(theirs)) => {
            theirs.as_f64().is_some_and(|theirs| is_near(*ours, theirs))
        }
        (Value::Array(ours), Theirs::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| is_same(ours, theirs))
        }
        (Value::Object(ours), Theirs::Object(theirs)) => {
            let is_there =
                |(key, theirs): (&String, _)| ours.get(key).is_some_and(|ours| is_same(ours, theirs));
            ours.len() == theirs.len() && theirs.iter().all(is_there)
        }
        _ => false,
    }
}

/// Whether two floats are the same or next to each other: serde_json does not always take the nearest.
fn is_near(ours: f64, theirs: f64) -> bool {
    ours == theirs || ours.to_bits().abs_diff(theirs.to_bits()) <= 2
}
