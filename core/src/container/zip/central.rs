//! The central directory: one header a member (APPNOTE 4.3.12).

use super::super::Compression;
use super::Central;
use super::end_record::{CENTRAL_BYTES, EndRecord};
use super::fields::{extend_from_zip64, signature_error, u16_at, u32_at};
use crate::{Error, ErrorKind, Result, memory};

const CENTRAL_SIGNATURE: u32 = 0x0201_4b50;
const FLAG_ENCRYPTED: u16 = 1;
const FLAG_UTF8: u16 = 1 << 11;
/// Patches and strong encryption, which the validator's reader refuses. It passes over flags that it does not know.
const FLAGS_REFUSED: u16 = 1 << 5 | 1 << 6;
/// Highest version of the specification, in tenths, that the validator's reader takes.
const VERSION_NEEDED: u8 = 63;

/// Bytes that a member takes beside its name, here and in what is compared and sorted.
const MEMBER_BYTES: u64 = 512;

/// Reads all headers. `directory` is the whole directory, `end` says where it is.
pub(super) fn read_directory(directory: &[u8], end: EndRecord) -> Result<Vec<Central>> {
    // `end` was checked: each entry takes at least 46 of these bytes, so these allocations are bounded.
    memory::require(directory.len() as u64 + end.entries * MEMBER_BYTES, "the central directory")?;
    let mut entries = memory::with_room(end.entries, "the central directory")?;
    let mut at = 0;
    for _ in 0..end.entries {
        let offset = end.directory_offset + at as u64;
        let (entry, len) = read_central(&directory[at..]).map_err(|error| error.at(offset))?;
        entries.push(entry);
        at += len;
    }
    if at != directory.len() {
        return Err(Error::new(ErrorKind::BadLayout, "the central directory holds more than its entries")
            .at(end.directory_offset + at as u64)
            .expected_found(
                format!("{} entries of {} bytes together", end.entries, directory.len()),
                format!("{at} bytes"),
            ));
    }
    Ok(entries)
}

/// Reads the header at the front of `bytes`; also gives its length.
fn read_central(bytes: &[u8]) -> Result<(Central, usize)> {
    let truncated = |expected: usize| {
        Error::new(ErrorKind::Truncated, "the central directory ends within an entry")
            .expected_found(format!("{expected} bytes"), bytes.len())
    };
    let fixed = CENTRAL_BYTES as usize;
    if bytes.len() < fixed {
        return Err(truncated(fixed));
    }
    if u32_at(bytes, 0) != CENTRAL_SIGNATURE {
        return Err(signature_error("central directory header", CENTRAL_SIGNATURE, u32_at(bytes, 0)));
    }
    let name_end = fixed + usize::from(u16_at(bytes, 28));
    let extra_end = name_end + usize::from(u16_at(bytes, 30));
    let len = extra_end + usize::from(u16_at(bytes, 32));
    if bytes.len() < len {
        return Err(truncated(len));
    }
    let stored_name = &bytes[fixed..name_end];
    let flags = u16_at(bytes, 8);
    let name = read_name(stored_name, flags)?;
    let entry = read_fields(bytes, name, &bytes[name_end..extra_end])
        .map_err(|error| error.within(String::from_utf8_lossy(stored_name).escape_debug()))?;
    Ok((entry, len))
}

/// Decodes a name; a folder's keeps its `/`.
fn read_name(stored: &[u8], flags: u16) -> Result<&str> {
    let place = || String::from_utf8_lossy(stored).escape_debug().to_string();
    let name = std::str::from_utf8(stored).map_err(|error| {
        Error::new(ErrorKind::BadName, "a member name is not UTF-8")
            .within(place())
            .expected_found("UTF-8", error)
    })?;
    if flags & FLAG_UTF8 == 0 && !name.is_ascii() {
        return Err(Error::new(ErrorKind::BadName, "a member name is not marked as UTF-8")
            .within(place())
            .expected_found("ASCII, or flag 11 set", "other characters without the flag"));
    }
    Ok(name)
}

fn read_fields(header: &[u8], name: &str, extra: &[u8]) -> Result<Central> {
    let version = header[6];
    if version > VERSION_NEEDED {
        return Err(Error::new(ErrorKind::Unsupported, "the member needs a newer version of zip")
            .expected_found(format!("at most {VERSION_NEEDED} (in tenths)"), version));
    }
    let flags = u16_at(header, 8);
    check_flags(flags)?;
    let is_folder = name.ends_with('/');
    check_no_link(u32_at(header, 38) >> 16)?;
    let mut long = [
        u64::from(u32_at(header, 24)), // uncompressed
        u64::from(u32_at(header, 20)), // compressed
        u64::from(u32_at(header, 42)), // local header
    ];
    let rest = extend_from_zip64(&mut long, extra)?;
    let disk = match u16_at(header, 34) {
        u16::MAX => u32_at(rest, 0),
        disk => disk.into(),
    };
    if disk != 0 {
        return Err(Error::new(ErrorKind::Unsupported, "the member is in another part of a split zip")
            .expected_found("disk 0", disk));
    }
    Ok(Central {
        name: name.strip_suffix('/').unwrap_or(name).to_owned(),
        name_bytes: name.len() as u64,
        is_folder,
        flags,
        compression: read_method(u16_at(header, 10))?,
        crc32: u32_at(header, 16),
        stored_bytes: long[1],
        bytes: long[0],
        local_offset: long[2],
    })
}

fn check_flags(flags: u16) -> Result<()> {
    if flags & FLAG_ENCRYPTED != 0 {
        return Err(Error::new(ErrorKind::Unsupported, "the member is encrypted")
            .expected_found("flag 0 clear", format!("flags {flags:#06x}"))
            .hint("pack the model without a password"));
    }
    if flags & FLAGS_REFUSED != 0 {
        return Err(Error::new(ErrorKind::Unsupported, "the member uses a zip feature that is not handled")
            .expected_found("flags 5 and 6 clear", format!("flags {flags:#06x}")));
    }
    Ok(())
}

/// Refuses links by the Unix mode that a header may carry: the validator's reader makes files of their paths. It
/// passes over every other mode.
fn check_no_link(mode: u32) -> Result<()> {
    if mode & 0o170_000 != 0o120_000 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, "the member is a symbolic link")
        .expected_found("a file or folder", format!("mode {mode:#o}"))
        .hint("replace links by the files they point to"))
}

fn read_method(method: u16) -> Result<Compression> {
    match method {
        0 => Ok(Compression::Stored),
        8 => Ok(Compression::Deflated),
        12 => Ok(Compression::Bzip2),
        14 => Ok(Compression::Lzma),
        _ => Err(Error::new(ErrorKind::Unsupported, "the member's compression method is not handled")
            .expected_found("0 (stored), 8 (deflate), 12 (bzip2) or 14 (LZMA)", method)
            .hint("write the zip again with one of these: the validator's reader has no other")),
    }
}
