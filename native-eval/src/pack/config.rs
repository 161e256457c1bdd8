//! config.json of the packed model.

use bitgauge_core::format::LOADER_CLASS;
use bitgauge_core::model::{Config, QuantConfig};
use bitgauge_core::{Error, ErrorKind, RESCUE_GROUP, Result};
use serde_json::Value;

/// Adds `auto_map` and `quantization_config` as the last fields. Everything before them stays byte for
/// byte.
///
/// # Errors
/// Text that is no JSON object, one of the two fields that is there already (even `null`), or a
/// scale group that the format does not have.
pub(crate) fn add_packing(text: &[u8], scale_group: usize) -> Result<Vec<u8>> {
    let fault = |kind, what: &str, wanted: &str, found: String| {
        Error::new(kind, what).within("config.json").expected_found(wanted, found)
    };
    let parsed: Value = serde_json::from_slice(text)
        .map_err(|error| fault(ErrorKind::Malformed, "not valid JSON", "a JSON object", error.to_string()))?;
    for (field, hint) in [
        (
            "quantization_config",
            "the model is packed or quantized already: pack the dense one that it was made from",
        ),
        (
            "auto_map",
            "a model with code of its own can't be packed; if transformers knows it, remove the field",
        ),
    ] {
        if let Some(found) = parsed.get(field) {
            let what = format!("the field `{field}` is there already");
            let error = fault(ErrorKind::Unsupported, &what, "no such field", found.to_string());
            return Err(error.hint(hint));
        }
    }
    let trimmed = text.trim_ascii_end();
    let Some(body) = trimmed.strip_suffix(b"}").map(<[u8]>::trim_ascii_end) else {
        return Err(fault(ErrorKind::Malformed, "not a JSON object", "an object", parsed.to_string()));
    };
    let mut out = body.to_vec();
    out.extend_from_slice(
        format!(
            ",\n  \"auto_map\": {{\n    \"AutoModelForCausalLM\": \"{LOADER_CLASS}\"\n  }},\n  \
             \"quantization_config\": {{\n    \"quant_method\": \"bitpack\",\n    \
             \"format_version\": 1,\n    \"scale_group_size\": {scale_group},\n    \
             \"rescue_group_size\": {RESCUE_GROUP}\n  }}\n}}\n"
        )
        .as_bytes(),
    );
    // What was written must be what a reader will understand.
    match Config::parse(&out)?.bitpacked() {
        Some(QuantConfig { scale_group: read }) if read == scale_group => Ok(out),
        read => {
            let found = format!("{read:?}");
            Err(fault(ErrorKind::Malformed, "the settings can't be recorded", "the settings given", found))
        }
    }
}
