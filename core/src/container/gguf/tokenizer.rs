//! From the vocabulary in the metadata to a tokenizer.json that says the same.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::header::Value;
use crate::{Error, ErrorKind, Result};

/// How llama.cpp cuts text into words for some names in `tokenizer.ggml.pre` (`src/llama-vocab.cpp`), by the published
/// patterns of the models that use them.
struct PreTokenizer {
    names: &'static [&'static str],
    /// One after the other, each within what those before it left.
    patterns: &'static [&'static str],
    /// Whether the beginning-of-text token comes in front where the file says nothing.
    adds_start: bool,
    /// Whether a word that is a token is taken whole.
    ignores_merges: bool,
}

/// The words of Llama 3.
const THREE_DIGITS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The words of GPT-2.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

const PRE_TOKENIZERS: [PreTokenizer; 8] = [
    PreTokenizer {
        names: &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        patterns: &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
        adds_start: false,
        ignores_merges: false,
    },
    PreTokenizer {
        names: &["qwen35"],
        patterns: &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
        adds_start: false,
        ignores_merges: false,
    },
    PreTokenizer {
        names: &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        patterns: &[THREE_DIGITS],
        adds_start: true,
        ignores_merges: true,
    },
    PreTokenizer {
        names: &["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"],
        patterns: &[THREE_DIGITS],
        adds_start: false,
        ignores_merges: false,
    },
    PreTokenizer {
        names: &["tekken"],
        patterns: &[
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
        adds_start: true,
        ignores_merges: true,
    },
    PreTokenizer {
        names: &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "exaone4",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
        ],
        patterns: &[GPT2],
        adds_start: false,
        ignores_merges: false,
    },
    PreTokenizer {
        names: &["starcoder", "smollm", "refact", "command-r", "codeshell", "exaone", "minerva-7b"],
        patterns: &[r"\p{N}", GPT2],
        adds_start: false,
        ignores_merges: false,
    },
    // Also where the file names none.
    PreTokenizer {
        names: &["default"],
        patterns: &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"],
        adds_start: false,
        ignores_merges: false,
    },
];
/// llama.cpp's token for the beginning and the end of a text where a file does not number them.
const DEFAULT_START: i128 = 11;
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
    let pre = match get("tokenizer.ggml.pre") {
        Some(Value::Text(name)) if !name.is_empty() => name.as_str(),
        _ => "default",
    };
    let Some(kind) = PRE_TOKENIZERS.iter().find(|kind| kind.names.contains(&pre)) else {
        let known: Vec<&str> = PRE_TOKENIZERS.iter().flat_map(|kind| kind.names).copied().collect();
        return Err(unsupported("tokenizer.ggml.pre", &known.join(", "), &Value::Text(pre.into())));
    };
    let split = |pattern: &&str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let mut words: Vec<Json> = kind.patterns.iter().map(split).collect();
    words.push(
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}),
    );
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
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": words},
        "post_processor": ends(metadata, tokens, kind.adds_start),
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": kind.ignores_merges, "vocab": vocabulary, "merges": merges},
    });
    Ok(tokenizer.to_string().into_bytes())
}

/// Puts the beginning-of-text token in front and the end-of-text token behind, where the file asks for them; it may leave
/// the first to `adds_start`.
fn ends(metadata: &BTreeMap<String, Value>, tokens: &[String], adds_start: bool) -> Json {
    let token = |wanted: &str, default: bool, key: &str| {
        let wanted = metadata.get(wanted).map_or(default, |said| said == &Value::Flag(true));
        let id = match metadata.get(key) {
            Some(Value::Integer(id)) => *id,
            _ => DEFAULT_START,
        };
        let id = usize::try_from(id).ok().filter(|_| wanted)?;
        Some((id, tokens.get(id)?))
    };
    let start = token("tokenizer.ggml.add_bos_token", adds_start, "tokenizer.ggml.bos_token_id");
    let end = token("tokenizer.ggml.add_eos_token", false, "tokenizer.ggml.eos_token_id");
    if start.is_none() && end.is_none() {
        return Json::Null;
    }
    let special = |(_, token): &(usize, &String)| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |id: &str, kind: u8| json!({"Sequence": {"id": id, "type_id": kind}});
    let around = |texts: Vec<Json>| -> Vec<Json> {
        start.iter().map(special).chain(texts).chain(end.iter().map(special)).collect()
    };
    let tokens = start
        .iter()
        .chain(&end)
        .map(|(id, token)| ((*token).clone(), json!({"id": token, "ids": [id], "tokens": [token]})));
    json!({
        "type": "TemplateProcessing",
        "single": around(vec![text("A", 0)]),
        "pair": around(vec![text("A", 0), text("B", 1)]),
        "special_tokens": Map::from_iter(tokens),
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
