//! Reads the beginning of a member, inflating it where need be.

use std::borrow::Cow;

use super::window::{Need, Pause, READ_AHEAD_BYTES, Window};
use super::{Compression, Inflater, Member};
use crate::crc32::Crc32;
use crate::{Error, ErrorKind, Result, memory};

/// Compressed bytes that a short beginning of a member is looked for in: the codes of a block and some more.
const FIRST_TRY_BYTES: u64 = 1 << 10;

/// Puts the member's name, and the archive's where there is one, in front of an error's place.
pub(super) fn place(window: &Window, member: &Member, error: Error) -> Error {
    let file = window.name(member.file);
    let error = error.within(member.name.escape_debug());
    if file == member.name { error } else { error.within(file) }
}

/// The range of the file that holds the first `len` stored bytes of a member, or all if it has fewer.
pub(super) fn stored_range(member: &Member, len: u64) -> Need {
    Need { file: member.file, offset: member.offset, len: len.min(member.stored_bytes) }
}

/// The first `len` bytes of a member. The caller has compared `len` with a cap.
pub(super) fn prefix<'w>(window: &'w Window, member: &Member, len: u64) -> Result<Cow<'w, [u8]>, Pause> {
    let fail = |error| Pause::Failed(place(window, member, error));
    if len > member.bytes {
        return Err(fail(
            Error::new(ErrorKind::Truncated, "the file ends too early")
                .at(member.bytes)
                .expected_found(format!("{len} bytes"), member.bytes),
        ));
    }
    if member.compression == Compression::Stored {
        return Ok(window.get(member.file, member.offset, len)?.into());
    }
    // How many compressed bytes that takes is not known: try with ever more of them. Doubling keeps
    // the work of starting over within that of the last try.
    let mut have = len.clamp(FIRST_TRY_BYTES, READ_AHEAD_BYTES);
    loop {
        let range = stored_range(member, have);
        window.want([range])?;
        let input = window.get(range.file, range.offset, range.len)?;
        match inflate_prefix(input, member, len) {
            Ok(Some(bytes)) => return Ok(bytes.into()),
            Ok(None) => have = have.saturating_mul(2),
            Err(error) => return Err(fail(error)),
        }
    }
}

/// The first `len` bytes of a deflated member whose stored bytes begin with `input`; nothing when
/// that is too little. All of a member is checked to its end.
fn inflate_prefix(input: &[u8], member: &Member, len: u64) -> Result<Option<Vec<u8>>> {
    let mut inflater = Inflater::of(member);
    let mut out = memory::zeroed(len, "the beginning of a member")?;
    let (mut taken, mut written) = (0, 0);
    loop {
        let step = inflater.inflate(&input[taken..], &mut out[written..])?;
        taken += step.taken;
        written += step.written;
        if written == out.len() && len < member.bytes {
            return Ok(Some(out));
        }
        if step.taken == 0 && step.written == 0 {
            break;
        }
    }
    if (input.len() as u64) < member.stored_bytes {
        return Ok(None);
    }
    inflater.finish()?;
    Ok(Some(out))
}

/// All bytes of a member of at most `cap` bytes, compared with the archive's checksum.
pub(super) fn whole<'w>(window: &'w Window, member: &Member, cap: u64) -> Result<Cow<'w, [u8]>, Pause> {
    if member.bytes > cap {
        let error = Error::new(ErrorKind::TooLarge, "the file is too long")
            .expected_found(format!("at most {cap} bytes"), member.bytes);
        return Err(place(window, member, error).into());
    }
    let bytes = prefix(window, member, member.bytes)?;
    let mut crc = Crc32::new();
    crc.update(&bytes);
    member.check_crc32(crc.sum()).map_err(|error| place(window, member, error))?;
    Ok(bytes)
}

impl Member {
    /// All bytes of the member, made of all its stored bytes and compared with the archive's checksum. The caller has
    /// compared its length with a cap.
    ///
    /// # Errors
    /// Stored bytes that are damaged, or too few.
    pub fn unpack(&self, stored: &[u8]) -> Result<Vec<u8>> {
        let bytes = match self.compression {
            Compression::Stored => Some(stored.to_vec()),
            _ => inflate_prefix(stored, self, self.bytes)?,
        };
        let bytes = bytes.filter(|bytes| bytes.len() as u64 == self.bytes).ok_or_else(|| {
            Error::new(ErrorKind::Truncated, "the file ends too early")
                .expected_found(format!("{} bytes", self.stored_bytes), stored.len())
        })?;
        let mut crc = Crc32::new();
        crc.update(&bytes);
        self.check_crc32(crc.sum())?;
        Ok(bytes)
    }

    /// Compares the CRC-32 of the member's bytes with the one that the archive recorded, if any.
    ///
    /// # Errors
    /// They differ.
    pub fn check_crc32(&self, found: u32) -> Result<()> {
        let Some(recorded) = self.crc32.filter(|&recorded| recorded != found) else { return Ok(()) };
        Err(Error::new(ErrorKind::Checksum, "the archive's checksum does not match the member's bytes")
            .expected_found(format!("CRC-32 {recorded:08x}"), format!("{found:08x}"))
            .hint("the archive is damaged: copy or pack it again"))
    }
}
