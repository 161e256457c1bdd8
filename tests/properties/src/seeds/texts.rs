//! JSON in Python's form, manifests of documents, artifacts of the proxy, variables.

use bitgauge_core::contract::proxy::{Teacher, default_submission};
use bitgauge_core::contract::python::Value;

use super::fixtures;

/// JSON of every form that Python takes.
pub fn python_json() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"a": [1, 2.0, null, true, "it's"], "b": {}, "a": -0}"#,
        r#"[NaN, Infinity, -Infinity, -0.0, 1e400, 5e-324, 1.7976931348623157e308, 0.1, 123456789012345678901234567890]"#,
        r#"["\u00e9\ud83d\ude00\n\t\b\f\r\"\\\/", "é😀", {"": ""}]"#,
        "[[[[[[[[1]]]]]]]]",
        "  1.5e+3 ",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A byte for dataset and suffix, and a manifest.
pub fn manifests() -> Vec<Vec<u8>> {
    let texts: [(u8, &str); 8] = [
        (0, r#"["one", " two ", {"text": "three"}]"#),
        (0, r#"{"documents": [{"path": "a.txt"}, {"file": "sub/../a.txt"}]}"#),
        (1, r#"{"datasets": {"private://math": [{"text": "x", "tags": ["private://math"]}]}}"#),
        (1, r#"{"categories": {"private://math": {"category": "private://math", "path": "a.txt"}}}"#),
        (
            2,
            r#"[{"source": "hf_rows", "dataset": "o/n", "split": "s", "text_columns": ["text"], "limit": 3}]"#,
        ),
        (
            3,
            r#"[{"dataset": "o/n", "split": "s", "text_column": "text", "rotate": 1, "row_count": 9, "limit": 2}]"#,
        ),
        (4, "{\"text\": \"line\"}\nplain line\n\n\"quoted\""),
        (8, "first\r\nsecond\u{2028}third"),
    ];
    let mut seeds: Vec<Vec<u8>> =
        texts.iter().map(|(mode, text)| [&[*mode], text.as_bytes()].concat()).collect();
    let recorded = fixtures("validator/direct_run/documents", &[".json", ".jsonl"]);
    seeds.extend(recorded.into_iter().map(|text| [&[0][..], &text].concat()));
    seeds
}

/// Artifacts of the proxy without rescued weights, whose codes would be most of the text.
pub fn proxies() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for mode in ["binary", "ternary"] {
        let text = default_submission(&Teacher::default(), mode).to_canonical();
        let Ok(Value::Object(mut artifact)) = Value::parse(&text) else { panic!("no object") };
        let Some(Value::Array(rows)) = artifact.get_mut("layers") else { panic!("no rows") };
        for row in rows {
            let Value::Object(row) = row else { panic!("no object") };
            row.insert("high_precision_fraction".into(), 0.0.into());
            row.insert("rescue_values_q4".into(), Value::Array(Vec::new()));
            row.insert("rescue_scales".into(), Value::Array(Vec::new()));
        }
        let plain = Value::from(artifact.clone()).to_canonical();
        let entry =
            r#"[{"name": "e", "role": "side", "parameter_count": 8, "compressed_bits": 9, "layer": 1}]"#;
        let entries = Value::from([("extra_entries", Value::parse(entry).expect("JSON"))]);
        artifact.insert("accounting".into(), entries);
        seeds.extend([plain, Value::from(artifact).to_canonical()].map(String::into_bytes));
    }
    seeds
}

/// A variable a line.
pub fn environments() -> Vec<Vec<u8>> {
    let texts = [
        "16\nreasoning:0.2,code:0.8\nround-7\n3\n512\n4429687500",
        " 1_000 \na:1,b:1,c:1,d:1e308,,e:nan,f:-1\n \n\n0\n-5",
        "99999999999999999999\nmath:inf,math:1e-320\nk\ns\n٣\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
