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
