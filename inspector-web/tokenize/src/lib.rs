//! The worker that tokenizes: documents and the files of a model's tokenizer come in, token ids go out, the same as
//! `bitgauge eval` makes of them. It is a WebAssembly module of its own, fetched when a perplexity is measured, and ends when
//! it has answered. It knows byte-level pairs; for other tokenizers, and for what it refuses of one, it asks for a second
//! module, built of the same sources with the tokenizers library (feature `library`).
#![forbid(unsafe_code)]

#[cfg(not(feature = "library"))]
mod byte_level;
#[cfg(feature = "library")]
mod library;
#[cfg(target_arch = "wasm32")]
mod worker;

#[cfg(not(feature = "library"))]
use self::byte_level as reader;
#[cfg(feature = "library")]
use self::library as reader;

use std::path::Path;

use bitgauge_core::contract::documents::documents_sha256;
use bitgauge_core::{Error, ErrorKind, Result, limits};
use bitgauge_texts::{
    Document, Encoded, FILE, Form, Found, TextSettings, TextTokenizer, past_positions, utf8,
};
use inspector_web::protocol::tokenizing::{Tokenize, Tokenized, TokenizerFiles};

#[cfg(target_arch = "wasm32")]
pub use worker::serve;

/// Most bytes of documents here: texts, their copies and their ids share the memory of a tab.
pub const DOCUMENTS_BYTES: u64 = 128 << 20;

/// Token ids, and what to say of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// The ids of each document.
    pub ids: Vec<Vec<u32>>,
    /// The rest.
    pub said: Tokenized,
}

/// Tokenizes documents: those of `files`, whose names the request has, or the text in it. `tokenizer` holds the bytes of the
/// tokenizer's files; `progress` is told the documents done, and all. None where the module with the library is to do it.
///
/// # Errors
/// Those of the command: no tokenizer or one that transformers refuses, documents of no known form, none at all, too many.
pub fn tokenize(
    request: Tokenize,
    tokenizer: Vec<Vec<u8>>,
    files: Vec<Vec<u8>>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<Tokens>> {
    tokenize_all(request, tokenizer, files, progress).map_err(for_the_page)
}

fn tokenize_all(
    request: Tokenize,
    tokenizer: Vec<Vec<u8>>,
    files: Vec<Vec<u8>>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<Tokens>> {
    let max_positions = request.tokenizer.max_positions;
    let found = find(&request, files)?;
    let Some(tokenizer) = read_tokenizer(request.tokenizer, tokenizer)? else { return Ok(None) };
    let max_tokens = usize::try_from(request.max_tokens).unwrap_or(usize::MAX);
    let (mut ids, mut cut_tokens) = (Vec::new(), 0);
    let total = found.documents.len() as u64;
    for (done, Document { name, text }) in (0..).zip(&found.documents) {
        progress(done, total);
        let encoded = tokenizer.encode_counted(text, max_tokens).map_err(|error| error.within(name));
        let Some(Encoded { ids: kept, cut }) = reader::or_library(encoded)? else { return Ok(None) };
        cut_tokens += cut as u64;
        ids.push(kept);
    }
    let positions = max_positions.and_then(|most| past_positions(most, ids.iter().map(Vec::len)));
    let said = Tokenized {
        tokens: ids.iter().map(|ids| ids.len() as u64).sum(),
        cut_tokens,
        left_out: found.notes.clone(),
        note: positions,
        documents_sha256: documents_sha256(&found.into_texts()),
    };
    Ok(Some(Tokens { ids, said }))
}

/// The documents that the page was given.
fn find(request: &Tokenize, files: Vec<Vec<u8>>) -> Result<bitgauge_texts::Documents> {
    let (mut found, settings) = (Found::default(), TextSettings::default());
    let bytes = |files: &[Vec<u8>]| files.iter().map(|file| file.len() as u64).sum::<u64>();
    let typed = request.text.as_ref().map_or(0, |text| text.len() as u64);
    check_bytes(bytes(&files) + typed)?;
    if let Some(text) = &request.text {
        found.text("the text", text, Form::of_content(text), &settings)?;
    }
    for (name, bytes) in request.names.iter().zip(files) {
        let add = |found: &mut Found| {
            let form = Form::of_name(Path::new(name));
            if form == Some(Form::Parquet) {
                return Err(Error::new(ErrorKind::Unsupported, "a Parquet file is not read here")
                    .expected_found("text, JSON or JSON lines", "Parquet")
                    .hint("the command reads it"));
            }
            let text = utf8(bytes, "the documents")?;
            found.text(name, &text, form.unwrap_or_else(|| Form::of_content(&text)), &settings)
        };
        add(&mut found).map_err(|error| error.within(name))?;
    }
    found.finish()
}

/// Refuses documents that are too long for a tab.
///
/// # Errors
/// More bytes than [`DOCUMENTS_BYTES`].
pub fn check_bytes(bytes: u64) -> Result<()> {
    if bytes <= DOCUMENTS_BYTES {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, "the documents are too long for a tab")
        .expected_found(format!("at most {DOCUMENTS_BYTES} bytes"), bytes)
        .hint("the command takes more"))
}

/// The tokenizer that these files make; none if it is for the library.
fn read_tokenizer(files: TokenizerFiles, contents: Vec<Vec<u8>>) -> Result<Option<TextTokenizer>> {
    let mut contents: Vec<(String, Vec<u8>)> = files.names.into_iter().zip(contents).collect();
    let mut take = |name: &str| {
        let at = contents.iter().position(|(known, _)| known == name)?;
        Some(contents.swap_remove(at).1)
    };
    let file = take(FILE).ok_or_else(|| {
        Error::new(ErrorKind::Missing, "the artifact brings no tokenizer")
            .expected_found("tokenizer.json beside config.json", "none")
            .hint("the command takes one by --tokenizer")
    })?;
    reader::read(&file, files.as_it_is, &mut take).map_err(|error| error.within(FILE))
}

/// The most bytes of any of the tokenizer's files.
pub const TOKENIZER_BYTES: u64 = limits::TOKENIZER_BYTES;

/// Hints at options are for the command.
fn for_the_page(error: Error) -> Error {
    match error.hint.as_deref().filter(|hint| hint.contains("--")) {
        Some(hint) => {
            let hint = format!("with the command: {hint}");
            error.hint(hint)
        }
        None => error,
    }
}
