//! What the browser suite tokenizes: models' tokenizers, documents, and the token ids that the command makes of them, or why
//! it refuses.

use std::fs;
use std::path::Path;

use bitgauge_core::contract::documents::documents_sha256;
use bitgauge_core::model::TOKENIZER_FILES;
use native_eval::documents::{self, Form, TextSettings};
use native_eval::{Source, own_tokenizer};
use serde_json::{Value, json};

use crate::artifacts::Artifact;
use crate::folders;

/// Longest document in tokens: some of them are cut.
const MAX_TOKENS: usize = 48;
/// How many of the recorded tokenizers there are, in equal steps out of all.
const RECORDED_COUNT: usize = 200;

/// The demo's documents.
const DOCUMENTS: &str = include_str!("../../demo/documents.json");

/// Writes `tokenizers.json`: the documents in each form, and the tokenizers with what the command says of each.
pub fn write(folder: &Path) {
    let (head, recorded) = folders::recorded();
    let texts: Vec<String> = serde_json::from_value(head["texts"].clone()).expect("texts");
    let demo = documents::parse(DOCUMENTS, Form::Json, &TextSettings::default()).expect("documents");
    let mut list = demo.into_texts();
    list.truncate(3);
    list.extend(texts.into_iter().filter(|text| !text.trim().is_empty()));
    list.push("  Ärger\u{301} 12.345 \u{1f600} <|endoftext|>\r\n\r\n  x'll\u{a0}".to_owned());
    let documents = json!(list).to_string();
    let parsed = documents::parse(&documents, Form::Json, &TextSettings::default()).expect("documents");
    let mut cases = Vec::new();
    let temporary = tempfile::tempdir().expect("a folder");
    let mut add = |name: String, path: &Path| {
        let source = Source::open(path);
        let ids = source.and_then(|mut source| {
            let tokenizer = own_tokenizer(&mut source)?.tokenizer;
            let encode = |text: &documents::Document| tokenizer.encode_counted(&text.text, MAX_TOKENS);
            parsed.documents.iter().map(encode).collect::<Result<Vec<_>, _>>()
        });
        let files = TOKENIZER_FILES.iter().filter_map(|file| Some((*file, fs::read(path.join(file)).ok()?)));
        let files: Vec<Value> =
            files.map(|(file, bytes)| json!([file, String::from_utf8_lossy(&bytes)])).collect();
        cases.push(match ids {
            Ok(encoded) => {
                let ids: Vec<&[u32]> = encoded.iter().map(|encoded| &encoded.ids[..]).collect();
                let cut: usize = encoded.iter().map(|encoded| encoded.cut).sum();
                json!({ "name": name, "files": files, "ids": ids, "cut": cut })
            }
            Err(error) => {
                json!({ "name": name, "files": files, "refused": error.what, "found": error.found })
            }
        });
    };
    add("the demo".to_owned(), &Artifact::demo_folder(&[]).path);
    let tokenizers: Vec<_> = recorded.iter().filter(|case| case.is_tokenizer()).collect();
    let step = (tokenizers.len() / RECORDED_COUNT).max(1);
    for (number, case) in tokenizers.into_iter().step_by(step).enumerate() {
        let path = temporary.path().join(number.to_string());
        folders::write(&case.files, &path);
        add(case.what.clone(), &path);
    }
    let sha256 = documents_sha256(&parsed.into_texts());
    let all = json!({ "documents": documents, "sha256": sha256, "maxTokens": MAX_TOKENS, "cases": cases });
    fs::write(folder.join("tokenizers.json"), all.to_string()).expect("a file");
}
