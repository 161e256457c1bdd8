//! Writing JSON.

use std::fmt::Write;

use super::Value;
use crate::contract::python::print::float_repr;

/// The text of a value.
pub(super) fn write(value: &Value, style: Style) -> String {
    let mut out = String::new();
    Writer { out: &mut out, style }.value(value, 0);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Canonical,
    Pretty,
}

/// Writes into memory or a checksum, which can't fail: what `fmt` returns is not looked at.
pub(super) struct Writer<'o> {
    pub out: &'o mut dyn Write,
    pub style: Style,
}

impl Writer<'_> {
    fn put(&mut self, text: &str) {
        let _ = self.out.write_str(text);
    }

    fn value(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Null => self.put("null"),
            Value::Bool(flag) => self.put(if *flag { "true" } else { "false" }),
            Value::Int(int) => self.put(&int.to_string()),
            Value::Float(float) if float.is_nan() => self.put("NaN"),
            Value::Float(f64::INFINITY) => self.put("Infinity"),
            Value::Float(f64::NEG_INFINITY) => self.put("-Infinity"),
            Value::Float(float) => self.put(&float_repr(*float)),
            Value::String(text) => self.string(text.chars()),
            Value::Array(items) => {
                self.list(['[', ']'], items.iter(), depth, |writer, item| writer.value(item, depth + 1));
            }
            Value::Object(object) => {
                let mut members: Vec<_> = object.iter().collect();
                // Strings compare by their UTF-8, which is the order of code points.
                members.sort_by(|a, b| a.0.cmp(b.0));
                self.list(['{', '}'], members.into_iter(), depth, |writer, (key, value)| {
                    writer.string(key.chars());
                    writer.put(if writer.style == Style::Pretty { ": " } else { ":" });
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
        self.put(open.encode_utf8(&mut [0; 4]));
        let is_empty = items.len() == 0;
        for (i, one) in items.enumerate() {
            if i > 0 {
                self.put(",");
            }
            self.line(depth + 1);
            item(self, one);
        }
        if !is_empty {
            self.line(depth);
        }
        self.put(close.encode_utf8(&mut [0; 4]));
    }

    fn line(&mut self, depth: usize) {
        if self.style == Style::Pretty {
            self.put("\n");
            (0..depth).for_each(|_| self.put("  "));
        }
    }

    /// A string in quotes.
    pub fn string(&mut self, text: impl Iterator<Item = char>) {
        self.put("\"");
        for c in text {
            match c {
                '"' => self.put("\\\""),
                '\\' => self.put("\\\\"),
                '\n' => self.put("\\n"),
                '\r' => self.put("\\r"),
                '\t' => self.put("\\t"),
                '\x08' => self.put("\\b"),
                '\x0c' => self.put("\\f"),
                c if c < ' ' || (c > '~' && self.style == Style::Pretty) => self.utf16_escapes(c),
                c => self.put(c.encode_utf8(&mut [0; 4])),
            }
        }
        self.put("\"");
    }

    fn utf16_escapes(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String can't fail.
            let _ = write!(self.out, "\\u{unit:04x}");
        }
    }
}
