//! One header block of 512 bytes: v7, ustar (POSIX.1-1988), GNU and pax (POSIX.1-2001) agree on it.

use crate::{Error, ErrorKind, Result};

/// Bytes of a header; contents are padded to a multiple of it.
pub(in crate::container) const BLOCK: u64 = 512;
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
/// Numbers that the validator's reader sets or at least reads, and the largest that it can: mode, user, group, time
/// and both numbers of a device. At one that is none it stops, without a word.
const NUMBERS: [(std::ops::Range<usize>, u64); 6] = [
    (100..108, i32::MAX as u64),
    (108..116, u32::MAX as u64),
    (116..124, u32::MAX as u64),
    (136..148, i64::MAX as u64),
    (329..337, u64::MAX),
    (337..345, u64::MAX),
];
const CHECKSUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const TARGET: std::ops::Range<usize> = 157..257;
const MAGIC: std::ops::Range<usize> = 257..265;
const PREFIX: std::ops::Range<usize> = 345..500;
/// POSIX's magic and version; GNU's own differs from its sixth byte on.
const USTAR: &[u8] = b"ustar\x0000";
/// First byte of a number that is not in octal digits.
const BINARY: u8 = 0x80;

/// What follows a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file's bytes.
    File,
    /// Nothing: a folder.
    Folder,
    /// The name of the next member (GNU).
    LongName,
    /// Nothing: another name for the bytes of a member before.
    HardLink,
    /// The target of the next member, a link (GNU).
    LongLink,
    /// Records about the next member (pax).
    Records,
    /// Records about all members that follow (pax).
    GlobalRecords,
}

/// A header whose checksum is right.
#[derive(Debug, Clone)]
pub(super) struct Header {
    /// The name as stored, not decoded.
    pub name: Vec<u8>,
    /// The name that a link leads to, not decoded either.
    pub target: Vec<u8>,
    pub kind: Kind,
    /// Bytes of what follows, without padding.
    pub size: u64,
}

/// Whether a block can only be meant as a tar's header.
pub(super) fn looks_like(block: &[u8]) -> bool {
    block.get(MAGIC).is_some_and(|magic| magic.starts_with(b"ustar")) || sums(block).is_ok()
}

/// Whether the validator's reader can't take a file that begins like this for a tar: it is too short for a header,
/// or its checksum is no number in any of the spellings that Python's `int` takes.
pub(super) fn is_refused_by_python(first: &[u8]) -> bool {
    let Some(block) = first.get(..BLOCK as usize) else { return true };
    let field = text(&block[CHECKSUM]);
    let may_be_number = |byte: &u8| byte.is_ascii_digit() || b" \t\n\r\x0b\x0c_+-oO".contains(byte);
    let is_spelled_otherwise = octal(field).is_err() && field.iter().all(may_be_number);
    let is_binary = matches!(block[CHECKSUM.start], BINARY | 0xff);
    !is_end(block) && !is_spelled_otherwise && !is_binary && sums(block).is_err()
}

/// Whether a block marks the end of the archive.
pub(super) fn is_end(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

/// Reads a header. `block` has 512 bytes.
pub(super) fn parse(block: &[u8]) -> Result<Header> {
    sums(block)?;
    let mut name = text(&block[NAME]).to_vec();
    // By the name's own field: the prefix does not make a folder of a file.
    let kind = kind(block[KIND], &name)?;
    let prefix = text(&block[PREFIX]);
    let is_extension = matches!(block[KIND], b'L' | b'K');
    if !prefix.is_empty() && !is_extension {
        if &block[MAGIC] != USTAR {
            // GNU keeps times there, which some readers take for the beginning of the name.
            return Err(Error::new(ErrorKind::Malformed, "a tar header can be read in two ways")
                .expected_found(
                    "an empty prefix, or POSIX's magic",
                    String::from_utf8_lossy(prefix).escape_debug(),
                )
                .hint("write the archive again, as `tar --format=posix`"));
        }
        name = [prefix, b"/", &name].concat();
    }
    for (field, largest) in NUMBERS {
        let field = &block[field];
        if number(field)? > largest {
            return Err(no_number(field, &format!("a number of at most {largest}")));
        }
    }
    Ok(Header { name, target: text(&block[TARGET]).to_vec(), kind, size: number(&block[SIZE])? })
}

/// Compares the checksum: the sum of all bytes, its own as spaces. Old writers summed signed bytes.
fn sums(block: &[u8]) -> Result<()> {
    let mut sums = (0_i64, 0_i64);
    for (at, byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&at) { b' ' } else { *byte };
        sums = (sums.0 + i64::from(byte), sums.1 + i64::from(byte as i8));
    }
    let recorded = block.get(CHECKSUM).map(octal).and_then(Result::ok).map(|sum| sum as i64);
    if recorded.is_some_and(|recorded| recorded == sums.0 || recorded == sums.1) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Checksum, "a tar header is damaged")
        .expected_found(
            format!("checksum {:o}", sums.0),
            recorded.map_or("none".into(), |sum| format!("{sum:o}")),
        )
        .hint("the archive is damaged: copy or pack it again"))
}

fn kind(flag: u8, name: &[u8]) -> Result<Kind> {
    let what = match flag {
        // Before POSIX a folder was a file whose name ends like this.
        0 if name.ends_with(b"/") => return Ok(Kind::Folder),
        0 | b'0' | b'7' => return Ok(Kind::File),
        b'5' => return Ok(Kind::Folder),
        b'1' => return Ok(Kind::HardLink),
        b'L' => return Ok(Kind::LongName),
        b'K' => return Ok(Kind::LongLink),
        b'x' | b'X' => return Ok(Kind::Records),
        b'g' => return Ok(Kind::GlobalRecords),
        b'2' => "a symbolic link",
        b'3' | b'4' => "a device",
        b'6' => "a pipe",
        b'S' => "a sparse file",
        _ => "an unknown kind of member",
    };
    Err(Error::new(ErrorKind::Unsupported, "a tar member is neither a file nor a folder")
        .within(String::from_utf8_lossy(name).escape_debug())
        .expected_found("files, folders and hard links", format!("{what} (type {:?})", char::from(flag)))
        .hint("pack the files that links point to in their place"))
}

/// A field up to its first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal digits, or in binary behind a byte that says so.
fn number(field: &[u8]) -> Result<u64> {
    if field[0] != BINARY {
        return octal(field);
    }
    let mut number = 0_u64;
    for byte in &field[1..] {
        if number >> 56 != 0 {
            return Err(no_number(field, "a number below 2^64"));
        }
        number = number << 8 | u64::from(*byte);
    }
    Ok(number)
}

/// Octal digits between spaces, ended by a space, a NUL or the field. None at all is 0.
fn octal(field: &[u8]) -> Result<u64> {
    let digits = text(field).trim_ascii();
    digits.iter().try_fold(0_u64, |number, digit| match digit {
        b'0'..=b'7' if number >> 61 == 0 => Ok(number << 3 | u64::from(digit - b'0')),
        _ => Err(no_number(field, "octal digits")),
    })
}

fn no_number(field: &[u8], expected: &str) -> Error {
    Error::new(ErrorKind::Malformed, "a number of a tar header is damaged")
        .expected_found(expected, format!("{:?}", String::from_utf8_lossy(field)))
        .hint("write the archive again, as `tar --format=posix`")
}
