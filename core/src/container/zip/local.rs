//! The local headers and data descriptors in front of and behind each member's data (APPNOTE
//! 4.3.7, 4.3.9), which must say what the central directory says and leave no byte unclaimed.

use super::super::window::{Need, Pause, Window};
use super::super::{Compression, FileId};
use super::fields::{extend_from_zip64, signature_error, u16_at, u32_at, u64_at};
use super::{Central, FLAG_DEFLATE_LEVEL, FLAG_DESCRIPTOR};
use crate::{Error, ErrorKind, Result, limits};

const LOCAL_SIGNATURE: u32 = 0x0403_4b50;
const DESCRIPTOR_SIGNATURE: u32 = 0x0807_4b50;
const LOCAL_BYTES: u64 = 30;
/// Longest data descriptor: signature, CRC-32, two 64-bit lengths.
const DESCRIPTOR_BYTES: u64 = 24;

/// Compares each local header with its entry (sorted by offset); gives the members' data offsets.
pub(super) fn check_local_headers(
    window: &Window,
    file: FileId,
    entries: &[Central],
    directory_offset: u64,
) -> Result<Vec<u64>, Pause> {
    // The descriptor of a member lies in the last bytes in front of the next header.
    let around = |offset: u64, len: u64| {
        let start = offset.saturating_sub(DESCRIPTOR_BYTES);
        Need { file, offset: start, len: offset - start + len }
    };
    let fixed = entries.iter().map(|entry| around(entry.local_offset, LOCAL_BYTES + entry.name_bytes));
    window.want(fixed.chain([around(directory_offset, 0)]))?;
    let mut extra = Vec::new();
    for entry in entries {
        let header = window.get(file, entry.local_offset, LOCAL_BYTES)?;
        let len = u64::from(u16_at(header, 26)) + u64::from(u16_at(header, 28));
        extra.push(Need { file, offset: entry.local_offset, len: LOCAL_BYTES + len });
    }
    let total: u64 = extra.iter().map(|need| need.len).sum();
    if total > limits::ZIP_DIRECTORY_BYTES {
        return Err(Error::new(ErrorKind::TooLarge, "the zip's local headers are too long")
            .at(0)
            .expected_found(format!("at most {} bytes", limits::ZIP_DIRECTORY_BYTES), total)
            .into());
    }
    window.want(extra.iter().copied())?;

    let mut position = 0;
    let mut offsets = Vec::with_capacity(entries.len());
    let stops = entries.iter().skip(1).map(|entry| entry.local_offset).chain([directory_offset]);
    for ((entry, need), stop) in entries.iter().zip(extra).zip(stops) {
        let place = |error: Error| error.within(entry.name.escape_debug()).at(entry.local_offset);
        check_joins(position, entry.local_offset).map_err(place)?;
        let header = window.get(file, need.offset, need.len)?;
        check_local_header(header, entry).map_err(place)?;
        let data = need.offset + need.len;
        let data_end = data.saturating_add(entry.stored_bytes);
        let descriptor = if entry.flags & FLAG_DESCRIPTOR != 0 && data_end < stop {
            (stop - data_end).min(DESCRIPTOR_BYTES)
        } else {
            0
        };
        if descriptor > 0 {
            check_descriptor(window.get(file, data_end, descriptor)?, entry).map_err(place)?;
        }
        position = data_end.saturating_add(descriptor);
        offsets.push(data);
    }
    check_joins(position, directory_offset).map_err(|error| error.at(directory_offset))?;
    Ok(offsets)
}

/// One part of the archive must begin where the one before ends.
fn check_joins(end: u64, start: u64) -> Result<()> {
    if end == start {
        return Ok(());
    }
    let what =
        if end < start { "bytes of the zip belong to no member" } else { "members of the zip overlap" };
    Err(Error::new(ErrorKind::BadLayout, what)
        .expected_found(format!("the next header at byte {end}"), format!("byte {start}"))
        .hint("write the archive again"))
}

fn check_local_header(header: &[u8], entry: &Central) -> Result<()> {
    if u32_at(header, 0) != LOCAL_SIGNATURE {
        return Err(signature_error("local header", LOCAL_SIGNATURE, u32_at(header, 0)));
    }
    let name_end = LOCAL_BYTES as usize + usize::from(u16_at(header, 26));
    let (name, extra) = (&header[LOCAL_BYTES as usize..name_end], &header[name_end..]);
    let suffix: &[u8] = if entry.is_folder { b"/" } else { b"" };
    if name.strip_suffix(suffix) != Some(entry.name.as_bytes()) {
        return Err(differs("name", &entry.name, String::from_utf8_lossy(name).escape_debug()));
    }
    let method = match entry.compression {
        Compression::Stored => 0,
        Compression::Deflated => 8,
        Compression::Bzip2 => 12,
        Compression::Lzma => 14,
    };
    if u16_at(header, 8) != method {
        return Err(differs("compression method", method, u16_at(header, 8)));
    }
    if (u16_at(header, 6) ^ entry.flags) & !FLAG_DEFLATE_LEVEL != 0 {
        return Err(differs("flags", format!("{:#06x}", entry.flags), format!("{:#06x}", u16_at(header, 6))));
    }
    let mut long = [u64::from(u32_at(header, 22)), u64::from(u32_at(header, 18))];
    extend_from_zip64(&mut long, extra)?;
    let pairs = [
        ("CRC-32", u64::from(entry.crc32), u64::from(u32_at(header, 14))),
        ("length", entry.bytes, long[0]),
        ("compressed length", entry.stored_bytes, long[1]),
    ];
    for (field, central, local) in pairs {
        // With a descriptor behind the data, the local header need not know yet.
        let unknown = entry.flags & FLAG_DESCRIPTOR != 0 && local == 0;
        if central != local && !unknown {
            return Err(differs(field, central, local));
        }
    }
    Ok(())
}

/// A data descriptor: an optional signature, CRC-32, and two lengths of 4 or 8 bytes each.
fn check_descriptor(bytes: &[u8], entry: &Central) -> Result<()> {
    let body = if bytes.len().is_multiple_of(8) && u32_at(bytes, 0) == DESCRIPTOR_SIGNATURE {
        &bytes[4..]
    } else {
        bytes
    };
    let (stored, unpacked) = match body.len() {
        12 => (u32_at(body, 4).into(), u32_at(body, 8).into()),
        20 => (u64_at(body, 4), u64_at(body, 12)),
        _ => {
            return Err(Error::new(ErrorKind::BadLayout, "a data descriptor has an impossible length")
                .expected_found("12 or 20 bytes behind an optional signature", bytes.len()));
        }
    };
    let found = (u32_at(body, 0), stored, unpacked);
    let wanted = (entry.crc32, entry.stored_bytes, entry.bytes);
    if found == wanted {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Malformed, "the data descriptor contradicts the central directory")
        .expected_found(describe(wanted), describe(found)))
}

fn describe((crc32, stored, bytes): (u32, u64, u64)) -> String {
    format!("CRC-32 {crc32:#010x}, {stored} bytes stored, {bytes} bytes")
}

fn differs(field: &str, central: impl std::fmt::Display, local: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, format!("the two headers of a member differ in {field}"))
        .expected_found(format!("{central}, as in the central directory"), local)
}
