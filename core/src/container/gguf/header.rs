//! The beginning of the file: metadata, and what tensors there are.

use std::collections::{BTreeMap, HashSet};

use super::MAGIC;
use crate::{Error, ErrorKind, limits, memory};

/// Versions of the format that are read.
const VERSION: u32 = 3;
/// Where a file does not say: what tensors are aligned to.
const ALIGNMENT: u64 = 32;
/// Most dimensions that ggml knows.
const DIMENSIONS: u32 = 4;
/// Longest name of a key or tensor.
const NAME_BYTES: u64 = 65_535;

/// Why parsing stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The bytes end in what begins at this offset.
    End(u64),
    /// They are no GGUF file.
    Faulty(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Faulty(error)
    }
}

type Result<T> = std::result::Result<T, Stop>;

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Any integer type.
    Integer(i128),
    /// Either floating-point type.
    Float(f64),
    /// A truth value.
    Flag(bool),
    /// A string.
    Text(String),
    /// An array of numbers or truth values.
    Numbers(Numbers),
    /// An array of strings.
    Texts(Vec<String>),
}

/// Numbers of one type, as the file holds them: in another form they may take eight times the room.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers {
    kind: u32,
    bytes: Vec<u8>,
}

impl Numbers {
    /// The number at this place.
    pub fn get(&self, index: usize) -> Option<f64> {
        let size = match self.kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            _ => 8,
        };
        let bytes = self.bytes.chunks_exact(size).nth(index)?;
        match (Cursor { bytes, position: 0 }).scalar(self.kind, 0).ok()? {
            Value::Integer(n) => Some(n as f64),
            Value::Float(x) => Some(x),
            Value::Flag(flag) => Some(f64::from(u8::from(flag))),
            Value::Text(_) | Value::Numbers(_) | Value::Texts(_) => None,
        }
    }
}

/// What the file says of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TensorInfo {
    pub name: String,
    /// Outermost dimension first: the other way round than in the file.
    pub shape: Vec<u64>,
    /// ggml's number of its data type.
    pub kind: u32,
    /// From the beginning of the tensors' data.
    pub offset: u64,
    /// Where in the file this is said.
    pub at: u64,
}

/// All that stands in front of the tensors' data.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub metadata: BTreeMap<String, Value>,
    pub tensors: Vec<TensorInfo>,
    pub alignment: u64,
    /// Its length, padding included: where the data begins.
    pub bytes: u64,
}

/// Parses the header that `bytes` begin with.
pub(super) fn parse(bytes: &[u8]) -> Result<Header> {
    let mut cursor = Cursor { bytes, position: 0 };
    let magic = cursor.take(MAGIC.len() as u64)?;
    if magic != MAGIC {
        return Err(fault(ErrorKind::Malformed, "no GGUF file", 0, "`GGUF`", format!("{magic:02x?}")));
    }
    let version = cursor.u32()?;
    if version != VERSION {
        let found =
            if version.swap_bytes() == VERSION { "a big-endian file".into() } else { version.to_string() };
        return Err(fault(ErrorKind::Unsupported, "this version of GGUF is not read", 4, "version 3", found));
    }
    let (tensors, keys) = (cursor.u64()?, cursor.u64()?);
    let cap = |what: &str, count: u64, most: u64, at| match count <= most {
        true => Ok(()),
        false => Err(fault(ErrorKind::TooLarge, what, at, format!("at most {most}"), count)),
    };
    cap("too many tensors", tensors, limits::TENSORS_COUNT as u64, 8)?;
    cap("too many metadata keys", keys, limits::GGUF_KEYS_COUNT, 16)?;
    let mut metadata = BTreeMap::new();
    for _ in 0..keys {
        let at = cursor.position;
        let key = cursor.name()?;
        let value = cursor.value()?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(fault(ErrorKind::Malformed, "a metadata key occurs twice", at, "each key once", key));
        }
    }
    let alignment = alignment(&metadata)?;
    let mut names = HashSet::new();
    let mut infos = Vec::new();
    for _ in 0..tensors {
        // The name comes first.
        let name = Cursor { ..cursor }.text(NAME_BYTES)?;
        let info = cursor.tensor(alignment)?;
        if !names.insert(name) {
            return Err(fault(
                ErrorKind::Malformed,
                "a tensor occurs twice",
                info.at,
                "each once",
                info.name,
            ));
        }
        infos.push(info);
    }
    let end = cursor.position.next_multiple_of(alignment);
    // A file without tensors may end without padding.
    if !infos.is_empty() {
        cursor.take(end - cursor.position)?;
    }
    Ok(Header { metadata, tensors: infos, alignment, bytes: cursor.position })
}

fn fault(
    kind: ErrorKind,
    what: &str,
    at: u64,
    wanted: impl std::fmt::Display,
    found: impl std::fmt::Display,
) -> Stop {
    Stop::Faulty(Error::new(kind, what).at(at).expected_found(wanted, found))
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64> {
    let key = "general.alignment";
    match metadata.get(key) {
        None => Ok(ALIGNMENT),
        Some(Value::Integer(n)) if (1..=1 << 20).contains(n) && (*n as u64).is_power_of_two() => {
            Ok(*n as u64)
        }
        Some(found) => Err(Error::new(ErrorKind::BadValue, "the alignment is not usable")
            .within(key)
            .expected_found("a power of two up to 2^20", format!("{found:?}"))
            .into()),
    }
}

/// Reads little-endian numbers from the front.
struct Cursor<'a> {
    bytes: &'a [u8],
    position: u64,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8]> {
        let taken = usize::try_from(self.position).ok().and_then(|start| {
            let end = start.checked_add(usize::try_from(len).ok()?)?;
            self.bytes.get(start..end)
        });
        let taken = taken.ok_or(Stop::End(self.position))?;
        self.position += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let at = self.position;
        self.take(N as u64)?.try_into().map_err(|_| Stop::End(at))
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self, most: u64) -> Result<&'a str> {
        let at = self.position;
        let len = self.u64()?;
        if len > most {
            return Err(fault(
                ErrorKind::TooLarge,
                "a string is too long",
                at,
                format!("at most {most} bytes"),
                len,
            ));
        }
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|error| {
            fault(
                ErrorKind::Malformed,
                "a string is not UTF-8",
                at + 8 + error.valid_up_to() as u64,
                "UTF-8",
                error,
            )
        })
    }

    fn name(&mut self) -> Result<String> {
        self.text(NAME_BYTES).map(str::to_owned)
    }

    fn value(&mut self) -> Result<Value> {
        let at = self.position;
        match self.u32()? {
            8 => Ok(Value::Text(self.text(limits::GGUF_HEADER_BYTES)?.to_owned())),
            9 => self.values(),
            kind => self.scalar(kind, at),
        }
    }

    /// A number or truth value of a type that is named at `at`.
    fn scalar(&mut self, kind: u32, at: u64) -> Result<Value> {
        Ok(match kind {
            0 => Value::Integer(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Integer(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Integer(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Integer(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Integer(self.u32()?.into()),
            5 => Value::Integer(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => match self.array()? {
                [flag @ (0 | 1)] => Value::Flag(flag == 1),
                [other] => {
                    let what = "a truth value is neither true nor false";
                    return Err(fault(ErrorKind::Malformed, what, self.position - 1, "0 or 1", other));
                }
            },
            10 => Value::Integer(self.u64()?.into()),
            11 => Value::Integer(i64::from_le_bytes(self.array()?).into()),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => {
                let what = "a metadata value has an unknown type";
                return Err(fault(ErrorKind::Malformed, what, at, "a type from 0 to 12", other));
            }
        })
    }

    /// An array. Its length is not trusted: each element takes at least a byte of what is there.
    fn values(&mut self) -> Result<Value> {
        let at = self.position;
        let (kind, count) = (self.u32()?, self.u64()?);
        match kind {
            8 => {
                let mut texts = Vec::new();
                for _ in 0..count {
                    texts.push(self.text(limits::GGUF_HEADER_BYTES)?.to_owned());
                }
                Ok(Value::Texts(texts))
            }
            9 => Err(fault(
                ErrorKind::Unsupported,
                "arrays of arrays are not read",
                at,
                "a plain array",
                "one in another",
            )),
            kind => {
                let start = self.position;
                for _ in 0..count {
                    self.scalar(kind, at)?;
                }
                let numbers = Cursor { bytes: self.bytes, position: start }.take(self.position - start)?;
                let mut bytes = memory::with_room(numbers.len() as u64, "metadata")?;
                bytes.extend_from_slice(numbers);
                Ok(Value::Numbers(Numbers { kind, bytes }))
            }
        }
    }

    fn tensor(&mut self, alignment: u64) -> Result<TensorInfo> {
        let at = self.position;
        let name = self.name()?;
        let dimensions = self.u32()?;
        let named = |stop: Stop| match stop {
            Stop::Faulty(error) => Stop::Faulty(error.within(name.escape_debug())),
            end => end,
        };
        if !(1..=DIMENSIONS).contains(&dimensions) {
            let wanted = format!("1 to {DIMENSIONS}");
            let what = "a tensor has an impossible number of dimensions";
            return Err(named(fault(ErrorKind::TooLarge, what, at, wanted, dimensions)));
        }
        let mut shape = Vec::with_capacity(DIMENSIONS as usize);
        for _ in 0..dimensions {
            shape.push(self.u64()?);
        }
        let (kind, offset) = (self.u32()?, self.u64()?);
        if !offset.is_multiple_of(alignment) {
            let what = "a tensor is not aligned";
            return Err(named(fault(
                ErrorKind::BadLayout,
                what,
                at,
                format!("a multiple of {alignment}"),
                offset,
            )));
        }
        shape.reverse();
        Ok(TensorInfo { name, shape, kind, offset, at })
    }
}
