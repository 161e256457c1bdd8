//! Reading JSON.

use super::{JsonError, Object, Value};

/// Deepest nesting that is read. Python gives up at about a thousand.
const MAX_DEPTH: usize = 900;
/// Most digits of an integer; Python refuses more.
const MAX_INT_DIGITS: usize = 4_300;

/// See [`Value::parse`].
pub(super) fn parse(text: &str) -> Result<Value, JsonError> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.skip_space();
    if parser.at < text.len() { parser.fail("extra data") } else { Ok(value) }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
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
    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > MAX_DEPTH {
            return self.fail("nested too deeply");
        }
        self.skip_space();
        match self.peek() {
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let words = [
                    ("null", Value::Null),
                    ("true", Value::Bool(true)),
                    ("false", Value::Bool(false)),
                    ("NaN", Value::Float(f64::NAN)),
                    ("Infinity", Value::Float(f64::INFINITY)),
                ];
                for (word, value) in words {
                    if self.take(word) {
                        return Ok(value);
                    }
                }
                self.fail("expecting a value")
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        self.skip_space();
        let mut items = Vec::new();
        if self.take("]") {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.take("]") {
                return Ok(Value::Array(items));
            }
            if !self.take(",") {
                return self.fail("expecting ',' or ']'");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        self.skip_space();
        let mut object = Object::new();
        if self.take("}") {
            return Ok(Value::Object(object));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return self.fail("expecting a key in double quotes");
            }
            let key = self.string()?;
            self.skip_space();
            if !self.take(":") {
                return self.fail("expecting ':'");
            }
            let value = self.value(depth + 1)?;
            object.insert(key, value);
            self.skip_space();
            if self.take("}") {
                return Ok(Value::Object(object));
            }
            if !self.take(",") {
                return self.fail("expecting ',' or '}'");
            }
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        self.take("-");
        if self.take("Infinity") {
            return Ok(Value::Float(f64::NEG_INFINITY));
        }
        // A leading zero stands alone; what follows is then extra data.
        if !self.take("0") && self.digits() == 0 {
            return self.fail("expecting a digit");
        }
        let int_end = self.at;
        self.optional(|parser| parser.take(".") && parser.digits() > 0);
        self.optional(|parser| {
            (parser.take("e") || parser.take("E")) && {
                let _sign = parser.take("+") || parser.take("-");
                parser.digits() > 0
            }
        });
        let text = &self.text[start..self.at];
        if self.at > int_end {
            return text.parse().map(Value::Float).or_else(|_| self.fail("a malformed number"));
        }
        if text.len() > MAX_INT_DIGITS {
            return self.fail("an integer of too many digits");
        }
        text.parse().map(Value::Int).or_else(|_| self.fail("a malformed number"))
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

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(stop) = rest.find(|c| c == '"' || c == '\\' || c < ' ') else {
                return self.fail("an unterminated string");
            };
            out.push_str(&rest[..stop]);
            self.at += stop;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return self.fail("a control character in a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let Some(letter) = self.peek() else { return self.fail("an unterminated string") };
        let plain = match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return self.fail("an unknown escape"),
        };
        self.at += 1;
        Ok(plain)
    }

    /// Behind `\`, at the `u`.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.hex4()?;
        let is_high = (0xd800..0xdc00).contains(&first);
        if is_high && self.text[self.at..].starts_with("\\u") {
            self.at += 1;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return char::from_u32(code).map_or_else(|| self.fail("an unpaired surrogate"), Ok);
            }
        }
        char::from_u32(first).map_or_else(|| self.fail("an unpaired surrogate"), Ok)
    }

    /// The four hexadecimal digits behind a `u`.
    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at + 1..self.at + 5);
        match digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(digits) => {
                self.at += 5;
                u32::from_str_radix(digits, 16).or_else(|_| self.fail("a malformed \\u escape"))
            }
            None => self.fail("a malformed \\u escape"),
        }
    }
}
