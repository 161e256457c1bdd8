//! Reads a browser's files, or those on another host: single ranges, and the whole of each in order.

use std::rc::Rc;

use bitgauge_core::container::Need;
use bitgauge_core::{Error, Result};
use js_sys::{ArrayBuffer, Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    File, ReadableStream, ReadableStreamDefaultReader, ReadableStreamGetReaderOptions,
    ReadableStreamReaderMode,
};

use super::PIECE_BYTES;
use super::ring::Ring;
use crate::files::{changed, range, unreadable};
#[cfg(not(feature = "formats"))]
use crate::remote::Remote;

/// Where the bytes are.
pub enum Source {
    /// Files that the user chose.
    Files(Vec<File>),
    /// Files on another host.
    #[cfg(not(feature = "formats"))]
    Remote(Remote),
}

impl Source {
    /// The length of each file in bytes.
    pub fn lengths(&self) -> Vec<u64> {
        match self {
            Self::Files(files) => files.iter().map(|file| file.size() as u64).collect(),
            #[cfg(not(feature = "formats"))]
            Self::Remote(remote) => remote.lengths(),
        }
    }

    /// The bytes of a need, or more of them: where they begin, and what they are.
    pub async fn range(&self, need: Need) -> Result<(u64, Vec<u8>)> {
        match self {
            Self::Files(files) => Ok((need.offset, range(&files[need.file], need.offset, need.len).await?)),
            #[cfg(not(feature = "formats"))]
            Self::Remote(remote) => remote.range(need).await,
        }
    }

    /// The bytes of a file in order.
    pub async fn stream(&self, file: usize) -> Result<Stream> {
        let stream = match self {
            Self::Files(files) => files[file].stream(),
            #[cfg(not(feature = "formats"))]
            Self::Remote(remote) => remote.stream(file).await?,
        };
        Ok(Stream::open(stream, self.lengths()[file]))
    }
}

/// The bytes of a file in order.
pub struct Stream {
    reader: Reader,
    /// Who gets each piece, too.
    ring: Option<Rc<Ring>>,
    position: u64,
    length: u64,
    /// The piece that was read last, and more. Recycled from piece to piece.
    piece: Vec<u8>,
}

enum Reader {
    /// Fills the buffer that it is handed, and hands it back.
    Byob(ByobReader, ArrayBuffer),
    /// Brings buffers of its own, for browsers and streams without the other.
    Default(ReadableStreamDefaultReader),
}

#[wasm_bindgen]
extern "C" {
    /// A `ReadableStreamBYOBReader`, which web-sys knows without the options of `read`.
    type ByobReader;

    #[wasm_bindgen(method)]
    fn read(this: &ByobReader, into: &Uint8Array, options: &Object) -> Promise;
}

/// Reads until `buffer` is full or the stream ends. Browsers bring 64 KiB at a time otherwise, and each is a
/// message between workers.
async fn fill(
    reader: &ByobReader,
    mut buffer: ArrayBuffer,
) -> std::result::Result<Option<Uint8Array>, JsValue> {
    let options = Object::new();
    let mut filled = 0;
    loop {
        let free = Uint8Array::new_with_byte_offset(&buffer, filled);
        // Browsers without this option read what there is.
        Reflect::set(&options, &"min".into(), &free.length().into())?;
        let read = JsFuture::from(reader.read(&free, &options)).await?;
        let Some(bytes) = bytes_of(read) else { return Ok(None) };
        filled += bytes.length();
        buffer = bytes.buffer().unchecked_into();
        if bytes.length() == 0 || filled == PIECE_BYTES {
            return Ok(Some(Uint8Array::new_with_byte_offset_and_length(&buffer, 0, filled)));
        }
    }
}

/// What a read brought; nothing at the end, but for an empty view of the buffer that it was handed.
fn bytes_of(read: JsValue) -> Option<Uint8Array> {
    Reflect::get(&read, &"value".into()).ok()?.dyn_into().ok()
}

impl Stream {
    fn open(stream: ReadableStream, length: u64) -> Self {
        let options = ReadableStreamGetReaderOptions::new();
        options.set_mode(ReadableStreamReaderMode::Byob);
        // Through `Reflect`, since web-sys takes it for granted that this cannot fail.
        let byob = Reflect::get(&stream, &"getReader".into())
            .and_then(|get| get.unchecked_into::<Function>().call1(&stream, &options));
        let reader = match byob {
            Ok(reader) => Reader::Byob(reader.unchecked_into(), ArrayBuffer::new(PIECE_BYTES)),
            Err(_) => Reader::Default(stream.get_reader().unchecked_into()),
        };
        Self { reader, ring: None, position: 0, length, piece: Vec::new() }
    }

    /// Passes all bytes on to other workers, too.
    pub fn shared(mut self, ring: Option<Rc<Ring>>) -> Self {
        self.ring = ring;
        self
    }

    /// The next bytes; nothing at the end.
    pub async fn next(&mut self) -> Result<Option<&[u8]>> {
        let Some(bytes) = self.read().await? else {
            if let Some(ring) = &self.ring {
                // For that which was taken and not passed on.
                ring.stock(1);
            }
            let ends_early = self.position < self.length;
            return if ends_early { Err(self.changed()) } else { Ok(None) };
        };
        let count = bytes.length() as usize;
        if self.piece.len() < count {
            self.piece.resize(count, 0);
        }
        bytes.copy_to(&mut self.piece[..count]);
        self.release(bytes);
        self.position += count as u64;
        if self.position > self.length { Err(self.changed()) } else { Ok(Some(&self.piece[..count])) }
    }

    /// The next bytes in JavaScript's memory.
    async fn read(&mut self) -> Result<Option<Uint8Array>> {
        if let Some(ring) = &self.ring {
            // Also without use for the buffer: it says that the others keep up.
            let free = ring.buffer().await;
            if let Reader::Byob(_, buffer) = &mut self.reader {
                *buffer = free;
            }
        }
        let bytes = match &self.reader {
            Reader::Byob(reader, buffer) => fill(reader, buffer.clone()).await,
            Reader::Default(reader) => JsFuture::from(reader.read()).await.map(bytes_of),
        };
        let bytes = bytes.map_err(|error| unreadable(&error).at(self.position))?;
        Ok(bytes.filter(|bytes| bytes.length() > 0))
    }

    /// Hands the buffer of bytes that were copied to who needs it next.
    fn release(&mut self, bytes: Uint8Array) {
        match (&self.ring, &mut self.reader) {
            (Some(ring), _) => ring.pass(&bytes),
            (None, Reader::Byob(_, buffer)) => *buffer = bytes.buffer().unchecked_into(),
            (None, Reader::Default(_)) => {}
        }
    }

    fn changed(&self) -> Error {
        changed(self.position, self.length.saturating_sub(self.position), 0)
    }
}
