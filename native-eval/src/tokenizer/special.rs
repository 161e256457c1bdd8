//! The special tokens of a tokenizer's settings: those that have a name, and others.

use serde_json::Value;
use tokenizers::AddedToken;

/// The special tokens that have a name, in transformers' order.
pub(super) const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// What a token's properties may be called.
const FLAGS: [&str; 5] = ["single_word", "lstrip", "rstrip", "normalized", "special"];

/// Special tokens in transformers' order.
#[derive(Default)]
pub(super) struct Tokens {
    /// With their names.
    named: Vec<(String, AddedToken)>,
    extra: Vec<AddedToken>,
}

impl Tokens {
    /// Those of tokenizer_config.json and special_tokens_map.json, whose fields replace the former's, and, where neither
    /// has a field of the name, those that the class gives. None where transformers raises.
    pub fn read(
        settings: Option<&Value>,
        map: Option<&Value>,
        of_class: [Option<&str>; NAMED.len()],
    ) -> Option<Self> {
        let mut tokens = Self::default();
        for (name, of_class) in NAMED.into_iter().zip(of_class) {
            let in_map = map.and_then(|map| map.get(name));
            let token = match (in_map, settings.and_then(|settings| settings.get(name))) {
                (Some(value), _) => special_token(value, false)?,
                (None, Some(value)) => special_token(value, true)?,
                (None, None) => of_class.map(|content| AddedToken::from(content.to_owned(), true)),
            };
            tokens.named.extend(token.map(|token| (name.to_owned(), token)));
        }
        for (name, value) in [settings, map].into_iter().flatten().filter_map(Value::as_object).flatten() {
            let is_own = name.ends_with("_token") && !NAMED.contains(&name.as_str());
            if let (true, Some(content)) = (is_own, value.as_str()) {
                tokens.named.push((name.clone(), AddedToken::from(content.to_owned(), true)));
            }
        }
        let is_typed = map.is_none_or(|map| map.get("extra_special_tokens").is_none());
        let extra = |name| [map, settings].into_iter().flatten().find_map(|fields| fields.get(name));
        let is_empty = |value: &&Value| match value {
            Value::Array(list) => list.is_empty(),
            Value::Object(object) => object.is_empty(),
            value => value.is_null(),
        };
        let listed = extra("extra_special_tokens").filter(|value| !is_empty(value));
        match listed.or_else(|| extra("additional_special_tokens")) {
            Some(Value::Array(list)) => {
                for value in list {
                    tokens.extra.push(special_token(value, is_typed)??);
                }
            }
            Some(Value::Object(object)) => {
                for (name, value) in object {
                    tokens.named.push((name.clone(), special_token(value, true)??));
                }
            }
            None | Some(Value::Null) => {}
            Some(_) => return None,
        }
        Some(tokens)
    }

    /// The token of this name.
    pub fn named(&self, name: &str) -> Option<&AddedToken> {
        self.named.iter().find(|(known, _)| known == name).map(|(_, token)| token)
    }

    /// Whether a token of this text has a name.
    pub fn is_named(&self, content: &str) -> bool {
        self.named.iter().any(|(_, token)| token.content == content)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &AddedToken> {
        self.named.iter().map(|(_, token)| token).chain(&self.extra)
    }
}

/// A special token by its text, or with its properties and, in the settings, with what it is. Null is none; the outer
/// `None` is what transformers refuses.
fn special_token(value: &Value, is_typed: bool) -> Option<Option<AddedToken>> {
    match value {
        Value::Null => Some(None),
        Value::String(content) => Some(Some(AddedToken::from(content.clone(), true))),
        Value::Object(object) => {
            let mut object = object.clone();
            if is_typed {
                (object.remove("__type")?.as_str() == Some("AddedToken")).then_some(())?;
            } else {
                object.insert("special".to_owned(), Value::Bool(true));
            }
            Some(Some(AddedToken { special: true, ..added_token(&Value::Object(object))? }))
        }
        _ => None,
    }
}

/// A token with its properties; none if a property is unknown or none.
pub(super) fn added_token(value: &Value) -> Option<AddedToken> {
    let object = value.as_object()?;
    let is_known = |name: &String, value: &Value| {
        name == "content" || (FLAGS.contains(&name.as_str()) && value.is_boolean())
    };
    object.iter().all(|(name, value)| is_known(name, value)).then_some(())?;
    let on = |name: &str| object.get(name).and_then(Value::as_bool);
    let special = on("special").unwrap_or(false);
    Some(AddedToken {
        content: object.get("content")?.as_str()?.to_owned(),
        single_word: on("single_word").unwrap_or(false),
        lstrip: on("lstrip").unwrap_or(false),
        rstrip: on("rstrip").unwrap_or(false),
        normalized: on("normalized").unwrap_or(!special),
        special,
    })
}
