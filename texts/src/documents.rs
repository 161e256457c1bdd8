//! Held-out documents in the forms that people have them in.

mod forms;

use bitgauge_core::contract::python::trim;
use bitgauge_core::report::words;
use bitgauge_core::{Error, ErrorKind, Result};

pub use forms::Form;

/// Most bytes of documents.
const DOCUMENTS_BYTES: u64 = 1 << 30;
/// Most documents.
const DOCUMENTS_COUNT: usize = 1 << 24;
/// The field of a document's text where none is named.
const TEXT_KEY: &str = "text";

/// One held-out text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it is from: a file, and the line or entry in it.
    pub name: String,
    /// The text, without white space around it.
    pub text: String,
}

/// How texts lie in files.
#[derive(Debug, Clone, Default)]
pub struct TextSettings {
    /// Each line of a text file is a document, not the whole file.
    pub lines: bool,
    /// The field or column that holds a document's text, `text` if none is named.
    pub text_key: Option<String>,
}

impl TextSettings {
    /// The field or column that holds a document's text.
    pub fn key(&self) -> &str {
        self.text_key.as_deref().unwrap_or(TEXT_KEY)
    }
}

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    /// The documents, in the order of the files that were named; those of a folder by name.
    pub documents: Vec<Document>,
    /// What was left out, for people.
    pub notes: Vec<String>,
}

impl Documents {
    /// The texts alone.
    pub fn into_texts(self) -> Vec<String> {
        self.documents.into_iter().map(|document| document.text).collect()
    }
}

/// Documents of one text.
///
/// # Errors
/// A text that is not of the form; no document at all; too many or too long ones.
pub fn parse(text: &str, form: Form, settings: &TextSettings) -> Result<Documents> {
    let mut found = Found::default();
    found.text("", text, form, settings)?;
    found.finish()
}

/// The text that these bytes are. `what` begins the message when they are none: `the documents`.
///
/// # Errors
/// Bytes that are not UTF-8.
pub fn utf8(bytes: Vec<u8>, what: &str) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() as u64;
        Error::new(ErrorKind::Malformed, format!("{what} can't be read"))
            .at(at)
            .expected_found("UTF-8", "other bytes")
    })
}

/// A note where texts are longer than the `most` tokens that the model was made for; `tokens` are those of each text.
pub fn past_positions(most: u64, tokens: impl IntoIterator<Item = usize>) -> Option<String> {
    let longer = tokens.into_iter().filter(|&tokens| tokens as u64 > most).count() as u64;
    (longer > 0).then(|| {
        format!(
            "{} longer than the {most} tokens that the model was made for (max_position_embeddings): \
             --max-tokens or --window {most} keeps within them.",
            if longer == 1 {
                "One text is".to_owned()
            } else {
                format!("{} texts are", words::count(longer))
            }
        )
    })
}

/// Documents as they are found in one file after the other.
///
/// White space around a text is no part of it, as the validator has it, so that a text is the same in every form.
#[derive(Debug, Default)]
pub struct Found {
    documents: Vec<Document>,
    bytes: u64,
    blank: u64,
    others: u64,
}

impl Found {
    /// Bytes of texts that may still come.
    pub fn left_bytes(&self) -> u64 {
        DOCUMENTS_BYTES.saturating_sub(self.bytes)
    }

    /// Counts a file that is left out, since it is of another kind.
    pub fn pass_over(&mut self) {
        self.others += 1;
    }

    /// Adds the documents of a text; `name` says where it is from.
    ///
    /// # Errors
    /// Those of [`parse`].
    pub fn text(&mut self, name: &str, text: &str, form: Form, settings: &TextSettings) -> Result<()> {
        // Some editors on Windows put a mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        forms::parse(text, form, settings, &mut |place, text| self.add(name, &place, text))
    }

    /// Adds one document, unless it is blank; `place` is where in what is called `name` it was found.
    ///
    /// # Errors
    /// Too many documents, or too long ones.
    pub fn add(&mut self, name: &str, place: &str, text: &str) -> Result<()> {
        let text = trim(text);
        if text.is_empty() {
            self.blank += 1;
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(text.len() as u64);
        if self.documents.len() >= DOCUMENTS_COUNT || self.bytes > DOCUMENTS_BYTES {
            let most = format!("at most {DOCUMENTS_COUNT} of {DOCUMENTS_BYTES} bytes together");
            return Err(
                Error::new(ErrorKind::TooLarge, "there are too many documents").expected_found(most, "more")
            );
        }
        self.documents.push(Document { name: format!("{name}{place}"), text: text.to_owned() });
        Ok(())
    }

    /// All that was found.
    ///
    /// # Errors
    /// No document at all.
    pub fn finish(self) -> Result<Documents> {
        if self.documents.is_empty() {
            return Err(Error::new(ErrorKind::Missing, "there are no documents")
                .expected_found("at least one", "none"));
        }
        let note = |count: u64, one: &str, what: &str| {
            (count > 0).then(|| format!("left out: {} {what}", words::plural(count, one)))
        };
        let notes =
            [note(self.blank, "text", "without a character"), note(self.others, "file", "of another kind")];
        Ok(Documents { documents: self.documents, notes: notes.into_iter().flatten().collect() })
    }
}
