//! Reads a browser's `File`: single ranges, and the whole of it in order.

use bitgauge_core::{Error, ErrorKind, Result};
use js_sys::{ArrayBuffer, Function, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, ReadableStreamByobReader, ReadableStreamGetReaderOptions, ReadableStreamReaderMode};

use super::browser_error;

/// Bytes read at once. One buffer of this length in JavaScript and one here serve a whole file.
const PIECE_BYTES: u32 = 4 << 20;

const UNREADABLE: &str = "the file cannot be read";

/// `len` bytes at `offset`, which lie within the file.
pub async fn range(file: &File, offset: u64, len: u64) -> Result<Vec<u8>> {
    // Both are at most the file's length, which came as such a number.
    let (start, end) = (offset as f64, (offset + len) as f64);
    let slice = file.slice_with_f64_and_f64(start, end).map_err(|e| browser_error(UNREADABLE, &e))?;
    let buffer = JsFuture::from(slice.array_buffer()).await.map_err(|e| browser_error(UNREADABLE, &e))?;
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
pub struct Stream<'f> {
    file: &'f File,
    position: u64,
    from: From,
    /// Recycled from piece to piece.
    piece: Vec<u8>,
}

enum From {
    /// A reader that fills the buffer that it is handed, and hands it back.
    Byob { reader: ReadableStreamByobReader, buffer: ArrayBuffer },
    /// A browser without such readers: one slice after another.
    Slices,
}

impl<'f> Stream<'f> {
    /// Starts at the file's beginning.
    pub fn open(file: &'f File) -> Result<Self> {
        let options = ReadableStreamGetReaderOptions::new();
        options.set_mode(ReadableStreamReaderMode::Byob);
        let stream = file.stream();
        // Through `Reflect`, since web-sys takes it for granted that this cannot fail.
        let reader = Reflect::get(&stream, &"getReader".into())
            .and_then(|get| get.unchecked_into::<Function>().call1(&stream, &options));
        let from = match reader {
            Ok(reader) => {
                From::Byob { reader: reader.unchecked_into(), buffer: ArrayBuffer::new(PIECE_BYTES) }
            }
            Err(_) => From::Slices,
        };
        Ok(Self { file, position: 0, from, piece: Vec::new() })
    }

    /// The next bytes; nothing at the end.
    pub async fn next(&mut self) -> Result<Option<&[u8]>> {
        let length = self.file.size() as u64;
        match &mut self.from {
            From::Byob { reader, buffer } => {
                let view = Uint8Array::new(buffer);
                let read = JsFuture::from(reader.read_with_array_buffer_view(&view)).await;
                let read = read.map_err(|error| browser_error(UNREADABLE, &error).at(self.position))?;
                let field = |name: &str| Reflect::get(&read, &name.into()).unwrap_or_default();
                let filled: Uint8Array = field("value").unchecked_into();
                self.piece.resize(filled.length() as usize, 0);
                filled.copy_to(&mut self.piece);
                *buffer = filled.buffer().unchecked_into();
            }
            From::Slices => {
                let wanted = (length - self.position).min(u64::from(PIECE_BYTES));
                self.piece = range(self.file, self.position, wanted).await?;
            }
        }
        self.position += self.piece.len() as u64;
        if self.piece.is_empty() && self.position < length {
            return Err(changed(self.position, length - self.position, 0));
        }
        Ok((!self.piece.is_empty()).then_some(self.piece.as_slice()))
    }
}
