//! GGUF, version 3: metadata, then tensors, in one file or in a set of shards.
//!
//! It is presented like a model folder: config.json and tokenizer.json are made from its metadata,
//! and each tensor has the name that it has in a checkpoint. What llama.cpp stores differently is left to
//! whoever reads the values ([`crate::model::Quantization::Gguf`]).
//!
//! Source: the specification in ggml's repository (docs/gguf.md), and files written by its own Python
//! package.

mod config;
mod header;
mod names;
mod split;
mod tensors;
mod tokenizer;

use std::collections::BTreeMap;

use super::window::{Pause, Window};
use super::{Artifact, ContainerKind, Member, MemberHeader, READ_AHEAD_BYTES, TensorEntry, member};
use crate::tensor::Dtype;
use crate::{Error, ErrorKind, Result, limits, memory};
use header::{Header, Stop, Value};
pub use split::ShardName;

/// Bytes that the parsed metadata takes at most for each byte of it.
const PARSED_FACTOR: u64 = 8;
/// First bytes of every GGUF file.
pub(super) const MAGIC: &[u8] = b"GGUF";
/// How the names of GGUF files end.
const EXTENSION: &str = ".gguf";
/// The tensor that holds what the rotary frequencies are divided by, and the most that is read of it.
const ROPE_DIVISORS: &str = "rope_freqs.weight";
const ROPE_DIVISORS_BYTES: u64 = 1 << 16;

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

/// Reads the structure of `files`, members of `artifact` that make up one model.
pub(super) fn read(window: &Window, artifact: &mut Artifact, files: &[usize]) -> Result<(), Pause> {
    let headers = window.all(files.iter().map(|file| read_header(window, &artifact.members[*file])))?;
    let shards = split::in_order(&headers).map_err(|(i, error)| {
        let file = files.get(i).map(|file| &artifact.members[*file]);
        Pause::Failed(file.map_or(error.clone(), |file| member::place(window, file, error)))
    })?;
    let mut tensors = Vec::new();
    for (header, file) in headers.iter().zip(files) {
        let member = &artifact.members[*file];
        let placed = tensors::place(header, *file, member.bytes);
        tensors.extend(placed.map_err(|error| member::place(window, member, error))?);
    }
    let divisors = rope_divisors(window, artifact, &mut tensors)?;
    let header = split::joined(headers, &shards);
    let first = &artifact.members[files[shards[0]]];
    let config = config::config(&header, divisors);
    let config = config.map_err(|error| member::place(window, first, error))?;
    for file in files {
        let held: u64 =
            tensors.iter().filter(|tensor| tensor.member == *file).map(|tensor| tensor.bytes).sum();
        let bytes = artifact.members[*file].bytes - held;
        artifact.members[*file].header = Some(MemberHeader { bytes, metadata: None });
    }
    artifact.tensors = names::translate(tensors, config.family, config.layers);
    artifact.config = Some(config.json);
    if artifact.kind == ContainerKind::Gguf {
        artifact.model_dir = Some(String::new());
    }
    artifact.gguf = Some(Metadata(header.metadata));
    Ok(())
}

/// Reads the only GGUF model among the members of `artifact`, which have no config.json; says whether there is one.
pub(super) fn read_folder(window: &Window, artifact: &mut Artifact) -> Result<bool, Pause> {
    if !artifact.members.iter().any(|member| member.name.ends_with(EXTENSION)) {
        return Ok(false);
    }
    let files = split::only_model(&artifact.members)?;
    if !files.is_empty() {
        read(window, artifact, &files)?;
    }
    Ok(!files.is_empty())
}

/// The numbers that the rotary frequencies are divided by, where the file has such a tensor. It says how the model runs and
/// is no weight, so it is taken out and counts with the metadata.
fn rope_divisors(
    window: &Window,
    artifact: &Artifact,
    tensors: &mut Vec<TensorEntry>,
) -> Result<Option<Vec<f32>>, Pause> {
    let Some(at) = tensors.iter().position(|tensor| tensor.name == ROPE_DIVISORS) else { return Ok(None) };
    let tensor = &tensors[at];
    let member = &artifact.members[tensor.member];
    if tensor.dtype != Dtype::F32 || tensor.bytes > ROPE_DIVISORS_BYTES {
        let error =
            Error::new(ErrorKind::Unsupported, "divisors of the rotary frequencies that are not read")
                .within(ROPE_DIVISORS)
                .expected_found(
                    format!("F32, at most {ROPE_DIVISORS_BYTES} bytes"),
                    format!("{} of {}", tensor.shape.iter().product::<u64>(), tensor.dtype.name()),
                );
        return Err(member::place(window, member, error).into());
    }
    let bytes = window.get(member.file, member.offset + tensor.offset, tensor.bytes)?;
    let divisors = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    tensors.remove(at);
    Ok(Some(divisors))
}

/// How long the header is does not stand anywhere: it is parsed from ever longer beginnings of the file.
/// Fourfold steps keep the work of starting over within a third of the last try's.
fn read_header(window: &Window, member: &Member) -> Result<Header, Pause> {
    let len = member.bytes;
    let mut have = READ_AHEAD_BYTES.min(len);
    loop {
        let bytes = window.get(member.file, member.offset, have)?;
        memory::require(have * PARSED_FACTOR, "the metadata")?;
        match header::parse(bytes) {
            Ok(header) => return Ok(header),
            Err(Stop::Faulty(error)) => return Err(member::place(window, member, error).into()),
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
                return Err(member::place(window, member, error.at(offset)).into());
            }
        }
    }
}
