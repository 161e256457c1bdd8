//! Finding the validator's tokenizer on this machine.

use std::path::{Path, PathBuf};

use bitgauge_core::container::GgufMetadata;
use bitgauge_core::model::Transformers;
use bitgauge_core::{Error, ErrorKind, Result, limits};
use bitgauge_texts::{CONFIG, FILE, ModelTokenizer, TextTokenizer};

use crate::hub::cache_root;
use crate::input;
use crate::local_files::LocalFiles;
use crate::source::Source;

/// A tokenizer, and what the validator needs to know of it beside the texts.
pub struct ValidatorTokenizer {
    /// The id it was asked for by.
    pub id: String,
    /// The id that padding has: the pad, eos or bos token's, the first there is, else 0.
    pub pad_id: u32,
    /// The tokenizer itself.
    pub tokenizer: TextTokenizer,
}

impl ValidatorTokenizer {
    fn of(id: &str, found: ModelTokenizer) -> Self {
        Self { id: id.to_owned(), pad_id: found.pad_id, tokenizer: found.tokenizer }
    }

    /// The first `max_tokens` ids of a text, special tokens included.
    ///
    /// # Errors
    /// A text that the tokenizer can't encode.
    pub fn encode(&self, text: &str, max_tokens: u64) -> Result<Vec<u32>> {
        self.tokenizer.encode(text, usize::try_from(max_tokens).unwrap_or(usize::MAX))
    }
}

/// The tokenizer called `id`: the built-in byte tokenizer, a folder or file of this machine, or one that
/// is in the Hugging Face cache, as this version of transformers makes it. `instead` names another in its place.
///
/// # Errors
/// No such tokenizer here, or one that can't be read.
pub fn find_tokenizer(
    id: &str,
    instead: Option<&Path>,
    files: &LocalFiles,
    transformers: Transformers,
) -> Result<ValidatorTokenizer> {
    let path = match instead.and_then(Path::to_str).unwrap_or(id) {
        name if is_bytes(name) => {
            return Ok(ValidatorTokenizer { id: id.into(), pad_id: 0, tokenizer: TextTokenizer::Bytes });
        }
        name => Some(files.absolute_path(name)).filter(|path| instead.is_some() || path.exists()),
    };
    let path = path.or_else(|| in_cache(id)).ok_or_else(|| {
        Error::new(ErrorKind::Missing, "the validator's tokenizer is not on this machine")
            .within(id)
            .expected_found("a folder with tokenizer.json, or the model in the Hugging Face cache", "neither")
            .hint(
                "name one with --tokenizer, or set AUTORESEARCH_EVAL_TOKENIZER_ID to a folder that holds one",
            )
    })?;
    let [file, config] = tokenizer_files(&path);
    let bytes = input::read_bytes(&file, "the tokenizer", limits::TOKENIZER_BYTES);
    let bytes = bytes.map_err(|error| error.within(file.display()))?;
    let read = |name: &str| {
        let path = config.with_file_name(name);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = input::read_bytes(&path, "the tokenizer's settings", limits::TOKENIZER_BYTES);
        bytes.map(Some).map_err(|error| error.within(path.display()))
    };
    let found = ModelTokenizer::read(&bytes, transformers, &mut { read });
    found.map(|found| ValidatorTokenizer::of(id, found)).map_err(|error| error.within(file.display()))
}

/// The files that a tokenizer on this machine is read from, if `path` names one.
pub fn tokenizer_files(path: &Path) -> [PathBuf; 2] {
    let file = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
    let config = file.with_file_name(CONFIG);
    [file, config]
}

/// Whether an id is one of the built-in byte tokenizer.
fn is_bytes(id: &str) -> bool {
    matches!(id, "autoresearch-byte-utf8" | "byte-utf8" | "bytes")
}

/// The tokenizer that an artifact brings, as the source's version of transformers makes it, called by the artifact's name.
///
/// # Errors
/// None, or one that can't be read.
pub fn own_tokenizer(source: &mut Source) -> Result<ValidatorTokenizer> {
    if let Some(json) = source.artifact().gguf.as_ref().and_then(GgufMetadata::tokenizer) {
        let tokenizer = json.and_then(|json| TextTokenizer::from_json(&json));
        let tokenizer = tokenizer.map_err(|error| error.within(source.name()))?;
        return Ok(ValidatorTokenizer { id: source.name().to_owned(), pad_id: 0, tokenizer });
    }
    let index = source.artifact().find_beside_config(FILE).ok_or_else(|| {
        Error::new(ErrorKind::Missing, "the artifact brings no tokenizer")
            .within(source.name())
            .expected_found("tokenizer.json beside config.json", "none")
            .hint("name one with --tokenizer: a tokenizer.json, a folder that holds one, or byte-utf8")
    })?;
    let bytes = source.read_member(index, limits::TOKENIZER_BYTES)?;
    let (name, transformers) = (source.name().to_owned(), source.transformers());
    let mut read = |file: &str| match source.artifact().find_beside_config(file) {
        Some(index) => source.read_member(index, limits::TOKENIZER_BYTES).map(Some),
        None => Ok(None),
    };
    let found = ModelTokenizer::read(&bytes, transformers, &mut read);
    found.map(|found| ValidatorTokenizer::of(&name, found)).map_err(|error| error.within(FILE).within(&name))
}

/// The newest snapshot of a model in the Hugging Face cache that has a tokenizer.
fn in_cache(id: &str) -> Option<PathBuf> {
    let hub = cache_root()?;
    let snapshots = hub.join(format!("models--{}", id.replace('/', "--"))).join("snapshots");
    let folders = std::fs::read_dir(snapshots).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let with_tokenizer = folders.filter(|folder| folder.join(FILE).is_file());
    with_tokenizer.max_by_key(|folder| std::fs::metadata(folder).and_then(|m| m.modified()).ok())
}
