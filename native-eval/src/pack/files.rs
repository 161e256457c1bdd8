//! What lies beside the weights: small files that are known before the weights are.

use bitgauge_core::container::{Artifact, GgufMetadata};
use bitgauge_core::format::{LOADER, LOADER_FILE};
use bitgauge_core::{Result, limits};

use crate::source::Source;

/// The weights of the packed model: always one file.
pub(super) const WEIGHTS: &str = "model.safetensors";
/// What belongs to a tokenizer and to generating texts, if the source has it.
const TOKENIZER_FILES: [&str; 9] = [
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
];

/// Whether a packed model may have a file of this name.
pub(super) fn is_written(name: &str) -> bool {
    ["config.json", LOADER_FILE, WEIGHTS].contains(&name) || TOKENIZER_FILES.contains(&name)
}

/// A file of the packed model, in memory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SmallFile {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Every file but the weights, sorted by name: config.json, the code that transformers loads the model
/// with, the tokenizer's files. Whatever is added here is written and accounted for.
pub(super) fn beside_weights(source: &mut Source, config: Vec<u8>) -> Result<Vec<SmallFile>> {
    let mut files = beside_plain_weights(source, config)?;
    files.push(SmallFile { name: LOADER_FILE.into(), bytes: LOADER.into() });
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// The same without that code.
pub(super) fn beside_plain_weights(source: &mut Source, config: Vec<u8>) -> Result<Vec<SmallFile>> {
    let mut files = vec![SmallFile { name: "config.json".into(), bytes: config }];
    files.extend(gguf_tokenizer(source.artifact()));
    for name in TOKENIZER_FILES {
        if files.iter().any(|file| file.name == name) {
            continue;
        }
        if let Some(member) = source.artifact().find_beside_config(name) {
            let bytes = source.read_member(member, limits::TOKENIZER_BYTES)?;
            files.push(SmallFile { name: name.into(), bytes });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// The tokenizer that a GGUF file holds, and that it is to be taken as it is; nothing where there is none or it is of a kind
/// that is not read.
fn gguf_tokenizer(artifact: &Artifact) -> Vec<SmallFile> {
    let Some(Ok(bytes)) = artifact.gguf.as_ref().and_then(GgufMetadata::tokenizer) else { return Vec::new() };
    let settings = serde_json::json!({"tokenizer_class": "PreTrainedTokenizerFast"});
    let settings = serde_json::to_vec_pretty(&settings).unwrap_or_default();
    let file = |name: &str, bytes| SmallFile { name: name.into(), bytes };
    vec![file("tokenizer.json", bytes), file("tokenizer_config.json", settings)]
}
