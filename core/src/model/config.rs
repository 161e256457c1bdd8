//! config.json: which family a model is of, its sizes, and how its weights are stored.

use serde_json::Value;

use super::arch::{Architecture, Decoder};
use super::checks::Loading;
use super::family::Family;
use super::fields::Fields;
use crate::tensor::RESCUE_GROUP;
use crate::{Error, ErrorKind, Result, json, limits, memory};

/// Scale groups that the packed format knows: 128 columns, or 0 for one scale per row.
const SCALE_GROUPS: [u64; 2] = [0, 128];
/// The version of the packed format that this code reads and writes.
const FORMAT_VERSION: u64 = 1;

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
    architecture: Architecture,
}

/// How the 2-D weights are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quantization {
    /// No `quantization_config`: every weight is dense.
    None,
    /// `quant_method: bitpack`, the format of FORMAT.md.
    Bitpack(QuantConfig),
    /// A GGUF file, whose tensors follow llama.cpp's conventions: norms are stored whole, the decay of
    /// DeltaNet as its rate, its value heads by turns of the key heads, and queries and keys of llama
    /// with the channels that turn together side by side.
    Gguf,
    /// Some other method, by its name; what it stores can be counted but not read.
    Unknown {
        /// The field `quant_method`, or `unnamed`.
        method: String,
    },
}

/// The settings of a packed model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuantConfig {
    /// Columns per scale of a binary row: 128, or 0 for one scale per row.
    pub scale_group: usize,
}

impl Config {
    /// Reads the bytes of config.json.
    ///
    /// # Errors
    /// Bytes that are not a JSON object or exceed [`limits::CONFIG_BYTES`]; a field of a known family
    /// that is missing, of the wrong type, out of range, or asks for something unsupported
    /// (sliding windows, an unknown rotary scaling, an unknown `format_version`).
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Self::parse_fields(bytes).map_err(|error| error.within("config.json"))
    }

    fn parse_fields(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > limits::CONFIG_BYTES {
            return Err(Error::new(ErrorKind::TooLarge, "the configuration is too long")
                .expected_found(format!("at most {} bytes", limits::CONFIG_BYTES), bytes.len()));
        }
        memory::require_tree(bytes, "config.json")?;
        let value = json::parse_python(bytes).map_err(|error| {
            Error::new(ErrorKind::Malformed, "the configuration is not valid JSON")
                .expected_found("a JSON object", error)
        })?;
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
        let model_type = model_type.to_owned();
        Ok(Self { model_type, quantization, model_code, config_code, loading, architecture })
    }

    /// The family and its sizes, or [`Architecture::Unknown`].
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
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

impl Quantization {
    fn from_fields(config: &Fields<'_>) -> Result<Self> {
        let Some(fields) = config.object("quantization_config")? else { return Ok(Self::None) };
        match fields.text("quant_method")? {
            Some("gguf") => Ok(Self::Gguf),
            Some("bitpack") => QuantConfig::from_fields(&fields).map(Self::Bitpack),
            method => Ok(Self::Unknown { method: method.unwrap_or("unnamed").to_owned() }),
        }
    }
}

impl QuantConfig {
    fn from_fields(fields: &Fields<'_>) -> Result<Self> {
        let number = |name: &str, wanted: &str| {
            let value = fields.get(name).ok_or_else(|| fields.missing(name, wanted))?;
            value.as_u64().ok_or_else(|| fields.bad(ErrorKind::Malformed, name, wanted, value))
        };
        let refuse = |kind, name: &str, wanted: &str, found: u64| {
            Err(fields.bad(kind, name, wanted, &Value::from(found)))
        };
        let version = number("format_version", "1")?;
        if version != FORMAT_VERSION {
            return refuse(ErrorKind::Unsupported, "format_version", "1", version)
                .map_err(|error| error.hint("a newer bitgauge may read this artifact"));
        }
        let scale_group = number("scale_group_size", "128 or 0")?;
        if !SCALE_GROUPS.contains(&scale_group) {
            return refuse(ErrorKind::BadValue, "scale_group_size", "128 or 0", scale_group);
        }
        let rescue_group = number("rescue_group_size", "128")?;
        if rescue_group != RESCUE_GROUP as u64 {
            return refuse(ErrorKind::BadValue, "rescue_group_size", "128", rescue_group);
        }
        Ok(Self { scale_group: scale_group as usize })
    }
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
