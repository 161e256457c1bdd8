//! Held-out documents and their token ids: what `bitgauge eval` and the browser inspector do with texts before a model
//! sees them. It opens no files: callers hand over bytes and texts.
#![forbid(unsafe_code)]

mod added_token;
mod byte_level;
mod documents;
mod settings;
mod subject;
mod tokenizer;

pub use documents::{Document, Documents, Form, Found, TextSettings, parse, past_positions, utf8};
pub use settings::{CONFIG, FILE, ModelTokenizer};
pub use tokenizer::{Encoded, TextTokenizer};
