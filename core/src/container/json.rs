//! JSON objects whose keys may each occur once. `serde_json` would silently keep the last one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::{Error, ErrorKind};

/// The members of an object in file order.
pub(super) struct Pairs<V>(pub Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for ObjectVisitor<V> {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                check_unique(pairs.iter().map(|(key, _): &(String, V)| key.as_str()))?;
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// Refuses a key that occurs twice.
pub(super) fn check_unique<'k, E: serde::de::Error>(keys: impl Iterator<Item = &'k str>) -> Result<(), E> {
    let mut keys: Vec<&str> = keys.collect();
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(E::custom(format_args!("the key {:?} occurs twice", pair[0]))),
        None => Ok(()),
    }
}

/// A text that begins at byte `start` of its file, as UTF-8. `serde_json` itself passes over other bytes where they stand
/// in a member that nobody asked for; the libraries that load a model do not.
pub(super) fn utf8<'t>(what: &str, text: &'t [u8], start: u64) -> Result<&'t str, Error> {
    str::from_utf8(text).map_err(|error| {
        Error::new(ErrorKind::Malformed, what)
            .at(start + error.valid_up_to() as u64)
            .expected_found("UTF-8", "other bytes")
    })
}

/// An error of `serde_json` about a text that begins at byte `start` of its file.
pub(super) fn error(what: &str, expected: &str, text: &[u8], start: u64, error: &serde_json::Error) -> Error {
    let lines_before = text.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let offset = lines_before.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
    Error::new(ErrorKind::Malformed, what).at(start + offset as u64).expected_found(expected, error)
}
