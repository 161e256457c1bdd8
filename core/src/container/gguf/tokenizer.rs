//! From the vocabulary in the metadata to a tokenizer.json that says the same.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::header::Value;
use crate::{Error, ErrorKind, Result};

/// What a word is, by the name of the pre-tokenizer: the published pattern of the models that use it.
const PATTERNS: [(&str, &str); 3] = [
    (
        "qwen2",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        "qwen35",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        "llama-bpe",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
];
/// Token types whose text is matched before anything is split: control tokens and user-defined ones.
const ADDED: [f64; 2] = [3.0, 4.0];
const CONTROL: f64 = 3.0;

/// The tokenizer in the form of tokenizer.json; `None` for a file without any.
pub(super) fn tokenizer(metadata: &BTreeMap<String, Value>) -> Option<Result<Vec<u8>>> {
    match metadata.get("tokenizer.ggml.model") {
        None => None,
        Some(Value::Text(model)) if model == "none" => None,
        Some(Value::Text(model)) if model == "gpt2" => Some(byte_level(metadata)),
        Some(found) => Some(Err(unsupported("tokenizer.ggml.model", "gpt2", found))),
    }
}

/// Byte-level BPE, as GPT-2 introduced it.
fn byte_level(metadata: &BTreeMap<String, Value>) -> Result<Vec<u8>> {
    let get = |key: &str| metadata.get(key);
    let texts = |key: &str| match get(key) {
        Some(Value::Texts(texts)) => Ok(texts),
        _ => Err(Error::new(ErrorKind::Missing, "the tokenizer is incomplete")
            .within(key)
            .expected_found("an array of strings", "none")),
    };
    let (tokens, merges) = (texts("tokenizer.ggml.tokens")?, texts("tokenizer.ggml.merges")?);
    let pattern = match get("tokenizer.ggml.pre") {
        Some(Value::Text(name)) => {
            PATTERNS.iter().find(|(known, _)| known == name).map(|(_, pattern)| pattern)
        }
        _ => None,
    };
    let Some(pattern) = pattern else {
        let known = PATTERNS.map(|(name, _)| name).join(", ");
        let found = get("tokenizer.ggml.pre").cloned().unwrap_or(Value::Text("none".into()));
        return Err(unsupported("tokenizer.ggml.pre", &known, &found));
    };
    let types = match get("tokenizer.ggml.token_type") {
        Some(Value::Numbers(types)) => Some(types),
        _ => None,
    };
    let mut vocabulary = Map::new();
    let mut added = Vec::new();
    for (id, token) in tokens.iter().enumerate() {
        vocabulary.insert(token.clone(), id.into());
        let kind = types.and_then(|types| types.get(id)).unwrap_or(1.0);
        if ADDED.contains(&kind) {
            added.push(json!({"id": id, "content": token, "special": kind == CONTROL,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}));
        }
    }
    let is_llama = get("general.architecture") == Some(&Value::Text("llama".into()));
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": if is_llama { Json::Null } else { json!({"type": "NFC"}) },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        ]},
        "post_processor": start_token(metadata, tokens),
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": is_llama, "vocab": vocabulary, "merges": merges},
    });
    Ok(tokenizer.to_string().into_bytes())
}

/// Puts the beginning-of-text token in front where the file asks for it.
fn start_token(metadata: &BTreeMap<String, Value>, tokens: &[String]) -> Json {
    let wanted = metadata.get("tokenizer.ggml.add_bos_token") == Some(&Value::Flag(true));
    let id = match metadata.get("tokenizer.ggml.bos_token_id") {
        Some(Value::Integer(id)) if wanted => usize::try_from(*id).ok(),
        _ => None,
    };
    let Some((id, token)) = id.and_then(|id| Some((id, tokens.get(id)?))) else { return Json::Null };
    json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}},
    })
}

fn unsupported(key: &str, wanted: &str, found: &Value) -> Error {
    let found = match found {
        Value::Text(text) => text.chars().take(60).collect(),
        _ => "another type".to_owned(),
    };
    Error::new(ErrorKind::Unsupported, "the tokenizer is of a kind that is not read")
        .within(key)
        .expected_found(wanted, found)
        .hint("name a tokenizer.json with --tokenizer")
}
