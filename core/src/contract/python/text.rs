//! Text as Python's `str` methods and number constructors see it.

use num_bigint::BigInt;

/// Most digits of a decimal integer that Python converts.
const MAX_INT_DIGITS: usize = 4_300;

/// The first of each run of ten decimal digits of Unicode 14, which Python 3.11 accepts in numbers.
const DIGIT_ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// Whether `str.isspace` holds. Rust's `char::is_whitespace` lacks the four information separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `str.strip()`.
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.split()`: the words between runs of whitespace.
pub fn split_whitespace(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// `str.lower()`.
pub fn lower(text: &str) -> String {
    text.to_lowercase()
}

/// `str.splitlines()`.
pub fn split_lines(text: &str) -> Vec<&str> {
    let is_break = |c: char| {
        matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_break) {
        lines.push(&rest[..at]);
        let length = if rest[at..].starts_with("\r\n") {
            2
        } else {
            rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// `int(text)`, or nothing where Python raises.
pub fn parse_int(text: &str) -> Option<BigInt> {
    let text = to_ascii_digits(trim(text))?;
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text.as_str()),
    };
    let digits = without_underscores(digits)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number || digits.len() > MAX_INT_DIGITS {
        return None;
    }
    format!("{sign}{digits}").parse().ok()
}

/// `float(text)`, or nothing where Python raises.
pub fn parse_float(text: &str) -> Option<f64> {
    let text = to_ascii_digits(trim(text))?;
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(&text);
    let word = unsigned.to_ascii_lowercase();
    if !matches!(word.as_str(), "inf" | "infinity" | "nan") {
        // What Rust accepts beside numbers are exactly those words.
        let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'e' | b'E' | b'+' | b'-');
        if !unsigned.bytes().all(plain) {
            return None;
        }
    }
    without_underscores(&text)?.parse().ok()
}

/// Decimal digits of any script as ASCII; nothing when another non-ASCII character is there.
fn to_ascii_digits(text: &str) -> Option<String> {
    let convert = |c: char| {
        if c.is_ascii() {
            return Some(c);
        }
        let last = DIGIT_ZEROS.partition_point(|&zero| zero <= u32::from(c)).checked_sub(1)?;
        char::from_digit(u32::from(c) - DIGIT_ZEROS[last], 10)
    };
    text.chars().map(convert).collect()
}

/// Removes underscores, each of which must stand between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit_at = |i: Option<usize>| i.and_then(|i| bytes.get(i)).is_some_and(u8::is_ascii_digit);
    let misplaced =
        |(i, &b): (usize, &u8)| b == b'_' && !(digit_at(i.checked_sub(1)) && digit_at(Some(i + 1)));
    if bytes.iter().enumerate().any(misplaced) {
        return None;
    }
    Some(text.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_python_reads_them() {
        let good =
            [(" 1_6 ", 16), ("+7", 7), ("-0", 0), ("\u{661}\u{662}", 12), ("007", 7), ("\x1c5\x1f", 5)];
        for (text, expected) in good {
            assert_eq!(parse_int(text), Some(expected.into()), "{text:?}");
        }
        for text in ["", " ", "1__0", "_1", "1_", "0x10", "1.0", "1e3", "--1", "+ 1", "\u{b2}"] {
            assert_eq!(parse_int(text), None, "{text:?}");
        }
        assert!(parse_int(&"9".repeat(4_300)).is_some() && parse_int(&"9".repeat(4_301)).is_none());
    }

    #[test]
    fn floats_are_read_as_python_reads_them() {
        let good = [
            (".5", 0.5),
            ("5.", 5.0),
            ("1_0e1_0", 1e11),
            (" -inf", f64::NEG_INFINITY),
            ("1e400", f64::INFINITY),
        ];
        for (text, expected) in good {
            assert_eq!(parse_float(text), Some(expected), "{text:?}");
        }
        assert!(parse_float("+NaN").is_some_and(f64::is_nan));
        for text in ["", ".", "e5", "1e", "0x1p3", "infinit", "1__0", "1_.5", "1._5", "1_e5", "- 1", "nan1"] {
            assert_eq!(parse_float(text), None, "{text:?}");
        }
    }

    #[test]
    fn lines_end_where_python_ends_them() {
        assert_eq!(split_lines("a\r\nb\x0bc\u{2028}d\n\ne"), ["a", "b", "c", "d", "", "e"]);
        assert_eq!(split_lines("a\n"), ["a"]);
        assert!(split_lines("").is_empty());
        // The unit separator is space, but no line break.
        assert_eq!(split_lines("a\x1fb"), ["a\x1fb"]);
        assert_eq!(trim("\x1f a \x1c"), "a");
    }
}
