//! tokenizer.json, as far as it is of the kind that is known here.

use std::collections::HashMap;

use bitgauge_core::json;
use serde_json::{Map, Value};

use super::added::Added;
use super::pairs::Pairs;
use super::patterns::{GPT2, Pattern};
use super::{ByteLevel, Cut, Space};
use crate::added_token::AddedToken;

type Object = Map<String, Value>;

impl ByteLevel {
    /// Reads the bytes of a tokenizer.json; none if it is of another kind, or not well formed.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let Value::Object(mut file) = json::parse(bytes).ok()? else { return None };
        is(file.get("version")?.as_str() == Some("1.0"))?;
        is(given(&file, "padding").is_none())?;
        let cuts_left = given(&file, "truncation").map_or(Some(false), direction)?;
        let normalizes = match given(&file, "normalizer") {
            None => false,
            Some(step) => is(kind(step)? == "NFC").map(|()| true)?,
        };
        let cut = cut(file.get("pre_tokenizer")?)?;
        let around = given(&file, "post_processor").map_or(Some([vec![], vec![]]), around)?;
        if let Some(decoder) = given(&file, "decoder") {
            byte_level(decoder)?;
        }
        let pairs = pairs(file.remove("model")?)?;
        let mut added = Added::default();
        let listed: &[Value] =
            file.get("added_tokens").map_or(Some(&[][..]), |list| Some(list.as_array()?))?;
        let tokens = listed.iter().map(token).collect::<Option<Vec<_>>>()?;
        added.add(tokens, &pairs.vocabulary, normalizes)?;
        Some(Self { pairs, added, normalizes, cut, around, cuts_left })
    }
}

fn is(so: bool) -> Option<()> {
    so.then_some(())
}

/// A field that is there and not null.
fn given<'v>(object: &'v Object, name: &str) -> Option<&'v Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn kind(step: &Value) -> Option<&str> {
    step.get("type")?.as_str()
}

fn flag(object: &Value, name: &str) -> Option<bool> {
    object.get(name)?.as_bool()
}

fn number(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

/// Whether a truncation setting cuts the beginning.
fn direction(truncation: &Value) -> Option<bool> {
    number(truncation.get("max_length")?)?;
    is(number(truncation.get("stride")?)? == 0 && truncation.get("strategy")?.as_str()? == "LongestFirst")?;
    match truncation.get("direction")?.as_str()? {
        "Left" => Some(true),
        "Right" => Some(false),
        _ => None,
    }
}

/// Whether a byte-level step puts a space in front, and whether it splits.
fn byte_level(step: &Value) -> Option<(bool, bool)> {
    is(kind(step)? == "ByteLevel")?;
    flag(step, "trim_offsets")?;
    let splits = step.get("use_regex").map_or(Some(true), Value::as_bool)?;
    Some((flag(step, "add_prefix_space")?, splits))
}

fn cut(step: &Value) -> Option<Cut> {
    if kind(step)? == "ByteLevel" {
        let (spaces, splits) = byte_level(step)?;
        let space = if spaces { Space::Text } else { Space::Nothing };
        return Some(Cut { pattern: splits.then_some(GPT2), space });
    }
    is(kind(step)? == "Sequence")?;
    let [split, bytes] = step.get("pretokenizers")?.as_array()?.as_slice() else { return None };
    is(kind(split)? == "Split" && split.get("behavior")?.as_str()? == "Isolated" && !flag(split, "invert")?)?;
    let pattern = split.get("pattern")?.as_object().filter(|pattern| pattern.len() == 1)?;
    let pattern = Pattern::known(pattern.get("Regex")?.as_str()?)?;
    let (spaces, splits) = byte_level(bytes)?;
    is(!splits)?;
    Some(Cut { pattern: Some(pattern), space: if spaces { Space::Piece } else { Space::Nothing } })
}

/// The tokens before and after a text.
fn around(step: &Value) -> Option<[Vec<u32>; 2]> {
    match kind(step)? {
        "ByteLevel" => byte_level(step).map(|_| [vec![], vec![]]),
        "TemplateProcessing" => template(step),
        "Sequence" => {
            let steps = step.get("processors")?.as_array()?;
            let mut around = [vec![], vec![]];
            let mut templates = 0;
            for step in steps {
                match kind(step)? {
                    "ByteLevel" => _ = byte_level(step)?,
                    "TemplateProcessing" => {
                        around = template(step)?;
                        templates += 1;
                    }
                    _ => return None,
                }
            }
            // The library panics at two.
            (templates < 2).then_some(around)
        }
        _ => None,
    }
}

fn template(step: &Value) -> Option<[Vec<u32>; 2]> {
    let tokens = step.get("special_tokens")?.as_object()?;
    let ids = |name: &str| {
        let token = tokens.get(name)?;
        let ids: Vec<u32> = token.get("ids")?.as_array()?.iter().map(number).collect::<Option<_>>()?;
        let names = token.get("tokens")?.as_array()?;
        is(names.len() == ids.len() && names.iter().all(Value::is_string) && token.get("id")?.is_string())?;
        Some(ids)
    };
    for name in tokens.keys() {
        ids(name)?;
    }
    // The name of a token, or none and that of the text.
    let piece = |piece: &Value| -> Option<(bool, String)> {
        let (kind, of) = piece.as_object().filter(|piece| piece.len() == 1)?.iter().next()?;
        number(of.get("type_id")?)?;
        let id = of.get("id")?.as_str()?.to_owned();
        match &kind[..] {
            "Sequence" => is(id == "A" || id == "B").map(|()| (false, id)),
            "SpecialToken" => Some((true, id)),
            _ => None,
        }
    };
    let pieces = |name: &str| step.get(name)?.as_array()?.iter().map(piece).collect::<Option<Vec<_>>>();
    pieces("pair")?;
    let (mut around, mut texts) = ([vec![], vec![]], 0);
    for (is_token, id) in pieces("single")? {
        match is_token {
            true => around[usize::from(texts > 0)].extend(ids(&id)?),
            false => {
                is(id == "A")?;
                texts += 1;
            }
        }
    }
    (texts == 1).then_some(around)
}

fn pairs(model: Value) -> Option<Pairs> {
    let Value::Object(mut model) = model else { return None };
    is(model.get("type")?.as_str() == Some("BPE"))?;
    is(given(&model, "dropout").is_none() && given(&model, "unk_token").is_none())?;
    let is_empty = |name: &str| given(&model, name).is_none_or(|text| text.as_str() == Some(""));
    is(is_empty("continuing_subword_prefix") && is_empty("end_of_word_suffix"))?;
    let on = |name: &str| given(&model, name).map_or(Some(false), Value::as_bool);
    // What is fused is what is unknown.
    on("fuse_unk")?;
    is(!on("byte_fallback")?)?;
    let ignore_merges = on("ignore_merges")?;
    let Value::Object(vocabulary) = model.remove("vocab")? else { return None };
    let Value::Array(merges) = model.remove("merges")? else { return None };
    let vocabulary: HashMap<String, u32> =
        vocabulary.into_iter().map(|(token, id)| Some((token, number(&id)?))).collect::<Option<_>>()?;
    let is_lines = merges.first().is_some_and(Value::is_string);
    let merges = merges.into_iter().map(|merge| pair(merge, is_lines)).collect::<Option<Vec<_>>>()?;
    Pairs::new(vocabulary, merges.into_iter(), ignore_merges)
}

/// A pair of parts, or both in one line.
fn pair(merge: Value, is_line: bool) -> Option<(String, String)> {
    match merge {
        Value::String(line) if is_line => {
            let (first, second) = line.split_once(' ')?;
            is(!second.contains(' ') && !line.starts_with("#version"))?;
            Some((first.to_owned(), second.to_owned()))
        }
        Value::Array(parts) if !is_line => match <[Value; 2]>::try_from(parts) {
            Ok([Value::String(first), Value::String(second)]) => Some((first, second)),
            _ => None,
        },
        _ => None,
    }
}

fn token(listed: &Value) -> Option<AddedToken> {
    number(listed.get("id")?)?;
    Some(AddedToken {
        content: listed.get("content")?.as_str()?.to_owned(),
        single_word: flag(listed, "single_word")?,
        lstrip: flag(listed, "lstrip")?,
        rstrip: flag(listed, "rstrip")?,
        normalized: flag(listed, "normalized")?,
        special: flag(listed, "special")?,
    })
}
