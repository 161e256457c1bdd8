//! JSON as Python's `json` module reads and writes it: `NaN` and infinities are numbers, integers have
//! any size, the last of two equal keys wins.

use std::fmt::{self, Write};

use indexmap::IndexMap;
use num_bigint::BigInt;

use super::print::{float_repr, string_repr};

/// A JSON object: keys in the order of their first occurrence.
pub type Object = IndexMap<String, Value>;

/// Deepest nesting that is read. Python gives up at about a thousand.
const MAX_DEPTH: usize = 900;
/// Most digits of an integer; Python refuses more.
const MAX_INT_DIGITS: usize = 4_300;

/// A JSON value. `1` and `1.0` are different.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value {
    Null,
    Bool(bool),
    Int(BigInt),
    Float(f64),
    String(String),
    Array(Vec<Value>),
    Object(Object),
}

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub what: &'static str,
    /// Byte offset in the text.
    pub offset: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

impl std::error::Error for JsonError {}

impl Value {
    /// `json.loads(text)`.
    ///
    /// # Errors
    /// What is no JSON, nesting beyond 900, integers beyond 4,300 digits, unpaired surrogates.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value(0)?;
        parser.skip_space();
        if parser.at < text.len() { parser.fail("extra data") } else { Ok(value) }
    }

    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(object) => object.get(key),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// `bool(value)`.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(flag) => *flag,
            Self::Int(int) => *int != BigInt::ZERO,
            Self::Float(float) => *float != 0.0,
            Self::String(text) => !text.is_empty(),
            Self::Array(items) => !items.is_empty(),
            Self::Object(object) => !object.is_empty(),
        }
    }

    /// `type(value).__name__`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::String(_) => "str",
            Self::Array(_) => "list",
            Self::Object(_) => "dict",
        }
    }

    /// `str(value)`.
    pub fn to_text(&self) -> String {
        match self {
            Self::String(text) => text.clone(),
            value => value.repr(),
        }
    }

    /// `repr(value)`.
    pub fn repr(&self) -> String {
        match self {
            Self::Null => "None".into(),
            Self::Bool(true) => "True".into(),
            Self::Bool(false) => "False".into(),
            Self::Int(int) => int.to_string(),
            Self::Float(float) => float_repr(*float),
            Self::String(text) => string_repr(text),
            Self::Array(items) => {
                let items: Vec<_> = items.iter().map(Self::repr).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Object(object) => {
                let members: Vec<_> = object
                    .iter()
                    .map(|(key, value)| format!("{}: {}", string_repr(key), value.repr()))
                    .collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }

    /// The canonical text that artifacts are hashed by: sorted keys, no spaces, characters beyond
    /// ASCII as they are.
    pub fn to_canonical(&self) -> String {
        let mut out = String::new();
        Writer { out: &mut out, style: Style::Canonical }.value(self, 0);
        out
    }

    /// The text of report files: two spaces of indent, sorted keys, ASCII only, no final newline.
    pub fn to_pretty(&self) -> String {
        let mut out = String::new();
        Writer { out: &mut out, style: Style::Pretty }.value(self, 0);
        out
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

macro_rules! from_integers {
    ($($integer:ty)*) => { $(
        impl From<$integer> for Value {
            fn from(int: $integer) -> Self {
                Self::Int(int.into())
            }
        }
    )* };
}
from_integers!(i64 u64 i128 u128 usize BigInt);

/// An object of these members.
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Object {
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Value {
    fn from(members: [(&str, Value); N]) -> Self {
        Self::Object(object(members))
    }
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Canonical,
    Pretty,
}

struct Writer<'o> {
    out: &'o mut String,
    style: Style,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(flag) => self.out.push_str(if *flag { "true" } else { "false" }),
            Value::Int(int) => self.out.push_str(&int.to_string()),
            Value::Float(float) if float.is_nan() => self.out.push_str("NaN"),
            Value::Float(f64::INFINITY) => self.out.push_str("Infinity"),
            Value::Float(f64::NEG_INFINITY) => self.out.push_str("-Infinity"),
            Value::Float(float) => self.out.push_str(&float_repr(*float)),
            Value::String(text) => self.string(text),
            Value::Array(items) => {
                self.list(['[', ']'], items.iter(), depth, |writer, item| writer.value(item, depth + 1));
            }
            Value::Object(object) => {
                let mut members: Vec<_> = object.iter().collect();
                // Strings compare by their UTF-8, which is the order of code points.
                members.sort_by(|a, b| a.0.cmp(b.0));
                self.list(['{', '}'], members.into_iter(), depth, |writer, (key, value)| {
                    writer.string(key);
                    writer.out.push_str(if writer.style == Style::Pretty { ": " } else { ":" });
                    writer.value(value, depth + 1);
                });
            }
        }
    }

    fn list<T>(
        &mut self,
        [open, close]: [char; 2],
        items: impl ExactSizeIterator<Item = T>,
        depth: usize,
        mut item: impl FnMut(&mut Self, T),
    ) {
        self.out.push(open);
        let is_empty = items.len() == 0;
        for (i, one) in items.enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.line(depth + 1);
            item(self, one);
        }
        if !is_empty {
            self.line(depth);
        }
        self.out.push(close);
    }

    fn line(&mut self, depth: usize) {
        if self.style == Style::Pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("  ", depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\x08' => self.out.push_str("\\b"),
                '\x0c' => self.out.push_str("\\f"),
                c if c < ' ' || (c > '~' && self.style == Style::Pretty) => self.utf16_escapes(c),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn utf16_escapes(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String can't fail.
            let _ = write!(self.out, "\\u{unit:04x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_refused_where_it_ends_to_be() {
        let cases = [
            ("", 0),
            ("{", 1),
            ("[1,]", 3),
            ("{\"a\":1,}", 7),
            ("01", 1),
            ("1.", 1),
            ("-", 1),
            ("\"\n\"", 1),
            ("\"\\x\"", 2),
            ("[1] 2", 4),
            ("nul", 0),
            ("\"\\ud800\"", 7),
            ("'a'", 0),
            ("{1:2}", 1),
            ("\"\\u12\"", 2),
        ];
        for (text, offset) in cases {
            assert_eq!(Value::parse(text).map_err(|e| e.offset), Err(offset), "{text:?}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Value::parse(&deep).unwrap_err().what, "nested too deeply");
    }

    #[test]
    fn values_print_as_python_prints_them() {
        let value = Value::parse("{\"a\": [1, 2.0, null, true, \"it's\"], \"b\": {}}").unwrap();
        assert_eq!(value.repr(), "{'a': [1, 2.0, None, True, \"it's\"], 'b': {}}");
    }
}
