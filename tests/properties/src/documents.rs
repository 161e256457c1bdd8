//! Manifests of private documents.

use bitgauge_core::contract::documents::{Files, HubSource, ReadError, documents_sha256};
use bitgauge_core::contract::python::{Value, trim};
use bitgauge_core::contract::{Environment, Halt, choose_documents};
use bitgauge_core::{Error, ErrorKind};

use crate::Outcome;

/// Suffixes of a manifest's name: each is read in another way.
const SUFFIXES: [&str; 3] = ["json", "jsonl", "txt"];
/// Datasets that are asked for.
const DATASETS: [&str; 4] =
    ["validator-private-shard", "private://math", "hf://owner/name?revision=abc", "validator-private-mix"];
/// How many documents are asked for.
const COUNT: usize = 3;

/// A manifest gives the same documents each time, never more than were asked for, none of them blank. What stands in
/// a file and what stands in the environment is the same. The first byte chooses dataset and suffix.
pub fn check(input: &[u8]) -> Outcome {
    let Some((&mode, manifest)) = input.split_first() else { return Outcome::Refused };
    let mode = usize::from(mode);
    let (dataset, suffix) =
        (DATASETS[mode % DATASETS.len()], SUFFIXES[mode / DATASETS.len() % SUFFIXES.len()]);
    let files = Memory(manifest);
    let path = format!("/m/manifest.{suffix}");
    let chosen = choose(dataset, ("AUTORESEARCH_PRIVATE_HELDOUT_MANIFEST", &path), &files);
    assert_eq!(chosen, choose(dataset, ("AUTORESEARCH_PRIVATE_HELDOUT_MANIFEST", &path), &files));
    if let ("json", Ok(text)) = (suffix, std::str::from_utf8(manifest)) {
        // A variable is trimmed, and one of nothing but spaces is none.
        let is_plain = !text.is_empty() && trim(text) == text && !text.contains('\r');
        let inline = choose(dataset, ("AUTORESEARCH_HELDOUT_SOURCES_JSON", text), &files);
        assert!(!is_plain || inline.as_ref().ok() == chosen.as_ref().ok(), "{inline:?}, {chosen:?}");
    }
    let Ok(documents) = chosen else { return Outcome::Refused };
    assert_eq!(documents.len(), COUNT);
    assert!(documents.iter().all(|text| !text.trim().is_empty()), "{documents:?}");
    assert_eq!(documents_sha256(&documents).len(), 64);
    Outcome::Accepted
}

fn choose(dataset: &str, source: (&str, &str), files: &Memory) -> Result<Vec<String>, Halt> {
    let count = COUNT.to_string();
    let variables = [
        ("AUTORESEARCH_HELDOUT_DATASET", dataset),
        ("AUTORESEARCH_HELDOUT_DOCUMENT_COUNT", &count),
        ("AUTORESEARCH_HELDOUT_SYNC_SLOT", "7"),
        source,
    ];
    choose_documents(&variables.into_iter().collect::<Environment>(), None, files)
}

/// A folder `/m` of the manifest and two texts, and a hub of one page of rows.
struct Memory<'a>(&'a [u8]);

impl Files for Memory<'_> {
    fn resolve(&self, path: &str) -> String {
        let absolute = self.absolute(path);
        let mut parts = Vec::new();
        for part in absolute.split('/').filter(|part| !matches!(*part, "" | ".")) {
            match part {
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') { path.to_owned() } else { format!("/m/{path}") }
    }

    fn is_file(&self, path: &str) -> bool {
        self.read(path).is_ok()
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        match path {
            "/m/a.txt" => Ok(b" one\r\ntwo ".to_vec()),
            "/m/blank.txt" => Ok(b" \n".to_vec()),
            "/m" | "/" => Err(ReadError::IsFolder),
            path if path.starts_with("/m/manifest.") => Ok(self.0.to_vec()),
            _ => Err(ReadError::NotFound),
        }
    }

    fn fetch(&self, _: &HubSource, path: &str) -> Result<Vec<u8>, Halt> {
        self.read(&format!("/m/{path}")).map_err(|_| missing())
    }

    fn fetch_rows(&self, _: &str, _: &str, _: &str, offset: u64, length: u64) -> Result<Value, Halt> {
        assert!(length > 0, "no rows are asked for");
        let rows =
            if offset < 2 { r#"{"rows": [{"row": {"text": "a row"}}, {"text": ["b", 1]}]}"# } else { "{}" };
        Value::parse(rows).map_err(|_| missing())
    }
}

fn missing() -> Halt {
    Error::new(ErrorKind::Missing, "no such file").into()
}
