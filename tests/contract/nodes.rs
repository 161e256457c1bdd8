//! Values of a JSON text as Python has them, without reading the whole text into memory.

use bitgauge_core::contract::python::{Json, Value};

fn json(text: &str) -> Json<'_> {
    Json::parse(text).unwrap_or_else(|_| panic!("{text} is JSON"))
}

#[test]
fn values_have_pythons_types_and_truth() {
    for (text, name, is_truthy) in [
        ("null", "NoneType", false),
        ("true", "bool", true),
        ("false", "bool", false),
        ("0", "int", false),
        ("-0", "int", false),
        ("7", "int", true),
        ("0.0", "float", false),
        ("1e-9", "float", true),
        ("NaN", "float", true),
        ("Infinity", "float", true),
        ("-Infinity", "float", true),
        ("\"\"", "str", false),
        ("\" \"", "str", true),
        ("\"\\\"\"", "str", true),
        ("[]", "list", false),
        ("[ ]", "list", false),
        ("[0]", "list", true),
        ("[[]]", "list", true),
        ("{}", "dict", false),
        ("{ }", "dict", false),
        ("{\"\": 0}", "dict", true),
    ] {
        let json = json(text);
        let node = json.root();
        assert_eq!((node.type_name(), node.is_truthy()), (name, is_truthy), "{text}");
        assert_eq!(node.is_null(), text == "null", "{text}");
        assert_eq!(node.is_object(), text.starts_with('{'), "{text}");
        assert_eq!((node.scalar().type_name(), node.to_value().type_name()), (name, name), "{text}");
    }
    let scalar = |text: &str| json(text).root().scalar();
    assert_eq!(scalar("Infinity"), Value::Float(f64::INFINITY));
    assert_eq!(scalar("-Infinity"), Value::Float(f64::NEG_INFINITY));
    assert!(matches!(scalar("NaN"), Value::Float(x) if x.is_nan()));
    assert_eq!(scalar("[1]"), Value::Array(Vec::new()));
    assert_eq!(scalar("{\"a\": 1}"), Value::parse("{}").expect("JSON"));
}

#[test]
fn texts_are_pythons_str() {
    for (text, wanted) in [
        ("null", "None"),
        ("true", "True"),
        ("-Infinity", "-inf"),
        ("NaN", "nan"),
        ("1.0", "1.0"),
        ("12345678901234567890", "12345678901234567890"),
        ("\"it's\"", "it's"),
        ("[]", "[]"),
        ("[1, \"a\", null]", "[1, 'a', None]"),
        ("[\"it's\"]", "[\"it's\"]"),
        ("{}", "{}"),
        ("{\"b\": [1], \"a\": {}}", "{'b': [1], 'a': {}}"),
        // The last of two equal keys, in the place of the first.
        ("{\"b\": 1, \"a\": 2, \"b\": 3}", "{'b': 3, 'a': 2}"),
    ] {
        assert_eq!(json(text).root().to_text().expect("memory"), wanted);
    }
}

#[test]
fn members_are_found_by_their_last_key() {
    let text = "{\"a\": 1, \"b\\u0041\\t\\\"\": 2, \"a\": [3, {\"x\": 4}], \"\": 5}";
    let json = json(text);
    let keys = json.root().keys().expect("memory");
    assert_eq!(keys, ["a", "bA\t\"", ""]);
    let get = |key: &str| json.root().get(key).map(|node| node.to_text().expect("memory"));
    assert_eq!(get("a").as_deref(), Some("[3, {'x': 4}]"));
    assert_eq!((get("bA\t\"").as_deref(), get("").as_deref(), get("c")), (Some("2"), Some("5"), None));
    let items: Vec<_> = json.root().get("a").expect("a").items().expect("a list").collect();
    assert_eq!(items.len(), 2);
    assert!(json.root().items().is_none() && items[0].keys().expect("memory").is_empty());
    assert_eq!(items[1].get("x").map(|node| node.scalar()), Some(Value::from(4_u64)));
}

#[test]
fn escapes_of_every_kind() {
    let text = |json_text: &str| json(json_text).root().as_text().map(|text| text.into_owned());
    assert_eq!(text(r#""\"\\\/\b\f\n\r\t""#).as_deref(), Some("\"\\/\u{8}\u{c}\n\r\t"));
    assert_eq!(text(r#""\u00e9\u20AC\uD83D\uDE00""#).as_deref(), Some("é€😀"));
    assert_eq!(text("\"plain\"").as_deref(), Some("plain"));
    assert_eq!(text("7"), None);
}

#[test]
fn canonical_text_is_sorted_and_without_spaces() {
    let canonical = |text: &str| {
        let mut out = String::new();
        json(text).root().write_canonical(&mut out).expect("memory");
        assert_eq!(out, Value::parse(text).expect("JSON").to_canonical(), "{text}");
        out
    };
    assert_eq!(canonical("{ \"b\" : [ 1 , 2 ] , \"a\" : null }"), r#"{"a":null,"b":[1,2]}"#);
    assert_eq!(canonical("{\"b\": 1, \"a\": 2, \"b\": 3}"), r#"{"a":2,"b":3}"#);
    assert_eq!(canonical("[\"é\\u0001\", 1.50, -0.0, {}]"), "[\"é\\u0001\",1.5,-0.0,{}]");
}
