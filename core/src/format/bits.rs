//! The order of signs and codes within a row.
//!
//! The Rust code asks this. What can't (shaders, the CPU backend's table lookups, the two Python readers) is compared
//! with it by tests.

/// Columns whose signs make one word.
pub const WORD_COLUMNS: usize = 32;

/// Whether the sign of a column is +: it is bit `c % 32` of word `c / 32`, and 1 is +.
pub fn is_plus(words: &[u32], column: usize) -> bool {
    words[column / WORD_COLUMNS] >> (column % WORD_COLUMNS) & 1 == 1
}

/// The word of up to 32 signs, those of its first column first; what is missing is 0.
pub fn sign_word(plus: impl Iterator<Item = bool>) -> u32 {
    plus.enumerate().fold(0, |word, (c, plus)| word | u32::from(plus) << c)
}

/// The code of a column, two's complement: column 2j is the low half of byte j.
pub fn code(bytes: &[u8], column: usize) -> i8 {
    let nibble = bytes[column / 2] >> (4 * (column % 2)) & 0xf;
    (nibble as i8) << 4 >> 4
}

/// The byte of the codes of two columns; that behind the last column is 0.
pub fn code_byte(low: i8, high: i8) -> u8 {
    low as u8 & 0xf | (high as u8) << 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let plus = |c: usize| c % 3 == 1 || c == 31;
        let word = sign_word((0..WORD_COLUMNS).map(plus));
        assert_eq!(word & 0xff, 0b1001_0010, "the first column is the lowest bit");
        (0..WORD_COLUMNS).for_each(|c| assert_eq!(is_plus(&[0, word], WORD_COLUMNS + c), plus(c), "{c}"));
        assert_eq!(sign_word([true].into_iter()), 1);
        for low in -7..=7 {
            for high in -7..=7 {
                let bytes = [0, code_byte(low, high)];
                assert_eq!((code(&bytes, 2), code(&bytes, 3)), (low, high));
            }
        }
        assert_eq!(code_byte(1, -7), 0x91);
    }
}
