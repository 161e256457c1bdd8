//! Checks the bytes of one part as they pass by, without holding the tensor.

use super::layout::Layout;
use super::part::Part;
use super::statistics::Statistics;
use crate::{Error, ErrorKind, Result};

/// The one 4-bit code that the format does not allow, -8.
const FORBIDDEN_CODE: u8 = 8;
/// Largest finite f16, as bits.
const F16_MAX_BITS: u16 = 0x7bff;

/// Checks the bytes of one part of a packed weight, pushed in order and in pieces of any length.
///
/// What it refuses: set padding bits, a code of -8, a set padding nibble, a scale that is not
/// finite and greater than 0, rescue rows that do not increase or reach N, too few or too many
/// bytes. Offsets in its errors count from the tensor's first byte.
#[derive(Debug, Clone)]
pub struct PayloadCheck {
    name: String,
    part: Part,
    layout: Layout,
    /// Bytes pushed so far.
    position: u64,
    /// First bytes of an element that is not complete yet: `position % element size` of them.
    partial: [u8; 4],
    /// The rescue row before the next one.
    last_row: Option<u32>,
    statistics: Statistics,
}

impl PayloadCheck {
    /// A check of the tensor `name`, which is `part` of a weight of this layout.
    pub fn new(name: impl Into<String>, part: Part, layout: &Layout) -> Self {
        Self {
            name: name.into(),
            part,
            layout: *layout,
            position: 0,
            partial: [0; 4],
            last_row: None,
            statistics: Statistics::default(),
        }
    }

    /// Checks the next bytes. After an error the check is of no further use.
    ///
    /// # Errors
    /// The first fault of these bytes, see [`PayloadCheck`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let wanted = self.layout.part_bytes(self.part);
        if bytes.len() as u64 > wanted - self.position {
            return Err(self.length_error(wanted, self.position + bytes.len() as u64));
        }
        match self.part {
            Part::Sign => self.push_sign(bytes),
            Part::RescueCode => self.push_code(bytes),
            Part::Scale | Part::RescueScale => self.push_elements(bytes, Self::check_scale),
            Part::RescueRows => self.push_elements(bytes, Self::check_row),
        }
    }

    /// Ends the check; what the values of a sign or scale part add up to.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn finish(self) -> Result<Statistics> {
        let wanted = self.layout.part_bytes(self.part);
        if self.position == wanted {
            Ok(self.statistics)
        } else {
            Err(self.length_error(wanted, self.position))
        }
    }

    /// Only the last word of a row can hold padding, so all other bytes are skipped.
    fn push_sign(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.statistics.add_signs(bytes);
        let (row_bytes, cols) = (self.layout.row_bytes(Part::Sign), self.layout.cols());
        if cols.is_multiple_of(32) {
            self.position += bytes.len() as u64;
            return Ok(());
        }
        while !bytes.is_empty() {
            let start = self.position % row_bytes;
            let piece = take_piece(&mut bytes, row_bytes - start);
            let first_padded = (cols / 8).saturating_sub(start).min(piece.len() as u64);
            for (i, &byte) in piece.iter().enumerate().skip(first_padded as usize) {
                // Bits of this byte that still belong to columns: none beyond byte `cols / 8`.
                let used = if start + i as u64 == cols / 8 { cols % 8 } else { 0 };
                if byte >> used != 0 {
                    let wanted =
                        format!("zero in bits {used} to 7 of this byte: the row ends at column {cols}");
                    let what = "a padding bit of a sign plane is set";
                    return Err(self.value_error(what, i as u64, wanted, format!("{byte:#04x}")));
                }
            }
            self.position += piece.len() as u64;
        }
        Ok(())
    }

    fn push_code(&mut self, mut bytes: &[u8]) -> Result<()> {
        let (row_bytes, odd) = (self.layout.row_bytes(Part::RescueCode), self.layout.cols() % 2 == 1);
        let forbidden = |byte: &u8| byte & 0xf == FORBIDDEN_CODE || byte >> 4 == FORBIDDEN_CODE;
        while !bytes.is_empty() {
            let start = self.position % row_bytes;
            let piece = take_piece(&mut bytes, row_bytes - start);
            let ends_row = start + piece.len() as u64 == row_bytes;
            if let Some(last) = piece.last().filter(|&&last| odd && ends_row && last >> 4 != 0) {
                let at = piece.len() as u64 - 1;
                let what = "the padding nibble of a rescue row is set";
                return Err(self.value_error(what, at, "a high nibble of 0", format!("{last:#04x}")));
            }
            // Sixteen codes at a time, without a branch; the position is found afterwards.
            let (words, rest) = piece.as_chunks::<8>();
            let faults =
                words.iter().fold(0, |faults, word| faults | forbidden_codes(u64::from_le_bytes(*word)));
            if faults != 0 || rest.iter().any(forbidden) {
                let at = piece.iter().position(forbidden).unwrap_or(0);
                let found = format!("{:#04x}", piece[at]);
                let what = "a rescue code is -8";
                return Err(self.value_error(what, at as u64, "codes from -7 to 7", found));
            }
            self.position += piece.len() as u64;
        }
        Ok(())
    }

    /// Calls `check` with each complete little-endian element; `N` bytes make one.
    fn push_elements<const N: usize>(
        &mut self,
        bytes: &[u8],
        check: impl Fn(&mut Self, [u8; N]) -> Result<()>,
    ) -> Result<()> {
        let held = (self.position % N as u64) as usize;
        let missing = if held == 0 { 0 } else { N - held };
        let (head, rest) = bytes.split_at(missing.min(bytes.len()));
        self.partial[held..held + head.len()].copy_from_slice(head);
        if held > 0 && head.len() == missing {
            let mut element = [0; N];
            element.copy_from_slice(&self.partial[..N]);
            self.position -= held as u64;
            check(self, element)?;
            self.position += N as u64;
        } else {
            self.position += head.len() as u64;
        }
        let (elements, tail) = rest.as_chunks::<N>();
        for &element in elements {
            check(self, element)?;
            self.position += N as u64;
        }
        self.partial[..tail.len()].copy_from_slice(tail);
        self.position += tail.len() as u64;
        Ok(())
    }

    fn check_scale(&mut self, element: [u8; 2]) -> Result<()> {
        let bits = u16::from_le_bytes(element);
        if (1..=F16_MAX_BITS).contains(&bits) {
            if self.part == Part::Scale {
                self.statistics.add_scale(bits);
            }
            return Ok(());
        }
        let found = format!("{} (f16 bits {bits:#06x})", half::f16::from_bits(bits));
        let what = "a scale is not a finite number greater than 0";
        Err(self.value_error(what, 0, "a finite f16 greater than 0", found))
    }

    fn check_row(&mut self, element: [u8; 4]) -> Result<()> {
        let row = u32::from_le_bytes(element);
        if u64::from(row) >= self.layout.rows() {
            let wanted = format!("a row below {}", self.layout.rows());
            return Err(self.value_error("a rescue row is out of range", 0, wanted, row));
        }
        if let Some(last) = self.last_row.filter(|&last| last >= row) {
            let wanted = format!("a row above {last}, the one before it");
            return Err(self.value_error("the rescue rows do not increase", 0, wanted, row));
        }
        self.last_row = Some(row);
        Ok(())
    }

    /// A fault `ahead` bytes after the current position.
    fn value_error(
        &self,
        what: &str,
        ahead: u64,
        expected: impl std::fmt::Display,
        found: impl std::fmt::Display,
    ) -> Error {
        Error::new(ErrorKind::BadValue, what)
            .within(&self.name)
            .at(self.position + ahead)
            .expected_found(expected, found)
    }

    fn length_error(&self, wanted: u64, found: u64) -> Error {
        Error::new(ErrorKind::WrongShape, "a part of a packed weight has the wrong length")
            .within(&self.name)
            .at(found.min(wanted))
            .expected_found(format!("{wanted} bytes"), format!("{found} bytes"))
    }
}

/// Not 0 exactly when one of sixteen codes is the forbidden one: the usual test for a zero, by the nibble.
fn forbidden_codes(codes: u64) -> u64 {
    const ONES: u64 = 0x1111_1111_1111_1111;
    let rest = codes ^ (ONES * FORBIDDEN_CODE as u64);
    rest.wrapping_sub(ONES) & !rest & (ONES << 3)
}

/// Cuts up to `most` bytes off the front of `bytes`.
fn take_piece<'a>(bytes: &mut &'a [u8], most: u64) -> &'a [u8] {
    let length = usize::try_from(most).map_or(bytes.len(), |most| most.min(bytes.len()));
    let (piece, rest) = bytes.split_at(length);
    *bytes = rest;
    piece
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_forbidden_code_among_sixteen_is_seen_and_nothing_else() {
        for others in (0..16).filter(|&code| code != u64::from(FORBIDDEN_CODE)) {
            let clean = 0x1111_1111_1111_1111 * others;
            assert_eq!(forbidden_codes(clean), 0, "{clean:#018x}");
            for nibble in 0..16 {
                let kept = clean & !(0xf << (4 * nibble));
                let codes = kept | u64::from(FORBIDDEN_CODE) << (4 * nibble);
                assert_ne!(forbidden_codes(codes), 0, "{codes:#018x}");
            }
        }
    }
}
