//! gzip (RFC 1952): members one after the other, each with its own checksum; zeros may follow.

use super::super::deflate::Deflate;
use super::Moved;
use crate::crc32::Crc32;
use crate::{Error, ErrorKind, Result};

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;
const FIXED_BYTES: usize = 10;
const TRAILER_BYTES: usize = 8;
const HAS_CHECKSUM: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// What is read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first bytes of a member, or zeros behind the last.
    Start,
    /// Length of the extra field.
    ExtraLength,
    /// What is left of it, or of the header's checksum, to be passed over.
    Skip(usize),
    /// A text that ends with a NUL.
    Text,
    Body,
    Trailer,
}

/// Decodes gzip members.
#[derive(Debug)]
pub(super) struct Gzip {
    state: State,
    /// Bytes of a field of fixed length so far.
    field: Vec<u8>,
    /// Optional fields of the header that are still to come.
    flags: u8,
    body: Deflate,
    crc: Crc32,
    /// Whether a whole member was read; only then may zeros follow.
    any: bool,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            state: State::Start,
            field: Vec::new(),
            flags: 0,
            body: Deflate::new(),
            crc: Crc32::new(),
            any: false,
        }
    }

    /// Decodes as far as input and output reach.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Moved> {
        let mut taken = 0;
        while self.state != State::Body {
            let Some(&byte) = input.get(taken) else { return Ok(Moved { taken, written: 0 }) };
            self.take(byte)?;
            taken += 1;
        }
        let moved = self.body.decode(&input[taken..], output).map_err(|fault| {
            Error::new(ErrorKind::Malformed, "the gzip file is damaged")
                .expected_found("a deflate stream (RFC 1951)", fault)
        })?;
        let (taken, written) = (taken + moved.taken, moved.written);
        self.crc.update(&output[..written]);
        if self.body.has_ended() {
            self.state = State::Trailer;
        }
        Ok(Moved { taken, written })
    }

    /// Takes a byte outside the deflate stream.
    fn take(&mut self, byte: u8) -> Result<()> {
        let state = self.state;
        match state {
            State::Start if self.any && self.field.is_empty() && byte == 0 => {}
            State::Start if self.has(byte, FIXED_BYTES) => {
                let flags = self.field[3];
                if self.field[..2] != MAGIC || self.field[2] != DEFLATE || flags & RESERVED != 0 {
                    return Err(Error::new(ErrorKind::BadLayout, "the next part is not a gzip member")
                        .expected_found(
                            "1f 8b 08 and known flags, or the end",
                            format!("{:02x?}", &self.field[..4]),
                        ));
                }
                self.flags = flags;
                self.next_field();
            }
            State::ExtraLength if self.has(byte, 2) => {
                let length = usize::from(self.field[0]) | usize::from(self.field[1]) << 8;
                self.skip(length);
            }
            State::Skip(left) => self.skip(left - 1),
            State::Text if byte == 0 => self.next_field(),
            State::Trailer if self.has(byte, TRAILER_BYTES) => self.check()?,
            _ => {}
        }
        Ok(())
    }

    /// Adds a byte to the field; says whether that completes it.
    fn has(&mut self, byte: u8, length: usize) -> bool {
        self.field.push(byte);
        self.field.len() == length
    }

    fn skip(&mut self, bytes: usize) {
        self.state = State::Skip(bytes);
        if bytes == 0 {
            self.next_field();
        }
    }

    /// Goes on to the next field of the header, in their order, or to the body.
    fn next_field(&mut self) {
        self.field.clear();
        let fields = [HAS_EXTRA, HAS_NAME, HAS_COMMENT, HAS_CHECKSUM];
        let next = fields.into_iter().find(|field| self.flags & field != 0).unwrap_or(0);
        self.flags &= !next;
        self.state = match next {
            HAS_EXTRA => State::ExtraLength,
            HAS_NAME | HAS_COMMENT => State::Text,
            HAS_CHECKSUM => State::Skip(2),
            _ => {
                self.body.reset();
                self.crc = Crc32::new();
                State::Body
            }
        };
    }

    /// Compares the checksum and the length, modulo 2^32, of a member that ended.
    fn check(&mut self) -> Result<()> {
        let found = [self.crc.sum().to_le_bytes(), (self.body.total_out() as u32).to_le_bytes()].concat();
        if self.field != found {
            return Err(Error::new(ErrorKind::Checksum, "the gzip file's checksum does not match its bytes")
                .expected_found(format!("{:02x?}", self.field), format!("{found:02x?}")));
        }
        self.field.clear();
        self.state = State::Start;
        self.any = true;
        Ok(())
    }

    /// Whether the file may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.any && self.state == State::Start && self.field.is_empty()
    }
}
