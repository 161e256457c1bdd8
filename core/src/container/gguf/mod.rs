//! GGUF, version 3: metadata, then tensors, in one file.
//!
//! The file is presented like a model folder: config.json and tokenizer.json are made from its metadata,
//! and each tensor has the name that it has in a checkpoint. What llama.cpp stores differently is left to
//! whoever reads the values ([`crate::model::Quantization::Gguf`]).
//!
//! Source: the specification in ggml's repository (docs/gguf.md), and files written by its own Python
//! package.

mod config;
mod header;
mod names;
mod tokenizer;

use std::collections::BTreeMap;

use super::window::{Pause, Window};
use super::{Artifact, MemberHeader, READ_AHEAD_BYTES, TensorEntry, member};
use crate::{Error, ErrorKind, Result, limits, memory};
use header::{Header, Stop, TensorInfo, Value};

/// Bytes that the parsed metadata takes at most for each byte of it.
const PARSED_FACTOR: u64 = 8;
/// First bytes of every GGUF file.
pub(super) const MAGIC: &[u8] = b"GGUF";

/// What a GGUF file says beside its tensors.
#[derive(Debug, Clone)]
pub struct Metadata(BTreeMap<String, Value>);

impl Metadata {
    /// The tokenizer in the form of tokenizer.json, or why it can't be given so; `None` for a file
    /// without any.
    pub fn tokenizer(&self) -> Option<Result<Vec<u8>>> {
        tokenizer::tokenizer(&self.0)
    }
}

/// Reads the structure of the only member of `artifact`, a GGUF file.
pub(super) fn read(window: &Window, artifact: &mut Artifact) -> Result<(), Pause> {
    let file = &artifact.members[0];
    let header = read_header(window, file.bytes)?;
    let place = |error| Pause::Failed(member::place(window, file, error));
    let tensors = place_tensors(&header, file.bytes).map_err(place)?;
    let tensor_bytes: u64 = tensors.iter().map(|tensor| tensor.bytes).sum();
    let config = config::config(&header).map_err(place)?;
    let header_bytes = file.bytes - tensor_bytes;
    artifact.members[0].header = Some(MemberHeader { bytes: header_bytes, metadata: Vec::new() });
    artifact.tensors = names::translate(tensors, config.family, config.layers);
    artifact.config = Some(config.json);
    artifact.model_dir = Some(String::new());
    artifact.gguf = Some(Metadata(header.metadata));
    Ok(())
}

/// How long the header is does not stand anywhere: it is parsed from ever longer beginnings of the file.
/// Fourfold steps keep the work of starting over within a third of the last try's.
fn read_header(window: &Window, len: u64) -> Result<Header, Pause> {
    let mut have = READ_AHEAD_BYTES.min(len);
    loop {
        let bytes = window.get(0, 0, have)?;
        memory::require(have * PARSED_FACTOR, "the metadata")?;
        match header::parse(bytes) {
            Ok(header) => return Ok(header),
            Err(Stop::Faulty(error)) => return Err(error.within(window.name(0)).into()),
            Err(Stop::End(_)) if have < len.min(limits::GGUF_HEADER_BYTES) => {
                have = have.saturating_mul(4).min(len).min(limits::GGUF_HEADER_BYTES);
            }
            Err(Stop::End(offset)) => {
                let error = if have < len {
                    Error::new(ErrorKind::TooLarge, "the metadata is too long")
                        .expected_found(format!("at most {} bytes", limits::GGUF_HEADER_BYTES), "more")
                } else {
                    Error::new(ErrorKind::Truncated, "the file ends within its metadata")
                        .expected_found("metadata and tensors", format!("{len} bytes"))
                        .hint("the file was cut off: copy it again")
                };
                return Err(error.at(offset).within(window.name(0)).into());
            }
        }
    }
}

/// Where each tensor lies in the file. They follow each other, each at a multiple of the alignment.
fn place_tensors(header: &Header, len: u64) -> Result<Vec<TensorEntry>> {
    let mut infos: Vec<&TensorInfo> = header.tensors.iter().collect();
    infos.sort_by_key(|info| info.offset);
    let fault = |info: &TensorInfo, kind, what: &str, wanted: String, found: u64| {
        Error::new(kind, what).within(info.name.escape_debug()).at(info.at).expected_found(wanted, found)
    };
    let aligned = |position: u64| position.checked_next_multiple_of(header.alignment);
    let mut position = 0_u64;
    let mut entries = Vec::with_capacity(infos.len());
    for info in infos {
        let start = aligned(position).filter(|start| *start == info.offset).ok_or_else(|| {
            let what = "the tensor does not follow the one in front of it";
            fault(info, ErrorKind::BadLayout, what, format!("offset {:?}", aligned(position)), info.offset)
        })?;
        let end = start.checked_add(info.bytes).and_then(|end| end.checked_add(header.bytes));
        if end.is_none_or(|end| end > len) {
            let what = "the tensor lies past the end of the file";
            let wanted = format!("{} bytes at offset {start} of the data", info.bytes);
            return Err(fault(info, ErrorKind::Truncated, what, wanted, len)
                .hint("the file was cut off: copy it again"));
        }
        position = start + info.bytes;
        entries.push(TensorEntry {
            name: info.name.clone(),
            dtype: info.dtype,
            shape: info.shape.clone(),
            member: 0,
            offset: header.bytes + start,
            bytes: info.bytes,
        });
    }
    let used = header.bytes + position;
    match used.checked_next_multiple_of(header.alignment) {
        Some(padded) if len <= padded => Ok(entries),
        _ => Err(Error::new(ErrorKind::BadLayout, "bytes follow the last tensor")
            .at(used)
            .expected_found(format!("{used} bytes and padding"), len)),
    }
}
