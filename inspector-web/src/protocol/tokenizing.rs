//! What the page and the worker that tokenizes say to each other, as JSON text beside bytes. The page posts
//! `[tokenize, tokenizer, files]`: a [`Tokenize`], a `Uint8Array` for each of the tokenizer's files, and the `File`s of the
//! documents. The worker answers with `[tokenizing, ids]`: a [`Tokenizing`], and a `Uint32Array` for each document.

use bitgauge_core::Error;
use bitgauge_core::json::{Fields, FromJson, mismatch, variant};
use serde::Serialize;
use serde_json::Value;

/// The files that make an artifact's tokenizer; their bytes travel beside this, in the same order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TokenizerFiles {
    /// Their names in the model's folder; none of an artifact without a tokenizer.
    pub names: Vec<String>,
    /// Whether tokenizer.json is the tokenizer as it is, since it was made of a GGUF file's metadata.
    pub as_it_is: bool,
    /// Tokens that the model was made for, if it says so.
    pub max_positions: Option<u64>,
}

/// From the page to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tokenize {
    /// The tokenizer.
    pub tokenizer: TokenizerFiles,
    /// The names of the documents' files.
    pub names: Vec<String>,
    /// Documents that were typed in.
    pub text: Option<String>,
    /// Longest document in tokens.
    pub max_tokens: u64,
}

/// What became of the documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tokenized {
    /// Tokens of all documents together.
    pub tokens: u64,
    /// Tokens that were cut off, of all documents together.
    pub cut_tokens: u64,
    /// SHA-256 in hex of the documents' texts joined by two newlines.
    pub documents_sha256: String,
    /// What was left out, for people.
    pub left_out: Vec<String>,
    /// What the report should say of them.
    pub note: Option<String>,
}

/// From the worker to the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Tokenizing {
    /// How many documents are tokenized.
    Progress {
        /// Documents done.
        done: u64,
        /// Documents in all.
        total: u64,
    },
    /// All are; their ids come beside this.
    Tokenized(Tokenized),
    /// The module with the tokenizers library is to do it.
    OtherKind,
    /// They can't be tokenized.
    Failed(Error),
}

impl FromJson for TokenizerFiles {
    fn from_json(value: Value) -> Result<Self, String> {
        let mut fields = Fields::of(value)?;
        Ok(Self {
            names: fields.take("names")?,
            as_it_is: fields.take("as_it_is")?,
            max_positions: fields.take("max_positions")?,
        })
    }
}

impl FromJson for Tokenize {
    fn from_json(value: Value) -> Result<Self, String> {
        let mut fields = Fields::of(value)?;
        Ok(Self {
            tokenizer: fields.take("tokenizer")?,
            names: fields.take("names")?,
            text: fields.take("text")?,
            max_tokens: fields.take("max_tokens")?,
        })
    }
}

impl FromJson for Tokenized {
    fn from_json(value: Value) -> Result<Self, String> {
        let mut fields = Fields::of(value)?;
        Ok(Self {
            tokens: fields.take("tokens")?,
            cut_tokens: fields.take("cut_tokens")?,
            documents_sha256: fields.take("documents_sha256")?,
            left_out: fields.take("left_out")?,
            note: fields.take("note")?,
        })
    }
}

impl FromJson for Tokenizing {
    fn from_json(value: Value) -> Result<Self, String> {
        let (name, content) = variant(value)?;
        match name.as_str() {
            "Tokenized" => Tokenized::from_json(content).map(Self::Tokenized),
            "OtherKind" => Ok(Self::OtherKind),
            "Failed" => Error::from_json(content).map(Self::Failed),
            "Progress" => {
                let mut fields = Fields::of(content)?;
                Ok(Self::Progress { done: fields.take("done")?, total: fields.take("total")? })
            }
            _ => Err(mismatch("an event", &name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::comes_back;
    use super::*;
    use bitgauge_core::ErrorKind;

    #[test]
    fn what_is_sent_is_received() {
        let tokenizer = TokenizerFiles {
            names: vec!["tokenizer.json".into()],
            as_it_is: true,
            max_positions: Some(40_960),
        };
        comes_back(tokenizer.clone());
        comes_back(Tokenize { tokenizer, names: vec!["a.txt".into()], text: None, max_tokens: 512 });
        comes_back(Tokenizing::Progress { done: 1, total: u64::MAX });
        comes_back(Tokenizing::Tokenized(Tokenized {
            tokens: 9,
            cut_tokens: 1,
            documents_sha256: "ab".into(),
            left_out: vec!["left out: 1 text".into()],
            note: Some("\"".into()),
        }));
        comes_back(Tokenizing::OtherKind);
        comes_back(Tokenizing::Failed(Error::new(ErrorKind::BadValue, "no text").within("a.txt")));
        assert!(
            Tokenizing::from_json("Nothing".into()).is_err() && Tokenize::from_json(Value::Null).is_err()
        );
    }
}
