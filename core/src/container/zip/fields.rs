//! Integers and extra fields of zip headers.

use crate::{Error, ErrorKind, Result};

/// Header id of the zip64 extra field.
const ZIP64_EXTRA: u16 = 1;

/// Little-endian integer at `at`. Callers have checked the length of the fixed-size record; past
/// its end the value is 0.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

/// As [`u16_at`].
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

/// As [`u16_at`].
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The body of the one extra field with this id. Others are passed over, Info-ZIP's Unicode path among them: the
/// validator's reader goes by the header's own name.
fn find_extra(extra: &[u8], id: u16) -> Result<Option<&[u8]>> {
    let (mut rest, mut found) = (extra, None);
    // Up to three bytes of padding at the end are usual.
    while rest.len() >= 4 {
        let len = usize::from(u16_at(rest, 2));
        let Some(body) = rest.get(4..4 + len) else {
            return Err(Error::new(
                ErrorKind::Malformed,
                "an extra field claims more bytes than its header has left",
            )
            .expected_found(format!("{len} bytes"), rest.len() - 4));
        };
        if u16_at(rest, 0) == id && found.replace(body).is_some() {
            return Err(Error::new(ErrorKind::Malformed, "an extra field occurs twice")
                .expected_found(format!("one field {id:#06x}"), "two"));
        }
        rest = &rest[4 + len..];
    }
    Ok(found)
}

/// Replaces each saturated 32-bit value by the next one of the zip64 extra field; gives what is
/// left of the field.
pub(super) fn extend_from_zip64<'e>(values: &mut [u64], extra: &'e [u8]) -> Result<&'e [u8]> {
    let mut field = find_extra(extra, ZIP64_EXTRA)?.unwrap_or_default();
    for value in values.iter_mut().filter(|value| **value == u64::from(u32::MAX)) {
        if field.len() < 8 {
            return Err(Error::new(ErrorKind::Malformed, "a 64-bit length is missing")
                .expected_found("8 more bytes in the zip64 extra field", field.len()));
        }
        *value = u64_at(field, 0);
        field = &field[8..];
    }
    Ok(field)
}

/// A header that does not begin with its signature.
pub(super) fn signature_error(what: &str, expected: u32, found: u32) -> Error {
    Error::new(ErrorKind::Malformed, format!("not a {what}"))
        .expected_found(format!("signature {expected:#010x}"), format!("{found:#010x}"))
}
