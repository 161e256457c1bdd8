//! Finding the validator's tokenizer on this machine.

use std::path::{Path, PathBuf};

use bitgauge_core::container::GgufMetadata;
use bitgauge_core::contract::python::Value;
use bitgauge_core::{Error, ErrorKind, Result, limits};

use crate::documents::TextTokenizer;
use crate::input;
use crate::local_files::LocalFiles;
use crate::source::Source;

const FILE: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";

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
/// is in the Hugging Face cache. `instead` names another in its place.
///
/// # Errors
/// No such tokenizer here, or one that can't be read.
pub fn find_tokenizer(id: &str, instead: Option<&Path>, files: &LocalFiles) -> Result<ValidatorTokenizer> {
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
    let tokenizer = TextTokenizer::from_file(&file)?;
    let read = |config: &PathBuf| {
        let bytes = input::read_bytes(config, "the tokenizer's settings", limits::CONFIG_BYTES);
        bytes.map_err(|error| error.within(config.display()))
    };
    let config = Some(config).filter(|config| config.exists()).as_ref().map(read).transpose()?;
    Ok(ValidatorTokenizer { id: id.into(), pad_id: pad_id(&tokenizer, config.as_deref()), tokenizer })
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

/// The tokenizer that an artifact brings, called by the artifact's name.
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
    let tokenizer = TextTokenizer::from_json(&bytes).map_err(|e| e.within(FILE).within(source.name()))?;
    let config = match source.artifact().find_beside_config(CONFIG) {
        Some(index) => Some(source.read_member(index, limits::CONFIG_BYTES)?),
        None => None,
    };
    let pad_id = pad_id(&tokenizer, config.as_deref());
    Ok(ValidatorTokenizer { id: source.name().to_owned(), pad_id, tokenizer })
}

/// The id of the first of pad, eos and bos token that tokenizer_config.json names.
fn pad_id(tokenizer: &TextTokenizer, config: Option<&[u8]>) -> u32 {
    let text = config.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let Some(config) = text.and_then(|text| Value::parse(text).ok()) else { return 0 };
    let token = |key: &str| {
        let token = config.get(key)?;
        tokenizer.id_of(token.as_str().or_else(|| token.get("content")?.as_str())?)
    };
    ["pad_token", "eos_token", "bos_token"].into_iter().find_map(token).unwrap_or(0)
}

/// The newest snapshot of a model in the Hugging Face cache that has a tokenizer.
fn in_cache(id: &str) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let hub = variable("HF_HUB_CACHE")
        .or_else(|| variable("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/huggingface/hub")))?;
    let snapshots = hub.join(format!("models--{}", id.replace('/', "--"))).join("snapshots");
    let folders = std::fs::read_dir(snapshots).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let with_tokenizer = folders.filter(|folder| folder.join(FILE).is_file());
    with_tokenizer.max_by_key(|folder| std::fs::metadata(folder).and_then(|m| m.modified()).ok())
}
