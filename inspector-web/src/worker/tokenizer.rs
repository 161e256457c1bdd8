//! The files of the artifact's tokenizer, for the worker that tokenizes.

use bitgauge_core::container::{Artifact, GgufMetadata, Member, Need};
use bitgauge_core::model::{Architecture, TOKENIZER_FILES};
use bitgauge_core::{Error, ErrorKind, Result, limits};
use js_sys::Uint8Array;

use super::read::Source;
use crate::protocol::tokenizing::TokenizerFiles;
use bitgauge_core::inventory::Inventory;

/// The files, and the bytes of each. An artifact may have none.
pub async fn read(source: &Source, artifact: &Artifact) -> Result<(TokenizerFiles, Vec<Uint8Array>)> {
    let mut found = TokenizerFiles { max_positions: max_positions(artifact), ..TokenizerFiles::default() };
    let mut contents = Vec::new();
    let mut add = |name: &str, bytes: &[u8]| {
        found.names.push(name.to_owned());
        contents.push(Uint8Array::from(bytes));
    };
    if let Some(made) = artifact.gguf.as_ref().and_then(GgufMetadata::tokenizer) {
        add(TOKENIZER_FILES[0], &made?);
        found.as_it_is = true;
        return Ok((found, contents));
    }
    if artifact.compressed.is_some() {
        return Err(Error::new(ErrorKind::Unsupported, "a compressed tar is not measured here")
            .expected_found("a zip, a tar, a folder or a GGUF file", "a compressed tar")
            .hint("unpack it and open the folder, or use the command"));
    }
    for name in TOKENIZER_FILES {
        if let Some(index) = artifact.find_beside_config(name) {
            let bytes = member(source, &artifact.members[index]).await;
            add(name, &bytes.map_err(|error| error.within(name))?);
        }
    }
    Ok((found, contents))
}

/// All bytes of a member.
async fn member(source: &Source, member: &Member) -> Result<Vec<u8>> {
    if member.bytes.max(member.stored_bytes) > limits::TOKENIZER_BYTES {
        return Err(Error::new(ErrorKind::TooLarge, "the file is too long")
            .expected_found(format!("at most {} bytes", limits::TOKENIZER_BYTES), member.bytes));
    }
    let need = Need { file: member.file, offset: member.offset, len: member.stored_bytes };
    let (begin, bytes) = source.range(need).await?;
    // More may have come than was asked for.
    let stored = bytes.get((member.offset - begin) as usize..).unwrap_or_default();
    member.unpack(&stored[..stored.len().min(member.stored_bytes as usize)])
}

/// Tokens that the model was made for, if it says so.
fn max_positions(artifact: &Artifact) -> Option<u64> {
    let inventory = Inventory::of(artifact).ok()?;
    match inventory.config.as_ref()?.architecture() {
        Architecture::Decoder(decoder) => decoder.max_positions,
        _ => None,
    }
}
