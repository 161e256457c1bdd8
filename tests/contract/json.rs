//! Python's JSON and truth.

use bitgauge_core::contract::python::Value;

#[test]
fn escapes_are_pythons() {
    let text = |json: &str| Value::parse(json).ok().and_then(|value| value.as_str().map(str::to_owned));
    for (json, wanted) in [
        (r#""\"\\\/""#, "\"\\/"),
        (r#""\b\f\n\r\t""#, "\u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00e9\ud83d\ude00""#, "Aé😀"),
    ] {
        assert_eq!(text(json).as_deref(), Some(wanted), "{json}");
    }
    for json in [r#""\a""#, r#""\x41""#, r#""\u12""#, r#""\"#, "\"\n\""] {
        assert!(Value::parse(json).is_err(), "{json}");
    }
}

#[test]
fn truth_is_pythons() {
    let is_truthy = |json: &str| Value::parse(json).expect("JSON").is_truthy();
    for json in ["null", "false", "0", "-0", "0.0", "-0.0", "\"\"", "[]", "{}"] {
        assert!(!is_truthy(json), "{json}");
    }
    for json in ["true", "1", "-1", "1e-300", "NaN", "\" \"", "[0]", r#"{"": 0}"#] {
        assert!(is_truthy(json), "{json}");
    }
}

#[test]
fn an_error_of_json_says_where() {
    let error = Value::parse("[1,\n 2 3]").expect_err("no comma");
    assert!(error.to_string().contains("byte 7"), "{error}");
}
