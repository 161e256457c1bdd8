//! What config.json says about how the weights are stored.

use std::sync::Arc;

use serde_json::Value;

use super::fields::Fields;
use crate::format::QuantConfig;
use crate::format::layouts::{Declared, Scheme, schemes};
use crate::tensor::RESCUE_GROUP;
use crate::{ErrorKind, Result};

/// Scale groups that the packed format knows: so many columns, or 0 for one scale per row.
const SCALE_GROUPS: [u64; 4] = [0, 32, 64, 128];
/// The version of the packed format that this code reads and writes.
const FORMAT_VERSION: u64 = 1;
/// The module of the head.
const HEAD: &str = "lm_head";

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
    /// Another writer's format that is known here.
    Coded(CodedConfig),
    /// Some other method, by its name; what it stores can be counted but not read.
    Unknown {
        /// The field `quant_method`, or `unnamed`.
        method: String,
    },
}

/// The settings of another writer's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodedConfig {
    /// The format.
    pub scheme: Arc<Scheme>,
    declared: Declared,
    /// Modules with settings of their own.
    modules: Vec<(String, Declared)>,
    /// The names of modules that transformers leaves dense, where it goes by such a list.
    left_dense: Option<Vec<String>>,
}

impl CodedConfig {
    /// A format of which config.json says nothing more.
    pub fn new(scheme: impl Into<Arc<Scheme>>) -> Self {
        Self { scheme: scheme.into(), declared: Declared::default(), modules: Vec::new(), left_dense: None }
    }

    /// Whether transformers may take this linear layer for what it is not: its list of layers that stay dense says otherwise,
    /// or holds patterns.
    pub fn may_contradict(&self, module: &str, is_dense: bool) -> bool {
        let is_plain = |key: &String| key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b));
        let names = |key: &String| {
            let rest = module.strip_prefix(key.as_str());
            let begins =
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || key.ends_with('.'));
            begins || module.ends_with(key.as_str())
        };
        let differs = |list: &Vec<String>| !list.iter().all(is_plain) || list.iter().any(names) != is_dense;
        self.left_dense.as_ref().is_some_and(differs)
    }

    /// What is said about the weight of this name.
    pub fn declared(&self, weight: &str) -> Declared {
        let module = weight.strip_suffix(".weight").unwrap_or(weight);
        let own = self.modules.iter().find(|(name, _)| {
            name == module || name.strip_prefix(self.scheme.prefix).is_some_and(|name| name == module)
        });
        own.map_or(self.declared, |(_, declared)| *declared)
    }
}

impl Quantization {
    pub(super) fn from_fields(config: &Fields<'_>) -> Result<Self> {
        let fields = match config.object("quantization_config")? {
            Some(fields) => fields,
            // MLX's first versions wrote only this one.
            None => match config.get("quantization").and_then(Value::as_object) {
                Some(map) if map.contains_key("bits") => {
                    return Ok(Self::Coded(mlx(&Fields::new(map, "quantization"))));
                }
                _ => return Ok(Self::None),
            },
        };
        let method = match fields.text("quant_method")? {
            Some("gguf") => return Ok(Self::Gguf),
            Some("bitpack") => return QuantConfig::from_fields(&fields).map(Self::Bitpack),
            method => method,
        };
        Ok(match known(method, &fields) {
            Some(config) => Self::Coded(config),
            None => Self::Unknown { method: method.unwrap_or("unnamed").to_owned() },
        })
    }
}

/// The format that a method and its settings name, if it is known here.
fn known(method: Option<&str>, fields: &Fields<'_>) -> Option<CodedConfig> {
    let says = |name: &str, value: &str| fields.get(name).is_some_and(|found| found == value);
    let on = |name: &str| fields.get(name).and_then(Value::as_bool) == Some(true);
    let scheme = match method {
        None if fields.get("bits").is_some() || fields.get("mode").is_some() => return Some(mlx(fields)),
        Some("metal") => return Some(CodedConfig { scheme: Arc::new(schemes::METAL), ..mlx(fields) }),
        Some("gptq") => {
            let format = ["checkpoint_format", "format"].iter().find_map(|name| fields.get(name)?.as_str());
            match format {
                None | Some("gptq") => schemes::GPTQ,
                Some("gptq_v2") => schemes::GPTQ_V2,
                Some(_) => return None,
            }
        }
        Some("awq")
            if ["version", "format"]
                .iter()
                .all(|name| fields.get(name).is_none_or(|v| v == "gemm" || v == "GEMM")) =>
        {
            schemes::AWQ
        }
        Some("compressed-tensors") if says("format", "pack-quantized") => {
            return Some(compressed_tensors(fields));
        }
        // With norms of their own, linear layers have weights and values that are not modelled here.
        Some("bitnet") if on("use_rms_norm") => return None,
        Some("bitnet") if fields.get("quantization_mode").is_none_or(|mode| mode == "offline") => {
            match fields.get("linear_class").map_or(Some("bitlinear"), Value::as_str) {
                Some("autobitlinear") => schemes::AUTOBITLINEAR,
                Some("bitlinear") => schemes::BITLINEAR,
                _ => return None,
            }
        }
        Some("bitsandbytes") if on("load_in_8bit") || on("_load_in_8bit") => schemes::BNB_INT8,
        Some("bitsandbytes") if says("bnb_4bit_quant_type", "nf4") => schemes::NF4,
        Some("bitsandbytes") => schemes::FP4,
        Some("torchao") => schemes::TORCHAO,
        Some("fp8") => {
            let side = fields
                .get("weight_block_size")
                .and_then(Value::as_array)
                .and_then(|sides| sides.first()?.as_u64());
            return Some(CodedConfig {
                declared: Declared { bits: None, group: side.filter(|side| *side > 0) },
                left_dense: left_dense(fields, "modules_to_not_convert"),
                ..CodedConfig::new(schemes::FP8)
            });
        }
        _ => return None,
    };
    let mut config = CodedConfig::new(scheme);
    let is_said = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    config.left_dense = match method {
        Some("bitnet") => left_dense(fields, "modules_to_not_convert"),
        Some("bitsandbytes") => left_dense(fields, "llm_int8_skip_modules"),
        // The head stays dense, and single modules have no sizes of their own: transformers does not look for them.
        Some("gptq" | "awq") if is_said("dynamic") => Some(vec!["dynamic: patterns".to_owned()]),
        Some("gptq") if !is_said("modules_in_block_to_quantize") => Some(vec![HEAD.to_owned()]),
        Some("awq") if !is_said("modules_to_not_convert") => Some(vec![HEAD.to_owned()]),
        _ => None,
    };
    // The sizes that GPTQ's newer writers keep for single modules are patterns of names: there the shapes say.
    if matches!(method, Some("gptq" | "awq")) && fields.get("dynamic").is_none() {
        config.declared = declared(fields.get("bits"), fields.get("group_size"));
    }
    Some(config)
}

/// The modules that a list of config.json names, as the decoder alone has them; the head where there is no list.
fn left_dense(fields: &Fields<'_>, name: &str) -> Option<Vec<String>> {
    let name_of = |value: &Value| {
        let name = value.as_str()?;
        let of_decoder = name.strip_prefix("model.language_model.");
        Some(of_decoder.map_or_else(|| name.to_owned(), |rest| ["model.", rest].concat()))
    };
    match fields.get(name) {
        None | Some(Value::Null) => Some(vec![HEAD.to_owned()]),
        Some(list) => list.as_array()?.iter().map(name_of).collect(),
    }
}

/// A number of bits and a size of groups, where these are numbers above 0.
fn declared(bits: Option<&Value>, group: Option<&Value>) -> Declared {
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).filter(|number| *number > 0);
    Declared { bits: number(bits), group: number(group) }
}

fn mlx(fields: &Fields<'_>) -> CodedConfig {
    let of = |map: &serde_json::Map<String, Value>| declared(map.get("bits"), map.get("group_size"));
    let modules = fields.all().filter_map(|(name, value)| Some((name.clone(), of(value.as_object()?))));
    CodedConfig {
        declared: declared(fields.get("bits"), fields.get("group_size")),
        modules: modules.collect(),
        ..CodedConfig::new(schemes::MLX)
    }
}

/// What all groups of settings agree on.
fn compressed_tensors(fields: &Fields<'_>) -> CodedConfig {
    let groups = fields.get("config_groups").and_then(Value::as_object);
    let mut said =
        groups.into_iter().flat_map(|groups| groups.values()).filter_map(|group| group.get("weights"));
    let of = |weights: &Value| declared(weights.get("num_bits"), weights.get("group_size"));
    let first = said.next().map(of).unwrap_or_default();
    let agree = said.all(|weights| of(weights) == first);
    CodedConfig {
        declared: if agree { first } else { Declared::default() },
        ..CodedConfig::new(schemes::COMPRESSED_TENSORS)
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
        const GROUPS: &str = "0, 32, 64 or 128";
        let scale_group = number("scale_group_size", GROUPS)?;
        if !SCALE_GROUPS.contains(&scale_group) {
            return refuse(ErrorKind::BadValue, "scale_group_size", GROUPS, scale_group);
        }
        let rescue_group = number("rescue_group_size", "128")?;
        if rescue_group != RESCUE_GROUP as u64 {
            return refuse(ErrorKind::BadValue, "rescue_group_size", "128", rescue_group);
        }
        Ok(Self { scale_group: scale_group as usize })
    }
}
