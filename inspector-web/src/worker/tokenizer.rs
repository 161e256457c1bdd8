//! The files of the artifact's tokenizer, for the worker that tokenizes.

use bitgauge_core::container::{Artifact, Compressor, GgufMetadata, Member, Need, Unpacker};
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
    let member = |name| artifact.find_beside_config(name).map(|index| (name, &artifact.members[index]));
    let members: Vec<_> = TOKENIZER_FILES.into_iter().filter_map(member).collect();
    for (name, member) in &members {
        if member.bytes.max(member.stored_bytes) > limits::TOKENIZER_BYTES {
            return Err(Error::new(ErrorKind::TooLarge, "the file is too long")
                .within(*name)
                .expected_found(format!("at most {} bytes", limits::TOKENIZER_BYTES), member.bytes));
        }
    }
    if let Some(tar) = artifact.compressed {
        let all = from_tar(source, tar.compressor, members.iter().map(|(_, member)| *member)).await?;
        members.iter().zip(&all).for_each(|((name, _), bytes)| add(name, bytes));
        return Ok((found, contents));
    }
    for (name, member) in members {
        let bytes = read_member(source, member).await;
        add(name, &bytes.map_err(|error| error.within(name))?);
    }
    Ok((found, contents))
}

/// All bytes of some members of a compressed tar, in one pass that ends behind the last.
async fn from_tar(
    source: &Source,
    compressor: Compressor,
    members: impl Iterator<Item = &Member>,
) -> Result<Vec<Vec<u8>>> {
    let mut wanted: Vec<_> =
        members.map(|member| (member.offset..member.offset + member.bytes, Vec::new())).collect();
    let end = wanted.iter().map(|(range, _)| range.end).max().unwrap_or_default();
    let (mut unpacker, mut stream) = (Unpacker::new(compressor)?, source.stream(0).await?);
    while unpacker.written() < end
        && let Some(bytes) = stream.next().await?
    {
        let mut position = unpacker.written();
        unpacker.push(bytes, &mut |some| {
            for (range, bytes) in &mut wanted {
                let within = |at: u64| (at.clamp(position, position + some.len() as u64) - position) as usize;
                bytes.extend(&some[within(range.start)..within(range.end)]);
            }
            position += some.len() as u64;
            Ok(())
        })?;
    }
    Ok(wanted.into_iter().map(|(_, bytes)| bytes).collect())
}

/// All bytes of a member.
async fn read_member(source: &Source, member: &Member) -> Result<Vec<u8>> {
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
