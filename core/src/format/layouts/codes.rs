//! Reads packed codes of some rows of a grid.

use super::{IN_ORDER, Run, Words};

/// A grid of packed codes in a tensor: `lines` rows of `length` codes once it is unpacked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Codes<'a> {
    pub bytes: &'a [u8],
    /// Bytes of a word.
    pub word: usize,
    pub bits: u32,
    pub run: Run,
    pub high_first: bool,
    pub order: [u8; 8],
    pub lines: usize,
    pub length: usize,
}

impl<'a> Codes<'a> {
    pub fn new(words: &Words, bytes: &'a [u8], word: usize, bits: u32, [lines, length]: [usize; 2]) -> Self {
        let Words { run, high_first, order, .. } = *words;
        Self { bytes, word, bits, run, high_first, order, lines, length }
    }

    /// The code at a place of the grid. Places beyond the bytes hold 0.
    pub fn at(&self, line: usize, column: usize) -> u8 {
        let bits = self.bits as usize;
        match self.run {
            Run::Along => {
                let line_bytes = (self.length * bits).div_ceil(8 * self.word) * self.word;
                let column = self.place(column);
                self.stream(line * line_bytes, 1, column * bits)
            }
            Run::Down => {
                let first = column * self.word;
                self.stream(first, self.length, line * bits)
            }
            Run::Blocks => {
                let per_word = 8 * self.word / bits;
                let block_lines = self.lines.div_ceil(per_word);
                let (block, line) = (line / block_lines, line % block_lines);
                let place = if self.high_first { per_word - 1 - block } else { block };
                self.stream((line * self.length + column) * self.word, 1, place * bits)
            }
        }
    }

    /// Where the code of a column lies along its line.
    fn place(&self, column: usize) -> usize {
        if self.order == IN_ORDER {
            let per_word = 8 * self.word / self.bits as usize;
            let (word, within) = (column / per_word, column % per_word);
            return if self.high_first { word * per_word + per_word - 1 - within } else { column };
        }
        let run = self.order.len();
        let within = self.order.iter().position(|of| usize::from(*of) == column % run).unwrap_or(0);
        column / run * run + within
    }

    /// The code at bit `bit` of a stream of words, `step` words apart from one another, the first at byte `first`.
    fn stream(&self, first: usize, step: usize, bit: usize) -> u8 {
        let word_bits = 8 * self.word;
        let byte = |bit: usize| {
            let at = first + bit / word_bits * step * self.word + bit % word_bits / 8;
            u16::from(self.bytes.get(at).copied().unwrap_or(0))
        };
        let low = byte(bit) >> (bit % 8);
        let left = 8 - bit % 8;
        let high = if left < self.bits as usize { byte(bit + left) << left } else { 0 };
        ((low | high) & ((1 << self.bits) - 1)) as u8
    }

    /// The codes of some rows of the matrix, each row's `cols` in turn.
    ///
    /// A `transposed` grid has the matrix's inputs as lines.
    pub fn rows(&self, first: usize, rows: usize, cols: usize, transposed: bool, out: &mut Vec<u8>) {
        out.clear();
        out.resize(rows * cols, 0);
        if transposed {
            // Line by line, as they lie in memory.
            for col in 0..cols {
                for row in 0..rows {
                    out[row * cols + col] = self.at(col, first + row);
                }
            }
            return;
        }
        for (row, out) in out.chunks_exact_mut(cols.max(1)).enumerate() {
            if self.run == Run::Along && !self.high_first && self.order == IN_ORDER {
                self.unpack_line(first + row, out);
            } else {
                out.iter_mut().enumerate().for_each(|(col, out)| *out = self.at(first + row, col));
            }
        }
    }

    /// The codes of a line, a stream of bits in order.
    fn unpack_line(&self, line: usize, out: &mut [u8]) {
        let line_bytes = (self.length * self.bits as usize).div_ceil(8 * self.word) * self.word;
        let mut bytes = self.bytes.get(line * line_bytes..).unwrap_or_default().iter();
        let (mut held, mut count, mask) = (0_u32, 0, (1 << self.bits) - 1);
        for out in out {
            if count < self.bits {
                held |= u32::from(bytes.next().copied().unwrap_or(0)) << count;
                count += 8;
            }
            *out = (held & mask) as u8;
            held >>= self.bits;
            count -= self.bits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grid in which the code at `(line, column)` is `7 * line + 3 * column` modulo what fits.
    fn written(run: Run, word: usize, bits: u32, high_first: bool, order: [u8; 8]) -> (Vec<u8>, [usize; 2]) {
        let [lines, length] = [24, 40];
        let per_word = 8 * word / bits as usize;
        let bytes = match run {
            Run::Along => lines * (length * bits as usize).div_ceil(8 * word) * word,
            Run::Down => length * (lines * bits as usize).div_ceil(8 * word) * word,
            Run::Blocks => length * lines.div_ceil(per_word) * word,
        };
        let mut out = vec![0_u8; bytes];
        let mut set = |first: usize, step: usize, bit: usize, code: u32| {
            for b in (0..bits as usize).filter(|b| code >> b & 1 == 1) {
                let (in_word, index) = ((bit + b) % (8 * word), (bit + b) / (8 * word));
                out[first + index * step * word + in_word / 8] |= 1 << (in_word % 8);
            }
        };
        for (line, column) in (0..lines).flat_map(|line| (0..length).map(move |column| (line, column))) {
            let code = (7 * line + 3 * column) as u32 % (1 << bits);
            match run {
                Run::Along => {
                    let line_bytes = (length * bits as usize).div_ceil(8 * word) * word;
                    let place = match (order, high_first) {
                        (order, false) if order == IN_ORDER => column,
                        (order, true) if order == IN_ORDER => {
                            column / per_word * per_word + per_word - 1 - column % per_word
                        }
                        (order, _) => {
                            let at = order.iter().position(|of| usize::from(*of) == column % 8).unwrap();
                            column / 8 * 8 + at
                        }
                    };
                    set(line * line_bytes, 1, place * bits as usize, code);
                }
                Run::Down => set(column * word, length, line * bits as usize, code),
                Run::Blocks => {
                    let height = lines.div_ceil(per_word);
                    let block = line / height;
                    let place = if high_first { per_word - 1 - block } else { block };
                    set((line % height * length + column) * word, 1, place * bits as usize, code);
                }
            }
        }
        (out, [lines, length])
    }

    #[test]
    fn every_order_of_bits_is_read_as_it_was_written() {
        let awq = [0, 2, 4, 6, 1, 3, 5, 7];
        let mut cases = vec![(Run::Along, 4, 4, false, awq), (Run::Along, 1, 4, true, IN_ORDER)];
        for bits in 1..=8 {
            cases.extend([(Run::Along, 4, bits, false, IN_ORDER), (Run::Down, 4, bits, false, IN_ORDER)]);
        }
        for bits in [1, 2, 4] {
            cases.extend([(Run::Blocks, 1, bits, false, IN_ORDER), (Run::Blocks, 1, bits, true, IN_ORDER)]);
        }
        cases.push((Run::Blocks, 4, 3, true, IN_ORDER));
        for (run, word, bits, high_first, order) in cases {
            let (bytes, sides) = written(run, word, bits, high_first, order);
            let words = Words { bits, run, high_first, transposed: false, order };
            let codes = Codes::new(&words, &bytes, word, bits, sides);
            let [lines, length] = sides;
            let want = |line: usize, column: usize| ((7 * line + 3 * column) % (1 << bits)) as u8;
            let case = format!("{run:?} of {bits} bits in {word} bytes");
            for (line, column) in (0..lines).flat_map(|line| (0..length).map(move |column| (line, column))) {
                assert_eq!(codes.at(line, column), want(line, column), "{case}");
            }
            let mut rows = Vec::new();
            codes.rows(2, 5, length, false, &mut rows);
            assert!(
                rows.iter().enumerate().all(|(at, code)| *code == want(2 + at / length, at % length)),
                "{case}"
            );
            codes.rows(3, 6, lines, true, &mut rows);
            assert!(
                rows.iter().enumerate().all(|(at, code)| *code == want(at % lines, 3 + at / lines)),
                "{case}"
            );
        }
    }
}
