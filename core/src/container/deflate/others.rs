//! The ways beside deflate that a zip's member may be compressed (APPNOTE 4.4.5): bzip2, and LZMA behind nine bytes.

use crate::container::Compression;
use crate::{Error, ErrorKind, Result};

/// Bytes taken from the front of the input, and written to the front of the output.
pub(super) type Moved = (usize, usize);

/// A decoder of one of them.
pub(super) enum Other {
    #[cfg(feature = "bzip2")]
    Bzip2 { stream: bzip2::Decompress, has_ended: bool },
    #[cfg(feature = "xz")]
    Lzma(Box<lzma::Lzma>),
}

impl Other {
    /// A decoder, if there is one here: a build for the browser may leave them out.
    pub(super) fn new(compression: Compression) -> Option<Self> {
        match compression {
            #[cfg(feature = "bzip2")]
            Compression::Bzip2 => {
                Some(Self::Bzip2 { stream: bzip2::Decompress::new(false), has_ended: false })
            }
            #[cfg(feature = "xz")]
            Compression::Lzma => Some(Self::Lzma(Box::default())),
            _ => None,
        }
    }

    /// Decodes as far as input and output reach. Nothing is taken behind the end of the stream.
    pub(super) fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Moved> {
        if self.has_ended() {
            return Ok((0, 0));
        }
        match self {
            #[cfg(feature = "bzip2")]
            Self::Bzip2 { stream, has_ended } => {
                let before = (stream.total_in(), stream.total_out());
                let status = stream.decompress(input, output).map_err(|why| damaged("bzip2", why))?;
                *has_ended = status == bzip2::Status::StreamEnd;
                // Both differences are at most the lengths of the slices.
                let taken = (stream.total_in() - before.0) as usize;
                Ok((taken, (stream.total_out() - before.1) as usize))
            }
            #[cfg(feature = "xz")]
            Self::Lzma(lzma) => lzma.decode(input, output),
            #[cfg(not(any(feature = "bzip2", feature = "xz")))]
            _ => {
                _ = (input, output);
                Err(damaged("unknown", "this build has no decoder"))
            }
        }
    }

    /// Whether the stream ended.
    pub(super) fn has_ended(&self) -> bool {
        match self {
            #[cfg(feature = "bzip2")]
            Self::Bzip2 { has_ended, .. } => *has_ended,
            #[cfg(feature = "xz")]
            Self::Lzma(lzma) => lzma.has_ended,
            #[cfg(not(any(feature = "bzip2", feature = "xz")))]
            _ => true,
        }
    }
}

fn damaged(format: &str, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, format!("the member is not valid {format} data"))
        .expected_found(format!("a whole {format} stream"), why)
}

#[cfg(feature = "xz")]
mod lzma {
    use lzma_rust2::{Action, LzmaStream, Status};

    use super::{Moved, damaged};
    use crate::{Result, limits};

    /// Two bytes of a version, two of a length, which must be 5: three small numbers in one byte, and the dictionary.
    const HEADER_BYTES: usize = 9;

    /// LZMA as zips have it. Its end must be marked, as Python's `zipfile` does.
    #[derive(Default)]
    pub(in crate::container::deflate) struct Lzma {
        header: Vec<u8>,
        stream: Option<LzmaStream>,
        pub(super) has_ended: bool,
    }

    impl Lzma {
        pub(super) fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Moved> {
            let taken = (HEADER_BYTES - self.header.len()).min(input.len());
            self.header.extend_from_slice(&input[..taken]);
            if self.stream.is_none() {
                if self.header.len() < HEADER_BYTES {
                    return Ok((taken, 0));
                }
                self.stream = Some(begun(&self.header)?);
            }
            let Some(stream) = &mut self.stream else { return Ok((taken, 0)) };
            let done = stream.process(&input[taken..], output, Action::Run);
            let done = done.map_err(|why| damaged("LZMA", why))?;
            self.has_ended = done.status == Status::StreamEnd;
            Ok((taken + done.bytes_consumed, done.bytes_produced))
        }
    }

    fn begun(header: &[u8]) -> Result<LzmaStream> {
        let (length, properties) = (u16::from_le_bytes([header[2], header[3]]), header[4]);
        let dictionary = u32::from_le_bytes([header[5], header[6], header[7], header[8]]);
        // liblzma, which the validator's reader uses, takes no more than 4 bits of context for literals.
        let context = properties % 9 + properties / 9 % 5;
        if length != 5 || context > 4 || dictionary > limits::XZ_MEMORY_KIB << 10 {
            return Err(damaged("LZMA", format!("the header {header:02x?}")));
        }
        LzmaStream::new_with_props(u64::MAX, properties, dictionary, None).map_err(|why| damaged("LZMA", why))
    }
}
