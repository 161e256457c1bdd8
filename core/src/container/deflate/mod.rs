//! Deflate (RFC 1951): one decoder for the command and the page, as strict as zlib, which the validator's Python uses.
//!
//! Decoders differ in what they take: some accept distances that reach back before the beginning, or more codes than
//! the format has. An archive must not be one thing here and another there.

mod code;
mod inflater;
mod others;

use code::{Code, Kind, Peek};
pub use inflater::{Inflater, Progress};

/// Bytes that a distance may reach back.
const WINDOW: usize = 1 << 15;
/// Most symbols of literals and lengths, and of distances.
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const END_OF_BLOCK: usize = 256;
/// In what order the lengths of the code for code lengths come.
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// Shortest match of each length symbol, and how many bits add to it.
const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A block.
    Header,
    /// The length of a stored block, twice.
    StoredLength,
    /// This many bytes as they are.
    Stored(usize),
    /// How many lengths of codes there are.
    Counts,
    /// A length of the code for code lengths: which, of how many.
    CodeLength(usize, usize),
    /// A length of the codes for literals and distances: which.
    Length(usize),
    /// A symbol.
    Symbol,
    /// A copy of so many bytes from so far back.
    Match(usize, usize),
    /// Nothing.
    End,
}

/// Why decoding stopped without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The input does not hold the next element as a whole.
    Input,
    /// The output is full.
    Output,
    /// The stream ended.
    End,
}

/// What can't be decoded, in zlib's words.
type Fault = &'static str;

/// A decoder that is handed its input, and hands out its output, in pieces of any length.
pub(super) struct Deflate {
    state: State,
    is_last: bool,
    /// Bits that were taken from the input and not used yet, the first in the lowest place.
    bits: u64,
    count: u32,
    /// How many lengths of literals, and in all, a block gives; and those lengths.
    sizes: (usize, usize),
    lengths: [u8; LITERALS + DISTANCES],
    literals: Code,
    distances: Code,
    /// The last bytes of earlier calls' output, each at its position modulo [`WINDOW`].
    window: Vec<u8>,
    total_in: u64,
    total_out: u64,
}

impl std::fmt::Debug for Deflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Deflate({} bytes to {}, {:?})", self.total_in, self.total_out, self.state)
    }
}

/// The pieces of one call.
struct Pieces<'p> {
    input: &'p [u8],
    taken: usize,
    output: &'p mut [u8],
    written: usize,
}

impl Deflate {
    pub(super) fn new() -> Self {
        Self {
            state: State::Header,
            is_last: false,
            bits: 0,
            count: 0,
            sizes: (0, 0),
            lengths: [0; LITERALS + DISTANCES],
            literals: Code::default(),
            distances: Code::default(),
            window: vec![0; WINDOW],
            total_in: 0,
            total_out: 0,
        }
    }

    /// Begins with another stream.
    pub(super) fn reset(&mut self) {
        self.state = State::Header;
        (self.bits, self.count, self.total_in, self.total_out) = (0, 0, 0, 0);
    }

    /// Bytes taken since the stream's beginning; at its end those of the stream alone.
    pub(super) fn total_in(&self) -> u64 {
        self.total_in
    }

    /// Bytes written since the stream's beginning.
    pub(super) fn total_out(&self) -> u64 {
        self.total_out
    }

    /// Whether the stream ended.
    pub(super) fn has_ended(&self) -> bool {
        self.state == State::End
    }

    /// Decodes as far as input and output reach.
    pub(super) fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, Fault> {
        let mut pieces = Pieces { input, taken: 0, output, written: 0 };
        let stop = loop {
            match self.step(&mut pieces) {
                Ok(None) => {}
                Ok(Some(stop)) => break stop,
                Err(fault) => {
                    self.total_in += pieces.taken as u64;
                    return Err(fault);
                }
            }
        };
        if stop != Stop::Input {
            // Bits that were held from an earlier call belong to what this one decoded first, so these bytes are its own.
            let unused = (self.count as usize / 8).min(pieces.taken);
            pieces.taken -= unused;
            self.count -= 8 * unused as u32;
        }
        self.bits &= (1 << self.count) - 1;
        self.total_in += pieces.taken as u64;
        self.remember(&pieces.output[..pieces.written]);
        Ok(Progress { taken: pieces.taken, written: pieces.written })
    }

    /// Decodes one element.
    fn step(&mut self, pieces: &mut Pieces) -> Result<Option<Stop>, Fault> {
        match self.state {
            State::End => return Ok(Some(Stop::End)),
            State::Symbol => return self.symbols(pieces),
            State::Match(length, distance) => {
                let done = self.copy(pieces, length, distance);
                if done < length {
                    self.state = State::Match(length - done, distance);
                    return Ok(Some(Stop::Output));
                }
                self.state = State::Symbol;
            }
            State::Stored(0) => self.end_block(),
            State::Stored(left) => return Ok(self.stored(pieces, left)),
            State::Header => {
                let Some(bits) = self.take(pieces, 3) else { return Ok(Some(Stop::Input)) };
                self.is_last = bits & 1 == 1;
                self.begin_block(bits >> 1)?;
            }
            State::StoredLength => {
                let Some(bits) = self.take(pieces, 32) else { return Ok(Some(Stop::Input)) };
                let (length, inverse) = (bits & 0xffff, bits >> 16);
                if length != inverse ^ 0xffff {
                    return Err("invalid stored block lengths");
                }
                self.state = State::Stored(length as usize);
            }
            State::Counts => {
                let Some(bits) = self.take(pieces, 14) else { return Ok(Some(Stop::Input)) };
                let (literals, distances) = (257 + (bits & 31) as usize, 1 + (bits >> 5 & 31) as usize);
                if literals > LITERALS || distances > DISTANCES {
                    return Err("too many length or distance symbols");
                }
                self.lengths = [0; LITERALS + DISTANCES];
                self.sizes = (literals, literals + distances);
                self.state = State::CodeLength(0, 4 + (bits >> 10) as usize);
            }
            State::CodeLength(index, end) if index == end => {
                self.literals.build(&self.lengths[..ORDER.len()], Kind::CodeLengths)?;
                self.lengths = [0; LITERALS + DISTANCES];
                self.state = State::Length(0);
            }
            State::CodeLength(index, end) => {
                let Some(bits) = self.take(pieces, 3) else { return Ok(Some(Stop::Input)) };
                self.lengths[usize::from(ORDER[index])] = bits as u8;
                self.state = State::CodeLength(index + 1, end);
            }
            State::Length(index) => return self.length(pieces, index),
        }
        Ok(None)
    }

    fn begin_block(&mut self, kind: u64) -> Result<(), Fault> {
        self.state = match kind {
            0 => {
                let partial = self.count % 8;
                self.drop_bits(partial);
                State::StoredLength
            }
            1 => {
                self.fixed_codes()?;
                State::Symbol
            }
            2 => State::Counts,
            _ => return Err("invalid block type"),
        };
        Ok(())
    }

    fn end_block(&mut self) {
        self.state = if self.is_last { State::End } else { State::Header };
    }

    /// The codes that a block need not bring. Their last two symbols mean nothing.
    fn fixed_codes(&mut self) -> Result<(), Fault> {
        let mut lengths = [8; LITERALS + 2];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.literals.build(&lengths, Kind::Symbols)?;
        self.distances.build(&[5; DISTANCES + 2], Kind::Symbols)
    }

    /// One length of a code, or a run of them.
    fn length(&mut self, pieces: &mut Pieces, index: usize) -> Result<Option<Stop>, Fault> {
        let (literals, end) = self.sizes;
        if index == end {
            if self.lengths[END_OF_BLOCK] == 0 {
                return Err("invalid code -- missing end-of-block");
            }
            self.literals.build(&self.lengths[..literals], Kind::Symbols)?;
            self.distances.build(&self.lengths[literals..end], Kind::Symbols)?;
            self.state = State::Symbol;
            return Ok(None);
        }
        self.fill(pieces);
        let (symbol, bits) = match self.literals.peek(self.bits, self.count) {
            Peek::Symbol(symbol, bits) => (symbol, bits),
            Peek::TooShort => return Ok(Some(Stop::Input)),
            Peek::Invalid => return Err("invalid code lengths set"),
        };
        let (least, extra) = match symbol {
            0..=15 => (1, 0),
            16 => (3, 2),
            17 => (3, 3),
            _ => (11, 7),
        };
        if self.count < bits + extra {
            return Ok(Some(Stop::Input));
        }
        self.drop_bits(bits);
        let run = least + self.drop_bits(extra) as usize;
        let length = match symbol {
            0..=15 => symbol as u8,
            16 if index == 0 => return Err("invalid bit length repeat"),
            16 => self.lengths[index - 1],
            _ => 0,
        };
        if index + run > end {
            return Err("invalid bit length repeat");
        }
        self.lengths[index..index + run].fill(length);
        self.state = State::Length(index + run);
        Ok(None)
    }

    /// Symbols up to the first match or the end of the block.
    fn symbols(&mut self, pieces: &mut Pieces) -> Result<Option<Stop>, Fault> {
        loop {
            // A symbol and its distance have at most 48 bits together.
            self.fill(pieces);
            let (symbol, bits) = match self.literals.peek(self.bits, self.count) {
                Peek::Symbol(symbol, bits) => (usize::from(symbol), bits),
                Peek::TooShort => return Ok(Some(Stop::Input)),
                Peek::Invalid => return Err("invalid literal/length code"),
            };
            if symbol > END_OF_BLOCK {
                return self.matched(symbol - END_OF_BLOCK - 1, bits, pieces.written);
            }
            if symbol == END_OF_BLOCK {
                self.drop_bits(bits);
                self.end_block();
                return Ok(None);
            }
            let Some(place) = pieces.output.get_mut(pieces.written) else { return Ok(Some(Stop::Output)) };
            *place = symbol as u8;
            pieces.written += 1;
            self.drop_bits(bits);
        }
    }

    /// The rest of a match, behind the first `used` bits of it; `written` bytes of this call precede it.
    fn matched(&mut self, symbol: usize, used: u32, written: usize) -> Result<Option<Stop>, Fault> {
        let Some(&(length, extra)) = LENGTHS.get(symbol) else { return Err("invalid literal/length code") };
        let extra = u32::from(extra);
        let Some(left) = self.count.checked_sub(used + extra) else { return Ok(Some(Stop::Input)) };
        let behind = self.bits >> (used + extra);
        let (symbol, bits) = match self.distances.peek(behind, left) {
            Peek::Symbol(symbol, bits) => (usize::from(symbol), bits),
            Peek::TooShort => return Ok(Some(Stop::Input)),
            Peek::Invalid => return Err("invalid distance code"),
        };
        if symbol >= DISTANCES {
            return Err("invalid distance code");
        }
        // Two symbols for each number of extra bits, from the second pair on.
        let more = (symbol as u32 / 2).saturating_sub(1);
        if left < bits + more {
            return Ok(Some(Stop::Input));
        }
        let first = if symbol < 2 { symbol } else { (2 + symbol % 2) << more };
        self.drop_bits(used);
        let length = usize::from(length) + self.drop_bits(extra) as usize;
        self.drop_bits(bits);
        let distance = 1 + first + self.drop_bits(more) as usize;
        if distance as u64 > self.total_out + written as u64 {
            return Err("invalid distance too far back");
        }
        self.state = State::Match(length, distance);
        Ok(None)
    }

    /// Copies as much of a match as the output holds.
    fn copy(&self, pieces: &mut Pieces, length: usize, distance: usize) -> usize {
        let length = length.min(pieces.output.len() - pieces.written);
        let (start, end) = (pieces.written, pieces.written + length);
        if let Some(from) = start.checked_sub(distance).filter(|_| distance >= length) {
            pieces.output.copy_within(from..from + length, start);
        } else {
            for at in start..end {
                pieces.output[at] = match at.checked_sub(distance) {
                    Some(from) => pieces.output[from],
                    // The position modulo the window, which is a power of two.
                    None => {
                        self.window
                            [(self.total_out as usize).wrapping_add(at).wrapping_sub(distance) % WINDOW]
                    }
                };
            }
        }
        pieces.written = end;
        length
    }

    /// Takes what there is of a stored block.
    fn stored(&mut self, pieces: &mut Pieces, mut left: usize) -> Option<Stop> {
        let stop = loop {
            let room = pieces.output.len() - pieces.written;
            if left == 0 {
                break None;
            } else if room == 0 {
                break Some(Stop::Output);
            } else if self.count >= 8 {
                pieces.output[pieces.written] = self.drop_bits(8) as u8;
                (pieces.written, left) = (pieces.written + 1, left - 1);
                continue;
            }
            // Whole bytes were held, and are used up.
            (self.bits, self.count) = (0, 0);
            let bytes = left.min(room).min(pieces.input.len() - pieces.taken);
            if bytes == 0 {
                break Some(Stop::Input);
            }
            let from = &pieces.input[pieces.taken..pieces.taken + bytes];
            pieces.output[pieces.written..pieces.written + bytes].copy_from_slice(from);
            (pieces.taken, pieces.written, left) =
                (pieces.taken + bytes, pieces.written + bytes, left - bytes);
        };
        self.state = State::Stored(left);
        stop
    }

    /// Keeps the end of a call's output for later matches.
    fn remember(&mut self, written: &[u8]) {
        let skipped = written.len().saturating_sub(WINDOW);
        let start = (self.total_out as usize).wrapping_add(skipped) % WINDOW;
        let (first, rest) = written[skipped..].split_at((written.len() - skipped).min(WINDOW - start));
        self.window[start..start + first.len()].copy_from_slice(first);
        self.window[..rest.len()].copy_from_slice(rest);
        self.total_out += written.len() as u64;
    }

    /// Takes as many whole bytes from the input as there is room for.
    #[inline(always)]
    fn fill(&mut self, pieces: &mut Pieces) {
        if let Some(word) = pieces.input[pieces.taken..].first_chunk() {
            // What is above the count is read again at the next turn, as the same bits.
            self.bits |= u64::from_le_bytes(*word) << self.count;
            let bytes = (63 - self.count) / 8;
            pieces.taken += bytes as usize;
            self.count += 8 * bytes;
            return;
        }
        self.bits &= (1 << self.count) - 1;
        while let Some(byte) = pieces.input.get(pieces.taken).filter(|_| self.count <= 55) {
            self.bits |= u64::from(*byte) << self.count;
            pieces.taken += 1;
            self.count += 8;
        }
    }

    /// The next bits, at most 32 of them, if there are as many.
    fn take(&mut self, pieces: &mut Pieces, count: u32) -> Option<u64> {
        self.fill(pieces);
        (self.count >= count).then(|| self.drop_bits(count))
    }

    /// Gives and drops bits that are there.
    #[inline(always)]
    fn drop_bits(&mut self, count: u32) -> u64 {
        let bits = self.bits & ((1 << count) - 1);
        self.bits >>= count;
        self.count -= count;
        bits
    }
}

#[cfg(test)]
mod tests;
