//! Safetensors headers: an 8-byte little-endian length, then a JSON object that names the tensors
//! (<https://github.com/huggingface/safetensors#format>).
//!
//! As strict as the reference crate: tensors fill the rest of the file without holes or overlaps.
//! Beyond it, the header must begin with `{`, as the specification says.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::json::{self, Pairs};
use super::member::{place, prefix};
use super::window::{Pause, Window};
use super::{Member, MemberHeader, MetadataEntry, TensorEntry};
use crate::{Dtype, Error, ErrorKind, Result, limits, memory, order};

/// Bytes of the header's length.
pub(super) const LENGTH_BYTES: u64 = 8;
/// The one key of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// Bytes that parsing takes at most for each byte of a header.
const PARSED_FACTOR: u64 = 8;

/// Whether a file of these first bytes is meant as safetensors.
pub(super) fn looks_like(first: &[u8]) -> bool {
    first.get(LENGTH_BYTES as usize) == Some(&b'{')
}

/// Bytes of a member's header, its 8-byte length included.
pub(super) fn header_bytes(window: &Window, member: &Member) -> Result<u64, Pause> {
    let length = prefix(window, member, LENGTH_BYTES)?;
    let length = length.as_ref().try_into().map_or(0, u64::from_le_bytes);
    let fault = if length > limits::SAFETENSORS_HEADER_BYTES {
        Error::new(ErrorKind::TooLarge, "the safetensors header is too long")
            .expected_found(format!("at most {} bytes", limits::SAFETENSORS_HEADER_BYTES), length)
    } else if length > member.bytes - LENGTH_BYTES {
        Error::new(ErrorKind::Truncated, "the safetensors header is cut off").expected_found(
            format!("{length} bytes of header"),
            format!("{} bytes to the end of the file", member.bytes - LENGTH_BYTES),
        )
    } else {
        return Ok(LENGTH_BYTES + length);
    };
    Err(place(window, member, fault.at(0).hint("the file was cut off, or is not safetensors")).into())
}

/// Reads the header of `member`, which is number `index`: its tensors in storage order, and what it says about itself.
pub(super) fn read(
    window: &Window,
    member: &Member,
    index: usize,
    header_bytes: u64,
) -> Result<(Vec<TensorEntry>, MemberHeader), Pause> {
    let header = prefix(window, member, header_bytes)?;
    let text = header.get(LENGTH_BYTES as usize..).unwrap_or_default();
    let parsed = parse(text, member.bytes - header_bytes, index);
    let (tensors, metadata) = parsed.map_err(|error| place(window, member, error))?;
    Ok((tensors, MemberHeader { bytes: header_bytes, metadata }))
}

#[derive(Deserialize)]
struct Info<'t> {
    #[serde(borrow)]
    dtype: Cow<'t, str>,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The tensors of a header, and its metadata.
struct Entries<'t>(Vec<(String, Info<'t>)>, Option<Vec<MetadataEntry>>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let (mut tensors, mut metadata) = (Vec::new(), None);
                let mut seen = 0;
                while let Some(key) = map.next_key::<String>()? {
                    if key == METADATA {
                        metadata = map.next_value::<Option<Pairs<String>>>()?.map(|pairs| capped(pairs.0));
                        seen += 1;
                    } else if tensors.len() > limits::TENSORS_COUNT {
                        // Too many: the caller says so, and these need not be kept.
                        map.next_value::<Info>()?;
                    } else {
                        tensors.push((key, map.next_value()?));
                    }
                }
                let names = tensors.iter().map(|(name, _): &(String, Info)| name.as_str());
                json::check_unique(names.chain(std::iter::repeat_n(METADATA, seen)))?;
                Ok(Entries(tensors, metadata))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// As much of the metadata as reports carry: the first entries, each value up to its cap.
fn capped(pairs: Vec<(String, String)>) -> Vec<MetadataEntry> {
    let mut left = limits::METADATA_BYTES;
    let mut entries = Vec::new();
    for (key, mut value) in pairs {
        if key.len() > left {
            break;
        }
        left -= key.len();
        if value.len() > left {
            value.truncate(value.floor_char_boundary(left));
        }
        left -= value.len();
        entries.push(MetadataEntry { key, value });
    }
    entries
}

/// Parses the header `text` of a file with `data_bytes` bytes behind it.
fn parse(
    text: &[u8],
    data_bytes: u64,
    member: usize,
) -> Result<(Vec<TensorEntry>, Option<Vec<MetadataEntry>>)> {
    if text.first() != Some(&b'{') {
        return Err(Error::new(ErrorKind::Malformed, "the safetensors header is not a JSON object")
            .at(LENGTH_BYTES)
            .expected_found("`{`", text.first().map_or("no header".into(), |b| format!("byte {b:#04x}"))));
    }
    memory::require(text.len() as u64 * PARSED_FACTOR, "a safetensors header")?;
    let what = "the safetensors header is damaged";
    let characters = json::utf8(what, text, LENGTH_BYTES)?;
    let Entries(mut infos, metadata) = serde_json::from_str(characters).map_err(|error| {
        let expected = "an object of {dtype, shape, data_offsets}, each tensor once";
        json::error(what, expected, text, LENGTH_BYTES, &error)
    })?;
    if infos.len() > limits::TENSORS_COUNT {
        return Err(Error::new(ErrorKind::TooLarge, "too many tensors")
            .at(LENGTH_BYTES)
            .expected_found(format!("at most {}", limits::TENSORS_COUNT), infos.len()));
    }
    order::sort_by(&mut infos, |a, b| (a.1.data_offsets, &a.0).cmp(&(b.1.data_offsets, &b.0)));
    let data = LENGTH_BYTES + text.len() as u64;
    let mut position = 0;
    let mut entries = Vec::with_capacity(infos.len());
    for (name, info) in infos {
        let offset = data.saturating_add(info.data_offsets.0);
        let entry = check_tensor(&info, position, data_bytes)
            .map_err(|error| error.within(name.escape_debug()).at(offset))?;
        position += entry.1;
        entries.push(TensorEntry { name, dtype: entry.0, shape: info.shape, member, offset, bytes: entry.1 });
    }
    if position != data_bytes {
        return Err(Error::new(ErrorKind::BadLayout, "bytes follow the last tensor")
            .at(data + position)
            .expected_found(format!("{position} bytes of tensors"), format!("{data_bytes} bytes")));
    }
    Ok((entries, metadata))
}

/// Checks one tensor that must begin at `position` of the data; gives its type and length.
fn check_tensor(info: &Info, position: u64, data_bytes: u64) -> Result<(Dtype, u64)> {
    let dtype = Dtype::from_name(&info.dtype).ok_or_else(|| {
        let names: Vec<&str> = Dtype::NAMES.iter().map(|(name, _)| *name).collect();
        Error::new(ErrorKind::Unsupported, "an unknown data type")
            .expected_found(format!("one of {}", names.join(", ")), format!("{:?}", info.dtype))
    })?;
    if info.shape.len() > limits::TENSOR_DIMENSIONS {
        return Err(Error::new(ErrorKind::TooLarge, "a tensor has too many dimensions")
            .expected_found(format!("at most {}", limits::TENSOR_DIMENSIONS), info.shape.len()));
    }
    let (begin, end) = info.data_offsets;
    if begin != position || end < begin {
        let what = if end < begin {
            "a tensor ends before it begins"
        } else if begin > position {
            "no tensor claims the bytes in front of this one"
        } else {
            "the tensor overlaps the one in front"
        };
        return Err(Error::new(ErrorKind::BadLayout, what)
            .expected_found(format!("offsets from {position} on"), format!("[{begin}, {end}]")));
    }
    if end > data_bytes {
        return Err(Error::new(ErrorKind::Truncated, "the tensor lies past the end of the file")
            .expected_found(format!("data up to offset {end}"), format!("{data_bytes} bytes of data"))
            .hint("the file was cut off: copy it again"));
    }
    let elements = info.shape.iter().try_fold(1_u64, |product, dim| product.checked_mul(*dim));
    let block = dtype.block_elements();
    let blocks = elements.filter(|elements| elements.is_multiple_of(block)).map(|elements| elements / block);
    if blocks.and_then(|blocks| blocks.checked_mul(dtype.bytes())) != Some(end - begin) {
        let each = if block == 1 { String::new() } else { format!(" per {block}") };
        return Err(Error::new(ErrorKind::WrongShape, "a tensor's shape contradicts its length")
            .expected_found(
                format!("{:?} elements of {} bytes{each}", info.shape, dtype.bytes()),
                format!("{} bytes", end - begin),
            ));
    }
    Ok((dtype, end - begin))
}
