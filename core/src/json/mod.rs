//! From JSON back to the structs that `serde` wrote.
//!
//! Not by serde's derive: what it generates for reports is a tenth of the browser's page, and the page has a
//! limit. Here each field costs a name and a pointer. That every field is read is checked by the compiler, that every
//! name is the one that was written by the tests below.

mod decimal;
mod text;

use std::borrow::Cow;

use serde_json::{Map, Value};

pub use text::parse;

/// A value that can be read from JSON; errors are one line, with the path in front.
pub trait FromJson: Sized {
    /// Reads it from a parsed value.
    ///
    /// # Errors
    /// Another type, a missing field, a number out of range, an unknown name.
    fn from_json(value: Value) -> Result<Self, String>;

    /// Whether it may stay as it is where the field is not there.
    const OPTIONAL: bool = false;
}

/// A place that a field is read into.
pub(crate) trait Slot {
    /// Reads what the field holds.
    fn fill(&mut self, value: Value) -> Result<(), String>;

    /// [`FromJson::OPTIONAL`].
    fn is_optional(&self) -> bool;
}

impl<T: FromJson> Slot for T {
    fn fill(&mut self, value: Value) -> Result<(), String> {
        *self = T::from_json(value)?;
        Ok(())
    }

    fn is_optional(&self) -> bool {
        T::OPTIONAL
    }
}

/// Reads the fields of an object into `slots`, each by its name; with it stands whether older versions did not
/// write it.
pub(crate) fn fill(value: Value, names: &[(&str, bool)], slots: &mut [&mut dyn Slot]) -> Result<(), String> {
    let mut fields = Fields::of(value)?;
    for (&(name, is_late), slot) in names.iter().zip(slots) {
        match fields.0.remove(name) {
            Some(value) => slot.fill(value).map_err(|error| within(name, error))?,
            None if is_late || slot.is_optional() => {}
            None => return Err(missing(name)),
        }
    }
    Ok(())
}

/// The fields of an object, taken one by one.
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Those of an object.
    ///
    /// # Errors
    /// A value of another type.
    pub fn of(value: Value) -> Result<Self, String> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            other => Err(mismatch("an object", &other)),
        }
    }

    /// The field of this name.
    ///
    /// # Errors
    /// It is missing, or what it holds can't be read.
    pub fn take<T: FromJson>(&mut self, name: &str) -> Result<T, String> {
        let value = self.0.remove(name).ok_or_else(|| missing(name))?;
        T::from_json(value).map_err(|error| within(name, error))
    }
}

/// The variant of an enum that serde wrote: its name, and what it holds.
///
/// # Errors
/// A value of another form.
pub fn variant(value: Value) -> Result<(String, Value), String> {
    match value {
        Value::String(name) => Ok((name, Value::Null)),
        Value::Object(fields) if fields.len() == 1 => {
            fields.into_iter().next().ok_or_else(|| ": no variant".to_owned())
        }
        other => Err(mismatch("a variant", &other)),
    }
}

fn missing(name: &str) -> String {
    within(name, ": missing".to_owned())
}

/// Puts a field's name or an index in front of an error's path.
fn within(outer: &str, error: String) -> String {
    let dot = if error.starts_with(['[', ':']) { "" } else { "." };
    format!("{outer}{dot}{error}")
}

/// The error for a value that is not `wanted`.
pub fn mismatch(wanted: &str, found: &Value) -> String {
    let mut found = found.to_string();
    if let Some((end, _)) = found.char_indices().nth(40) {
        found.truncate(end);
        found.push('…');
    }
    format!(": expected {wanted}, found {found}")
}

/// Reads a struct by the names of its fields; those behind the `;` may be absent.
macro_rules! fields {
    ($type:ident { $($field:ident),* $(; $($late:ident),*)? }) => {
        impl $crate::json::FromJson for $type {
            fn from_json(value: serde_json::Value) -> std::result::Result<Self, String> {
                let mut read = Self::default();
                // Without `..`, so that no field is left out.
                let Self { $($field,)* $($($late,)*)? } = &mut read;
                let names = &[$((stringify!($field), false),)* $($((stringify!($late), true),)*)?];
                $crate::json::fill(value, names, &mut [$($field,)* $($($late,)*)?])?;
                Ok(read)
            }
        }
    };
}

/// Reads an enum without fields by the name of each variant.
macro_rules! names {
    ($type:ident { $($variant:ident = $name:literal),* }) => {
        impl $crate::json::FromJson for $type {
            fn from_json(value: serde_json::Value) -> std::result::Result<Self, String> {
                match value.as_str() {
                    $(Some($name) => Ok(Self::$variant),)*
                    _ => Err($crate::json::mismatch(concat!("one of" $(, " ", $name)*), &value)),
                }
            }
        }

        #[cfg(test)]
        #[test]
        #[allow(non_snake_case, reason = "one test for each type")]
        fn $type() {
            $(
                let written = serde_json::to_value($type::$variant).expect("a name");
                assert_eq!(written, $name);
                assert_eq!($crate::json::FromJson::from_json(written), Ok($type::$variant));
            )*
        }
    };
}

pub(crate) use fields;
pub(crate) use names;

macro_rules! integers {
    ($($type:ident)*) => {$(
        impl FromJson for $type {
            fn from_json(value: Value) -> Result<Self, String> {
                let whole = value.as_u64().and_then(|n| n.try_into().ok());
                let whole = whole.or_else(|| value.as_i64().and_then(|n| n.try_into().ok()));
                whole.ok_or_else(|| mismatch("a whole number in range", &value))
            }
        }
    )*};
}

integers!(u32 u64 i32 i64);

impl FromJson for bool {
    fn from_json(value: Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| mismatch("true or false", &value))
    }
}

impl FromJson for f64 {
    fn from_json(value: Value) -> Result<Self, String> {
        value.as_f64().ok_or_else(|| mismatch("a number", &value))
    }
}

impl FromJson for String {
    fn from_json(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(mismatch("a text", &other)),
        }
    }
}

impl FromJson for Cow<'static, str> {
    fn from_json(value: Value) -> Result<Self, String> {
        String::from_json(value).map(Cow::Owned)
    }
}

impl<T: FromJson> FromJson for Option<T> {
    const OPTIONAL: bool = true;

    fn from_json(value: Value) -> Result<Self, String> {
        if value.is_null() { Ok(None) } else { T::from_json(value).map(Some) }
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(value: Value) -> Result<Self, String> {
        let Value::Array(values) = value else { return Err(mismatch("an array", &value)) };
        let mut items = Self::with_capacity(values.len());
        for (i, value) in values.into_iter().enumerate() {
            items.push(T::from_json(value).map_err(|error| within(&format!("[{i}]"), error))?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, Default, PartialEq, serde::Serialize)]
    struct Sample {
        number: u64,
        change: i64,
        ratio: f64,
        name: Option<String>,
        shapes: Vec<Vec<u32>>,
        late: Vec<String>,
    }

    fields!(Sample { number, change, ratio, name, shapes; late });

    #[test]
    fn what_was_written_is_read() {
        let sample = Sample {
            number: u64::MAX,
            change: i64::MIN,
            ratio: 0.1,
            name: Some("a".into()),
            shapes: vec![vec![1, 2], vec![]],
            late: vec!["b".into()],
        };
        assert_eq!(Sample::from_json(serde_json::to_value(&sample).unwrap()), Ok(sample));
    }

    #[test]
    fn faults_are_named_by_their_path() {
        let base = || json!({"number": 1, "change": -1, "ratio": 1, "shapes": [[1]]});
        let sample = Sample::from_json(base()).unwrap();
        assert_eq!((sample.name, sample.late), (None, Vec::new()));
        let cases = [
            ("number", json!(-1), "number: expected a whole number in range, found -1"),
            ("number", json!(1.5), "number: expected a whole number in range, found 1.5"),
            (
                "shapes",
                json!([[1], [4_294_967_296_u64]]),
                "shapes[1][0]: expected a whole number in range, found 4294967296",
            ),
            ("shapes", json!({}), "shapes: expected an array, found {}"),
            (
                "name",
                json!(["x".repeat(99)]),
                &format!("name: expected a text, found [\"{}…", "x".repeat(38)),
            ),
            ("late", json!(null), "late: expected an array, found null"),
        ];
        for (field, value, message) in cases {
            let mut changed = base();
            changed[field] = value;
            assert_eq!(Sample::from_json(changed).unwrap_err(), message);
        }
        let mut without = base();
        without.as_object_mut().unwrap().remove("ratio");
        assert_eq!(Sample::from_json(without).unwrap_err(), "ratio: missing");
        assert_eq!(Sample::from_json(json!([])).unwrap_err(), ": expected an object, found []");
    }
}
