//! Finding the validator's tokenizer on this machine.

mod auto;
mod earlier;
mod large;
mod of_file;
mod special;

use std::path::{Path, PathBuf};

use bitgauge_core::container::GgufMetadata;
use bitgauge_core::model::Transformers;
use bitgauge_core::{Error, ErrorKind, Result, json, limits};

use crate::documents::TextTokenizer;
use crate::hub::cache_root;
use crate::input;
use crate::local_files::LocalFiles;
use crate::source::Source;
use auto::Beside;
use of_file::OfFile;

const FILE: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
/// What else decides which tokenizer transformers makes of a folder.
const MODEL_CONFIG: &str = "config.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const ADDED_TOKENS: &str = "added_tokens.json";

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
    finish(id, &bytes, transformers, &mut { read }).map_err(|error| error.within(file.display()))
}

/// The tokenizer as this version of transformers makes it, with what `read` gives of the files beside it.
fn finish(
    id: &str,
    file: &[u8],
    transformers: Transformers,
    read: &mut dyn FnMut(&str) -> Result<Option<Vec<u8>>>,
) -> Result<ValidatorTokenizer> {
    let tokenizer = TextTokenizer::from_json(file)?;
    let mut value = |name: &str| {
        let malformed = |found| {
            Error::new(ErrorKind::Malformed, "a file beside the tokenizer is not valid JSON")
                .within(name)
                .expected_found("JSON", found)
        };
        read(name)?.map(|bytes| json::parse_python(&bytes).map_err(malformed)).transpose()
    };
    let beside = Beside {
        model: value(MODEL_CONFIG)?,
        settings: value(CONFIG)?,
        special: value(SPECIAL_TOKENS)?,
        added: value(ADDED_TOKENS)?,
        file: OfFile::read(file),
    };
    let tokenizer = tokenizer.map(beside.cuts_left(), |file| match transformers {
        Transformers::V5 => beside.apply(file),
        Transformers::V4 => beside.apply_earlier(file),
    })?;
    let pad_id = match &tokenizer {
        TextTokenizer::File(tokenizer, _) => {
            beside.check_large(tokenizer)?;
            beside.pad_token(tokenizer, transformers).unwrap_or(0)
        }
        TextTokenizer::Bytes => 0,
    };
    Ok(ValidatorTokenizer { id: id.to_owned(), pad_id, tokenizer })
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
    finish(&name, &bytes, transformers, &mut read).map_err(|error| error.within(FILE).within(&name))
}

/// The newest snapshot of a model in the Hugging Face cache that has a tokenizer.
fn in_cache(id: &str) -> Option<PathBuf> {
    let hub = cache_root()?;
    let snapshots = hub.join(format!("models--{}", id.replace('/', "--"))).join("snapshots");
    let folders = std::fs::read_dir(snapshots).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let with_tokenizer = folders.filter(|folder| folder.join(FILE).is_file());
    with_tokenizer.max_by_key(|folder| std::fs::metadata(folder).and_then(|m| m.modified()).ok())
}
