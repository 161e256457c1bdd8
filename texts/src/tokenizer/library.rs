//! Tokenizers of the library that transformers has: any tokenizer.json.

mod pairs;

use std::collections::BTreeMap;

use bitgauge_core::{Error, ErrorKind, Result, limits};
use serde_json::{Value, json};
use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::utils::truncation::TruncationDirection;
use tokenizers::{Model, PostProcessor, SplitDelimiterBehavior, Tokenizer};

use self::pairs::{check_pairs, unreadable};
use super::Encoded;
use crate::added_token::AddedToken;
use crate::subject::Subject;

/// A tokenizer of the library. It neither pads nor cuts.
pub struct Library {
    tokenizer: Tokenizer,
    /// Whether tokenizer.json cuts texts that are too long at their beginning.
    cuts_left: bool,
}

impl Library {
    /// Reads the bytes of a tokenizer.json.
    ///
    /// # Errors
    /// Bytes that are too many or are no tokenizer.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > limits::TOKENIZER_BYTES {
            return Err(Error::new(ErrorKind::TooLarge, "the tokenizer is too large")
                .expected_found(format!("at most {} bytes", limits::TOKENIZER_BYTES), bytes.len()));
        }
        check_pairs(bytes)?;
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| unreadable(&e))?;
        check_templates(&tokenizer)?;
        let direction = tokenizer.get_truncation().map(|cut| cut.direction);
        // The evaluation cuts documents itself; a padding or truncation setting must not interfere.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| {
            Error::new(ErrorKind::Malformed, "the tokenizer's truncation setting is invalid")
                .expected_found("none", e)
        })?;
        Ok(Self { tokenizer, cuts_left: matches!(direction, Some(TruncationDirection::Left)) })
    }

    /// Whether tokenizer.json cuts texts that are too long at their beginning.
    pub fn cuts_left(&self) -> bool {
        self.cuts_left
    }

    /// Whether the pre-tokenizer, if it is a byte-level step alone, puts a space in front of a text.
    pub(crate) fn set_prefix_space(&mut self, spaces: bool) {
        if let Some(PreTokenizerWrapper::ByteLevel(level)) = self.tokenizer.get_pre_tokenizer() {
            let mut level = *level;
            level.add_prefix_space = spaces;
            self.tokenizer.with_pre_tokenizer(Some(level));
        }
    }

    /// At most `max_tokens` ids of a text, its last or its first, and how many more there are.
    ///
    /// # Errors
    /// A text that the tokenizer can't encode.
    pub fn encode_counted(&self, text: &str, max_tokens: usize, left: bool) -> Result<Encoded> {
        let fail =
            |e| Error::new(ErrorKind::BadValue, "a document can't be tokenized").expected_found("text", e);
        let mut encoding = self.tokenizer.encode(text, false).map_err(fail)?;
        // The text is cut, never the special tokens around it.
        let special = self.tokenizer.get_post_processor().map_or(0, |p| p.added_tokens(false));
        let (whole, kept) = (encoding.len(), max_tokens.saturating_sub(special));
        let side = if left { TruncationDirection::Left } else { TruncationDirection::Right };
        encoding.truncate(kept, 0, side);
        let encoding = self.tokenizer.post_process(encoding, None, true).map_err(fail)?;
        Ok(Encoded { ids: encoding.get_ids().to_vec(), cut: whole.saturating_sub(kept) })
    }

    fn byte_pairs(
        file: &Tokenizer,
        pattern: &str,
        spaces: bool,
    ) -> std::result::Result<Tokenizer, tokenizers::Error> {
        let mut pairs: BPE = match file.get_model() {
            ModelWrapper::BPE(pairs) => pairs.clone(),
            // Whatever it was, its words become byte pairs that nothing merges.
            other => {
                serde_json::from_value(json!({"type": "BPE", "vocab": other.get_vocab(), "merges": []}))?
            }
        };
        if pairs.continuing_subword_prefix.as_ref().is_some_and(|prefix| !prefix.is_empty()) {
            // What pairs become depends on it.
            let mut whole = serde_json::to_value(&pairs)?;
            whole["continuing_subword_prefix"] = Value::Null;
            pairs = serde_json::from_value(whole)?;
        }
        pairs.end_of_word_suffix = None;
        pairs.dropout = None;
        pairs.unk_token = None;
        pairs.fuse_unk = false;
        pairs.byte_fallback = false;
        pairs.ignore_merges = false;
        let split = SplitPattern::Regex(pattern.to_owned());
        let steps: Vec<PreTokenizerWrapper> = vec![
            Split::new(split, SplitDelimiterBehavior::Isolated, false)?.into(),
            ByteLevel::new(spaces, true, false).into(),
        ];
        let mut tokenizer = Tokenizer::new(pairs);
        tokenizer.with_normalizer(Some(NFC))?;
        tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
        tokenizer.with_post_processor(file.get_post_processor().cloned());
        Ok(tokenizer)
    }
}

impl Subject for Library {
    fn is_byte_level(&self) -> bool {
        let step = serde_json::to_string(&self.tokenizer.get_pre_tokenizer()).unwrap_or_default();
        step.contains("ByteLevel")
    }

    fn added_tokens(&self) -> BTreeMap<u32, AddedToken> {
        self.tokenizer.get_added_tokens_decoder().into_iter().map(|(id, token)| (id, own(token))).collect()
    }

    fn into_byte_pairs(self, pattern: &str, spaces: bool) -> Result<Self> {
        let tokenizer = Self::byte_pairs(&self.tokenizer, pattern, spaces).map_err(fail)?;
        Ok(Self { tokenizer, ..self })
    }

    fn add(&mut self, tokens: Vec<AddedToken>) -> Result<()> {
        self.tokenizer.add_tokens(tokens.into_iter().map(theirs)).map(|_| ()).map_err(fail)
    }

    fn set_splits_special(&mut self, splits: bool) {
        self.tokenizer.set_encode_special_tokens(splits);
    }

    fn size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    fn id(&self, content: &str) -> Option<u32> {
        self.tokenizer.token_to_id(content)
    }
}

/// Refuses a second template in a row of post-processors, at which the tokenizers library panics: a template takes one text
/// or two, and gets the parts that the first one made.
fn check_templates(tokenizer: &Tokenizer) -> Result<()> {
    let steps = serde_json::to_value(tokenizer.get_post_processor()).map_err(|e| unreadable(&e))?;
    match templates(&steps) {
        0 | 1 => Ok(()),
        count => Err(Error::new(ErrorKind::Unsupported, "the tokenizer's post-processor can't be run")
            .expected_found("at most one template", format!("{count} templates, one after the other"))
            .hint("transformers can't run it either: join the templates to one")),
    }
}

/// Templates among these post-processors, also in rows within rows.
fn templates(steps: &Value) -> usize {
    match steps["type"].as_str() {
        Some("TemplateProcessing") => 1,
        Some("Sequence") => steps["processors"].as_array().into_iter().flatten().map(templates).sum(),
        _ => 0,
    }
}

fn fail(error: tokenizers::Error) -> Error {
    Error::new(ErrorKind::Malformed, "the tokenizer can't be read")
        .expected_found("added tokens and byte pairs of the tokenizers library", error)
}

fn own(token: tokenizers::AddedToken) -> AddedToken {
    let tokenizers::AddedToken { content, single_word, lstrip, rstrip, normalized, special } = token;
    AddedToken { content, single_word, lstrip, rstrip, normalized, special }
}

fn theirs(token: AddedToken) -> tokenizers::AddedToken {
    let AddedToken { content, single_word, lstrip, rstrip, normalized, special } = token;
    tokenizers::AddedToken { content, single_word, lstrip, rstrip, normalized, special }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tokenizer of single letters with these post-processors, one after the other.
    fn with_steps(steps: Value) -> Result<Encoded> {
        let text = json!({
            "added_tokens": [],
            "model": { "type": "BPE", "vocab": { "a": 0, "b": 1, "[C]": 2 }, "merges": [] },
            "post_processor": { "type": "Sequence", "processors": steps },
        });
        Library::from_json(text.to_string().as_bytes())?.encode_counted("ab", 9, false)
    }

    #[test]
    fn a_second_template_is_an_error_and_no_panic() {
        let template = json!({
            "type": "TemplateProcessing",
            "single": [
                { "SpecialToken": { "id": "[C]", "type_id": 0 } },
                { "Sequence": { "id": "A", "type_id": 0 } },
            ],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { "[C]": { "id": "[C]", "ids": [2], "tokens": ["[C]"] } },
        });
        let encoded = with_steps(json!([template])).expect("one template");
        assert_eq!(encoded, Encoded { ids: vec![2, 0, 1], cut: 0 });
        let inner = json!({ "type": "Sequence", "processors": [template] });
        for steps in [json!([template, template]), json!([template, inner])] {
            let error = with_steps(steps).expect_err("two templates");
            assert_eq!(error.found, "2 templates, one after the other");
        }
    }
}
