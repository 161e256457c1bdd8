//! The same texts in every form, and what is none of them.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use bitgauge_texts::parse;

use super::*;

const TEXTS: [&str; 3] = ["one", "two words,\nand a line", "drei Wörter hier"];

fn texts(documents: Result<Documents>) -> Vec<String> {
    documents.unwrap().into_texts()
}

fn lines() -> TextSettings {
    TextSettings { lines: true, ..TextSettings::default() }
}

/// A table of a number and a text in each row; no text in the last. Two row groups.
fn table(path: &Path, column: &str, compression: Compression) {
    let schema = format!("message m {{ REQUIRED INT64 id; OPTIONAL BYTE_ARRAY {column} (UTF8); }}");
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    for group in [&TEXTS[..2], &TEXTS[2..]] {
        let mut rows = writer.next_row_group().unwrap();
        let ids: Vec<i64> = (0..=group.len() as i64).collect();
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let values: Vec<ByteArray> = group.iter().map(|text| ByteArray::from(*text)).collect();
        let mut levels = vec![1; group.len()];
        levels.push(0);
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
        column.close().unwrap();
        rows.close().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn every_form_gives_the_same_texts() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let list = serde_json::to_string(&TEXTS).unwrap();
    let objects: Vec<String> =
        TEXTS.iter().map(|t| serde_json::json!({"id": 1, "text": t}).to_string()).collect();
    let settings = TextSettings::default();
    let forms = [
        vec![file("list.json", list.as_bytes())],
        vec![file("objects.json", format!("[{}]", objects.join(",")).as_bytes())],
        vec![file("values.json", objects.join("\n").as_bytes())],
        vec![file("lines.jsonl", format!("{}\n\n", objects.join("\r\n")).as_bytes())],
        vec![file("unnamed", list.as_bytes())],
        vec![file("marked", format!("\u{feff}{list}").as_bytes())],
        (0..3).map(|i| file(&format!("{i}.txt"), format!("\u{feff}{}\n", TEXTS[i]).as_bytes())).collect(),
    ];
    for form in forms {
        assert_eq!(texts(read(&form, &settings)), TEXTS, "{form:?}");
    }
    let compressed =
        [Compression::SNAPPY, Compression::GZIP(Default::default()), Compression::BROTLI(Default::default())];
    let others = [Compression::UNCOMPRESSED, Compression::LZ4_RAW, Compression::LZ4];
    for compression in compressed.into_iter().chain(others) {
        let path = folder.path().join("table.parquet");
        table(&path, "text", compression);
        let found = read(&[path], &settings).unwrap();
        assert_eq!(found.notes, ["left out: 2 texts without a character"]);
        assert_eq!(found.documents[2].name, format!("{}[3]", folder.path().join("table.parquet").display()));
        assert_eq!(found.into_texts(), TEXTS, "{compression:?}");
    }
}

#[test]
fn texts_are_trimmed_as_pythons_strip_does() {
    let json = r#"["\u001cone\n", " \u00a0", " two words\t"]"#;
    let found = parse(json, Form::Json, &TextSettings::default()).unwrap();
    assert_eq!(found.notes, ["left out: 1 text without a character"]);
    assert_eq!(found.into_texts(), ["one", "two words"]);
}

#[test]
fn lines_are_documents_only_when_asked_for() {
    let text = "one\n  two words \n\nthree\n";
    let parsed = |settings: &TextSettings| texts(parse(text, Form::Text, settings));
    assert_eq!(parsed(&TextSettings::default()), ["one\n  two words \n\nthree"]);
    assert_eq!(parsed(&lines()), ["one", "two words", "three"]);
    let named = parse(text, Form::Text, &lines()).unwrap();
    assert_eq!((named.documents[2].name.as_str(), named.notes.len()), (":4", 1));
}

#[test]
fn the_field_of_the_text_can_be_named() {
    let key = TextSettings { text_key: Some("content".into()), ..TextSettings::default() };
    assert_eq!(texts(parse(r#"[{"content": "a", "text": "b"}, "c"]"#, Form::Json, &key)), ["a", "c"]);
    let missing = parse(r#"[{"body": "a", "id": 1}]"#, Form::Json, &key).unwrap_err();
    assert_eq!((missing.kind, missing.place.as_str()), (ErrorKind::Malformed, "[0]"));
    assert!(missing.expected.contains("`content`") && missing.found.contains("body"), "{missing}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    table(&path, "content", Compression::SNAPPY);
    assert_eq!(texts(read(std::slice::from_ref(&path), &key)), TEXTS);
    let missing = read(&[path], &TextSettings::default()).unwrap_err();
    assert!(missing.kind == ErrorKind::Missing && missing.found.contains("content"), "{missing}");
}

#[test]
fn a_folder_is_read_by_name_without_what_is_of_other_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("b");
    std::fs::create_dir(&below).unwrap();
    for (name, text) in
        [("c.md", "third"), ("a.txt", "first"), ("b/x.json", "[\"second\"]"), (".h.txt", "hidden")]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::write(below.join("image.png"), b"\x89PNG").unwrap();
    let found = read(&[folder.path().to_owned()], &TextSettings::default()).unwrap();
    assert_eq!(found.notes, ["left out: 1 file of another kind"]);
    assert_eq!(found.into_texts(), ["first", "second", "third"]);
}

#[test]
fn faults_are_named() {
    let fault = |text: &str, form| parse(text, form, &TextSettings::default()).unwrap_err();
    assert_eq!(fault("{}", Form::Json).kind, ErrorKind::Malformed);
    assert_eq!(fault("[]", Form::Json).kind, ErrorKind::Missing);
    assert_eq!(fault("[3]", Form::Json).kind, ErrorKind::Malformed);
    assert_eq!(fault("[\"a\"", Form::Json).kind, ErrorKind::Malformed);
    assert_eq!(fault(" \n", Form::Text).kind, ErrorKind::Missing);
    let error = fault("\"one\"\n{\"txt\": 1}", Form::JsonLines);
    assert_eq!((error.kind, error.place.as_str()), (ErrorKind::Malformed, "line 2"));
}

/// pyarrow 26 wrote the table: `write_table(..., compression="zstd")`.
#[test]
fn a_codec_that_is_not_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zstd.parquet");
    std::fs::write(&path, include_bytes!("zstd.parquet")).unwrap();
    let error = read(&[path], &TextSettings::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert_eq!(error.found, "zstd");
    assert!(error.hint.as_deref().unwrap_or_default().contains("Snappy"), "{error:?}");
}

#[test]
fn a_damaged_table_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    table(&path, "text", Compression::SNAPPY);
    let sound = std::fs::read(&path).unwrap();
    let (mut errors, mut sames) = (0, 0);
    for at in (0..sound.len()).step_by(3) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&path, damaged).unwrap();
        match read(std::slice::from_ref(&path), &TextSettings::default()) {
            Ok(_) => sames += 1,
            Err(_) => errors += 1,
        }
    }
    assert!(errors > sames / 4, "{errors} errors, {sames} read");
    for cut in [0, 4, sound.len() / 2, sound.len() - 1] {
        std::fs::write(&path, &sound[..cut]).unwrap();
        assert!(read(std::slice::from_ref(&path), &TextSettings::default()).is_err(), "cut at {cut}");
    }
}
