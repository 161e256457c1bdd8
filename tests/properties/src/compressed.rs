//! Compressed tars: the decoders of flate2, bzip2 and lzma-rust2 over the whole file give what ours gives in pieces,
//! and the tar that comes out holds what it holds when it is not compressed.

use std::io::Read;

use bitgauge_core::Result;
use bitgauge_core::container::{Compressor, Unpacker};

use crate::Outcome;
use crate::artifact::{Files, assert_same_contents};
use crate::pieces::Cuts;

/// Where the flags of a gzip header stand, and the one for a checksum of the header.
const GZIP_FLAGS: usize = 3;
const HAS_CHECKSUM: u8 = 2;

/// A compressed file, a tar or not.
pub fn check(input: &[u8]) -> Outcome {
    let mut cuts = Cuts::of(input);
    let Some(compressor) = compressor(input) else { return Outcome::Refused };
    let at_once = unpack(compressor, |take| take(input));
    let in_pieces = unpack(compressor, |take| cuts.cut(input, take));
    assert_eq!(at_once.as_ref().ok(), in_pieces.as_ref().ok(), "the pieces changed what was unpacked");
    let Ok(unpacked) = at_once else { return Outcome::Refused };
    match decode(compressor, input) {
        Ok(Some(theirs)) => assert!(unpacked == theirs, "{compressor:?} has other contents"),
        Ok(None) => {}
        Err(error) => panic!("{compressor:?} only to us: {error}"),
    }

    let files = Files::single("a", input);
    let Some(artifact) = files.check(&mut cuts) else { return Outcome::Accepted };
    match Files::single("a", &unpacked).open() {
        Ok(plain) => assert_same_contents(&artifact, &plain),
        Err(error) => assert!(error.what.contains("may be taken for a zip"), "{error}"),
    }
    Outcome::Accepted
}

fn compressor(input: &[u8]) -> Option<Compressor> {
    let magics: [(&[u8], Compressor); 3] =
        [(b"\x1f\x8b", Compressor::Gzip), (b"BZh", Compressor::Bzip2), (b"\xfd7zXZ\0", Compressor::Xz)];
    magics.into_iter().find(|(magic, _)| input.starts_with(magic)).map(|(_, compressor)| compressor)
}

/// Takes pieces of input.
type Take<'t> = &'t mut dyn FnMut(&[u8]) -> Result<()>;

fn unpack(compressor: Compressor, give: impl FnOnce(Take) -> Result<()>) -> Result<Vec<u8>> {
    let mut unpacker = Unpacker::new(compressor)?;
    let mut unpacked = Vec::new();
    give(&mut |piece| {
        unpacker.push(piece, &mut |bytes| {
            unpacked.extend_from_slice(bytes);
            Ok(())
        })
    })?;
    unpacker.finish()?;
    assert_eq!(unpacker.written(), unpacked.len() as u64);
    Ok(unpacked)
}

/// The whole file by another decoder; nothing where that can't be asked. It compares the checksum of a gzip header, which
/// Python passes over, and so do we.
fn decode(compressor: Compressor, input: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    let mut out = Vec::new();
    match compressor {
        Compressor::Gzip => {
            // Zeros may follow a member, for us as for Python.
            let mut rest = input;
            while rest.iter().any(|byte| *byte != 0) {
                let start = if out.is_empty() && rest.len() == input.len() { 0 } else { leading_zeros(rest) };
                let mut decoder = flate2::bufread::GzDecoder::new(&rest[start..]);
                if decoder.header().is_none()
                    && rest.get(start + GZIP_FLAGS).is_some_and(|f| f & HAS_CHECKSUM != 0)
                {
                    return Ok(None);
                }
                decoder.read_to_end(&mut out)?;
                rest = decoder.into_inner();
            }
        }
        Compressor::Bzip2 => drop(bzip2::bufread::MultiBzDecoder::new(input).read_to_end(&mut out)?),
        Compressor::Xz => {
            // A stream ends with `YZ`. Any number of zeros may follow the last one, for us as for Python.
            let end = input.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            lzma_rust2::XzReader::new(&input[..end], true).read_to_end(&mut out)?;
        }
        Compressor::Lzma => {
            lzma_rust2::LzmaReader::new_mem_limit(input, u32::MAX, None)?.read_to_end(&mut out)?;
        }
    }
    Ok(Some(out))
}

fn leading_zeros(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == 0).count()
}
