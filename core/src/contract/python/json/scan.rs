//! Whether a text is JSON, without building anything from it.

use super::JsonError;

/// Deepest nesting that is read. Python gives up at about a thousand.
const MAX_DEPTH: usize = 900;
/// Most digits of an integer; Python refuses more.
const MAX_INT_DIGITS: usize = 4_300;

/// Where an array or object begins, and where what follows it does.
pub(super) type Span = (u32, u32);

/// Goes through a text from its beginning to its end; `spans` is given every array and object, in the order of their
/// beginnings. There they must lie below 2^32.
pub(super) fn scan(text: &str, spans: Option<&mut Vec<Span>>) -> Result<(), JsonError> {
    let mut scanner = Scanner { text, at: 0, spans };
    scanner.value(0)?;
    scanner.skip_space();
    if scanner.at < text.len() { scanner.fail("extra data") } else { Ok(()) }
}

struct Scanner<'t, 's> {
    text: &'t str,
    at: usize,
    spans: Option<&'s mut Vec<Span>>,
}

impl Scanner<'_, '_> {
    fn fail<T>(&self, what: &'static str) -> Result<T, JsonError> {
        Err(JsonError { what, offset: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.text[self.at..].starts_with(wanted);
        self.at += if found { wanted.len() } else { 0 };
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The next value, with space in front.
    fn value(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > MAX_DEPTH {
            return self.fail("nested too deeply");
        }
        self.skip_space();
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'[') => self.spanned(|scanner| scanner.array(depth)),
            Some(b'{') => self.spanned(|scanner| scanner.object(depth)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let is_word = ["null", "true", "false", "NaN", "Infinity"].iter().any(|word| self.take(word));
                if is_word { Ok(()) } else { self.fail("expecting a value") }
            }
        }
    }

    /// Notes where what `part` takes begins and ends.
    fn spanned(&mut self, part: impl FnOnce(&mut Self) -> Result<(), JsonError>) -> Result<(), JsonError> {
        let (start, index) = (self.at as u32, self.spans.as_ref().map_or(0, |spans| spans.len()));
        if let Some(spans) = &mut self.spans {
            spans.push((start, start));
        }
        part(self)?;
        if let Some(spans) = &mut self.spans {
            spans[index].1 = self.at as u32;
        }
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), JsonError> {
        self.at += 1;
        self.skip_space();
        if self.take("]") {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.skip_space();
            if self.take("]") {
                return Ok(());
            }
            if !self.take(",") {
                return self.fail("expecting ',' or ']'");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), JsonError> {
        self.at += 1;
        self.skip_space();
        if self.take("}") {
            return Ok(());
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return self.fail("expecting a key in double quotes");
            }
            self.string()?;
            self.skip_space();
            if !self.take(":") {
                return self.fail("expecting ':'");
            }
            self.value(depth + 1)?;
            self.skip_space();
            if self.take("}") {
                return Ok(());
            }
            if !self.take(",") {
                return self.fail("expecting ',' or '}'");
            }
        }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        self.take("-");
        let start = self.at;
        if self.take("Infinity") {
            return Ok(());
        }
        // A leading zero stands alone; what follows is then extra data.
        if !self.take("0") && self.digits() == 0 {
            return self.fail("expecting a digit");
        }
        let int_end = self.at;
        self.optional(|scanner| scanner.take(".") && scanner.digits() > 0);
        self.optional(|scanner| {
            (scanner.take("e") || scanner.take("E")) && {
                let _sign = scanner.take("+") || scanner.take("-");
                scanner.digits() > 0
            }
        });
        let is_int = self.at == int_end;
        if is_int && self.at - start > MAX_INT_DIGITS {
            return self.fail("an integer of too many digits");
        }
        Ok(())
    }

    /// Takes what `part` takes, or nothing when it says that it did not fit.
    fn optional(&mut self, part: impl FnOnce(&mut Self) -> bool) {
        let start = self.at;
        if !part(self) {
            self.at = start;
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let Some(stop) = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < b' ') else {
                return self.fail("an unterminated string");
            };
            self.at += stop;
            match rest[stop] {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape()?,
                _ => return self.fail("a control character in a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.peek() {
            None => self.fail("an unterminated string"),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => self.unicode_escape(),
            Some(_) => self.fail("an unknown escape"),
        }
    }

    /// Behind `\`, at the `u`.
    fn unicode_escape(&mut self) -> Result<(), JsonError> {
        let first = self.hex4()?;
        let is_high = (0xd800..0xdc00).contains(&first);
        if is_high && self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            self.at += 1;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                return Ok(());
            }
        }
        if (0xd800..0xe000).contains(&first) { self.fail("an unpaired surrogate") } else { Ok(()) }
    }

    /// The four hexadecimal digits behind a `u`.
    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5).unwrap_or_default();
        let value = digits.iter().try_fold(0, |value, &b| Some(value << 4 | char::from(b).to_digit(16)?));
        match value.filter(|_| digits.len() == 4) {
            Some(value) => {
                self.at += 5;
                Ok(value)
            }
            None => self.fail("a malformed \\u escape"),
        }
    }
}
