//! Inflates one compressed archive member piece by piece, never past the length that it declares.

use super::Deflate;
use super::others::Other;
use crate::container::{Compression, Member};
use crate::{Error, ErrorKind, Result};

/// A streaming inflater (RFC 1951, no zlib header; for zips also bzip2 and LZMA) for a member of known lengths.
///
/// It does no IO: the caller hands it compressed bytes in order and takes what comes out. Whoever
/// holds one knows the cap on its output: the declared length, which the directory reader has
/// compared with [`crate::limits::INFLATE_RATIO`] and [`crate::limits::UNPACKED_BYTES`].
#[derive(Debug)]
pub struct Inflater {
    stream: Stream,
    stored_bytes: u64,
    bytes: u64,
}

enum Stream {
    Deflate(Box<Deflate>),
    /// With the bytes taken and written so far.
    Other(Other, u64, u64),
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes to {}", self.total_in(), self.total_out())
    }
}

impl Stream {
    fn total_in(&self) -> u64 {
        match self {
            Self::Deflate(stream) => stream.total_in(),
            Self::Other(_, taken, _) => *taken,
        }
    }

    fn total_out(&self) -> u64 {
        match self {
            Self::Deflate(stream) => stream.total_out(),
            Self::Other(_, _, written) => *written,
        }
    }

    fn has_ended(&self) -> bool {
        match self {
            Self::Deflate(stream) => stream.has_ended(),
            Self::Other(stream, ..) => stream.has_ended(),
        }
    }

    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress> {
        match self {
            Self::Deflate(stream) => stream.decode(input, output).map_err(|fault| {
                Error::new(ErrorKind::Malformed, "the member is not valid deflate data")
                    .at(stream.total_in())
                    .expected_found("a deflate stream (RFC 1951)", fault)
            }),
            Self::Other(stream, total_in, total_out) => {
                let (taken, written) = stream.decode(input, output).map_err(|error| error.at(*total_in))?;
                *total_in += taken as u64;
                *total_out += written as u64;
                Ok(Progress { taken, written })
            }
        }
    }
}

/// What one call of [`Inflater::inflate`] did, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Compressed bytes taken from the front of the input.
    pub taken: usize,
    /// Bytes written to the front of the output.
    pub written: usize,
}

impl Compression {
    /// Whether this build reads members that are compressed like this.
    pub(in crate::container) fn is_read_here(self) -> bool {
        match self {
            Self::Stored | Self::Deflated => true,
            Self::Bzip2 | Self::Lzma => Other::new(self).is_some(),
        }
    }
}

impl Inflater {
    /// An inflater of `stored_bytes` deflated bytes that declare to unpack to `bytes`.
    pub fn new(stored_bytes: u64, bytes: u64) -> Self {
        Self { stream: Stream::Deflate(Box::new(Deflate::new())), stored_bytes, bytes }
    }

    /// An inflater of a member, compressed in a way that this build reads.
    pub fn of(member: &Member) -> Self {
        let mut inflater = Self::new(0, 0);
        inflater.restart(member);
        inflater
    }

    /// Begins with another member, in the same memory.
    pub fn restart(&mut self, member: &Member) {
        (self.stored_bytes, self.bytes) = (member.stored_bytes, member.bytes);
        match (&mut self.stream, Other::new(member.compression)) {
            (Stream::Deflate(stream), None) => stream.reset(),
            (stream, None) => *stream = Stream::Deflate(Box::new(Deflate::new())),
            (stream, Some(other)) => *stream = Stream::Other(other, 0, 0),
        }
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.stream.total_out()
    }

    /// Compressed bytes taken so far: the next input starts at this offset of the member.
    pub fn taken(&self) -> u64 {
        self.stream.total_in()
    }

    /// Inflates from `input` into `output` as far as either reaches.
    ///
    /// Once all declared bytes are out, further calls only look for the end of the stream.
    ///
    /// # Errors
    /// Invalid deflate data, more output than declared, compressed bytes behind the end.
    pub fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress> {
        let mut probe = [0];
        let left = self.bytes - self.written();
        let probing = left == 0;
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(output.len());
        let output = if probing { &mut probe[..] } else { &mut output[..room] };
        let progress = if output.is_empty() {
            Progress { taken: 0, written: 0 }
        } else {
            self.stream.decode(input, output)?
        };
        if self.written() > self.bytes {
            return Err(Error::new(ErrorKind::TooLarge, "the member unpacks to more than it declares")
                .at(self.taken())
                .expected_found(format!("{} bytes", self.bytes), "at least one byte more"));
        }
        if self.stream.has_ended() && self.taken() < self.stored_bytes {
            return Err(Error::new(ErrorKind::BadLayout, "bytes follow the end of the compressed stream")
                .at(self.taken())
                .expected_found(
                    format!("a stream of {} bytes", self.stored_bytes),
                    format!("its end after {}", self.taken()),
                ));
        }
        Ok(progress)
    }

    /// Checks, after the last compressed byte, that the stream ended and gave what it declares.
    ///
    /// # Errors
    /// Less output than declared.
    pub fn finish(&self) -> Result<()> {
        if self.stream.has_ended() && self.written() == self.bytes {
            return Ok(());
        }
        let found = if self.stream.has_ended() { "the stream ends" } else { "the compressed bytes end" };
        Err(Error::new(ErrorKind::Truncated, "the member unpacks to less than it declares")
            .at(self.taken())
            .expected_found(
                format!("{} bytes", self.bytes),
                format!("{found} after {} bytes", self.written()),
            ))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Inflates with the given sizes of input and output pieces.
    fn run(stored: &[u8], bytes: u64, input_piece: usize, output_piece: usize) -> Result<Vec<u8>> {
        let mut inflater = Inflater::new(stored.len() as u64, bytes);
        let (mut out, mut buffer) = (Vec::new(), vec![0; output_piece]);
        let mut at = 0;
        loop {
            let input = &stored[at..stored.len().min(at + input_piece)];
            let step = inflater.inflate(input, &mut buffer)?;
            at += step.taken;
            out.extend_from_slice(&buffer[..step.written]);
            if step == (Progress { taken: 0, written: 0 }) {
                inflater.finish()?;
                return Ok(out);
            }
        }
    }

    #[test]
    fn any_piece_sizes_give_the_same_bytes() {
        let text: Vec<u8> = (0..5000_u32).flat_map(|i| (i * i % 1021).to_le_bytes()).collect();
        let stored = deflated(&text);
        for (input, output) in [(1, 1), (1, 4096), (7, 3), (4096, 1), (1 << 20, 1 << 20)] {
            assert_eq!(run(&stored, text.len() as u64, input, output).unwrap(), text);
        }
        let mut changed = stored.clone();
        changed[stored.len() / 2] ^= 0x10;
        assert_ne!(run(&changed, text.len() as u64, 64, 64).ok(), Some(text));
    }

    #[test]
    fn lengths_are_held_to() {
        let stored = deflated(b"hello hello hello hello");
        let kind = |stored: &[u8], bytes| run(stored, bytes, 64, 64).map_err(|error| error.kind);
        assert_eq!(kind(&stored, 23).as_deref(), Ok(&b"hello hello hello hello"[..]));
        assert_eq!(kind(&stored, 22), Err(ErrorKind::TooLarge));
        assert_eq!(kind(&stored, 24), Err(ErrorKind::Truncated));
        assert_eq!(kind(&stored[..stored.len() - 1], 23), Err(ErrorKind::Truncated));
        assert_eq!(kind(&[&stored[..], b"x"].concat(), 23), Err(ErrorKind::BadLayout));
        assert_eq!(kind(&[0xff; 8], 23), Err(ErrorKind::Malformed));
        assert_eq!(kind(&deflated(b""), 0).as_deref(), Ok(&b""[..]));
    }
}
