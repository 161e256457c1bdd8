//! The bytes of a link: numbers of variable length, short texts, hashes.

use std::fmt::Display;

use crate::{Error, ErrorKind, Result, limits};

/// Bytes of a SHA-256.
const SHA256_BYTES: usize = 32;
/// Most bytes of a number: 64 bits, 7 a byte.
const NUMBER_BYTES: usize = 10;

/// Appends values.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// 7 bits a byte, the lowest first; the high bit says that more follow.
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    /// Small numbers of either sign are short: 0, -1, 1, -2 are written as 0, 1, 2, 3.
    pub(super) fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63) as u64);
    }

    pub(super) fn float(&mut self, value: f64) {
        self.bytes(&value.to_le_bytes());
    }

    /// Length and UTF-8. Control characters become spaces; what is over the cap is cut off.
    pub(super) fn text(&mut self, text: &str) {
        let mut kept: String = text.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect();
        while kept.len() > limits::LINK_TEXT_BYTES {
            kept.pop();
        }
        self.byte(kept.len() as u8);
        self.bytes(kept.as_bytes());
    }

    /// A hash given in hex.
    pub(super) fn sha256(&mut self, hex: &str) {
        let digit = |i: usize| hex.as_bytes().get(i).and_then(|c| char::from(*c).to_digit(16)).unwrap_or(0);
        for i in 0..SHA256_BYTES {
            self.byte((digit(2 * i) << 4 | digit(2 * i + 1)) as u8);
        }
    }

    /// A byte that says whether there is a value, and the value.
    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// Whether a character may stand in a link's texts: no control characters, nor those that change
/// the direction of what surrounds them.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Takes values off the front of untrusted bytes.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// A fault of the value before the current position.
    pub(super) fn fault(&self, what: &str, expected: impl Display, found: impl Display) -> Error {
        Error::new(ErrorKind::Malformed, what).at(self.position as u64).expected_found(expected, found)
    }

    /// Refuses what follows the report.
    pub(super) fn finish(&self) -> Result<()> {
        if self.left() == 0 {
            Ok(())
        } else {
            Err(self.fault("bytes follow the report", "none", self.left()))
        }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let taken = self.bytes[self.position..].get(..len).ok_or_else(|| {
            Error::new(ErrorKind::Truncated, "the link ends too early")
                .at(self.position as u64)
                .expected_found(format!("{len} bytes"), self.left())
        })?;
        self.position += len;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.take(1).map(|byte| byte[0])
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        let mut number = 0_u64;
        for i in 0..NUMBER_BYTES {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The last byte has room for one bit; a last byte of 0 would be a longer way to write it.
            let fits = i + 1 < NUMBER_BYTES || bits <= 1;
            if !fits || (i > 0 && byte == 0) {
                break;
            }
            number |= bits << (7 * i);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.fault("a number is not in its shortest form", "64 bits at most", "another form"))
    }

    pub(super) fn signed(&mut self) -> Result<i64> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A finite number.
    pub(super) fn float(&mut self) -> Result<f64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        self.finite(f64::from_le_bytes(bytes))
    }

    /// A finite number of 32 bits.
    pub(super) fn short_float(&mut self) -> Result<f64> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        self.finite(f64::from(f32::from_le_bytes(bytes)))
    }

    fn finite(&self, value: f64) -> Result<f64> {
        if value.is_finite() {
            Ok(value)
        } else {
            Err(self.fault("a figure is not finite", "a number", value))
        }
    }

    pub(super) fn text(&mut self) -> Result<String> {
        let len = usize::from(self.byte()?);
        let bytes = self.take(len)?;
        match std::str::from_utf8(bytes) {
            Ok(text) if text.chars().all(is_plain) => Ok(text.to_owned()),
            _ => {
                Err(self.fault("a text is not plain UTF-8", "no control characters", format!("{bytes:02x?}")))
            }
        }
    }

    pub(super) fn sha256(&mut self) -> Result<String> {
        Ok(self.take(SHA256_BYTES)?.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(super) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            other => Err(self.fault("a mark of presence is neither 0 nor 1", "0 or 1", other)),
        }
    }

    /// Entry number `index` of a table.
    pub(super) fn entry<T: Clone>(&self, table: &[T], index: u8, what: &str) -> Result<T> {
        table.get(usize::from(index)).cloned().ok_or_else(|| {
            self.fault("a number stands for nothing", format!("{what}, below {}", table.len()), index)
        })
    }
}
