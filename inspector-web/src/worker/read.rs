//! Reads a browser's files, or one on another host: single ranges, and the whole of each in order.

use bitgauge_core::container::Need;
use bitgauge_core::{Error, ErrorKind, Result};
use js_sys::{ArrayBuffer, Function, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    File, ReadableStream, ReadableStreamByobReader, ReadableStreamDefaultReader,
    ReadableStreamGetReaderOptions, ReadableStreamReaderMode,
};

use super::browser_error;
use super::remote::Remote;

/// Bytes read at once. One buffer of this length in JavaScript and one here serve a whole file.
const PIECE_BYTES: u32 = 4 << 20;

fn unreadable(error: &JsValue) -> Error {
    browser_error("the file cannot be read", error)
        .hint("the file may have been changed or moved since it was chosen: choose it again")
}

/// Where the bytes are.
pub enum Source {
    /// Files that the user chose.
    Files(Vec<File>),
    /// One file on another host.
    Remote(Remote),
}

impl Source {
    /// The length of each file in bytes.
    pub fn lengths(&self) -> Vec<u64> {
        match self {
            Self::Files(files) => files.iter().map(|file| file.size() as u64).collect(),
            Self::Remote(remote) => vec![remote.len],
        }
    }

    /// The bytes of a need, or more of them: where they begin, and what they are.
    pub async fn range(&self, need: Need) -> Result<(u64, Vec<u8>)> {
        match self {
            Self::Files(files) => Ok((need.offset, range(&files[need.file], need.offset, need.len).await?)),
            Self::Remote(remote) => remote.range(need).await,
        }
    }

    /// The bytes of a file in order.
    pub async fn stream(&self, file: usize) -> Result<Stream> {
        let stream = match self {
            Self::Files(files) => files[file].stream(),
            Self::Remote(remote) => remote.stream().await?,
        };
        Ok(Stream::open(stream, self.lengths()[file]))
    }
}

/// `len` bytes at `offset`, which lie within the file.
async fn range(file: &File, offset: u64, len: u64) -> Result<Vec<u8>> {
    // Both are at most the file's length, which came as such a number.
    let (start, end) = (offset as f64, (offset + len) as f64);
    let slice = file.slice_with_f64_and_f64(start, end).map_err(|e| unreadable(&e))?;
    let buffer = JsFuture::from(slice.array_buffer()).await.map_err(|e| unreadable(&e))?;
    let bytes = Uint8Array::new(&buffer).to_vec();
    if bytes.len() as u64 != len {
        return Err(changed(offset, len, bytes.len()));
    }
    Ok(bytes)
}

fn changed(offset: u64, wanted: u64, found: usize) -> Error {
    Error::new(ErrorKind::Truncated, "the file became shorter while it was read")
        .at(offset)
        .expected(format!("{wanted} bytes"), found)
        .hint("choose the file again")
}

/// The bytes of a file in order.
pub struct Stream {
    reader: Reader,
    position: u64,
    length: u64,
    /// Recycled from piece to piece.
    piece: Vec<u8>,
}

enum Reader {
    /// Fills the buffer that it is handed, and hands it back.
    Byob(ReadableStreamByobReader, ArrayBuffer),
    /// Brings buffers of its own, for browsers and streams without the other.
    Default(ReadableStreamDefaultReader),
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
        Self { reader, position: 0, length, piece: Vec::new() }
    }

    /// The next bytes; nothing at the end.
    pub async fn next(&mut self) -> Result<Option<&[u8]>> {
        let read = match &self.reader {
            Reader::Byob(reader, buffer) => reader.read_with_array_buffer_view(&Uint8Array::new(buffer)),
            Reader::Default(reader) => reader.read(),
        };
        let read = JsFuture::from(read).await;
        let read = read.map_err(|error| unreadable(&error).at(self.position))?;
        let value = Reflect::get(&read, &"value".into()).unwrap_or_default();
        self.piece.clear();
        if let Ok(filled) = value.dyn_into::<Uint8Array>() {
            self.piece.resize(filled.length() as usize, 0);
            filled.copy_to(&mut self.piece);
            if let Reader::Byob(_, buffer) = &mut self.reader {
                *buffer = filled.buffer().unchecked_into();
            }
        }
        self.position += self.piece.len() as u64;
        let ends_early = self.piece.is_empty() && self.position < self.length;
        if ends_early || self.position > self.length {
            return Err(changed(self.position, self.length - self.position.min(self.length), 0));
        }
        Ok((!self.piece.is_empty()).then_some(self.piece.as_slice()))
    }
}
