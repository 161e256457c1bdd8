//! A tokenizer as AutoTokenizer of transformers 5 makes it of a model's folder: not always what tokenizer.json says.
//!
//! The class decides: those of the Qwen models take vocabulary and merges from the file, and have a normalizer and a
//! pre-tokenizer of their own. [docs/loading.md](../../../docs/loading.md) lists what is followed.

use std::collections::BTreeMap;

use bitgauge_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::of_file::OfFile;
use super::special::{NAMED, Tokens, added_token};
use crate::added_token::AddedToken;
use crate::subject::Subject;

/// How `Qwen2Tokenizer` splits a text.
pub(super) const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How `Qwen3_5Tokenizer` does.
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// What ends and pads a text in both, unless the settings say otherwise.
const QWEN_END: &str = "<|endoftext|>";
/// Classes that take tokenizer.json as it is, without `Fast` at the end.
const AS_IT_IS: [&str; 4] = ["PreTrainedTokenizer", "TokenizersBackend", "PythonBackend", "Qwen3Tokenizer"];

/// Settings of the names of methods and arguments of transformers' classes, at which it raises, `null` or not.
const METHODS: &str = " add_special_tokens add_tokens all_special_ids apply_chat_template batch_decode \
    clean_up_tokenization cls convert_added_tokens convert_ids_to_tokens convert_to_native_format convert_tokens_to_ids \
    convert_tokens_to_string decode encode encode_message_with_chat_template from_pretrained get_added_vocab \
    get_chat_template get_response_parser get_special_tokens_mask get_vocab model num_special_tokens_to_add pad \
    parse_response push_to_hub register_for_auto_class save_chat_templates save_pretrained save_vocabulary self \
    set_truncation_and_padding tokenize train_new_from_iterator update_post_processor ";
/// Settings that stand for a part of tokenizer.json, or for another file.
const PARTS: &str = " chat_control_tokens fast_tokenizer_files gguf_file merges model_specific_special_tokens normalizer \
    post_processor tokenizer_object tokenizer_padding tokenizer_truncation trust_remote_code vocab ";
/// Where the weights of the models came from whose tokenizers transformers takes as they are, whatever the kind of model.
const AS_IT_IS_FROM: [&str; 8] = [
    "allenai/dolma2-tokenizer",
    "deepseek-ai/deepseek-coder-",
    "deepseek-ai/deepseek-r1-distill-llama-",
    "google/umt5-small",
    "naver-clova-ix/donut-",
    "salesforce/blip2-",
    "salesforce/instructblip-",
    "stepfun-ai/step-3.7-",
];

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
    /// tokenizer.json itself.
    pub file: OfFile,
}

/// A class of tokenizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The file as it is.
    Backend,
    /// Byte pairs of the file, split by this pattern.
    Qwen(&'static str),
}

impl Beside {
    pub(super) fn setting(&self, name: &str) -> Option<&Value> {
        self.settings.as_ref()?.get(name).filter(|value| !value.is_null())
    }

    /// Refuses settings at which transformers raises, and code of the tokenizer's own, which the validator does not run.
    pub(super) fn check(&self) -> Result<()> {
        let no_object = [&self.settings, &self.added].into_iter().flatten().chain(self.special_map());
        if let Some(found) = no_object.into_iter().find(|value| !value.is_object()) {
            return Err(refused("the files of settings", "an object", found));
        }
        let of_model = |name: &str| self.model.as_ref().and_then(|model| model.get(name));
        if let Some(name) = of_model("model_name") {
            return Err(refused("config.json's model_name", "no second name of the model", name));
        }
        let from = of_model("_name_or_path").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        if AS_IT_IS_FROM.iter().any(|begin| from.starts_with(begin)) {
            return Err(refused("config.json's _name_or_path", "no model of another kind", &from.into()));
        }
        let objects = [self.settings.as_ref(), self.special_map()].into_iter().flatten();
        for (name, value) in objects.filter_map(Value::as_object).flatten() {
            let is_one_of = |names: &str| names.contains(&format!(" {name} "));
            let is_side = matches!(value.as_str(), Some("left" | "right"));
            let wanted = match name.as_str() {
                "truncation_side" | "padding_side" if !is_side => "left or right",
                "split_special_tokens" if !value.is_boolean() => "true or false",
                "tokenizer_class" if !value.is_string() && !value.is_null() => "a name",
                "added_tokens_decoder" | "auto_map" if !value.is_object() => "an object",
                "auto_map" if value.get("AutoTokenizer").is_some_and(|code| !code.is_null()) => {
                    "no code of its own, which the validator does not run"
                }
                "model_input_names" | "init_inputs" if !value.is_array() => "a list",
                _ if name.starts_with('_') && name != "_commit_hash" || is_one_of(METHODS) => {
                    "no name that transformers' class has"
                }
                _ if !value.is_null() && is_one_of(PARTS) => "nothing in place of a part of tokenizer.json",
                _ => continue,
            };
            return Err(refused(name, wanted, value));
        }
        Ok(())
    }

    /// The class that AutoTokenizer takes: that of the settings, unless it is known to be wrong for the kind of model.
    pub(super) fn class(&self, is_byte_level: bool) -> Result<Class> {
        let model = |name: &str| self.model.as_ref().and_then(|model| model.get(name)?.as_str());
        let (registered, is_corrected) = match model("model_type") {
            Some("qwen3") => (Some("Qwen2Tokenizer"), false),
            Some("qwen3_5") => (Some("Qwen3_5Tokenizer"), true),
            Some("qwen3_5_text") => (Some("Qwen3_5Tokenizer"), false),
            // Without a config.json transformers finds no tokenizer; the file is taken as it is.
            None => return Ok(Class::Backend),
            Some(_) => (None, false),
        };
        let in_settings = self.setting("tokenizer_class").and_then(Value::as_str);
        // An empty name counts for none, but is no class of the kind of model either.
        let stated = in_settings.filter(|name| !name.is_empty()).or(model("tokenizer_class"));
        let stated = stated.map(|name| name.strip_suffix("Fast").unwrap_or(name));
        let class = match (stated, registered) {
            (None, _) if in_settings.is_some() => return Ok(Class::Backend),
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
            other => Err(Error::new(ErrorKind::Unsupported, "the tokenizer's class is not supported")
                .within("tokenizer_config.json")
                .expected_found("Qwen2Tokenizer, Qwen3_5Tokenizer or PreTrainedTokenizerFast", other)
                .hint("name another tokenizer with --tokenizer")),
        }
    }

    /// Makes the tokenizer that `file`, the one of tokenizer.json, becomes.
    pub fn apply<T: Subject>(&self, file: T) -> Result<T> {
        self.check()?;
        let class = self.class(file.is_byte_level())?;
        let of_file: BTreeMap<u32, AddedToken> = match class {
            Class::Backend => file.added_tokens(),
            Class::Qwen(_) => self.file.added_tokens(),
        };
        let mut tokenizer = match class {
            Class::Backend => file,
            Class::Qwen(pattern) => file.into_byte_pairs(pattern, self.is_on("add_prefix_space"))?,
        };
        let special = self.special_tokens(class)?;
        tokenizer.add(self.added_tokens(of_file, &special, class)?)?;
        tokenizer.set_splits_special(self.is_on("split_special_tokens"));
        Ok(tokenizer)
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        self.setting(name) == Some(&Value::Bool(true))
    }

    /// The tokens that are added to the vocabulary, in transformers' order.
    fn added_tokens(
        &self,
        of_file: BTreeMap<u32, AddedToken>,
        special: &Tokens,
        class: Class,
    ) -> Result<Vec<AddedToken>> {
        let mut by_id: BTreeMap<u32, AddedToken> = BTreeMap::new();
        match self.setting("added_tokens_decoder").and_then(Value::as_object) {
            Some(listed) => {
                by_id = added_by_id(listed)?;
            }
            None => {
                let entries = self.added.as_ref().and_then(Value::as_object);
                for (content, id) in entries.into_iter().flatten() {
                    let is_special = special.all().any(|token| token.content == *content);
                    let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                    by_id.insert(
                        id.ok_or_else(|| malformed("added_tokens.json"))?,
                        AddedToken::from(content.clone(), is_special),
                    );
                }
                by_id.extend(of_file.clone());
            }
        }
        // A named token that is listed has the properties that are listed, but is special in any case.
        let mut tokens: Vec<AddedToken> = by_id.into_values().collect();
        for token in &mut tokens {
            token.special |= special.is_named(&token.content);
        }
        let in_file = |content: &str| {
            class == Class::Backend && of_file.values().any(|token| token.content == *content)
        };
        let is_known =
            |content: &str| tokens.iter().any(|token| token.content == *content) || in_file(content);
        let more: Vec<AddedToken> =
            special.all().filter(|token| !is_known(&token.content)).cloned().collect();
        tokens.extend(more);
        if class == Class::Qwen(QWEN2) {
            // That class adds them once more, without properties.
            tokens.extend(special.all().map(|token| AddedToken::from(token.content.clone(), true)));
        }
        Ok(tokens)
    }

    /// special_tokens_map.json, which counts where the settings list no added tokens.
    pub(super) fn special_map(&self) -> Option<&Value> {
        self.special.as_ref().filter(|_| self.setting("added_tokens_decoder").is_none())
    }

    /// The special tokens that the settings name, the class and the file.
    pub(super) fn special_tokens(&self, class: Class) -> Result<Tokens> {
        let of_class: [Option<&str>; NAMED.len()] = NAMED.map(|name| match (class, name) {
            (Class::Qwen(_), "unk_token" | "eos_token" | "pad_token") => Some(QWEN_END),
            (Class::Backend, "pad_token") => self.file.pad_token(),
            _ => None,
        });
        Tokens::read(self.settings.as_ref(), self.special_map(), of_class)
            .ok_or_else(|| malformed("the settings"))
    }

    /// What stands for padding: the pad, eos or bos token, the first there is.
    pub fn pad_token(&self, tokenizer: &impl Subject, class: Result<Class>) -> Option<u32> {
        let special = self.special_tokens(class.ok()?).ok()?;
        let token = ["pad_token", "eos_token", "bos_token"].iter().find_map(|name| special.named(name))?;
        tokenizer.id(&token.content)
    }

    /// Whether a text that is too long loses its beginning, where the settings say.
    pub fn cuts_left(&self) -> Option<bool> {
        self.setting("truncation_side")?.as_str().map(|side| side == "left")
    }
}

/// The tokens of `added_tokens_decoder`.
pub(super) fn added_by_id(listed: &serde_json::Map<String, Value>) -> Result<BTreeMap<u32, AddedToken>> {
    let read = |(id, token): (&String, &Value)| Some((id.trim().parse().ok()?, added_token(token)?));
    let tokens = listed.iter().map(read).collect::<Option<_>>();
    tokens.ok_or_else(|| malformed("added_tokens_decoder"))
}

pub(super) fn malformed(place: &str) -> Error {
    Error::new(ErrorKind::Malformed, "the tokenizer's added tokens can't be read")
        .within(place)
        .expected_found("tokens by their ids", "something else")
}

pub(super) fn refused(name: &str, wanted: &str, found: &Value) -> Error {
    Error::new(ErrorKind::Unsupported, "transformers does not take the tokenizer's settings")
        .within(name)
        .expected_found(wanted, format!("{found:.60}"))
        .hint("name another tokenizer with --tokenizer")
}
