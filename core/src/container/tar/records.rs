//! Pax records: `LENGTH KEY=VALUE\n`, the length counting all of it (POSIX.1-2001, pax).

use crate::{Error, ErrorKind, Result};

/// What records say that matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub path: Option<Vec<u8>>,
    pub size: Option<u64>,
}

/// Reads all records of one extension.
pub(super) fn parse(mut text: &[u8]) -> Result<Records> {
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

/// The first record's key and value, and what follows it.
fn split(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = text.iter().take(8).position(|byte| *byte == b' ')?;
    let length = number(&text[..space])?;
    let length = usize::try_from(length).ok().filter(|length| *length <= text.len())?;
    let record = text[..length].get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], &text[length..]))
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

impl Records {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let shown = || format!("{:?}", String::from_utf8_lossy(value));
        let is_new = match key {
            b"path" => self.path.replace(value.to_vec()).is_none(),
            b"size" => {
                let size = number(value).ok_or_else(|| {
                    Error::new(ErrorKind::Malformed, "a pax size is no number")
                        .expected_found("digits", shown())
                })?;
                self.size.replace(size).is_none()
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
