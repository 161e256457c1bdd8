//! Zip archives (APPNOTE 6.3.10): the central directory, checked against every local header.
//!
//! Strict on purpose: what two readers could understand differently is refused. Members are stored, deflated or
//! compressed with bzip2 or LZMA, follow each other from byte 0 to the central directory without holes, and have the
//! same name and lengths in both headers.

mod central;
mod end_record;
mod fields;
mod local;

use std::borrow::Cow;

use super::window::{Pause, Window};
use super::{Compression, Compressor, FileId, Member, names};
use crate::{Error, ErrorKind, Result, limits, order};

/// Flag bits that say how hard the writer tried; writers set them as they like.
const FLAG_DEFLATE_LEVEL: u16 = 0b110;
/// CRC-32 and lengths follow the data, so the local header need not have them.
const FLAG_DESCRIPTOR: u16 = 1 << 3;

/// One central directory header.
struct Central {
    /// Without the `/` at the end of a folder's name.
    name: String,
    /// Length of the name as stored.
    name_bytes: u64,
    is_folder: bool,
    flags: u16,
    compression: Compression,
    crc32: u32,
    stored_bytes: u64,
    bytes: u64,
    local_offset: u64,
}

/// Refuses a file that is no zip here, but may be one to a reader that takes any end record, as Python's does.
pub(super) fn check_absent(window: &Window, file: FileId) -> Result<(), Pause> {
    match end_record::last_signature(window, file)? {
        None => Ok(()),
        Some(offset) => Err(Error::new(ErrorKind::Malformed, "the file may be taken for a zip")
            .within(window.name(file))
            .at(offset)
            .expected_found("no zip's end record in its last 65557 bytes", "PK\\x05\\x06")
            .hint("write the archive again, with its files in another order, or as a zip")
            .into()),
    }
}

/// The members of an archive in storage order, without folders; `None` when `file` is no zip.
pub(super) fn members(window: &Window, file: FileId) -> Result<Option<Vec<Member>>, Pause> {
    read(window, file).map_err(|pause| pause.within(window.name(file)))
}

fn read(window: &Window, file: FileId) -> Result<Option<Vec<Member>>, Pause> {
    let Some(end) = end_record::read(window, file)? else { return Ok(None) };
    let directory = window.get(file, end.directory_offset, end.directory_bytes)?;
    let mut entries = central::read_directory(directory, end)?;
    if let Some(entry) = entries.iter().find(|entry| !entry.compression.is_read_here()) {
        let compressor =
            if entry.compression == Compression::Bzip2 { Compressor::Bzip2 } else { Compressor::Lzma };
        return Err(Pause::Unpack(compressor));
    }
    check_names(&entries)?;
    check_sizes(&entries)?;
    order::sort_by_key(&mut entries, |entry| entry.local_offset);
    let offsets = local::check_local_headers(window, file, &entries, end.directory_offset)?;
    let members = entries.into_iter().zip(offsets).filter(|(entry, _)| !entry.is_folder);
    Ok(Some(members.map(|(entry, offset)| entry.into_member(file, offset)).collect()))
}

impl Central {
    /// The name as both headers spell it.
    fn stored_name(&self) -> Cow<'_, str> {
        if self.is_folder { format!("{}/", self.name).into() } else { self.name.as_str().into() }
    }

    fn into_member(self, file: FileId, offset: u64) -> Member {
        Member {
            name: self.name,
            file,
            offset,
            stored_bytes: self.stored_bytes,
            bytes: self.bytes,
            compression: self.compression,
            crc32: Some(self.crc32),
            header: None,
            hard_link: None,
        }
    }
}

/// All names in the directory's order: first what the validator refuses, then what only this reader does.
fn check_names(entries: &[Central]) -> Result<()> {
    entries.iter().try_for_each(|entry| names::check_stays(&entry.stored_name()))?;
    entries.iter().try_for_each(|entry| names::check(&entry.name))?;
    names::check_all(entries.iter().map(|entry| (entry.name.as_str(), entry.is_folder)))
}

/// Caps on what the archive claims to unpack to, before anything is unpacked.
fn check_sizes(entries: &[Central]) -> Result<()> {
    let mut total = 0_u64;
    for entry in entries {
        let fault = |error: Error| error.within(entry.name.escape_debug()).at(entry.local_offset);
        let (stored, bytes) = (entry.stored_bytes, entry.bytes);
        if entry.compression == Compression::Stored && stored != bytes {
            return Err(fault(
                Error::new(ErrorKind::Malformed, "a stored member has two lengths")
                    .expected_found(format!("{bytes} bytes"), stored),
            ));
        }
        if entry.is_folder && bytes != 0 {
            return Err(fault(
                Error::new(ErrorKind::Malformed, "a folder has contents").expected_found("0 bytes", bytes),
            ));
        }
        if bytes > stored.saturating_mul(limits::INFLATE_RATIO) {
            return Err(fault(
                Error::new(ErrorKind::TooLarge, "a member claims to be compressed more than deflate can")
                    .expected_found(
                        format!("at most {} times {stored} bytes", limits::INFLATE_RATIO),
                        format!("{bytes} bytes"),
                    ),
            ));
        }
        total = total.saturating_add(bytes);
        if total > limits::UNPACKED_BYTES {
            return Err(fault(
                Error::new(ErrorKind::TooLarge, "the archive claims to unpack to too much").expected_found(
                    format!("at most {} bytes", limits::UNPACKED_BYTES),
                    format!("{total} so far"),
                ),
            ));
        }
    }
    Ok(())
}
