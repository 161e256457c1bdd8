//! From the metadata to a config.json that says the same.

use serde_json::{Map, Value as Json, json};

use super::header::{Header, Value};
use crate::model::Family;
use crate::{Error, ErrorKind, Result};

/// What the metadata says of the model.
pub(super) struct Config {
    /// The family, when it is known.
    pub family: Option<Family>,
    /// Layers of the decoder, without those that predict further tokens.
    pub layers: u64,
    /// The text of a config.json.
    pub json: Vec<u8>,
}

/// llama.cpp's value where a file does not state the base of the rotary frequencies.
const ROPE_THETA: f64 = 10_000.0;

/// The configuration that `header` describes. `divisors` are those of the rotary frequencies, where there are any.
///
/// # Errors
/// A key that is missing, of the wrong type, or asks for something that is not supported.
pub(super) fn config(header: &Header, divisors: Option<Vec<f32>>) -> Result<Config> {
    let Some(Value::Text(architecture)) = header.metadata.get("general.architecture") else {
        return Err(missing("general.architecture", "the name of the model's architecture"));
    };
    let Some(family) = Family::of_gguf(architecture) else {
        let model_type = format!("gguf:{architecture}");
        let json = json!({"model_type": model_type, "quantization_config": {"quant_method": "gguf"}});
        return Ok(Config { family: None, layers: 0, json: json.to_string().into_bytes() });
    };
    let keys = Keys { header, architecture };
    let (layers, mut fields) = decoder(&keys, family)?;
    if let Some(scaling) = rope_scaling(&keys, divisors)? {
        fields.insert("rope_scaling".into(), scaling);
    }
    if let Some(interval) = family.defaults().full_attention_interval {
        delta_net(&keys, interval, &mut fields)?;
    }
    Ok(Config { family: Some(family), layers, json: Json::Object(fields).to_string().into_bytes() })
}

/// The fields that every family has.
fn decoder(keys: &Keys, family: Family) -> Result<(u64, Map<String, Json>)> {
    let header = keys.header;
    let shape_of = |name: &str| header.tensors.iter().find(|t| t.name == name).map(|t| &t.shape);
    let Some([vocabulary, _]) = shape_of("token_embd.weight").map(Vec::as_slice) else {
        return Err(missing("token_embd.weight", "a 2-D tensor"));
    };
    let heads = keys.integer("attention.head_count")?;
    let hidden = keys.integer("embedding_length")?;
    let ahead = keys.optional("nextn_predict_layers")?.unwrap_or(0);
    let layers = keys.integer("block_count")?.saturating_sub(ahead);
    let head_dim = match keys.optional("attention.key_length")? {
        Some(head_dim) => head_dim,
        None => hidden / heads.max(1),
    };
    if keys.optional("attention.value_length")?.is_some_and(|value| value != head_dim) {
        return Err(Error::new(ErrorKind::Unsupported, "keys and values differ in width")
            .within("attention.value_length")
            .expected_found(head_dim, "another length"));
    }
    let fields = json!({
        "model_type": family.decoder_type(),
        "hidden_size": hidden,
        "intermediate_size": keys.integer("feed_forward_length")?,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys.optional("attention.head_count_kv")?.unwrap_or(heads),
        "head_dim": head_dim,
        "vocab_size": vocabulary,
        "max_position_embeddings": keys.optional("context_length")?,
        "rms_norm_eps": keys.float("attention.layer_norm_rms_epsilon")?,
        "rope_theta": keys.find("rope.freq_base").map_or(Ok(ROPE_THETA), |_| keys.float("rope.freq_base"))?,
        "tie_word_embeddings": shape_of("output.weight").is_none(),
        "attention_bias": shape_of("blk.0.attn_output.bias").is_some(),
        "quantization_config": {"quant_method": "gguf"},
    });
    let turning = keys.optional("rope.dimension_count")?.unwrap_or(head_dim);
    let Json::Object(mut fields) = fields else { return Ok((layers, Map::new())) };
    if family.defaults().partial_rotary_factor.is_some() {
        // Rounded down, half a channel more is the whole number again.
        let factor = (turning as f64 + 0.5) / head_dim.max(1) as f64;
        fields.insert("partial_rotary_factor".into(), factor.min(1.0).into());
    } else if turning != head_dim {
        return Err(Error::new(ErrorKind::Unsupported, "only some channels of a head turn")
            .within("rope.dimension_count")
            .expected_found(head_dim, turning));
    }
    Ok((layers, fields))
}

/// How the rotary frequencies are scaled, in the words of config.json; those of `divisors` are ours.
fn rope_scaling(keys: &Keys, divisors: Option<Vec<f32>>) -> Result<Option<Json>> {
    let kind = match keys.find("rope.scaling.type") {
        None => "none",
        Some(Value::Text(kind)) if ["none", "linear", "yarn"].contains(&kind.as_str()) => kind,
        Some(found) => {
            let wanted = "none, linear or yarn";
            return Err(keys.bad(ErrorKind::Unsupported, "rope.scaling.type", wanted, found));
        }
    };
    if let Some(divisors) = divisors {
        return match kind {
            "none" => Ok(Some(json!({"rope_type": "divided", "divisors": divisors}))),
            _ => Err(Error::new(ErrorKind::Unsupported, "the rotary frequencies are scaled twice")
                .within("rope_freqs.weight")
                .expected_found("no scaling beside it", kind)),
        };
    }
    let optional = |key| keys.find(key).map(|_| keys.float(key)).transpose();
    // Files of before 2023-11 have the linear factor under a key of its own.
    let factor = match optional("rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None if kind == "none" => optional("rope.scale_linear")?,
        None => None,
    };
    // llama.cpp takes 0 for 1.
    let factor = factor.filter(|factor| *factor != 0.0).unwrap_or(1.0);
    if kind != "yarn" {
        let is_scaled = factor != 1.0 && (kind == "linear" || keys.find("rope.scale_linear").is_some());
        return Ok(is_scaled.then(|| json!({"rope_type": "linear", "factor": factor})));
    }
    let mut scaling = Map::from_iter([("rope_type".into(), "yarn".into()), ("factor".into(), factor.into())]);
    if let Some(positions) = keys.optional("rope.scaling.original_context_length")? {
        scaling.insert("original_max_position_embeddings".into(), positions.into());
    }
    for (key, field) in
        [("rope.scaling.yarn_beta_fast", "beta_fast"), ("rope.scaling.yarn_beta_slow", "beta_slow")]
    {
        if let Some(turns) = optional(key)? {
            scaling.insert(field.into(), turns.into());
        }
    }
    // llama.cpp multiplies what YaRN gives by these.
    let own = [optional("rope.scaling.attn_factor")?, optional("rope.scaling.yarn_attn_factor")?];
    let own: f64 = own.into_iter().flatten().product();
    if own != 1.0 {
        scaling.insert("attention_factor".into(), (own * (0.1 * factor.max(1.0).ln() + 1.0)).into());
    }
    if optional("rope.scaling.yarn_ext_factor")?.is_some_and(|mix| mix != 1.0) {
        return Err(Error::new(ErrorKind::Unsupported, "YaRN with a mix of its own is not read")
            .within(keys.name("rope.scaling.yarn_ext_factor"))
            .expected_found("1", "another number"));
    }
    Ok(Some(Json::Object(scaling)))
}

/// The fields of gated DeltaNet, which llama.cpp names after state-space models.
fn delta_net(keys: &Keys, interval: u64, fields: &mut Map<String, Json>) -> Result<()> {
    let value_heads = keys.integer("ssm.time_step_rank")?;
    let width = keys.integer("ssm.inner_size")?;
    if value_heads == 0 || !width.is_multiple_of(value_heads) {
        return Err(Error::new(ErrorKind::BadValue, "the value heads can't share the width evenly")
            .within("ssm.inner_size")
            .expected_found(format!("a multiple of {value_heads}"), width));
    }
    let more = [
        ("linear_num_key_heads", keys.integer("ssm.group_count")?),
        ("linear_num_value_heads", value_heads),
        ("linear_key_head_dim", keys.integer("ssm.state_size")?),
        ("linear_value_head_dim", width / value_heads),
        ("linear_conv_kernel_dim", keys.integer("ssm.conv_kernel")?),
        ("full_attention_interval", keys.optional("full_attention_interval")?.unwrap_or(interval)),
    ];
    fields.extend(more.map(|(name, value)| (name.to_owned(), value.into())));
    Ok(())
}

/// Access to the keys of the model's architecture.
struct Keys<'a> {
    header: &'a Header,
    architecture: &'a str,
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn find(&self, key: &str) -> Option<&Value> {
        self.header.metadata.get(&self.name(key))
    }

    fn optional(&self, key: &str) -> Result<Option<u64>> {
        match self.find(key) {
            None => Ok(None),
            Some(Value::Integer(n)) if u64::try_from(*n).is_ok() => Ok(Some(*n as u64)),
            Some(found) => Err(self.bad(ErrorKind::Malformed, key, "a whole number", found)),
        }
    }

    fn integer(&self, key: &str) -> Result<u64> {
        self.optional(key)?.ok_or_else(|| missing(&self.name(key), "a whole number"))
    }

    fn float(&self, key: &str) -> Result<f64> {
        match self.find(key) {
            None => Err(missing(&self.name(key), "a number")),
            // The shortest decimal of the f32 is what the model's config.json had, and is read like it.
            Some(Value::Float(x)) => {
                let decimal = serde_json::to_vec(&(*x as f32)).ok();
                Ok(decimal.and_then(|decimal| crate::json::parse(&decimal).ok()?.as_f64()).unwrap_or(*x))
            }
            Some(found) => Err(self.bad(ErrorKind::Malformed, key, "a floating-point number", found)),
        }
    }

    fn bad(&self, kind: ErrorKind, key: &str, wanted: &str, found: &Value) -> Error {
        let mut found = format!("{found:?}");
        if let Some((end, _)) = found.char_indices().nth(60) {
            found.truncate(end);
        }
        Error::new(kind, "a metadata key has a value that can't be used")
            .within(self.name(key))
            .expected_found(wanted, found)
    }
}

fn missing(key: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Missing, "the metadata is incomplete").within(key).expected_found(wanted, "nothing")
}
