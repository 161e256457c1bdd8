//! config.json: which family a model is of, its sizes, and how its weights are stored.

use serde_json::Value;

use super::arch::{Architecture, Decoder};
use super::checks::Loading;
use super::earlier;
use super::family::Family;
use super::fields::Fields;
use super::quantization::{CodedConfig, Quantization};
use super::transformers::Transformers;
use crate::format::QuantConfig;
use crate::{Error, ErrorKind, Result, json, limits, memory};

/// What config.json says, as far as it concerns the weights and the forward pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The field `model_type`: `qwen3`, `qwen3_5`, `llama`, ...
    pub model_type: String,
    /// The field `quantization_config`.
    pub quantization: Quantization,
    /// The class that transformers makes the model of, `module.Class` (`auto_map.AutoModelForCausalLM`).
    pub model_code: Option<String>,
    /// The class that transformers makes the configuration of (`auto_map.AutoConfig`).
    pub config_code: Option<String>,
    /// What the fields say about whether transformers loads the model.
    pub loading: Loading,
    /// Which transformers this is the reading of.
    pub transformers: Transformers,
    architecture: Architecture,
}

impl Config {
    /// Reads the bytes of config.json as the transformers of the validator does.
    ///
    /// # Errors
    /// Bytes that are not a JSON object or exceed [`limits::CONFIG_BYTES`]; a field of a known family
    /// that is missing, of the wrong type, out of range, or asks for something unsupported
    /// (sliding windows, an unknown rotary scaling, an unknown `format_version`).
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Self::parse_for(bytes, Transformers::default())
    }

    /// The same as this version of transformers does.
    ///
    /// # Errors
    /// Those of [`Self::parse`].
    pub fn parse_for(bytes: &[u8], transformers: Transformers) -> Result<Self> {
        Self::parse_fields(bytes, transformers).map_err(|error| error.within("config.json"))
    }

    fn parse_fields(bytes: &[u8], transformers: Transformers) -> Result<Self> {
        if bytes.len() as u64 > limits::CONFIG_BYTES {
            return Err(Error::new(ErrorKind::TooLarge, "the configuration is too long")
                .expected_found(format!("at most {} bytes", limits::CONFIG_BYTES), bytes.len()));
        }
        memory::require_tree(bytes, "config.json")?;
        let mut value = json::parse_python(bytes).map_err(|error| {
            Error::new(ErrorKind::Malformed, "the configuration is not valid JSON")
                .expected_found("a JSON object", error)
        })?;
        if let (Transformers::V4, Value::Object(map)) = (transformers, &mut value) {
            earlier::forget(map);
        }
        let Value::Object(map) = &value else {
            return Err(Error::new(ErrorKind::Malformed, "the configuration is not a JSON object")
                .expected_found("an object", json_type(&value)));
        };
        let fields = Fields::new(map, "");
        let model_type =
            fields.text("model_type")?.ok_or_else(|| fields.missing("model_type", "a string"))?;
        let quantization = Quantization::from_fields(&fields)?;
        let mut loading = Loading::default();
        let architecture = match Family::of_model_type(model_type) {
            Some(family) => {
                // A model with vision keeps the decoder's fields in an object of their own.
                let text = fields.object("text_config")?.filter(|_| family.defaults().nested);
                let decoder = Decoder::from_fields(family, text.as_ref().unwrap_or(&fields))?;
                if quantization != Quantization::Gguf {
                    let is_packed = matches!(quantization, Quantization::Bitpack(_));
                    loading = Loading::of(model_type, &decoder, is_packed, &fields, text.as_ref())?;
                }
                Architecture::Decoder(decoder)
            }
            None => Architecture::Unknown { model_type: model_type.to_owned() },
        };
        let [model_code, config_code] = codes(&fields, &mut loading);
        if transformers == Transformers::V4 {
            earlier::check(&mut loading, model_type, &fields, &quantization);
        }
        let model_type = model_type.to_owned();
        Ok(Self { model_type, quantization, model_code, config_code, loading, transformers, architecture })
    }

    /// The family and its sizes, or [`Architecture::Unknown`].
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The settings of another writer's format, when that is how the weights are stored.
    pub fn coded(&self) -> Option<&CodedConfig> {
        match &self.quantization {
            Quantization::Coded(config) => Some(config),
            _ => None,
        }
    }

    /// The settings of the packed format, when that is how the weights are stored.
    pub fn bitpacked(&self) -> Option<QuantConfig> {
        match self.quantization {
            Quantization::Bitpack(config) => Some(config),
            _ => None,
        }
    }
}

/// The classes that `auto_map` names for the model and for its configuration.
fn codes(fields: &Fields<'_>, loading: &mut Loading) -> [Option<String>; 2] {
    let map = fields.get("auto_map").and_then(Value::as_object);
    if map.is_none() && (fields.is_null("auto_map") || fields.get("auto_map").is_some()) {
        loading.faults.push("transformers can't look into `auto_map`, which is no object".to_owned());
    }
    ["AutoModelForCausalLM", "AutoConfig"].map(|class| {
        let named = map?.get(class)?;
        if named.as_str().is_none() {
            loading.faults.push(format!("`auto_map.{class}` is {named:.40}, not module.Class"));
        }
        named.as_str().map(str::to_owned)
    })
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
