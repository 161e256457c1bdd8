//! JSON that stays text: what a caller asks for is read where it stands.
//!
//! A tree of values takes up to seventy times the bytes of its text; an artifact's text has up to 64 MiB, and most of
//! it is not looked at.

use std::borrow::Cow;
use std::fmt::{self, Write};

use num_bigint::BigInt;

use super::scan::{Span, scan};
use super::write::{Style, Writer};
use super::{JsonError, Object, Value};
use crate::contract::python::print::{float_repr, string_repr};
use crate::{Error, ErrorKind, memory};

/// A JSON text, and where its arrays and objects end.
#[derive(Debug, Clone)]
pub struct Json<'t> {
    text: Cow<'t, str>,
    spans: Vec<Span>,
}

/// Why a text was not read.
#[derive(Debug, Clone, PartialEq)]
pub enum NotRead {
    /// It is not JSON.
    Malformed(JsonError),
    /// It has 4 GiB or more, or there is not enough memory.
    Failed(Error),
}

/// A value in a JSON text.
#[derive(Debug, Clone, Copy)]
pub struct Node<'j> {
    json: &'j Json<'j>,
    /// Its first byte.
    at: usize,
}

impl<'t> Json<'t> {
    /// `json.loads(text)`. Takes eight bytes for each array and object beside the text.
    ///
    /// # Errors
    /// As [`Value::parse`]; too long a text, too little memory.
    pub fn parse(text: impl Into<Cow<'t, str>>) -> Result<Self, NotRead> {
        let text = text.into();
        if u32::try_from(text.len()).is_err() {
            let error = Error::new(ErrorKind::TooLarge, "the JSON text is too long");
            return Err(NotRead::Failed(
                error.expected_found("less than 4 GiB", format!("{} bytes", text.len())),
            ));
        }
        let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
        let mut spans = memory::with_room(brackets as u64, "a JSON text").map_err(NotRead::Failed)?;
        scan(&text, Some(&mut spans)).map_err(NotRead::Malformed)?;
        Ok(Self { text, spans })
    }

    /// The value that the text is.
    pub fn root(&self) -> Node<'_> {
        Node { json: self, at: self.skip_space(0) }
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or_default()
    }

    fn skip_space(&self, at: usize) -> usize {
        let rest = &self.text.as_bytes()[at..];
        at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
    }

    /// The first element behind what opens or parts them, if there is one.
    fn element(&self, at: usize) -> Option<Node<'_>> {
        let at = self.skip_space(at);
        let at = if self.byte(at) == b',' { self.skip_space(at + 1) } else { at };
        (!matches!(self.byte(at), b']' | b'}')).then_some(Node { json: self, at })
    }
}

impl<'j> Node<'j> {
    /// Where what follows the value begins.
    fn end(self) -> usize {
        let rest = &self.json.text.as_bytes()[self.at..];
        match rest.first() {
            Some(b'[' | b'{') => {
                let found = self.json.spans.binary_search_by_key(&(self.at as u32), |span| span.0);
                found.map_or(self.json.text.len(), |index| self.json.spans[index].1 as usize)
            }
            Some(b'"') => self.at + 2 + self.raw_text().len(),
            _ => {
                let in_word = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                self.at + rest.iter().take_while(in_word).count()
            }
        }
    }

    fn first(self) -> u8 {
        self.json.byte(self.at)
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        self.first() == b'{'
    }

    /// The elements of an array.
    pub fn items(self) -> Option<impl Iterator<Item = Self>> {
        let first = || self.json.element(self.at + 1);
        let next = |node: &Self| node.json.element(node.end());
        (self.first() == b'[').then(|| std::iter::successors(first(), next))
    }

    /// Keys and values of an object, every one of them.
    fn members(self) -> impl Iterator<Item = (Self, Self)> {
        let first = if self.is_object() { self.json.element(self.at + 1) } else { None };
        std::iter::successors(first.map(|key| (key, key.behind())), move |(_, last)| {
            let key = self.json.element(last.end())?;
            Some((key, key.behind()))
        })
    }

    /// Keys of an object, each once.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn keys(self) -> Result<Vec<Cow<'j, str>>, Error> {
        let members = self.unique()?;
        let mut keys = memory::with_room(members.len() as u64, "the keys of an object")?;
        keys.extend(members.into_iter().map(|member| self.key(member.first).text()));
        Ok(keys)
    }

    /// The member `key` of an object; the last one where there are several.
    pub fn get(self, key: &str) -> Option<Self> {
        self.members().filter(|(name, _)| name.decoded().eq(key.chars())).last().map(|(_, value)| value)
    }

    /// The text of a string.
    pub fn as_text(self) -> Option<Cow<'j, str>> {
        (self.first() == b'"').then(|| self.text())
    }

    fn text(self) -> Cow<'j, str> {
        let raw = self.raw_text();
        if raw.contains('\\') { self.decoded().collect::<String>().into() } else { raw.into() }
    }

    /// What stands between the quotes of a string.
    fn raw_text(self) -> &'j str {
        let rest = &self.json.text[self.at + 1..];
        let mut is_escaped = false;
        let end = rest.bytes().position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        });
        &rest[..end.unwrap_or(rest.len())]
    }

    /// The characters of a string.
    fn decoded(self) -> impl Iterator<Item = char> {
        let mut chars = self.raw_text().chars();
        std::iter::from_fn(move || match chars.next()? {
            '\\' => Some(match chars.next()? {
                'b' => '\x08',
                'f' => '\x0c',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => unicode_escape(&mut chars),
                plain => plain,
            }),
            plain => Some(plain),
        })
    }

    /// The value where it is a number, a string or a word; an array or object without what it holds.
    pub fn scalar(self) -> Value {
        let text = || &self.json.text[self.at..self.end()];
        match self.first() {
            b'[' => Value::Array(Vec::new()),
            b'{' => Value::Object(Object::new()),
            b'"' => Value::String(self.text().into_owned()),
            b'n' => Value::Null,
            b't' => Value::Bool(true),
            b'f' => Value::Bool(false),
            b'N' => Value::Float(f64::NAN),
            b'I' => Value::Float(f64::INFINITY),
            _ if text() == "-Infinity" => Value::Float(f64::NEG_INFINITY),
            // The text was checked: these are numbers.
            _ => match text().parse::<BigInt>() {
                Ok(int) => Value::Int(int),
                Err(_) => Value::Float(text().parse().unwrap_or(f64::NAN)),
            },
        }
    }

    /// The value with all that it holds.
    pub fn to_value(self) -> Value {
        match self.first() {
            b'[' => Value::Array(self.items().into_iter().flatten().map(Self::to_value).collect()),
            b'{' => {
                let members = self.members().map(|(key, value)| (key.text().into_owned(), value.to_value()));
                Value::Object(members.collect())
            }
            _ => self.scalar(),
        }
    }

    /// `type(value).__name__`.
    pub fn type_name(self) -> &'static str {
        self.scalar().type_name()
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.first() == b'n'
    }

    /// `bool(value)`.
    pub fn is_truthy(self) -> bool {
        match self.first() {
            b'[' | b'{' => self.json.element(self.at + 1).is_some(),
            b'"' => !self.raw_text().is_empty(),
            _ => self.scalar().is_truthy(),
        }
    }

    /// `str(value)`.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn to_text(self) -> Result<String, Error> {
        match self.as_text() {
            Some(text) => Ok(text.into_owned()),
            None => {
                let mut out = String::new();
                self.write_repr(&mut out)?;
                Ok(out)
            }
        }
    }

    /// `repr(value)`.
    fn write_repr(self, out: &mut String) -> Result<(), Error> {
        match self.first() {
            b'[' => {
                out.push('[');
                for (index, item) in self.items().into_iter().flatten().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    item.write_repr(out)?;
                }
                out.push(']');
            }
            b'{' => {
                out.push('{');
                for (index, member) in self.unique()?.into_iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    out.push_str(&string_repr(&self.key(member.first).text()));
                    out.push_str(": ");
                    self.key(member.last).behind().write_repr(out)?;
                }
                out.push('}');
            }
            b'"' => out.push_str(&string_repr(&self.text())),
            _ => out.push_str(&self.scalar().repr()),
        }
        Ok(())
    }

    /// Writes the canonical text that artifacts are hashed by, as [`Value::to_canonical`] gives it.
    ///
    /// # Errors
    /// There is not enough memory to sort an object's keys.
    pub fn write_canonical(self, out: &mut dyn Write) -> Result<(), Error> {
        // Writing into memory or a checksum can't fail.
        let mut put = |text: &dyn fmt::Display| {
            let _ = write!(out, "{text}");
        };
        match self.first() {
            b'[' => {
                put(&'[');
                for (index, item) in self.items().into_iter().flatten().enumerate() {
                    let _ = out.write_str(if index > 0 { "," } else { "" });
                    item.write_canonical(out)?;
                }
                let _ = out.write_char(']');
            }
            b'{' => {
                put(&'{');
                let mut members = self.unique()?;
                members.sort_unstable_by(|a, b| self.compare(a.first, b.first));
                for (index, member) in members.into_iter().enumerate() {
                    let _ = out.write_str(if index > 0 { "," } else { "" });
                    Writer { out: &mut *out, style: Style::Canonical }
                        .string(self.key(member.first).decoded());
                    let _ = out.write_char(':');
                    self.key(member.last).behind().write_canonical(out)?;
                }
                let _ = out.write_char('}');
            }
            b'"' => Writer { out, style: Style::Canonical }.string(self.decoded()),
            _ => match self.scalar() {
                Value::Int(int) => put(&int),
                Value::Float(float) if float.is_finite() => put(&float_repr(float)),
                Value::Float(float) if float.is_nan() => put(&"NaN"),
                Value::Float(float) => put(&if float > 0.0 { "Infinity" } else { "-Infinity" }),
                Value::Bool(flag) => put(&flag),
                _ => put(&"null"),
            },
        }
        Ok(())
    }

    /// The members of an object without those that a later one of the same key replaces, in the order of the keys'
    /// first occurrence.
    fn unique(self) -> Result<Vec<Unique>, Error> {
        let count = self.members().count() as u64;
        let mut members: Vec<Unique> = memory::with_room(count, "the members of an object")?;
        members.extend(self.members().map(|(key, _)| Unique { first: key.at as u32, last: key.at as u32 }));
        members.sort_unstable_by(|a, b| self.compare(a.first, b.first).then(a.first.cmp(&b.first)));
        members.dedup_by(|next, kept| {
            let is_same = self.compare(next.first, kept.first).is_eq();
            if is_same {
                kept.last = next.last;
            }
            is_same
        });
        members.sort_unstable_by_key(|member| member.first);
        Ok(members)
    }

    fn key(self, at: u32) -> Self {
        Self { json: self.json, at: at as usize }
    }

    /// The value of a key.
    fn behind(self) -> Self {
        let colon = self.json.skip_space(self.end());
        Self { json: self.json, at: self.json.skip_space(colon + 1) }
    }

    /// Compares two keys by code points.
    fn compare(self, a: u32, b: u32) -> std::cmp::Ordering {
        self.key(a).decoded().cmp(self.key(b).decoded())
    }
}

/// A key of an object: where it occurs first, and where last.
#[derive(Debug, Clone, Copy)]
struct Unique {
    first: u32,
    last: u32,
}

/// The character of `\\u`, whose digits come next; of two of them where the first is half of one.
fn unicode_escape(chars: &mut std::str::Chars) -> char {
    let mut hex4 =
        || (0..4).fold(0, |value, _| value << 4 | chars.next().and_then(|c| c.to_digit(16)).unwrap_or(0));
    let first = hex4();
    if !(0xd800..0xe000).contains(&first) {
        return char::from_u32(first).unwrap_or_default();
    }
    chars.by_ref().take(2).for_each(drop);
    let mut hex4 =
        || (0..4).fold(0, |value, _| value << 4 | chars.next().and_then(|c| c.to_digit(16)).unwrap_or(0));
    let second = hex4();
    char::from_u32(0x1_0000 + ((first & 0x3ff) << 10 | second & 0x3ff)).unwrap_or_default()
}
