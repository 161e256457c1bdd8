//! config.json of the packed model.

use bitgauge_core::container::Artifact;
use bitgauge_core::format::LOADER_CLASS;
use bitgauge_core::model::{Architecture, Config, QuantConfig, Quantization};
use bitgauge_core::{Error, ErrorKind, RESCUE_GROUP, Result};
use serde_json::{Map, Value, json};

/// What says how weights are stored; the second is MLX's.
const QUANTIZATION: [&str; 2] = ["quantization_config", "quantization"];
/// Positions that models with Llama 3's scaling were trained on first: two to the power of these.
const LLAMA3_POSITIONS: std::ops::RangeInclusive<u32> = 5..=20;

/// The config.json of the same model with dense weights: the source's, byte for byte, unless it says how weights are stored
/// or was made from a GGUF file's metadata.
///
/// # Errors
/// No config.json, or one that can't be read; something that transformers has no words for.
pub(super) fn dense(artifact: &Artifact) -> Result<Vec<u8>> {
    let text = artifact.expect_config()?;
    let config = Config::parse(text)?;
    if config.quantization == Quantization::None && artifact.layout.is_none() {
        return Ok(text.to_vec());
    }
    let mut fields: Map<String, Value> = serde_json::from_slice(text).map_err(|error| {
        Error::new(ErrorKind::Malformed, "not valid JSON")
            .within("config.json")
            .expected_found("a JSON object", error)
    })?;
    for name in QUANTIZATION {
        fields.remove(name);
        if let Some(text) = fields.get_mut("text_config").and_then(Value::as_object_mut) {
            text.remove(name);
        }
    }
    // Code that only unpacks has nothing to do any more.
    let is_own_loader = fields.get("auto_map") == Some(&json!({"AutoModelForCausalLM": LOADER_CLASS}));
    if is_own_loader || artifact.layout.is_some() {
        fields.remove("auto_map");
    }
    if config.quantization == Quantization::Gguf {
        fields.retain(|_, value| !value.is_null());
        if fields.contains_key("rope_scaling") {
            rope_scaling(&mut fields)?;
        }
    }
    Ok(format!("{:#}", Value::Object(fields)).into_bytes())
}

/// Says the scaling of rotary frequencies as transformers reads it, which forgets a base that stands outside.
fn rope_scaling(fields: &mut Map<String, Value>) -> Result<()> {
    if fields["rope_scaling"]["rope_type"] == "divided" {
        fields["rope_scaling"] = llama3(fields)?;
    }
    for name in ["rope_theta", "partial_rotary_factor"] {
        if let Some(value) = fields.get(name).cloned() {
            fields["rope_scaling"][name] = value;
        }
    }
    Ok(())
}

/// Llama 3's scaling, where it is what the frequencies are divided by.
fn llama3(fields: &Map<String, Value>) -> Result<Value> {
    let frequencies = |scaling: &Value| {
        let mut fields = fields.clone();
        fields.insert("rope_scaling".into(), scaling.clone());
        let config = Config::parse(&serde_json::to_vec(&fields).unwrap_or_default()).ok()?;
        let Architecture::Decoder(decoder) = config.architecture() else { return None };
        Some(decoder.rotary.frequencies())
    };
    let wanted = frequencies(&fields["rope_scaling"]).unwrap_or_default();
    let agrees = |scaling: &Value| {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * b.abs();
        frequencies(scaling).is_some_and(|found| found.iter().zip(&wanted).all(near))
    };
    // The lowest frequency is divided by the whole factor, which has few digits.
    let divisors = fields["rope_scaling"]["divisors"].as_array().into_iter().flatten();
    let factor = divisors.filter_map(Value::as_f64).fold(1.0, f64::max);
    let factor = (factor * 1e3).round() / 1e3;
    let mut known = LLAMA3_POSITIONS.map(|power| {
        json!({"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 1_u64 << power})
    });
    known.find(agrees).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "transformers has no setting for these rotary frequencies")
            .within("rope_freqs.weight")
            .expected_found("divisors of Llama 3's scaling", "others")
    })
}

/// The config.json of a form that transformers loads by itself: that of dense weights, with BitNet's settings if `is_bitnet`.
///
/// # Errors
/// Those of [`dense`]; a model with code of its own.
pub(super) fn for_library(artifact: &Artifact, is_bitnet: bool) -> Result<Vec<u8>> {
    let text = dense(artifact)?;
    let mut fields: Map<String, Value> = serde_json::from_slice(&text).map_err(|error| {
        Error::new(ErrorKind::Malformed, "not valid JSON")
            .within("config.json")
            .expected_found("a JSON object", error)
    })?;
    if let Some(found) = fields.get("auto_map") {
        return Err(Error::new(ErrorKind::Unsupported, "config.json already has the field `auto_map`")
            .within("config.json")
            .expected_found("no such field", found)
            .hint("a model with its own code can't be packed; if transformers knows it, remove the field"));
    }
    if is_bitnet {
        fields.insert(
            "quantization_config".into(),
            json!({
                "quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline",
                "modules_to_not_convert": ["lm_head"],
            }),
        );
    }
    Ok(serde_json::to_vec_pretty(&fields).unwrap_or_default())
}

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
        ("quantization_config", "its method is not known here: pack the dense model that it was made from"),
        ("auto_map", "a model with its own code can't be packed; if transformers knows it, remove the field"),
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
