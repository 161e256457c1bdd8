//! A maker's description of how weights lie in tensors, in TOML (docs/layouts.md).

use bitgauge_core::{Error, ErrorKind, Result, limits};

/// Whether a file of this name is meant as one.
pub fn is_named(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".toml")
}

/// The same as JSON, for the worker, which knows what it may say.
///
/// # Errors
/// Text that is no TOML, or too long.
pub fn to_json(text: &str) -> Result<String> {
    if text.len() as u64 > limits::CONFIG_BYTES {
        return Err(Error::new(ErrorKind::TooLarge, "the layout is too long")
            .expected_found(format!("at most {} bytes", limits::CONFIG_BYTES), text.len()));
    }
    let description: serde_json::Value = toml::from_str(text).map_err(|error| {
        Error::new(ErrorKind::Malformed, "the layout is not valid TOML")
            .at(error.span().map_or(0, |span| span.start as u64))
            .expected_found("tables of names and values", error.message())
    })?;
    Ok(description.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitgauge_core::format::layouts::Scheme;

    #[test]
    fn a_layout_reaches_the_worker_as_it_was_written() {
        let text = "name = \"mine\"\n[tensors]\ncodes = \"w\"\nscales = \"s\"\n[words]\nbits = 2\n[values]\nless = 1\n";
        let json = to_json(text).expect("a layout");
        let description = serde_json::from_str(&json).expect("JSON");
        assert!(Scheme::given(&description).is_ok(), "{json}");
        let error = to_json("name = ").expect_err("no TOML");
        assert!(error.what.contains("not valid TOML") && error.offset == Some(7), "{error}");
        assert!(is_named("Mine.TOML") && !is_named("m.json"));
    }
}
