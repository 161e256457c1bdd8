//! The archives of archives.xz, with Python's answers.

use std::collections::BTreeMap;
use std::io::Read;

/// Digits of a SHA-256 that are recorded.
pub const DIGITS: usize = 12;

/// Files by name, with the beginning of the SHA-256 of each.
pub type Files = BTreeMap<String, String>;

/// One archive.
pub struct Case {
    /// Its number, its family, and what is odd about it.
    pub what: String,
    /// The archive.
    pub bytes: Vec<u8>,
    /// The exception's class, or the files.
    pub python: Result<Files, String>,
}

/// Archives of another seed, of which no numbers are stated.
pub fn other() -> Option<std::ffi::OsString> {
    std::env::var_os("BITGAUGE_ARCHIVES")
}

pub fn recorded() -> Vec<Case> {
    let path =
        other().unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/differential/archives.xz").into());
    let file = std::fs::read(path).expect("the recorded answers");
    let mut text = Vec::new();
    lzma_rust2::XzReader::new(file.as_slice(), false).read_to_end(&mut text).expect("an xz file");
    let mut rest = text.as_slice();
    let mut line = || -> (serde_json::Value, &[u8]) {
        let end = rest.iter().position(|byte| *byte == b'\n').expect("a line");
        let value: serde_json::Value = serde_json::from_slice(&rest[..end]).expect("a line of JSON");
        let len = value["bytes"].as_u64().unwrap_or_default() as usize;
        let bytes = &rest[end + 1..][..len];
        rest = &rest[end + 1 + len..];
        (value, bytes)
    };
    let (head, _) = line();
    assert_eq!((head["python"].as_str(), head["root"].as_bool()), (Some("3.11.7"), Some(true)), "{head}");
    let count = head["archives"].as_u64().expect("how many");
    let case = |number| {
        let (value, bytes) = line();
        let python = value["python"].as_str().map_or_else(
            || Ok(serde_json::from_value(value["python"].clone()).expect("files")),
            |class| Err(class.to_owned()),
        );
        let what = format!("{number} ({}), {}", value["family"], value["what"]);
        Case { what, bytes: bytes.to_vec(), python }
    };
    (0..count).map(case).collect()
}
