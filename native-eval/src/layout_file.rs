//! A maker's description of how weights lie in tensors.

use std::path::Path;

use bitgauge_core::format::layouts::Scheme;
use bitgauge_core::{Error, ErrorKind, Result, limits};

use crate::input::read_text;

/// Reads a layout in TOML (docs/layouts.md).
///
/// # Errors
/// A file that can't be read or is no TOML; a description that can't be followed.
pub fn read_layout(path: &Path) -> Result<Scheme> {
    let read = || {
        let text = read_text(path, "the layout", limits::CONFIG_BYTES)?;
        let description: serde_json::Value = toml::from_str(&text).map_err(|error| {
            Error::new(ErrorKind::Malformed, "the layout is not valid TOML")
                .at(error.span().map_or(0, |span| span.start as u64))
                .expected_found("tables of names and values", error.message())
        })?;
        Scheme::given(&description)
    };
    read().map_err(|error: Error| error.within(path.display()))
}
