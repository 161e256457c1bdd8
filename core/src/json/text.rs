//! From JSON text to values, each number the nearest float to what is written.
//!
//! serde_json's own reader takes the float beside it now and then, unless it is built with tables that the browser's
//! page has no room for.

use serde_json::{Map, Value};

use super::decimal;

/// Deepest nesting, which is what serde_json reads.
pub const MAX_DEPTH: usize = 127;
/// Most digits of an integer that Python reads.
pub const MAX_INT_DIGITS: usize = 4_300;

/// Reads a JSON text (RFC 8259). The last of two equal keys wins.
///
/// # Errors
/// Text that is not JSON: what was expected, and where. Nesting beyond 127 levels, numbers beyond the range of floats.
pub fn parse(text: &[u8]) -> Result<Value, String> {
    read(text, false)
}

/// Reads what Python's `json` takes beyond that: `NaN`, `Infinity`, and numbers of any size. Infinities become the largest
/// floats; NaN and whole numbers beyond 64 bits become `[null]`, which no field of a model takes.
///
/// # Errors
/// As [`parse`]; an integer of more than [`MAX_INT_DIGITS`] digits.
pub fn parse_python(text: &[u8]) -> Result<Value, String> {
    read(text, true)
}

fn read(text: &[u8], python: bool) -> Result<Value, String> {
    let mut parser = Parser { text, at: 0, python };
    let value = parser.value(0).and_then(|value| match parser.peek() {
        None => Ok(value),
        Some(_) => Err("the end of the text"),
    });
    value.map_err(|expected| parser.place(expected))
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    /// Whether Python's words and numbers are taken.
    python: bool,
}

/// A value, or what was expected in its place.
type Read<T> = Result<T, &'static str>;

impl Parser<'_> {
    /// An error at the current position, lines and columns counted from 1.
    fn place(&self, expected: &str) -> String {
        let before = &self.text[..self.at];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        format!("expected {expected} at line {line} column {column}")
    }

    /// The next byte that is not a space.
    fn peek(&mut self) -> Option<u8> {
        let space = self.text[self.at..].iter().take_while(|byte| b" \t\n\r".contains(byte)).count();
        self.at += space;
        self.text.get(self.at).copied()
    }

    fn value(&mut self, depth: usize) -> Read<Value> {
        match self.peek() {
            Some(b'{' | b'[') if depth == MAX_DEPTH => Err("no more than 127 levels"),
            Some(b'{') => {
                let mut members = Map::new();
                self.list(b'}', &mut |parser| {
                    let key = parser.string()?;
                    if parser.peek() != Some(b':') {
                        return Err("`:`");
                    }
                    parser.at += 1;
                    members.insert(key, parser.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Value::Object(members))
            }
            Some(b'[') => {
                let mut items = Vec::new();
                self.list(b']', &mut |parser| {
                    items.push(parser.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Value::Array(items))
            }
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    /// What stands between an opening bracket, at the current position, and the closing one.
    fn list(&mut self, close: u8, item: &mut dyn FnMut(&mut Self) -> Read<()>) -> Read<()> {
        self.at += 1;
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err("`,` or a closing bracket"),
            }
        }
    }

    fn word(&mut self) -> Read<Value> {
        for (word, value) in [("null", Value::Null), ("true", true.into()), ("false", false.into())] {
            if self.take_word(word) {
                return Ok(value);
            }
        }
        if self.python && self.take_word("NaN") {
            return Ok(unreadable_number());
        }
        if self.python && self.take_word("Infinity") { Ok(f64::MAX.into()) } else { Err("a value") }
    }

    /// Takes this word if it comes next.
    fn take_word(&mut self, word: &str) -> bool {
        let found = self.text[self.at..].starts_with(word.as_bytes());
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn string(&mut self) -> Read<String> {
        const EXPECTED: &str = "a string in double quotes";
        if self.peek() != Some(b'"') {
            return Err(EXPECTED);
        }
        let mut end = self.at + 1;
        while let Some(byte) = self.text.get(end).filter(|byte| **byte != b'"') {
            end += if *byte == b'\\' { 2 } else { 1 };
        }
        let quoted = self.text.get(self.at..=end).ok_or(EXPECTED)?;
        let text = serde_json::from_slice(quoted).map_err(|_| EXPECTED)?;
        self.at = end + 1;
        Ok(text)
    }

    /// A whole number of 64 bits, or else a float.
    fn number(&mut self) -> Read<Value> {
        let start = self.at;
        if self.take(b"-") && self.python && self.take_word("Infinity") {
            return Ok(f64::MIN.into());
        }
        if !self.take(b"0") && self.digits() == 0 {
            return Err("a digit");
        }
        let mut is_whole = true;
        if self.take(b".") {
            is_whole = false;
            if self.digits() == 0 {
                return Err("a digit");
            }
        }
        if self.take(b"eE") {
            is_whole = false;
            self.take(b"+-");
            if self.digits() == 0 {
                return Err("a digit");
            }
        }
        // ASCII, so it is text.
        let text = std::str::from_utf8(&self.text[start..self.at]).unwrap_or_default();
        if self.python && is_whole && text.trim_start_matches('-').len() > MAX_INT_DIGITS {
            return Err("no more than 4,300 digits");
        }
        if is_whole && let Ok(number) = text.parse::<u64>() {
            return Ok(number.into());
        }
        // -0 has no place among the whole numbers.
        if is_whole && let Ok(number @ ..0) = text.parse::<i64>() {
            return Ok(number.into());
        }
        match decimal::nearest(text.as_bytes()) {
            _ if self.python && is_whole => Ok(unreadable_number()),
            None if self.python && text.starts_with('-') => Ok(f64::MIN.into()),
            None if self.python => Ok(f64::MAX.into()),
            number => number.map(Value::from).ok_or("a number in the range of floats"),
        }
    }

    /// Takes the next byte if it is one of these.
    fn take(&mut self, wanted: &[u8]) -> bool {
        let found = self.text.get(self.at).is_some_and(|byte| wanted.contains(byte));
        self.at += usize::from(found);
        found
    }

    /// Takes digits; gives how many.
    fn digits(&mut self) -> usize {
        let count = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }
}

/// What stands for a number of Python that has no place among ours.
fn unreadable_number() -> Value {
    Value::Array(vec![Value::Null])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_serde_json() {
        for text in [
            "null",
            " [true, false,\n null] ",
            "{}",
            "[]",
            r#"{"a": {"b": [1, -1, 18446744073709551615, -9223372036854775808]}, "a": 2, "": ""}"#,
            r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀""#,
            "[-0, 0.5, -1.5e3, 1E+2, 18446744073709551616, -9223372036854775809, 1e-400]",
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(serde_json::from_str(text).unwrap()), "{text}");
        }
        let deep = |levels: usize| ["[".repeat(levels), "]".repeat(levels)].concat();
        assert!(parse(deep(127).as_bytes()).is_ok());
        assert!(parse(deep(128).as_bytes()).unwrap_err().contains("levels"));
        assert!(parse(deep(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn faults_are_named_where_they_are() {
        for (text, expected) in [
            ("", "a value at line 1 column 1"),
            ("[1,\n 2 3]", "`,` or a closing bracket at line 2 column 4"),
            ("[1,]", "a value at line 1 column 4"),
            ("{\"a\" 1}", "`:` at line 1 column 6"),
            ("{1: 2}", "a string in double quotes at line 1 column 2"),
            ("\"\n\"", "a string in double quotes at line 1 column 1"),
            ("\"\\ud800\"", "a string in double quotes at line 1 column 1"),
            ("\"open\\", "a string in double quotes at line 1 column 1"),
            ("01", "the end of the text at line 1 column 2"),
            ("1.", "a digit at line 1 column 3"),
            ("-", "a digit at line 1 column 2"),
            ("1e", "a digit at line 1 column 3"),
            ("1e309", "a number in the range of floats at line 1 column 6"),
            ("NaN", "a value at line 1 column 1"),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(format!("expected {expected}")), "{text}");
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }
}
