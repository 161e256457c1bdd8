//! Huffman codes of deflate (RFC 1951, 3.2.2): canonical, of at most 15 bits.

use super::Fault;

/// Longest code in bits.
const LONGEST: usize = 15;
/// Codes up to this length are found in one look.
const FAST: u32 = 10;
/// Most symbols of a code.
const SYMBOLS: usize = 288;

/// What a code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lengths of codes. It must be complete.
    CodeLengths,
    /// Literals and lengths, or distances. It may be a single code of one bit, or none at all.
    Symbols,
}

/// What the next bits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peek {
    /// A symbol, and how many bits stand for it.
    Symbol(u16, u32),
    /// The beginning of a code.
    TooShort,
    /// No code begins so.
    Invalid,
}

/// A code.
pub(super) struct Code {
    /// By the next [`FAST`] bits: a symbol and its code's length, `symbol << 4 | length`; 0 for longer codes.
    fast: [u16; 1 << FAST],
    /// How many codes there are of each length, and their symbols in the order of the codes.
    counts: [u16; LONGEST + 1],
    symbols: [u16; SYMBOLS],
}

impl Default for Code {
    fn default() -> Self {
        Self { fast: [0; 1 << FAST], counts: [0; LONGEST + 1], symbols: [0; SYMBOLS] }
    }
}

impl Code {
    /// The code in which each symbol has a code of this length, or none where it is 0.
    ///
    /// Fails where the lengths give more codes than there are, or leave some without meaning.
    pub(super) fn build(&mut self, lengths: &[u8], kind: Kind) -> Result<(), Fault> {
        *self = Self::default();
        lengths.iter().for_each(|length| self.counts[usize::from(*length)] += 1);
        self.counts[0] = 0;
        self.check(kind)?;
        // Where the symbols of each length begin, and the first of their codes.
        let (mut places, mut codes) = ([0; LONGEST + 1], [0_u32; LONGEST + 1]);
        for length in 1..=LONGEST {
            let count = usize::from(self.counts[length - 1]);
            places[length] = places[length - 1] + count;
            codes[length] = (codes[length - 1] + count as u32) << 1;
        }
        for (symbol, &length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
            let (code, bits) = (codes[usize::from(length)], u32::from(length));
            self.symbols[places[usize::from(length)]] = symbol as u16;
            places[usize::from(length)] += 1;
            codes[usize::from(length)] += 1;
            if bits <= FAST {
                // The first bit of a code is the lowest one that is read.
                let first = (code.reverse_bits() >> (32 - bits)) as usize;
                let entry = (symbol as u16) << 4 | u16::from(length);
                self.fast[first..].iter_mut().step_by(1 << bits).for_each(|place| *place = entry);
            }
        }
        Ok(())
    }

    fn check(&self, kind: Kind) -> Result<(), Fault> {
        let mut left = 1_i32;
        for count in &self.counts[1..] {
            left = 2 * left - i32::from(*count);
            if left < 0 {
                return Err("over-subscribed code lengths");
            }
        }
        let codes: u16 = self.counts.iter().sum();
        let may_be_incomplete = kind == Kind::Symbols && (codes == 0 || (codes == 1 && self.counts[1] == 1));
        if left > 0 && !may_be_incomplete { Err("incomplete code lengths") } else { Ok(()) }
    }

    /// The symbol that the lowest of `count` bits stand for.
    #[inline(always)]
    pub(super) fn peek(&self, bits: u64, count: u32) -> Peek {
        let entry = self.fast[bits as usize & ((1 << FAST) - 1)];
        let length = u32::from(entry & 15);
        if length == 0 {
            return self.search(bits, count);
        }
        if length <= count { Peek::Symbol(entry >> 4, length) } else { Peek::TooShort }
    }

    /// The same, length by length.
    #[inline(never)]
    fn search(&self, bits: u64, count: u32) -> Peek {
        let longest = (1..=LONGEST).rev().find(|length| self.counts[*length] > 0).unwrap_or(0);
        let (mut code, mut first, mut place) = (0, 0, 0);
        for length in 1..=longest {
            if length as u32 > count {
                return Peek::TooShort;
            }
            code |= (bits >> (length - 1) & 1) as usize;
            let codes = usize::from(self.counts[length]);
            if code < first + codes {
                return Peek::Symbol(self.symbols[place + code - first], length as u32);
            }
            (place, first, code) = (place + codes, (first + codes) << 1, code << 1);
        }
        Peek::Invalid
    }
}
