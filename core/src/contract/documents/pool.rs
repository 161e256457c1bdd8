//! Where the documents of a dataset come from: the built-in texts, or a private manifest.

use super::hub::{HubSource, hub_manifest};
use super::{Corpus, manifest};
use crate::contract::python::{Exception, Raised, Value, lower, split_lines, trim};
use crate::contract::{Environment, Halt};
use crate::{Error, ErrorKind};

/// Reads what a manifest names. Paths are text, `/`-separated.
pub trait Files {
    /// The absolute path of `path`: a leading `~` expanded, links followed as far as it exists, `..` resolved.
    fn resolve(&self, path: &str) -> String;
    /// The absolute path of `path`, nothing followed.
    fn absolute(&self, path: &str) -> String;
    /// Whether there is a regular file.
    fn is_file(&self, path: &str) -> bool;
    /// All bytes of a file.
    ///
    /// # Errors
    /// Why it can't be read.
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError>;
    /// A file of a dataset on the hub.
    ///
    /// # Errors
    /// Why it can't be had.
    fn fetch(&self, source: &HubSource, path: &str) -> Result<Vec<u8>, Halt>;
    /// One page of a dataset's rows, as the hub's row server gives it.
    ///
    /// # Errors
    /// Why it can't be had.
    fn fetch_rows(
        &self,
        dataset: &str,
        config: &str,
        split: &str,
        offset: u64,
        length: u64,
    ) -> Result<Value, Halt>;
}

/// Why a file can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// There is none.
    NotFound,
    /// It is a folder.
    IsFolder,
    /// What the operating system says.
    Other(String),
}

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

/// What a manifest's paths are relative to.
pub(super) enum Place {
    Folder(String),
    Hub(HubSource),
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

/// The text of a file: UTF-8, every kind of line end a newline.
pub(super) fn text_of(bytes: Vec<u8>, path: &str) -> Result<String, Halt> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::new(ErrorKind::BadValue, "a held-out document is not UTF-8")
            .within(path)
            .at(at as u64)
            .expected_found(
                "UTF-8",
                format!("the byte {:#04x}", error.as_bytes().get(at).copied().unwrap_or(0)),
            )
    })?;
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The exception that Python raises for a file that can't be read.
pub(super) fn os_error(error: &ReadError, path: &str) -> Halt {
    match error {
        ReadError::NotFound => Raised::new(
            Exception::FileNotFoundError,
            format!("[Errno 2] No such file or directory: '{path}'"),
        )
        .into(),
        ReadError::IsFolder => {
            Raised::new(Exception::IsADirectoryError, format!("[Errno 21] Is a directory: '{path}'")).into()
        }
        ReadError::Other(why) => Error::new(ErrorKind::Io, "a held-out document can't be read")
            .within(path)
            .expected_found("a file", why)
            .into(),
    }
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
