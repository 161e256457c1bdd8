//! Reports in links.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bitgauge_core::report::link::decode;

use crate::Outcome;
use crate::report::check_link;

/// A link that is accepted makes the same link again. The input is what stands in front of the checksum, or a
/// fragment as it is.
pub fn check(input: &[u8]) -> Outcome {
    let fragment = match std::str::from_utf8(input) {
        Ok(text) if text.starts_with("r=") || text.starts_with('#') => text.to_owned(),
        _ => fragment(input),
    };
    let Ok(Some(report)) = decode(&fragment) else { return Outcome::Refused };
    check_link(&report);
    Outcome::Accepted
}

/// These bytes with their checksum, as a link's fragment.
fn fragment(content: &[u8]) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    format!("r={}", URL_SAFE_NO_PAD.encode([content, &crc.sum().to_le_bytes()].concat()))
}
