//! Where the documents of a dataset come from: the built-in texts, or a private manifest.

use super::files::{Files, Place, os_error, text_of};
use super::hub::hub_manifest;
use super::{Corpus, manifest};
use crate::contract::python::{Raised, Value, lower, split_lines, trim};
use crate::contract::{Environment, Halt};
use crate::{Error, ErrorKind};

/// The datasets of one run.
pub(super) struct Pools<'a> {
    /// The run's own dataset: when it is private, so are the datasets of its mix.
    pub dataset: &'a str,
    pub environment: &'a Environment,
    pub corpus: Option<&'a Corpus>,
    pub files: &'a dyn Files,
}

impl Pools<'_> {
    /// All documents of a dataset.
    ///
    /// # Errors
    /// There is no corpus; as the manifest of a private one.
    pub fn get(&self, name: &str) -> Result<Vec<String>, Halt> {
        let key = lower(trim(name));
        if is_private(&key) || is_private(&lower(trim(self.dataset))) {
            return self.private(&key);
        }
        let corpus = self.corpus.ok_or_else(|| no_corpus(name))?;
        Ok(corpus.group(&key).map_or_else(|| corpus.all(), <[String]>::to_vec))
    }

    /// The documents of a private dataset: inline JSON, else a manifest file, else the hub.
    fn private(&self, selector: &str) -> Result<Vec<String>, Halt> {
        let inline = self.environment.trimmed("AUTORESEARCH_HELDOUT_SOURCES_JSON");
        if !inline.is_empty() {
            let json = Value::parse(inline)
                .map_err(|_| Raised::runtime("AUTORESEARCH_HELDOUT_SOURCES_JSON is invalid JSON"))?;
            return self.documents(&json, selector, Place::Folder(self.files.resolve(".")));
        }
        let path = self.environment.trimmed("AUTORESEARCH_PRIVATE_HELDOUT_MANIFEST");
        if !path.is_empty() {
            let path = self.files.resolve(path);
            let json = self.read_manifest(&path)?;
            let root = match self.environment.trimmed("AUTORESEARCH_PRIVATE_HELDOUT_ROOT") {
                "" => path.rsplit_once('/').map_or("/", |(folder, _)| folder).to_owned(),
                root => self.files.resolve(root),
            };
            return self.documents(&json, selector, Place::Folder(root));
        }
        match hub_manifest(self.dataset, selector, self.environment)? {
            Some(hub) => {
                let bytes = self.files.fetch(&hub, &hub.manifest)?;
                hub.check_manifest(&bytes)?;
                let json = parse_manifest(&text_of(bytes, &hub.manifest)?, &hub.manifest)?;
                self.documents(&json, selector, Place::Hub(hub))
            }
            None => Err(Raised::runtime(
                "validator-private heldout requires a local AUTORESEARCH_PRIVATE_HELDOUT_MANIFEST file or a \
                 pinned HF source via AUTORESEARCH_PRIVATE_HELDOUT_HF_REPO/AUTORESEARCH_PRIVATE_HELDOUT_HF_REVISION",
            )
            .into()),
        }
    }

    fn read_manifest(&self, path: &str) -> Result<Value, Halt> {
        if !self.files.is_file(path) {
            return Err(Raised::runtime(format!("private heldout manifest not found: {path}")).into());
        }
        let bytes = self.files.read(path).map_err(|error| os_error(&error, path))?;
        parse_manifest(&text_of(bytes, path)?, path)
    }

    fn documents(&self, json: &Value, selector: &str, place: Place) -> Result<Vec<String>, Halt> {
        let reader = manifest::Reader { environment: self.environment, files: self.files, place };
        let is_selective = !selector.is_empty() && !is_private(selector);
        reader.documents(json, selector, is_selective)
    }
}

/// Whether a dataset key names private documents.
pub(super) fn is_private(key: &str) -> bool {
    matches!(key, "validator-private-shard" | "validator-private-mix" | "validator-backend-heldout")
        || key.starts_with("private://")
        || key.starts_with("hf://")
}

/// The value of a manifest, by the suffix of its path.
fn parse_manifest(text: &str, path: &str) -> Result<Value, Halt> {
    let name = lower(path.rsplit('/').next().unwrap_or(path));
    let lines = || split_lines(text).into_iter().map(trim).filter(|line| !line.is_empty());
    let suffix = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or("", |(_, suffix)| suffix);
    Ok(match suffix {
        "jsonl" => {
            Value::Array(lines().map(|line| Value::parse(line).unwrap_or_else(|_| line.into())).collect())
        }
        "txt" | "text" => Value::Array(lines().map(Value::from).collect()),
        _ => Value::parse(text)
            .map_err(|_| Raised::runtime(format!("private heldout manifest is invalid JSON: {path}")))?,
    })
}

fn no_corpus(dataset: &str) -> Halt {
    missing_corpus("a public dataset is made of", dataset)
        .hint(
            "in a checkout of the task, save the six groups of texts of its shared benchmark module as JSON; \
             or choose private documents: AUTORESEARCH_HELDOUT_DATASET=validator-private-shard with \
             AUTORESEARCH_PRIVATE_HELDOUT_MANIFEST",
        )
        .into()
}

/// The built-in texts are needed at `place` and were not brought; `user` begins the sentence.
pub(in crate::contract) fn missing_corpus(user: &str, place: &str) -> Error {
    let what = format!("{user} the validator's built-in texts, which bitgauge does not ship");
    Error::new(ErrorKind::Missing, what)
        .within(place)
        .expected_found("--corpus FILE.json with {group: [texts]}", "no corpus")
        .hint(
            "in a checkout of the task, save the six groups of texts of its shared benchmark module as JSON",
        )
}
