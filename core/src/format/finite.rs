//! Whether floats that must be finite are, as their bytes pass by.

use crate::tensor::Dtype;
use crate::{Error, ErrorKind, Result};

/// Checks vectors, scales, zero points and levels that are stored as floats: bytes in order, in pieces of any length.
#[derive(Debug, Clone)]
pub struct FiniteCheck {
    name: String,
    /// Bytes of an element, and the bits that are all set in what is not finite: in its two highest bytes, or the one.
    width: u64,
    exponent: u16,
    position: u64,
    before: u8,
    lanes: Lanes,
}

/// The same for a word of elements: those bits of each, the lowest of them, and the bit above them.
#[derive(Debug, Clone, Copy)]
struct Lanes {
    exponents: u64,
    lowest: u64,
    above: u64,
}

/// Bytes of a word, and of what is looked at together.
const WORD: usize = 8;
const BLOCK: usize = 64;

impl Lanes {
    fn new(width: u64, exponent: u16) -> Self {
        let lane = (u64::from(exponent) << (8 * width)) >> 16;
        let every = u64::MAX / (u64::MAX >> (64 - 8 * width));
        let above = every << (8 * width - 1);
        // Where the sign is one of the bits there is none above: nothing is sound at a glance.
        let has_room = exponent >> 15 == 0;
        let lowest = if has_room { every * (lane & lane.wrapping_neg()) } else { above };
        Self { exponents: if has_room { every * lane } else { 0 }, lowest, above }
    }

    /// Whether all in a block are finite: adding the lowest bit to bits that are all set sets the one above.
    fn are_finite(self, block: &[u8; BLOCK]) -> bool {
        let (words, _) = block.as_chunks::<WORD>();
        let sums = words.iter().map(|word| (u64::from_le_bytes(*word) & self.exponents) + self.lowest);
        sums.fold(0, |all, sum| all | sum) & self.above == 0
    }
}

impl FiniteCheck {
    /// A check of the tensor `name`; `None` for a data type of which no such thing is asked.
    pub fn new(name: &str, dtype: Dtype) -> Option<Self> {
        let exponent = match dtype {
            Dtype::F16 => 0x7c00,
            Dtype::BF16 | Dtype::F32 => 0x7f80,
            Dtype::F8E8M0 => 0xff00,
            Dtype::F8E4M3 => 0x7f00,
            _ => return None,
        };
        let lanes = Lanes::new(dtype.bytes(), exponent);
        Some(Self { name: name.to_owned(), width: dtype.bytes(), exponent, position: 0, before: 0, lanes })
    }

    /// Checks the next bytes.
    ///
    /// # Errors
    /// A number that is not finite.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let before = (self.position as usize).wrapping_neg() % WORD;
        let (first, bytes) = bytes.split_at(before.min(bytes.len()));
        self.push_each(first)?;
        let (blocks, _) = bytes.as_chunks::<BLOCK>();
        let sound = BLOCK * blocks.iter().take_while(|block| self.lanes.are_finite(block)).count();
        self.position += sound as u64;
        self.push_each(&bytes[sound..])
    }

    fn push_each(&mut self, bytes: &[u8]) -> Result<()> {
        for &byte in bytes {
            self.position += 1;
            let high = u16::from_le_bytes([self.before, byte]);
            if self.position.is_multiple_of(self.width) && high & self.exponent == self.exponent {
                return Err(Error::new(ErrorKind::BadValue, "a number is not finite")
                    .within(&self.name)
                    .at(self.position - self.width)
                    .expected_found("finite numbers", "another"));
            }
            self.before = byte;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dtype: Dtype, bytes: &[u8], piece: usize) -> Result<()> {
        let mut check = FiniteCheck::new("w.scales", dtype).unwrap();
        bytes.chunks(piece).try_for_each(|piece| check.push(piece))
    }

    #[test]
    fn only_infinities_and_nans_are_refused_however_the_bytes_come() {
        let f16 = |bits: u16| bits.to_le_bytes().to_vec();
        let f32 = |value: f32| value.to_bits().to_le_bytes().to_vec();
        let sound = [
            (Dtype::F8E8M0, vec![0xfe]),
            (Dtype::F8E4M3, vec![0xfe]),
            (Dtype::F16, f16(0x7bff)),
            (Dtype::BF16, f16(0xff7f)),
            (Dtype::F32, f32(f32::MIN)),
        ];
        let faulty = [
            (Dtype::F8E8M0, vec![0xff]),
            (Dtype::F8E4M3, vec![0x7f]),
            (Dtype::F8E4M3, vec![0xff]),
            (Dtype::F16, f16(0xfc00)),
            (Dtype::F16, f16(0x7e01)),
            (Dtype::BF16, f16(0x7f80)),
            (Dtype::F32, f32(f32::NEG_INFINITY)),
            (Dtype::F32, f32(f32::NAN)),
        ];
        for piece in (1..9).chain([100, 1000]) {
            for (dtype, bytes) in &sound {
                assert_eq!(check(*dtype, &bytes.repeat(200), piece), Ok(()), "{dtype:?}");
            }
            for (dtype, bytes) in &faulty {
                for count in [2, 40, 77] {
                    let (before, after) = (vec![0; count * bytes.len()], vec![0; 80 * bytes.len()]);
                    let error = check(*dtype, &[&before, &bytes[..], &after].concat(), piece).unwrap_err();
                    assert_eq!((error.kind, error.offset), (ErrorKind::BadValue, Some(before.len() as u64)));
                }
            }
        }
        assert!(FiniteCheck::new("w.codes", Dtype::I32).is_none());
    }
}
