//! A tokenizer as AutoTokenizer of transformers 5 makes it of a model's folder: not always what tokenizer.json says.
//!
//! The class decides: those of the Qwen models take vocabulary and merges from the file, and have a normalizer and a
//! pre-tokenizer of their own. [docs/loading.md](../../../docs/loading.md) lists what is followed.

use std::collections::BTreeMap;

use bitgauge_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, Model, SplitDelimiterBehavior, Tokenizer};

/// How `Qwen2Tokenizer` splits a text.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How `Qwen3_5Tokenizer` does.
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// What ends and pads a text in both, unless the settings say otherwise.
const QWEN_END: &str = "<|endoftext|>";
/// The special tokens that have a name, in transformers' order.
const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
/// Classes that take tokenizer.json as it is, without `Fast` at the end.
const AS_IT_IS: [&str; 4] = ["PreTrainedTokenizer", "TokenizersBackend", "PythonBackend", "Qwen3Tokenizer"];

/// The small files beside tokenizer.json, as far as they are there.
#[derive(Default)]
pub(super) struct Beside {
    /// config.json.
    pub model: Option<Value>,
    /// tokenizer_config.json.
    pub settings: Option<Value>,
    /// special_tokens_map.json.
    pub special: Option<Value>,
    /// added_tokens.json.
    pub added: Option<Value>,
}

/// A class of tokenizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// The file as it is.
    Backend,
    /// Byte pairs of the file, split by this pattern.
    Qwen(&'static str),
}

impl Beside {
    fn setting(&self, name: &str) -> Option<&Value> {
        self.settings.as_ref()?.get(name).filter(|value| !value.is_null())
    }

    /// The class that AutoTokenizer takes: that of the settings, unless it is known to be wrong for the kind of model.
    fn class(&self, is_byte_level: bool) -> Result<Class> {
        let model = |name: &str| self.model.as_ref().and_then(|model| model.get(name)?.as_str());
        let (registered, is_corrected) = match model("model_type") {
            Some("qwen3") => (Some("Qwen2Tokenizer"), false),
            Some("qwen3_5") => (Some("Qwen3_5Tokenizer"), true),
            Some("qwen3_5_text") => (Some("Qwen3_5Tokenizer"), false),
            // Without a config.json transformers finds no tokenizer; the file is taken as it is.
            None => return Ok(Class::Backend),
            Some(_) => (None, false),
        };
        let stated = self.setting("tokenizer_class").and_then(Value::as_str).or(model("tokenizer_class"));
        let stated = stated.map(|name| name.strip_suffix("Fast").unwrap_or(name));
        let class = match (stated, registered) {
            (Some("LlamaTokenizer"), _) if is_byte_level && !is_corrected => return Ok(Class::Backend),
            (_, Some(registered)) if is_corrected => registered,
            (Some(stated), _) => stated,
            (None, Some(registered)) => registered,
            (None, None) => return Ok(Class::Backend),
        };
        match class {
            "Qwen2Tokenizer" => Ok(Class::Qwen(QWEN2)),
            "Qwen3_5Tokenizer" => Ok(Class::Qwen(QWEN35)),
            name if AS_IT_IS.contains(&name) => Ok(Class::Backend),
            other => Err(Error::new(ErrorKind::Unsupported, "the tokenizer's class is not known here")
                .within("tokenizer_config.json")
                .expected_found("Qwen2Tokenizer, Qwen3_5Tokenizer or PreTrainedTokenizerFast", other)
                .hint("name another tokenizer with --tokenizer")),
        }
    }

    /// Makes the tokenizer that `file`, the one of tokenizer.json, becomes.
    pub fn apply(&self, file: Tokenizer) -> Result<Tokenizer> {
        let is_byte_level = serde_json::to_string(&file.get_pre_tokenizer()).unwrap_or_default();
        let class = self.class(is_byte_level.contains("ByteLevel"))?;
        let fail = |error: tokenizers::Error| {
            Error::new(ErrorKind::Malformed, "the tokenizer can't be read")
                .expected_found("added tokens and byte pairs of the tokenizers library", error)
        };
        let of_file: BTreeMap<u32, AddedToken> = file.get_added_tokens_decoder().into_iter().collect();
        let mut tokenizer = match class {
            Class::Backend => file,
            Class::Qwen(pattern) => self.qwen(&file, pattern).map_err(fail)?,
        };
        let tokens = self.added_tokens(of_file, matches!(class, Class::Qwen(_)))?;
        tokenizer.add_tokens(tokens).map_err(fail)?;
        tokenizer.set_encode_special_tokens(self.is_on("split_special_tokens"));
        Ok(tokenizer)
    }

    fn is_on(&self, name: &str) -> bool {
        self.setting(name) == Some(&Value::Bool(true))
    }

    fn qwen(&self, file: &Tokenizer, pattern: &str) -> std::result::Result<Tokenizer, tokenizers::Error> {
        let mut pairs: BPE = match file.get_model() {
            ModelWrapper::BPE(pairs) => pairs.clone(),
            // Whatever it was, its words become byte pairs that nothing merges.
            other => {
                serde_json::from_value(json!({"type": "BPE", "vocab": other.get_vocab(), "merges": []}))?
            }
        };
        pairs.dropout = None;
        pairs.unk_token = None;
        pairs.fuse_unk = false;
        pairs.byte_fallback = false;
        pairs.ignore_merges = false;
        let split = SplitPattern::Regex(pattern.to_owned());
        let steps: Vec<PreTokenizerWrapper> = vec![
            Split::new(split, SplitDelimiterBehavior::Isolated, false)?.into(),
            ByteLevel::new(self.is_on("add_prefix_space"), true, false).into(),
        ];
        let mut tokenizer = Tokenizer::new(pairs);
        tokenizer.with_normalizer(Some(NFC))?;
        tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
        tokenizer.with_post_processor(file.get_post_processor().cloned());
        Ok(tokenizer)
    }

    /// The tokens that are added to the vocabulary, in transformers' order.
    fn added_tokens(&self, of_file: BTreeMap<u32, AddedToken>, is_qwen: bool) -> Result<Vec<AddedToken>> {
        let mut by_id = BTreeMap::new();
        let listed = self.setting("added_tokens_decoder").and_then(Value::as_object);
        let mut named = self.named(is_qwen);
        match listed {
            Some(listed) => {
                for (id, token) in listed {
                    let id = id.parse().ok().ok_or_else(|| malformed("added_tokens_decoder"))?;
                    by_id.insert(id, added_token(token).ok_or_else(|| malformed("added_tokens_decoder"))?);
                }
            }
            None => {
                let entries = self.added.as_ref().and_then(Value::as_object);
                for (content, id) in entries.into_iter().flatten() {
                    let is_special = named.iter().any(|token| token.content == *content);
                    let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                    by_id.insert(
                        id.ok_or_else(|| malformed("added_tokens.json"))?,
                        AddedToken::from(content.clone(), is_special),
                    );
                }
                by_id.extend(of_file.clone());
            }
        }
        // A named token that is listed has the properties that are listed.
        let mut tokens: Vec<AddedToken> = by_id.into_values().collect();
        let known: Vec<String> = tokens.iter().map(|token| token.content.clone()).collect();
        let in_file = |content: &String| !is_qwen && of_file.values().any(|token| token.content == *content);
        named.retain(|token| !known.contains(&token.content) && !in_file(&token.content));
        tokens.extend(named);
        Ok(tokens)
    }

    /// The special tokens that the settings name, and the class.
    fn named(&self, is_qwen: bool) -> Vec<AddedToken> {
        let mut tokens: Vec<AddedToken> =
            NAMED.iter().filter_map(|name| self.named_token(name, is_qwen)).collect();
        let maps = [self.settings.as_ref(), self.special_map()];
        for (name, value) in maps.into_iter().flatten().filter_map(Value::as_object).flatten() {
            let is_own =
                name.ends_with("_token") && !NAMED.contains(&name.as_str()) && value.as_str().is_some();
            if is_own {
                tokens.extend(special_token(value));
            }
        }
        let extra =
            |name| maps.into_iter().flatten().find_map(|map| map.get(name).filter(|value| !value.is_null()));
        match extra("extra_special_tokens").or_else(|| extra("additional_special_tokens")) {
            Some(Value::Array(list)) => tokens.extend(list.iter().filter_map(special_token)),
            Some(Value::Object(map)) => {
                tokens.extend(map.iter().filter_map(|(_, value)| special_token(value)))
            }
            _ => {}
        }
        tokens
    }

    /// special_tokens_map.json, which counts where the settings list no added tokens.
    fn special_map(&self) -> Option<&Value> {
        self.special.as_ref().filter(|_| self.setting("added_tokens_decoder").is_none())
    }

    /// The special token of this name.
    fn named_token(&self, name: &str, is_qwen: bool) -> Option<AddedToken> {
        let by_class = matches!(name, "unk_token" | "eos_token" | "pad_token") && is_qwen;
        let in_map = self.special_map().and_then(|map| map.get(name));
        match in_map.or_else(|| self.settings.as_ref()?.get(name)) {
            Some(value) => special_token(value),
            None => by_class.then(|| AddedToken::from(QWEN_END.to_owned(), true)),
        }
    }

    /// What stands for padding: the pad, eos or bos token, the first there is.
    pub fn pad_token(&self, tokenizer: &Tokenizer) -> Option<u32> {
        let class = self.class(true).ok()?;
        let named = |name: &&str| self.named_token(name, matches!(class, Class::Qwen(_)));
        let token = ["pad_token", "eos_token", "bos_token"].iter().find_map(named)?;
        tokenizer.token_to_id(&token.content)
    }

    /// Whether a text that is too long loses its beginning, where the settings say.
    pub fn cuts_left(&self) -> Option<bool> {
        self.setting("truncation_side")?.as_str().map(|side| side == "left")
    }
}

fn malformed(place: &str) -> Error {
    Error::new(ErrorKind::Malformed, "the tokenizer's added tokens can't be read")
        .within(place)
        .expected_found("tokens by their ids", "something else")
}

/// A special token by its text, or with its properties.
fn special_token(value: &Value) -> Option<AddedToken> {
    match value.as_str() {
        Some(content) => Some(AddedToken::from(content.to_owned(), true)),
        None => Some(AddedToken { special: true, ..added_token(value)? }),
    }
}

/// A token with its properties.
fn added_token(value: &Value) -> Option<AddedToken> {
    let on = |name: &str| value.get(name).and_then(Value::as_bool);
    let special = on("special").unwrap_or(false);
    Some(AddedToken {
        content: value.get("content")?.as_str()?.to_owned(),
        single_word: on("single_word").unwrap_or(false),
        lstrip: on("lstrip").unwrap_or(false),
        rstrip: on("rstrip").unwrap_or(false),
        normalized: on("normalized").unwrap_or(!special),
        special,
    })
}
