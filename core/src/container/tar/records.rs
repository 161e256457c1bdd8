//! Pax records: `LENGTH KEY=VALUE\n`, the length counting all of it (POSIX.1-2001, pax).

use crate::{Error, ErrorKind, Result};

/// What records say that matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub path: Option<Vec<u8>>,
    /// What a link leads to.
    pub target: Option<Vec<u8>>,
    pub size: Option<u64>,
}

/// Reads all records of one extension.
pub(super) fn parse(mut text: &[u8]) -> Result<Records> {
    check_charset(text)?;
    let mut records = Records::default();
    while !text.is_empty() {
        let (key, value, rest) = split(text).ok_or_else(|| {
            let shown = String::from_utf8_lossy(&text[..text.len().min(40)]).escape_debug().to_string();
            Error::new(ErrorKind::Malformed, "a pax record is damaged")
                .expected_found("LENGTH KEY=VALUE", shown)
        })?;
        records.take(key, value)?;
        text = rest;
    }
    Ok(records)
}

/// The validator's reader looks for a `hdrcharset` anywhere, and fails where what follows is no text.
fn check_charset(text: &[u8]) -> Result<()> {
    const KEY: &[u8] = b" hdrcharset=";
    if str::from_utf8(text).is_ok() || !text.windows(KEY.len()).any(|bytes| bytes == KEY) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::BadName, "pax records that name their charset are not UTF-8")
        .expected_found("UTF-8", "other bytes"))
}

/// The first record's key and value, and what follows it.
fn split(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = text.iter().take(8).position(|byte| *byte == b' ')?;
    let length = number(&text[..space])?;
    let length = usize::try_from(length).ok().filter(|length| *length <= text.len())?;
    let record = text[..length].get(space + 1..)?.strip_suffix(b"\n")?;
    // A record without a key ends the reading, for the validator's reader.
    let equals = record.iter().position(|byte| *byte == b'=').filter(|key_bytes| *key_bytes > 0)?;
    Some((&record[..equals], &record[equals + 1..], &text[length..]))
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// Whether these are seconds as writers spell them, so few that they are a time.
fn is_time(value: &[u8]) -> bool {
    const DIGITS: usize = 18;
    let value = value.strip_prefix(b"-").unwrap_or(value);
    let (seconds, fraction) =
        value.split_at(value.iter().position(|byte| *byte == b'.').unwrap_or(value.len()));
    let is_digits = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    seconds.len() <= DIGITS && is_digits(seconds) && (fraction.is_empty() || is_digits(&fraction[1..]))
}

fn no_number(key: &[u8], expected: &str, value: &[u8]) -> Error {
    let what = format!("a pax {} is not a number", String::from_utf8_lossy(key));
    Error::new(ErrorKind::Malformed, what)
        .expected_found(expected, format!("{:?}", String::from_utf8_lossy(value)))
}

impl Records {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let shown = || format!("{:?}", String::from_utf8_lossy(value));
        let is_new = match key {
            b"path" => self.path.replace(value.to_vec()).is_none(),
            b"linkpath" => self.target.replace(value.to_vec()).is_none(),
            b"size" => {
                let size = number(value).ok_or_else(|| no_number(key, "digits", value))?;
                self.size.replace(size).is_none()
            }
            // Numbers that the validator's reader sets: it fails where they are too large, and takes many spellings.
            b"uid" | b"gid" if number(value).is_none_or(|number| number > u32::MAX.into()) => {
                return Err(no_number(key, "digits, at most 4294967295", value));
            }
            b"mtime" if !is_time(value) => return Err(no_number(key, "seconds in digits", value)),
            b"uname" | b"gname" if value.contains(&0) => {
                return Err(Error::new(ErrorKind::BadName, "a pax record's name holds a NUL")
                    .expected_found("a name without", shown()));
            }
            b"hdrcharset" if value != b"ISO-IR 10646 2000 UTF-8" => {
                return Err(Error::new(ErrorKind::BadName, "member names are not UTF-8")
                    .expected_found("UTF-8", format!("hdrcharset={}", shown())));
            }
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(Error::new(ErrorKind::Unsupported, "a tar member is a sparse file")
                    .expected_found("plain files", String::from_utf8_lossy(key))
                    .hint("write the archive again, without `tar --sparse`"));
            }
            _ => true,
        };
        if is_new {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Malformed, "a pax record occurs twice")
            .expected_found("each key once", String::from_utf8_lossy(key)))
    }
}
