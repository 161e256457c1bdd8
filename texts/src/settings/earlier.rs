//! A tokenizer as AutoTokenizer of transformers 4.57 makes it of a model's folder: what tokenizer.json says, with the tokens
//! that the settings add. Classes and settings beyond those listed here are refused by name.

use std::collections::BTreeSet;

use bitgauge_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::auto::{Beside, Class, QWEN2, added_by_id};
use super::special::{NAMED, OLD_EXTRA, Tokens};
use crate::added_token::AddedToken;
use crate::subject::Subject;
use crate::tokenizer::Library;

/// Settings beside the special tokens of which it is known what becomes of them.
const FOLLOWED: [&str; 15] = [
    "add_bos_token",
    "add_eos_token",
    "add_prefix_space",
    "added_tokens_decoder",
    "auto_map",
    "clean_up_tokenization_spaces",
    "chat_template",
    "errors",
    "extra_special_tokens",
    "legacy",
    "model_max_length",
    "padding_side",
    "split_special_tokens",
    "tokenizer_class",
    "truncation_side",
];

impl Beside {
    /// The tokenizer that `file`, the one of tokenizer.json, becomes.
    ///
    /// # Errors
    /// What transformers refuses, and what is not modelled of it.
    pub(super) fn apply_earlier(&self, mut file: Library) -> Result<Library> {
        self.check()?;
        self.check_earlier()?;
        let special = self.special_tokens(self.class_earlier()?)?;
        let tokens = self.added_earlier(&file, &special)?;
        file.add(tokens)?;
        // Null changes nothing.
        if !self.is_null("add_prefix_space") {
            file.set_prefix_space(self.is_on("add_prefix_space"));
        }
        file.set_splits_special(self.is_on("split_special_tokens"));
        Ok(file)
    }

    fn is_null(&self, name: &str) -> bool {
        self.settings.as_ref().and_then(|settings| settings.get(name)).is_some_and(Value::is_null)
    }

    /// Refuses what 4.57 raises at, and what is not modelled.
    fn check_earlier(&self) -> Result<()> {
        let settings = self.settings.as_ref().and_then(Value::as_object);
        let map = self.special_map().and_then(Value::as_object);
        let is_token = |name: &str| NAMED.contains(&name) || name == OLD_EXTRA;
        for (name, value) in settings.into_iter().flatten() {
            let is_followed = match name.as_str() {
                OLD_EXTRA => value.is_array() || value.is_null(),
                "extra_special_tokens" => value.as_object().is_some_and(serde_json::Map::is_empty),
                "chat_template" => value.is_string() || value.is_null(),
                name => is_token(name) || FOLLOWED.contains(&name),
            };
            if !is_followed {
                return Err(not_modelled(&format!("`{name}`"), value));
            }
        }
        for (name, value) in map.into_iter().flatten() {
            let is_twice = name == OLD_EXTRA && self.setting(OLD_EXTRA).is_some();
            if !is_token(name) || is_twice || (name == OLD_EXTRA && !value.is_array()) {
                return Err(not_modelled(&format!("`{name}` of special_tokens_map.json"), value));
            }
        }
        let code = self.model.as_ref().and_then(|model| model.get("auto_map")?.get("AutoTokenizer"));
        if let Some(code) = code {
            return Err(not_modelled("`auto_map.AutoTokenizer` of config.json", code));
        }
        let more = self.added.as_ref().filter(|_| self.setting("added_tokens_decoder").is_none());
        match more {
            Some(added) if added.as_object().is_some_and(|added| !added.is_empty()) => {
                Err(not_modelled("added_tokens.json", added))
            }
            _ => Ok(()),
        }
    }

    /// The class that the settings name, config.json, or the kind of model; only two are modelled.
    pub(super) fn class_earlier(&self) -> Result<Class> {
        let model = |name: &str| self.model.as_ref().and_then(|model| model.get(name)?.as_str());
        let in_settings = self.setting("tokenizer_class").and_then(Value::as_str);
        let class = match (in_settings, model("model_type")) {
            (Some(class), _) => class,
            (None, None) => return Ok(Class::Backend),
            (None, Some(kind @ ("qwen3" | "llama"))) => {
                let own = if kind == "qwen3" { "Qwen2Tokenizer" } else { "LlamaTokenizer" };
                model("tokenizer_class").unwrap_or(own)
            }
            (None, Some(kind)) => kind,
        };
        match class.strip_suffix("Fast").unwrap_or(class) {
            "Qwen2Tokenizer" => Ok(Class::Qwen(QWEN2)),
            "PreTrainedTokenizer" => Ok(Class::Backend),
            _ => Err(not_modelled("the tokenizer's class", &class.into())),
        }
    }

    /// The tokens that are added to the vocabulary, or given other properties there, in transformers' order.
    fn added_earlier(&self, file: &Library, special: &Tokens) -> Result<Vec<AddedToken>> {
        let listed = match self.setting("added_tokens_decoder").and_then(Value::as_object) {
            Some(listed) => added_by_id(listed)?,
            None => self.file.added_tokens(),
        };
        let mut tokens: Vec<AddedToken> = listed.into_values().collect();
        let is_special = |token: &AddedToken| special.all().any(|named| named.content == token.content);
        for token in &mut tokens {
            token.special |= is_special(token);
        }
        let mut seen: BTreeSet<String> = tokens.iter().map(|token| token.content.clone()).collect();
        let in_file = file.added_tokens();
        for token in special.all().filter(|token| !token.content.is_empty()) {
            if !seen.insert(token.content.clone()) {
                continue;
            }
            // Whether its properties change depends on how it is written.
            if in_file.values().any(|known| known.content == token.content) {
                return Err(not_modelled(
                    "a special token that only tokenizer.json lists",
                    &token.content[..].into(),
                ));
            }
            tokens.push(token.clone());
        }
        Ok(tokens)
    }
}

fn not_modelled(what: &str, found: &Value) -> Error {
    Error::new(ErrorKind::Unsupported, format!("what transformers 4.57 does with {what} is not modelled"))
        .expected_found("one of the settings of docs/loading.md", format!("{found:.60}"))
        .hint("name another tokenizer with --tokenizer")
}
