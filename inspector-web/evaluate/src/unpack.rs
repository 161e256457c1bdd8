//! Compressed parts of files, unpacked by the browser before weights are looked for in them.

use bitgauge_core::plan::{CompressedRange, CompressionFormat, Plan, PlannedFile};
use bitgauge_core::{Error, ErrorKind, Result};
use inspector_web::files::unreadable;
use inspector_web::protocol::measuring::Measuring;
use js_sys::{Array, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, ReadableStream, ReadableStreamDefaultReader, ReadableWritablePair};

use crate::events::send;
use crate::source::{Source, file};

/// Bytes handed back to the browser at once, which keeps blobs where it has room for them.
const PIECE_BYTES: u64 = 16 << 20;

#[wasm_bindgen]
extern "C" {
    /// The browser's own decompressor, which web-sys knows without "deflate-raw".
    type DecompressionStream;

    #[wasm_bindgen(constructor, catch)]
    fn new(format: &str) -> std::result::Result<DecompressionStream, JsValue>;
}

/// What each planned file holds, with what is compressed unpacked.
///
/// # Errors
/// A file that was not handed over, can't be read, or has changed since it was judged; a browser that does not unpack.
pub async fn unpack(plan: &Plan, files: &[Source]) -> Result<Vec<Source>> {
    let total = plan.files.iter().filter_map(|file| file.compressed.as_ref()).map(|range| range.bytes).sum();
    let (mut unpacked, mut done) = (Vec::new(), 0);
    for PlannedFile { file: number, compressed } in &plan.files {
        let file = file(files, *number)?;
        unpacked.push(match compressed {
            None => file.clone(),
            Some(range) => {
                let bytes = bytes(file, range, |some| {
                    send(&Measuring::Unpacking { done: done + some, total });
                });
                let blob = bytes.await?;
                done += range.bytes;
                Source::Here(blob)
            }
        });
    }
    Ok(unpacked)
}

/// What a range unpacks to; `tell` is told how many bytes there are.
async fn bytes(file: &Source, range: &CompressedRange, tell: impl Fn(u64)) -> Result<Blob> {
    let stored = file.stream(range.offset, range.stored_bytes).await?;
    let reader: ReadableStreamDefaultReader =
        through(&stored, range.format).map_err(|e| unreadable(&e))?.get_reader().unchecked_into();
    let (pieces, blobs) = (Array::new(), Array::new());
    let (mut read, mut kept) = (0, 0);
    tell(0);
    loop {
        let next = JsFuture::from(reader.read()).await.map_err(|e| unreadable(&e))?;
        let piece = Reflect::get(&next, &"value".into()).ok().and_then(|v| v.dyn_into::<Uint8Array>().ok());
        if let Some(piece) = &piece {
            read += u64::from(piece.length());
            pieces.push(piece.as_ref());
        }
        if read > range.bytes || (piece.is_none() && read < range.bytes) {
            return Err(changed(range.bytes, read));
        }
        if read - kept >= PIECE_BYTES || piece.is_none() {
            let blob = Blob::new_with_u8_array_sequence(&pieces).map_err(|e| unreadable(&e))?;
            blobs.push(blob.as_ref());
            pieces.set_length(0);
            kept = read;
            tell(read);
        }
        if piece.is_none() {
            return Blob::new_with_blob_sequence(&blobs).map_err(|e| unreadable(&e));
        }
    }
}

fn through(
    stored: &ReadableStream,
    format: CompressionFormat,
) -> std::result::Result<ReadableStream, JsValue> {
    let name = match format {
        CompressionFormat::Deflate => "deflate-raw",
        CompressionFormat::Gzip => "gzip",
    };
    let pair: ReadableWritablePair = DecompressionStream::new(name)?.unchecked_into();
    Ok(stored.pipe_through(&pair))
}

fn changed(expected: u64, found: u64) -> Error {
    Error::new(ErrorKind::Truncated, "the file unpacks to something else than when it was judged")
        .expected_found(format!("{expected} bytes"), format!("{found} or more"))
        .hint("open the model again")
}
