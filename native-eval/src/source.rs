//! Opens artifacts and reads their bytes: from a folder, a file, memory, or another host.

mod origin;
mod reader;
mod remote;
mod storage;

use std::borrow::Cow;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use bitgauge_core::container::{
    Artifact, Compressed, Compression, ContainerKind, FileId, Root, TensorEntry, Unpacker, Window,
    fetch_and_open,
};
use bitgauge_core::contract::Halt;
use bitgauge_core::contract::python::Raised;
use bitgauge_core::format::layouts::Scheme;
use bitgauge_core::model::Transformers;
use bitgauge_core::{Error, ErrorKind, Rejection, Result};
use origin::Origin;
use reader::Reader;
use storage::{Storage, allocate, list_folder, list_shards, no_room, reserve, resize};

use crate::hub::Remote;
use crate::input::{io_error, not_regular};

/// Folder that the validator unpacks an archive into, below a temporary one.
const UNPACKED: &str = "artifact";
/// Bytes handed on at once when a member is streamed.
const PIECE_BYTES: usize = 1 << 20;

/// An open artifact: its structure, and access to the bytes of its members and tensors.
///
/// Member numbers are indices into [`Artifact::members`]; another number panics.
#[derive(Debug)]
pub struct Source {
    /// File or folder name, without its path.
    name: String,
    /// Length in bytes of each file that [`FileId`] counts.
    lengths: Vec<u64>,
    /// What stands in front of a member's name in messages: the folder or archive, if any.
    place: Option<String>,
    artifact: Artifact,
    /// The version of transformers that it is read for.
    transformers: Transformers,
    storage: Storage,
    /// The files on disk that it is read from; none in memory.
    origin: Option<Origin>,
    /// What a compressed tar unpacks to, from the first time that a member is read.
    tar: Option<Storage>,
    /// The deflated member that tensors are being read from.
    inflating: Option<(usize, Reader)>,
    /// Recycled between calls.
    piece: Vec<u8>,
}

impl Source {
    /// Opens a folder, a zip, a plain or compressed tar, a safetensors or a GGUF file. A shard of a GGUF model stands for
    /// the whole set, as a folder.
    ///
    /// Errors: what the operating system says ([`ErrorKind::Io`]), a special file in a
    /// folder or a link that leads out of it (and, from a snapshot of the Hugging Face cache, not to a blob), and all faults of the artifact's structure.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let metadata = fs::metadata(path).map_err(|error| io_error(&error).within(&shown))?;
        if metadata.is_dir() {
            let (files, paths): (Vec<_>, Vec<_>) = list_folder(path)?.into_iter().unzip();
            let origin = Some(Origin::new(path, &paths)?);
            let storage = Storage::disk(paths);
            let source = Self::read(Window::new(files), Root::Folder, storage);
            let source = source.map_err(|error| error.within(&shown))?;
            let name =
                path.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
            return Ok(Self { name, place: Some(shown), origin, ..source });
        }
        if !metadata.is_file() {
            return Err(not_regular(metadata.file_type()).within(&shown));
        }
        let name = path.file_name().map_or(shown, |name| name.to_string_lossy().into_owned());
        if let Some(shards) = list_shards(path, &name)? {
            let (files, paths): (Vec<_>, Vec<_>) = shards.into_iter().unzip();
            let origin = Some(Origin::new(path, &paths)?);
            let source = Self::read(Window::new(files), Root::Folder, Storage::disk(paths))?;
            return Ok(Self { name, origin, ..source });
        }
        let origin = Some(Origin::new(path, &[path.to_owned()])?);
        let window = Window::new(vec![(name, metadata.len())]);
        let source = Self::read(window, Root::File, Storage::disk(vec![path.to_owned()]))?;
        Ok(Self { origin, ..source })
    }

    /// Opens a model as the validator finds it in a folder, a zip, or a plain or compressed tar, and reads all of an
    /// archive as unpacking it would.
    ///
    /// Errors: no archive, unsafe names, no config.json, in the validator's words; all of [`Source::open`]'s and of
    /// the members' bytes as bitgauge's own. Those say nothing about the validator, which may take such an archive.
    pub fn open_as_validator(path: &Path) -> Result<Self, Halt> {
        let is_folder = path.is_dir();
        let opened = Self::open(path).and_then(|mut source| {
            if source.has_archive_checksums() {
                source.check_members()?;
            }
            Ok(source)
        });
        let rejection = match opened {
            Ok(source) => match source.artifact.kind {
                ContainerKind::Folder if !is_folder => Rejection::NoArchive,
                ContainerKind::Folder | ContainerKind::Zip | ContainerKind::Tar => {
                    if source.artifact.model_dir.is_some() {
                        return Ok(source);
                    }
                    Rejection::NoConfig
                }
                _ => Rejection::NoArchive,
            },
            Err(error) => error.rejection.clone().ok_or(error)?,
        };
        let root = if is_folder { path.to_owned() } else { std::env::temp_dir().join(UNPACKED) };
        Err(raised(rejection, &root).into())
    }

    /// Whether the members lie in an archive whose checksums nobody compared yet.
    fn has_archive_checksums(&self) -> bool {
        self.artifact.members.iter().any(|member| member.crc32.is_some())
    }

    /// Reads every member to its end, which compares it with the archive's checksum.
    fn check_members(&mut self) -> Result<()> {
        (0..self.artifact.members.len()).try_for_each(|index| self.stream_member(index, &mut |_| Ok(())))
    }

    /// Opens an archive, a safetensors or a GGUF file that is in memory. `name` is for messages.
    pub fn from_bytes(name: &str, bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        let window = Window::new(vec![(name.to_owned(), bytes.len() as u64)]);
        Self::read(window, Root::File, Storage::Memory(Arc::new(bytes)))
    }

    /// The same artifact, to be read beside this one and no longer than it.
    pub fn again(&self) -> Self {
        Self {
            name: self.name.clone(),
            lengths: self.lengths.clone(),
            place: self.place.clone(),
            artifact: self.artifact.clone(),
            transformers: self.transformers,
            storage: self.storage.again(),
            origin: self.origin.clone(),
            tar: self.tar.as_ref().map(Storage::again),
            inflating: None,
            piece: Vec::new(),
        }
    }

    fn read(mut window: Window, root: Root, mut storage: Storage) -> Result<Self> {
        let name = window.files().first().map_or_else(String::new, |(name, _)| name.clone());
        let artifact = fetch_and_open(&mut window, root, |need| {
            let mut bytes = allocate(need.len)?;
            storage.read(need.file, need.offset, &mut bytes)?;
            Ok(bytes)
        })?;
        Ok(Self::of(name, artifact, &window, storage))
    }

    /// An artifact whose structure is known; `name` is that of the first file.
    fn of(name: String, artifact: Artifact, window: &Window, storage: Storage) -> Self {
        let lengths = window.files().iter().map(|(_, length)| *length).collect();
        let is_archive = matches!(artifact.kind, ContainerKind::Zip | ContainerKind::Tar);
        let place = is_archive.then(|| window.name(0).to_owned());
        Self {
            name,
            lengths,
            place,
            artifact,
            transformers: Transformers::default(),
            storage,
            origin: None,
            tar: None,
            inflating: None,
            piece: Vec::new(),
        }
    }

    /// File or folder name, without its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is on disk: a folder or a file.
    pub fn path(&self) -> Option<&Path> {
        self.origin.as_ref().map(Origin::path)
    }

    /// How long each file on disk is and when it was written to. A copy that keeps its times has the same.
    pub(crate) fn times(&self) -> Vec<String> {
        let versions = || self.remote().map(Remote::versions);
        self.origin.as_ref().map(Origin::times).or_else(versions).unwrap_or_default()
    }

    /// Fails where a file that was read is no longer the one that was opened, so that what was read first and last may
    /// not belong together.
    ///
    /// # Errors
    /// A file that was written to, replaced or removed since.
    pub fn expect_unchanged(&self) -> Result<()> {
        self.origin.as_ref().map_or(Ok(()), Origin::expect_unchanged)
    }

    /// Says how the weights lie in tensors, whatever config.json says.
    pub fn set_layout(&mut self, layout: Scheme) {
        self.artifact.layout = Some(Arc::new(layout));
    }

    /// Says which transformers loads it; else the validator's.
    pub fn set_transformers(&mut self, transformers: Transformers) {
        self.transformers = transformers;
    }

    /// Which transformers loads it.
    pub fn transformers(&self) -> Transformers {
        self.transformers
    }

    /// Number of files that [`FileId`] counts: 1 for an archive.
    pub fn file_count(&self) -> usize {
        self.lengths.len()
    }

    /// How long each of them is.
    pub fn file_lengths(&self) -> &[u64] {
        &self.lengths
    }

    /// Hands a file's bytes as they are stored to `sink` in order, in pieces of at most 1 MiB.
    pub fn stream_file(&mut self, file: FileId, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let Some(remote) = self.remote() {
            return remote.stream(file, sink).map_err(|e| self.at_source(e));
        }
        let mut piece = vec![0; PIECE_BYTES];
        let (mut offset, end) = (0, self.lengths[file]);
        while offset < end {
            // At most PIECE_BYTES.
            let length = (end - offset).min(PIECE_BYTES as u64) as usize;
            self.storage.read(file, offset, &mut piece[..length]).map_err(|e| self.at_source(e))?;
            sink(&piece[..length]).map_err(|e| self.at_source(e))?;
            offset += length as u64;
        }
        Ok(())
    }

    /// Puts the artifact's own name in front of an error's place.
    fn at_source(&self, error: Error) -> Error {
        error.within(&self.name)
    }

    /// The artifact's structure.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// All bytes of a member, checked against the archive's checksum. A member of more than
    /// `cap_bytes` is an error, before any of it is read.
    pub fn read_member(&mut self, index: usize, cap_bytes: u64) -> Result<Vec<u8>> {
        let len = self.artifact.members[index].bytes;
        if len > cap_bytes {
            let error = Error::new(ErrorKind::TooLarge, "the file is too long")
                .expected_found(format!("at most {cap_bytes} bytes"), len);
            return Err(self.at_member(index, error));
        }
        let mut bytes = reserve(len).map_err(|error| self.at_member(index, error))?;
        self.stream_member(index, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Hands the member's bytes to `sink` in order, in pieces of at most 1 MiB, the last one only
    /// after the archive's checksum proved right. An error of `sink` ends it and is handed on.
    pub fn stream_member(&mut self, index: usize, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut reader = Reader::new(&self.artifact.members[index]);
        let end = self.artifact.members[index].bytes;
        self.forward(index, &mut reader, end, sink)
    }

    /// The bytes of a tensor of this artifact, as stored.
    ///
    /// In a deflated member this is cheap when tensors are asked for in file order; going back
    /// starts over at the member's beginning. The archive's checksum is checked when the last
    /// tensor of a deflated member is read; for stored members stream them.
    pub fn read_tensor(&mut self, tensor: &TensorEntry) -> Result<Vec<u8>> {
        self.read_tensor_range(tensor, 0, tensor.bytes)
    }

    /// The same, in place of what `bytes` holds.
    pub(crate) fn read_tensor_into(&mut self, tensor: &TensorEntry, bytes: &mut Vec<u8>) -> Result<()> {
        self.read_range_into(tensor, 0, tensor.bytes, bytes)
    }

    /// `len` bytes of a tensor of this artifact from its byte `start` on, which must lie within it.
    /// Otherwise as [`Source::read_tensor`].
    pub(crate) fn read_tensor_range(
        &mut self,
        tensor: &TensorEntry,
        start: u64,
        len: u64,
    ) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_range_into(tensor, start, len, &mut bytes)?;
        Ok(bytes)
    }

    fn read_range_into(
        &mut self,
        tensor: &TensorEntry,
        start: u64,
        len: u64,
        bytes: &mut Vec<u8>,
    ) -> Result<()> {
        let place = |error: Error| error.within(tensor.name.escape_debug());
        let index = tensor.member;
        let offset = tensor.offset + start;
        resize(bytes, len).map_err(|error| self.at_member(index, place(error)))?;
        let member = &self.artifact.members[index];
        let read = match member.compression {
            Compression::Stored => {
                let (file, offset) = (member.file, member.offset + offset);
                self.members()?.read(file, offset, bytes)
            }
            _ => {
                let kept = self.inflating.take();
                let mut reader = match kept {
                    Some((of, reader)) if of == index && reader.position() <= offset => reader,
                    _ => Reader::new(member),
                };
                self.forward(index, &mut reader, offset, &mut |_| Ok(()))?;
                let read = reader.read(self.members()?, bytes);
                // After an error its position means nothing.
                self.inflating = read.is_ok().then_some((index, reader));
                read
            }
        };
        read.map_err(|error| self.at_member(index, place(error)))
    }

    /// Where the members lie: a compressed tar is unpacked for them, into a temporary file.
    fn members(&mut self) -> Result<&mut Storage> {
        let Some(compressed) = self.artifact.compressed else { return Ok(&mut self.storage) };
        let tar = match self.tar.take() {
            Some(tar) => tar,
            None => self.unpack_tar(compressed)?,
        };
        Ok(self.tar.insert(tar))
    }

    fn unpack_tar(&mut self, compressed: Compressed) -> Result<Storage> {
        let mut file = tempfile::NamedTempFile::new().map_err(|error| self.at_source(no_room(&error)))?;
        let mut unpacker = Unpacker::new(compressed.compressor)?;
        self.stream_file(0, &mut |bytes| {
            unpacker.push(bytes, &mut |piece| file.write_all(piece).map_err(|error| no_room(&error)))
        })?;
        unpacker.finish().map_err(|error| self.at_source(error))?;
        Ok(Storage::temporary(file.into_temp_path()))
    }

    /// Hands what lies between the reader's position and `end` to `sink`, piece by piece.
    fn forward(
        &mut self,
        index: usize,
        reader: &mut Reader,
        end: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut piece = std::mem::take(&mut self.piece);
        piece.resize(PIECE_BYTES, 0);
        // Even an empty member has a stream to end and a checksum, so one read is made in any case.
        loop {
            let len = (end - reader.position()).min(PIECE_BYTES as u64) as usize;
            let read = reader.read(self.members()?, &mut piece[..len]);
            read.map_err(|error| self.at_member(index, error))?;
            if len > 0 {
                sink(&piece[..len])?;
            }
            if reader.position() == end {
                break;
            }
        }
        self.piece = piece;
        Ok(())
    }

    /// Completes the place of an error in a member.
    fn at_member(&self, index: usize, error: Error) -> Error {
        let error = error.within(self.artifact.members[index].name.escape_debug());
        match &self.place {
            Some(place) => error.within(place),
            None => error,
        }
    }
}

/// What the validator raises. `root` is the model's folder, or where it unpacks an archive.
fn raised(rejection: Rejection, root: &Path) -> Raised {
    Raised::runtime(match rejection {
        Rejection::NoArchive => {
            "submission artifact must be a Hugging Face model directory, .zip, or tar archive".into()
        }
        Rejection::UnsafePath(name) => format!("unsafe archive path: {name}"),
        Rejection::NoConfig => {
            format!("submission artifact does not contain a Hugging Face config.json: {}", root.display())
        }
    })
}
