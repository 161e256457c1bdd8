//! The structure of a compressed tar, from one pass over it.

use super::super::window::{Pause, READ_AHEAD_BYTES, Window};
use super::super::{Artifact, Compressed, ContainerKind, Member, model, names, safetensors, tar};
use super::{Compressor, Unpacker};
use crate::model::{GENERATION, GENERATION_BYTES};
use crate::{Error, ErrorKind, Rejection, Result, limits, memory};

/// A pass over a compressed tar that keeps what its structure is read from: headers of the tar, small files of
/// JSON, headers of safetensors.
#[derive(Debug)]
pub struct TarStream {
    name: String,
    compressor: Compressor,
    /// Compressed bytes so far.
    size_bytes: u64,
    unpacker: Unpacker,
    picker: Picker,
}

impl TarStream {
    /// A pass over the tar of this file name.
    ///
    /// # Errors
    /// A compression that this build can't read.
    pub fn new(name: &str, compressor: Compressor) -> Result<Self> {
        let unpacker = Unpacker::new(compressor).map_err(|error| error.within(name))?;
        Ok(Self { name: name.to_owned(), compressor, size_bytes: 0, unpacker, picker: Picker::new() })
    }

    /// Takes the file's next bytes, of any number.
    ///
    /// # Errors
    /// Damaged or hostile data; the pass can't go on.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.size_bytes += bytes.len() as u64;
        let picker = &mut self.picker;
        let pushed = self.unpacker.push(bytes, &mut |piece| picker.push(piece));
        pushed.map_err(|error| error.within(&self.name))
    }

    /// The artifact's structure, after the last byte.
    ///
    /// # Errors
    /// Data that ends too early, and every fault of a tar and of the model in it.
    pub fn finish(self) -> Result<Artifact> {
        let place = |error: Error| error.within(&self.name);
        self.unpacker.finish().map_err(place)?;
        let unpacked_bytes = self.unpacker.written();
        // The validator's reader goes on to look for the mark, and fails at what it takes for another stream.
        let may_go_on = self.unpacker.is_padded() || self.compressor == Compressor::Lzma;
        if may_go_on && self.picker.wanted.is_some() {
            let what = "a tar that is compressed like this has no mark of its end";
            let error = Error::new(ErrorKind::BadLayout, what).at(self.size_bytes);
            return Err(place(
                error.expected_found("zeros at the end of the tar", "none").hint("write the archive again"),
            ));
        }
        let (members, kept) = self.picker.finish(unpacked_bytes).map_err(place)?;
        let mut window = Window::new(vec![(self.name.clone(), unpacked_bytes)]);
        kept.into_iter().try_for_each(|(offset, bytes)| window.feed(0, offset, bytes))?;
        match model::read(&window, ContainerKind::Tar, self.size_bytes, members) {
            Ok(artifact) => Ok(Artifact {
                compressed: Some(Compressed { compressor: self.compressor, unpacked_bytes }),
                ..artifact
            }),
            Err(Pause::Failed(error)) => Err(error),
            Err(_) => Err(place(
                Error::new(ErrorKind::Unsupported, "a weight file of the compressed tar has an unusual name")
                    .expected_found(
                        "weights in files that end with .safetensors",
                        "another name in the shard index",
                    )
                    .hint("unpack the archive"),
            )),
        }
    }
}

/// Ranges of the tar by their offset.
type Kept = Vec<(u64, Vec<u8>)>;

/// Picks out of a tar that passes by what its structure is read from.
#[derive(Debug)]
struct Picker {
    walker: tar::Walker,
    /// Unpacked bytes that passed by.
    position: u64,
    /// What is being collected: where it starts, how long it is, and what of it came by.
    wanted: Option<(u64, u64)>,
    collected: Vec<u8>,
    /// The member that `wanted` belongs to; `None` for the tar's own headers.
    member: Option<Member>,
    kept: Kept,
    kept_bytes: u64,
}

impl Picker {
    fn new() -> Self {
        let walker = tar::Walker::new(0);
        Self {
            wanted: walker.wants(),
            walker,
            position: 0,
            collected: Vec::new(),
            member: None,
            kept: Vec::new(),
            kept_bytes: 0,
        }
    }

    fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let Some((start, len)) = self.wanted {
            let skip = start.saturating_sub(self.position).min(bytes.len() as u64);
            let missing = len - self.collected.len() as u64;
            let take = missing.min(bytes.len() as u64 - skip);
            // Both are at most the slice's length.
            let (skip, take) = (skip as usize, take as usize);
            memory::append(&mut self.collected, &bytes[skip..skip + take], "headers of a tar")?;
            self.position += (skip + take) as u64;
            bytes = &bytes[skip + take..];
            if (take as u64) < missing {
                return Ok(());
            }
            self.collect(start)?;
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Takes what was collected from `start` on, and decides what is wanted next.
    fn collect(&mut self, start: u64) -> Result<()> {
        if let Some(member) = self.member.take() {
            if self.wants_more(&member)? {
                self.member = Some(member);
                return Ok(());
            }
            self.kept.push((start, std::mem::take(&mut self.collected)));
        } else {
            if start == 0 && !tar::looks_like(&self.collected) {
                let error = Error::new(ErrorKind::Unsupported, "the compressed file is not a tar archive")
                    .at(0)
                    .expected_found("a tar of a model folder", "other contents")
                    .hint("give the model folder itself, or a zip or tar of it");
                let rejection = tar::rejection(&self.collected);
                return Err(match rejection {
                    Some(rejection) => error.rejected_as(rejection),
                    None => error,
                });
            }
            let member = self.walker.take(&self.collected)?.cloned();
            self.collected.clear();
            if let Some((member, len)) =
                member.and_then(|member| first_wanted(&member).map(|len| (member, len)))
            {
                self.add_kept(len)?;
                self.wanted = Some((member.offset, len));
                self.member = Some(member);
                return Ok(());
            }
        }
        self.wanted = self.walker.wants();
        Ok(())
    }

    /// Whether the header of a safetensors file goes on behind what was collected of it.
    fn wants_more(&mut self, member: &Member) -> Result<bool> {
        let Some(length) = self.collected.first_chunk().copied().map(u64::from_le_bytes) else {
            return Ok(false);
        };
        let header = length.saturating_add(safetensors::LENGTH_BYTES);
        let have = self.collected.len() as u64;
        // What is over a cap, or past the end, is an error of the header's reader.
        let more = member.name.ends_with(model::EXTENSION)
            && length <= limits::SAFETENSORS_HEADER_BYTES
            && header > have
            && header <= member.bytes;
        if more {
            self.add_kept(header - have)?;
            self.wanted = Some((member.offset, header));
        }
        Ok(more)
    }

    fn add_kept(&mut self, bytes: u64) -> Result<()> {
        self.kept_bytes += bytes;
        if self.kept_bytes <= limits::TAR_KEPT_BYTES {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooLarge, "the compressed tar has too many headers and JSON files")
            .at(self.position)
            .expected_found(format!("at most {} bytes of them", limits::TAR_KEPT_BYTES), "more"))
    }

    /// The members of a tar of this many bytes, and what was kept of them, each with its offset.
    fn finish(self, bytes: u64) -> Result<(Vec<Member>, Kept)> {
        let members = self.walker.finish(bytes);
        Ok((
            members.map_err(|error| {
                if bytes < tar::BLOCK { error.rejected_as(Rejection::NoArchive) } else { error }
            })?,
            self.kept,
        ))
    }
}

/// How much of a member's beginning its reader asks for at first; nothing of what is not read for the structure.
fn first_wanted(member: &Member) -> Option<u64> {
    let base = names::base(&member.name);
    let cap = match base {
        model::CONFIG => limits::CONFIG_BYTES,
        GENERATION => GENERATION_BYTES,
        model::INDEX => limits::INDEX_BYTES,
        _ if base.ends_with(model::EXTENSION) => READ_AHEAD_BYTES,
        _ => return None,
    };
    Some(if member.bytes <= cap { member.bytes } else { READ_AHEAD_BYTES })
}
