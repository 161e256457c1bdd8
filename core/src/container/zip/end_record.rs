//! The end of a zip file: end record, zip64 end record and its locator (APPNOTE 4.3.14 to 4.3.16).
//!
//! Readers differ in which end record they believe when there are several, so that one file can be
//! two archives. Here there must be exactly one, its comment must end with the file, and everything
//! in front of it must join up.

use super::super::FileId;
use super::super::window::{Need, Pause, READ_AHEAD_BYTES, Window};
use super::fields::{u16_at, u32_at, u64_at};
use crate::{Error, ErrorKind, Result, limits};

const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const LOCAL_SIGNATURE: [u8; 4] = *b"PK\x03\x04";
const END_BYTES: u64 = 22;
const ZIP64_END_SIGNATURE: u32 = 0x0606_4b50;
const ZIP64_END_BYTES: u64 = 56;
const LOCATOR_SIGNATURE: u32 = 0x0706_4b50;
const LOCATOR_BYTES: u64 = 20;
/// Size of one central directory header without its name, extra field and comment.
pub(super) const CENTRAL_BYTES: u64 = 46;

/// Where the central directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EndRecord {
    /// Number of central directory headers.
    pub entries: u64,
    /// First byte of the central directory.
    pub directory_offset: u64,
    /// Its length in bytes.
    pub directory_bytes: u64,
}

/// Reads the end of the archive, or finds that the file is no zip.
///
/// A file that has no end record but begins with a zip's signature is a damaged zip.
pub(super) fn read(window: &Window, file: FileId) -> Result<Option<EndRecord>, Pause> {
    let size = window.len(file);
    let (tail_offset, tail_bytes) = tail(size);
    // What the file is, is told by both its ends: one round trip for the two.
    window.want([
        Need { file, offset: tail_offset, len: tail_bytes },
        Need { file, offset: 0, len: size.min(READ_AHEAD_BYTES) },
    ])?;
    let tail = window.get(file, tail_offset, tail_bytes)?;
    let magic = window.get(file, 0, size.min(4))?;
    let begins_as_zip = magic == LOCAL_SIGNATURE || magic == END_SIGNATURE;
    let Some(at) = find(tail, tail_offset, begins_as_zip)? else { return Ok(None) };
    let end = &tail[at..];
    let end_offset = tail_offset + at as u64;

    let mut fields = Fields {
        disks: [u16_at(end, 4).into(), u16_at(end, 6).into()],
        entries_here: u16_at(end, 8).into(),
        entries: u16_at(end, 10).into(),
        bytes: u32_at(end, 12).into(),
        offset: u32_at(end, 16).into(),
    };
    let mut directory_end = end_offset;
    if let Some(locator_offset) = end_offset.checked_sub(LOCATOR_BYTES) {
        let locator = window.get(file, locator_offset, LOCATOR_BYTES)?;
        if u32_at(locator, 0) == LOCATOR_SIGNATURE {
            (fields, directory_end) = zip64(window, file, locator, locator_offset, fields)?;
        }
    }
    Ok(Some(fields.check(end_offset, directory_end)?))
}

/// Offset of the last end record's signature where readers look for one.
pub(super) fn last_signature(window: &Window, file: FileId) -> Result<Option<u64>, Pause> {
    let (offset, len) = tail(window.len(file));
    let tail = window.get(file, offset, len)?;
    let at = tail.windows(END_SIGNATURE.len()).rposition(|bytes| bytes == END_SIGNATURE);
    Ok(at.map(|at| offset + at as u64))
}

/// Offset and length of the end of a file of `size` bytes that may hold the end record.
fn tail(size: u64) -> (u64, u64) {
    let len = size.min(END_BYTES + u64::from(u16::MAX));
    (size - len, len)
}

/// Position in `tail` of the one end record whose comment ends with the file.
fn find(tail: &[u8], tail_offset: u64, begins_as_zip: bool) -> Result<Option<usize>> {
    let signatures: Vec<usize> =
        (0..tail.len().saturating_sub(3)).filter(|at| tail[*at..].starts_with(&END_SIGNATURE)).collect();
    let reaches_end =
        |at: &&usize| **at + END_BYTES as usize + usize::from(u16_at(tail, **at + 20)) == tail.len();
    let fitting: Vec<usize> = signatures.iter().filter(reaches_end).copied().collect();
    let offset = |at: usize| tail_offset + at as u64;
    match (fitting.as_slice(), signatures.last()) {
        ([at], Some(last)) if at == last => Ok(Some(*at)),
        ([at, ..], Some(last)) => Err(Error::new(ErrorKind::Malformed, "the zip has several end records")
            .at(offset(*at))
            .expected_found("one end record", format!("another signature of one at byte {}", offset(*last)))
            .hint("write the archive again, without a comment")),
        ([], Some(last)) if begins_as_zip => {
            Err(Error::new(ErrorKind::BadLayout, "the zip's end record does not end the file")
                .at(offset(*last))
                .expected_found(
                    format!("{END_BYTES} bytes and a comment of {} bytes", u16_at(tail, last + 20)),
                    format!("{} bytes to the end of the file", tail.len() - last),
                )
                .hint("bytes behind the archive must be removed; a cut-off archive copied again"))
        }
        (_, None) if begins_as_zip => Err(Error::new(ErrorKind::Truncated, "the zip has no end record")
            .at(offset(tail.len()))
            .expected_found(
                "an end record (PK\\x05\\x06) at the end of the file",
                "none in its last 65557 bytes",
            )
            .hint("the file was cut off: copy or pack it again")),
        _ => Ok(None),
    }
}

/// The fields that the end record and the zip64 end record share.
#[derive(Clone, Copy)]
struct Fields {
    disks: [u64; 2],
    entries_here: u64,
    entries: u64,
    bytes: u64,
    offset: u64,
}

/// Reads the zip64 end record. Each field of the plain one must be saturated or the same.
fn zip64(
    window: &Window,
    file: FileId,
    locator: &[u8],
    locator_offset: u64,
    plain: Fields,
) -> Result<(Fields, u64), Pause> {
    let record_offset = u64_at(locator, 8);
    if u32_at(locator, 4) != 0 || u32_at(locator, 16) > 1 {
        return Err(multi_disk(locator_offset).into());
    }
    if record_offset.checked_add(ZIP64_END_BYTES) != Some(locator_offset) {
        return Err(Error::new(ErrorKind::BadLayout, "the zip64 end record is not in front of its locator")
            .at(locator_offset)
            .expected_found(
                format!("a record of {ZIP64_END_BYTES} bytes that ends at {locator_offset}"),
                format!("one that begins at {record_offset}"),
            )
            .into());
    }
    let record = window.get(file, record_offset, ZIP64_END_BYTES)?;
    if u32_at(record, 0) != ZIP64_END_SIGNATURE || u64_at(record, 4) != ZIP64_END_BYTES - 12 {
        return Err(Error::new(ErrorKind::Malformed, "the zip64 end record is damaged")
            .at(record_offset)
            .expected_found(
                format!("signature {ZIP64_END_SIGNATURE:#010x}, {} more bytes", ZIP64_END_BYTES - 12),
                format!("signature {:#010x}, {} more bytes", u32_at(record, 0), u64_at(record, 4)),
            )
            .into());
    }
    let long = Fields {
        disks: [u32_at(record, 16).into(), u32_at(record, 20).into()],
        entries_here: u64_at(record, 24),
        entries: u64_at(record, 32),
        bytes: u64_at(record, 40),
        offset: u64_at(record, 48),
    };
    let (short, word) = (u64::from(u16::MAX), u64::from(u32::MAX));
    let pairs = [
        ("disk number", plain.disks[0], long.disks[0], short),
        ("directory disk number", plain.disks[1], long.disks[1], short),
        ("entries on this disk", plain.entries_here, long.entries_here, short),
        ("entries", plain.entries, long.entries, short),
        ("directory length", plain.bytes, long.bytes, word),
        ("directory offset", plain.offset, long.offset, word),
    ];
    for (field, plain, long, saturated) in pairs {
        if plain != long && plain != saturated {
            return Err(Error::new(ErrorKind::Malformed, format!("two end records differ in {field}"))
                .at(record_offset)
                .expected_found(format!("{plain}, as in the plain end record"), long)
                .into());
        }
    }
    Ok((long, record_offset))
}

impl Fields {
    /// Checks disks, caps and that the directory ends where the end records begin.
    fn check(self, end_offset: u64, directory_end: u64) -> Result<EndRecord> {
        if self.disks != [0, 0] || self.entries_here != self.entries {
            return Err(multi_disk(end_offset));
        }
        if self.bytes > limits::ZIP_DIRECTORY_BYTES {
            return Err(Error::new(ErrorKind::TooLarge, "the zip's central directory is too long")
                .at(end_offset)
                .expected_found(format!("at most {} bytes", limits::ZIP_DIRECTORY_BYTES), self.bytes));
        }
        if self.entries > limits::MEMBERS_COUNT {
            return Err(Error::new(ErrorKind::TooLarge, "the zip has too many members")
                .at(end_offset)
                .expected_found(format!("at most {}", limits::MEMBERS_COUNT), self.entries));
        }
        if self.entries * CENTRAL_BYTES > self.bytes {
            return Err(Error::new(ErrorKind::Malformed, "the zip's central directory is too short")
                .at(end_offset)
                .expected_found(
                    format!("at least {CENTRAL_BYTES} bytes for each of {} entries", self.entries),
                    self.bytes,
                ));
        }
        if self.offset.checked_add(self.bytes) != Some(directory_end) {
            return Err(Error::new(ErrorKind::BadLayout, "the zip's central directory is not at its place")
                .at(end_offset)
                .expected_found(
                    format!("a directory that ends at byte {directory_end}"),
                    format!("{} bytes at byte {}", self.bytes, self.offset),
                )
                .hint("bytes in front of the archive must be removed"));
        }
        Ok(EndRecord { entries: self.entries, directory_offset: self.offset, directory_bytes: self.bytes })
    }
}

fn multi_disk(offset: u64) -> Error {
    Error::new(ErrorKind::Unsupported, "the zip is one of several parts")
        .at(offset)
        .expected_found("disk 0 of 1", "other disk numbers in the end record")
        .hint("join the parts to one archive")
}
