//! The model folders of models.xz, with what each version of transformers said.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

/// The files of a folder, by name.
pub type Files = Vec<(String, Vec<u8>)>;

/// One folder.
pub struct Folder {
    /// What it was made as: a kind of model, or a tokenizer.
    pub family: String,
    /// Its number, its family, and what is odd about it.
    pub what: String,
    /// What it holds.
    pub files: Files,
    /// What each version of transformers said.
    pub answers: Map<String, Value>,
}

impl Folder {
    /// Whether only its tokenizer is asked for.
    pub fn is_tokenizer(&self) -> bool {
        self.family.starts_with("tokenizer")
    }
}

/// Folders of another seed, of which no numbers are stated.
pub fn other() -> Option<std::ffi::OsString> {
    std::env::var_os("BITGAUGE_MODELS")
}

/// The files of a case that lies in the tree by itself.
fn given(name: &str) -> Files {
    let folder = conformance::fixtures().join("loader");
    let read = |name: &str| std::fs::read(folder.join(name)).expect("a fixture");
    let all: Value = serde_json::from_slice(&read("cases.json")).expect("the cases");
    let case = all["cases"].as_array().expect("a list").iter().find(|case| case["name"] == name);
    let files = case.expect("the case")["files"].as_object().expect("its files");
    files.iter().map(|(name, stored)| (name.clone(), read(stored.as_str().expect("a name")))).collect()
}

/// The questions that were asked, and the folders.
pub fn recorded() -> (Value, Vec<Folder>) {
    let path =
        other().unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/differential/models.xz").into());
    let file = std::fs::read(path).expect("the recorded answers");
    let mut text = Vec::new();
    lzma_rust2::XzReader::new(file.as_slice(), false).read_to_end(&mut text).expect("an xz file");
    let mut rest = text.as_slice();
    let mut take = |len: usize| {
        let (taken, left) = rest.split_at(len);
        rest = left;
        taken.to_vec()
    };
    let line = |take: &mut dyn FnMut(usize) -> Vec<u8>| -> Value {
        let mut text = Vec::new();
        while text.last() != Some(&b'\n') {
            text.extend(take(1));
        }
        serde_json::from_slice(&text).expect("a line of JSON")
    };
    let head = line(&mut take);
    let mut folders = Vec::new();
    for number in 0..head["folders"].as_u64().expect("how many") {
        let value = line(&mut take);
        let family = value["family"].as_str().expect("a family").to_owned();
        let files: Vec<(String, usize)> = serde_json::from_value(value["files"].clone()).expect("files");
        let mut files: Files = files.into_iter().map(|(name, len)| (name, take(len))).collect();
        if family == "given" {
            files = given(value["what"].as_str().expect("a name"));
        }
        let answers = value["answers"].as_object().expect("answers").clone();
        folders.push(Folder {
            what: format!("{number} ({family}), {}", value["what"]),
            family,
            files,
            answers,
        });
    }
    (head, folders)
}

/// Writes the files into a folder, which is made.
pub fn write(files: &Files, to: &Path) {
    for (name, bytes) in files {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
}
