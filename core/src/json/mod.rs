//! Structs and enums that are written as JSON and read back: `fields!` and `names!` define each of them once.
//!
//! Serde's derive writes them but does not read them: what it generates to read reports is a tenth of the browser's page,
//! and the page has a limit. Here each field costs a name and a pointer.

mod decimal;
mod text;

use std::borrow::Cow;

use serde_json::{Map, Value};

pub use text::{MAX_DEPTH, MAX_INT_DIGITS, parse, parse_python};

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

/// Defines a struct, with what writes it (serde) and what reads it. A field marked `= default` may be absent: older
/// versions did not write it.
macro_rules! fields {
    (
        $(#[$attribute:meta])*
        $vis:vis struct $type:ident {
            $($(#[$field_attribute:meta])* $field_vis:vis $field:ident: $of:ty $(= $late:ident)?,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
        $vis struct $type {
            $($(#[$field_attribute])* $field_vis $field: $of,)*
        }

        impl $crate::json::FromJson for $type {
            fn from_json(value: serde_json::Value) -> std::result::Result<Self, String> {
                let mut read = Self::default();
                let Self { $($field,)* } = &mut read;
                let names = &[$((stringify!($field), matches!(concat!($(stringify!($late))?), "default")),)*];
                $crate::json::fill(value, names, &mut [$($field,)*])?;
                Ok(read)
            }
        }
    };
}

/// The last of one or two texts.
macro_rules! last {
    ($only:literal) => {
        $only
    };
    ($first:literal $last:literal) => {
        $last
    };
}

/// Defines an enum without fields: its variants, their names in JSON and, where those differ, in words.
macro_rules! names {
    (
        $(#[$attribute:meta])*
        $vis:vis enum $type:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $name:literal $(: $words:literal)?,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        $vis enum $type {
            $($(#[$variant_attribute])* $variant,)*
        }

        impl $type {
            /// All of them, in the order of their definition.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name in JSON and options.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The name for people.
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$variant => $crate::json::last!($name $($words)?),)*
                }
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl $crate::json::FromJson for $type {
            fn from_json(value: serde_json::Value) -> std::result::Result<Self, String> {
                let found = Self::ALL.into_iter().find(|variant| value == variant.name());
                found.ok_or_else(|| $crate::json::mismatch(concat!("one of" $(, " ", $name)*), &value))
            }
        }
    };
}

pub(crate) use fields;
pub(crate) use last;
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

    fields! {
        struct Sample {
            number: u64,
            change: i64,
            late: Vec<String> = default,
            ratio: f64,
            name: Option<String>,
            shapes: Vec<Vec<u32>>,
        }
    }

    names! {
        /// Two.
        enum Pair {
            /// The one.
            #[default]
            First = "first",
            /// The other.
            NotFirst = "not-first": "not the first",
        }
    }

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
    fn a_variant_is_written_and_read_by_its_name() {
        assert_eq!(Pair::ALL.map(Pair::words), ["first", "not the first"]);
        assert_eq!(serde_json::to_string(&Pair::ALL).unwrap(), r#"["first","not-first"]"#);
        assert_eq!(Pair::ALL.map(|pair| Pair::from_json(json!(pair)).unwrap()), Pair::ALL);
        for other in [json!("NotFirst"), json!("not the first"), json!(0), json!(null)] {
            let message = format!(": expected one of first not-first, found {other}");
            assert_eq!(Pair::from_json(other).unwrap_err(), message);
        }
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
