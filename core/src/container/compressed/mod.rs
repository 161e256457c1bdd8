//! Compressed tars. They can only be read from their beginning to their end, so the structure takes one pass
//! ([`TarStream`]) and the payload another ([`crate::scan`]).

#[cfg(feature = "bzip2")]
mod bzip2;
mod gzip;
#[cfg(feature = "xz")]
mod lzma;
mod stream;
#[cfg(feature = "xz")]
mod xz;

use crate::{Error, ErrorKind, Result, limits};

pub use stream::TarStream;

/// Bytes unpacked at a time.
const PIECE_BYTES: usize = 256 << 10;

/// How a tar is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Compressor {
    Gzip,
    Bzip2,
    Xz,
    Lzma,
}

impl Compressor {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Gzip, Self::Bzip2, Self::Xz, Self::Lzma];

    /// Tells by a file's first bytes.
    pub(super) fn of(first: &[u8]) -> Option<Self> {
        let magics: [(&[u8], Self); 3] =
            [(b"\x1f\x8b", Self::Gzip), (b"BZh", Self::Bzip2), (b"\xfd7zXZ\0", Self::Xz)];
        let by_magic = magics.into_iter().find(|(magic, _)| first.starts_with(magic));
        let lzma = (lzma_length(first) == Some(u64::MAX)).then_some(Self::Lzma);
        by_magic.map(|(_, compressor)| compressor).or(lzma)
    }

    /// Whether this build reads it: a build for the browser may leave some out.
    pub fn is_read_here(self) -> bool {
        match self {
            Self::Gzip => true,
            Self::Bzip2 => cfg!(feature = "bzip2"),
            Self::Xz | Self::Lzma => cfg!(feature = "xz"),
        }
    }

    /// The name of the program that compresses like this.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
        }
    }
}

/// What a file that begins like this unpacks to in bytes, if liblzma takes its beginning for a header of the format
/// before xz, which has no magic number. Where that is not known, the length is the largest number.
fn lzma_length(first: &[u8]) -> Option<u64> {
    /// Lengths from here on are not believed.
    const CONTENTS_BYTES: u64 = 1 << 38;
    let (properties, rest) = first.split_first()?;
    let (dictionary, rest) = rest.split_first_chunk()?;
    let dictionary = u32::from_le_bytes(*dictionary);
    let length = u64::from_le_bytes(*rest.first_chunk()?);
    // Three small numbers in one: below 9, 5 and 5, the first two at most 4 together.
    let (literal, position) = (properties % 9, properties / 9 % 5);
    let are_properties = *properties < 9 * 5 * 5 && literal + position <= 4;
    // A power of two, or one and a half of it, or the largest number.
    let top = dictionary.checked_ilog2().map_or(0, |log| 1 << log);
    let is_size = [u32::MAX, top, top | top >> 1].contains(&dictionary);
    let is_length = length < CONTENTS_BYTES || length == u64::MAX;
    (are_properties && is_size && is_length).then_some(length)
}

/// Whether the validator's reader, which looks for compressed tars first, may take a tar that begins like this for one.
/// Zeros behind the first byte are an empty file of the format before xz; what follows that is looked at anew.
pub(super) fn may_be_compressed(mut first: &[u8]) -> bool {
    /// Bytes of such a file.
    const EMPTY_BYTES: usize = 18;
    while lzma_length(first).is_some() {
        if first.iter().take(EMPTY_BYTES).skip(1).any(|byte| *byte != 0) {
            return true;
        }
        first = first.get(EMPTY_BYTES..).unwrap_or_default();
    }
    Compressor::of(first).is_some() || may_be_lzma(first)
}

/// Whether the validator's reader may take a file that begins like this for one of the formats before and beside xz.
pub(super) fn may_be_lzma(first: &[u8]) -> bool {
    first.starts_with(b"LZIP") || lzma_length(first).is_some()
}

/// Bytes that one step of a decoder moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Moved {
    /// From the front of the input.
    taken: usize,
    /// To the front of the output.
    written: usize,
}

enum Decoder {
    Gzip(Box<gzip::Gzip>),
    #[cfg(feature = "bzip2")]
    Bzip2(bzip2::Bzip2),
    #[cfg(feature = "xz")]
    Xz(Box<xz::Xz>),
    #[cfg(feature = "xz")]
    Lzma(Box<lzma::Lzma>),
}

impl Decoder {
    fn new(compressor: Compressor) -> Result<Self> {
        match compressor {
            Compressor::Gzip => Ok(Self::Gzip(Box::new(gzip::Gzip::new()))),
            #[cfg(feature = "bzip2")]
            Compressor::Bzip2 => Ok(Self::Bzip2(bzip2::Bzip2::default())),
            #[cfg(feature = "xz")]
            Compressor::Xz => Ok(Self::Xz(Box::default())),
            #[cfg(feature = "xz")]
            Compressor::Lzma => Ok(Self::Lzma(Box::new(lzma::Lzma::new()))),
            #[cfg(not(all(feature = "bzip2", feature = "xz")))]
            _ => Err(Error::new(ErrorKind::Unsupported, "this build can't read such a compressed tar")
                .expected_found(
                    "a tar, or one compressed otherwise",
                    format!("one compressed with {}", compressor.name()),
                )
                .hint("unpack it, or use the command line")),
        }
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Moved> {
        match self {
            Self::Gzip(gzip) => gzip.step(input, output),
            #[cfg(feature = "bzip2")]
            Self::Bzip2(bzip2) => bzip2.step(input, output),
            #[cfg(feature = "xz")]
            Self::Xz(xz) => xz.step(input, output),
            #[cfg(feature = "xz")]
            Self::Lzma(lzma) => lzma.step(input, output),
        }
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Gzip(gzip) => gzip.is_complete(),
            #[cfg(feature = "bzip2")]
            Self::Bzip2(bzip2) => bzip2.is_complete(),
            #[cfg(feature = "xz")]
            Self::Xz(xz) => xz.is_complete(),
            #[cfg(feature = "xz")]
            Self::Lzma(lzma) => lzma.is_complete(),
        }
    }
}

/// Unpacks a compressed file that is pushed through it, piece by piece.
///
/// Members or streams may follow each other, as Python's readers take them; anything else behind them is
/// refused. What unpacks to more than [`limits::UNPACKED_BYTES`], or to more than [`limits::INFLATE_RATIO`]
/// times its size, is refused as soon as it does.
pub struct Unpacker {
    decoder: Decoder,
    buffer: Vec<u8>,
    taken: u64,
    written: u64,
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unpacker({} bytes to {})", self.taken, self.written)
    }
}

impl Unpacker {
    /// An unpacker of a file that is compressed like this.
    ///
    /// # Errors
    /// A compression that this build can't read.
    pub fn new(compressor: Compressor) -> Result<Self> {
        let decoder = Decoder::new(compressor)?;
        Ok(Self { decoder, buffer: vec![0; PIECE_BYTES], taken: 0, written: 0 })
    }

    /// Unpacked bytes so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether zeros follow xz streams.
    fn is_padded(&self) -> bool {
        #[cfg(feature = "xz")]
        if let Decoder::Xz(xz) = &self.decoder {
            return xz.is_padded();
        }
        false
    }

    /// Takes the file's next bytes, all of them; `sink` is given what they unpack to, in order.
    ///
    /// # Errors
    /// Damaged data, too much of it, what `sink` refuses. Nothing may be pushed after an error.
    pub fn push(&mut self, mut input: &[u8], sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        loop {
            // Without an offset: how far a decoder came before it stopped depends on the pieces.
            let moved = self.decoder.step(input, &mut self.buffer)?;
            self.taken += moved.taken as u64;
            self.written += moved.written as u64;
            self.check_size()?;
            input = &input[moved.taken..];
            if moved.written > 0 {
                sink(&self.buffer[..moved.written])?;
            }
            if moved == Moved::default() {
                break;
            }
        }
        if input.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::BadLayout, "bytes follow the end of the compressed data")
            .at(self.taken)
            .expected_found("the end of the file", format!("{} bytes more", input.len()))
            .hint("bytes behind the archive must be removed"))
    }

    fn check_size(&self) -> Result<()> {
        let most =
            self.taken.saturating_mul(limits::INFLATE_RATIO).saturating_add(limits::UNPACK_SLACK_BYTES);
        let most = most.min(limits::UNPACKED_BYTES);
        if self.written <= most {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooLarge, "the archive unpacks to too much")
            .at(self.taken)
            .expected_found(format!("at most {most} bytes"), format!("{} so far", self.written)))
    }

    /// Checks, after the last byte, that the compressed data ended.
    ///
    /// # Errors
    /// It did not.
    pub fn finish(&self) -> Result<()> {
        if self.decoder.is_complete() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Truncated, "the compressed data ends too early")
            .at(self.taken)
            .expected_found("the end of its last stream", "the end of the file")
            .hint("the file was cut off: copy or pack it again"))
    }
}
