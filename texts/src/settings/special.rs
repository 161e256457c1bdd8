//! The special tokens of a tokenizer's settings: those that have a name, and others.

use serde_json::Value;

use crate::added_token::AddedToken;

/// The special tokens that have a name, in transformers' order.
pub(super) const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// What a token's properties are called.
const FLAGS: [&str; 5] = ["single_word", "lstrip", "rstrip", "normalized", "special"];

/// Where tokens without a name of their own stand, and where they stood before transformers 5.
const EXTRA: &str = "extra_special_tokens";
pub(super) const OLD_EXTRA: &str = "additional_special_tokens";

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
        for (value, is_typed) in extra_fields(settings, map) {
            match value {
                Value::Array(list) => {
                    for value in list {
                        tokens.extra.push(special_token(value, is_typed)??);
                    }
                }
                Value::Object(object) => {
                    for (name, value) in object {
                        tokens.named.push((name.clone(), special_token(value, true)??));
                    }
                }
                Value::Null => {}
                _ => return None,
            }
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

/// The lists, or objects, of other special tokens that count, and whether tokens in them say what they are.
fn extra_fields<'v>(settings: Option<&'v Value>, map: Option<&'v Value>) -> Vec<(&'v Value, bool)> {
    let [in_settings, in_map] = [settings, map]
        .map(|fields| [EXTRA, OLD_EXTRA].map(|name| fields.and_then(|fields: &Value| fields.get(name))));
    let is_empty = |value: &Value| match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        value => value.is_null(),
    };
    // In the settings the old name counts where the new one says nothing, in the map only where the new one is nowhere.
    let stated = in_settings[0].filter(|value| !is_empty(value)).or(in_settings[1]).or(in_settings[0]);
    match (stated, in_map[0]) {
        (None, None) => in_map[1].map(|value| (value, true)).into_iter().collect(),
        // A list adds to a list, anything else takes its place.
        (Some(Value::Array(_)), Some(value)) if !value.is_array() => vec![(value, false)],
        (stated, value) => {
            stated.map(|value| (value, true)).into_iter().chain(value.map(|value| (value, false))).collect()
        }
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

/// A token with its properties, other fields passed over; none if one is no flag.
pub(super) fn added_token(value: &Value) -> Option<AddedToken> {
    let object = value.as_object()?;
    FLAGS.iter().all(|name| object.get(*name).is_none_or(Value::is_boolean)).then_some(())?;
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
