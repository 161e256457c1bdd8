//! The model families whose tensors and forward pass are known.

use super::family::{Family, HeadDim};
use super::fields::Fields;
use super::rotary::Rotary;
use crate::{Error, ErrorKind, Result, limits};

/// What config.json describes.
#[derive(Debug, Clone, PartialEq)]
pub enum Architecture {
    /// A decoder of a known family.
    Decoder(Decoder),
    /// A `model_type` that is not known here. Not an error: sizes can still be judged.
    Unknown {
        /// The field `model_type`.
        model_type: String,
    },
}

/// What mixes the tokens in a layer. The names are those of the field `layer_types`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerType {
    /// Softmax attention.
    FullAttention,
    /// Gated DeltaNet.
    LinearAttention,
}

/// Sizes of a decoder, from the fields of config.json (or of its `text_config`).
#[derive(Debug, Clone, PartialEq)]
pub struct Decoder {
    /// Which family it is of.
    pub family: Family,
    /// Width of the residual stream (`hidden_size`).
    pub hidden: u64,
    /// Width of the MLP (`intermediate_size`).
    pub intermediate: u64,
    /// The mixer of each decoder layer (`num_hidden_layers` of them).
    pub layers: Vec<LayerType>,
    /// Query heads (`num_attention_heads`).
    pub heads: u64,
    /// Key and value heads (`num_key_value_heads`); divides `heads`.
    pub kv_heads: u64,
    /// Channels of one head (`head_dim`).
    pub head_dim: u64,
    /// Rows of the embedding (`vocab_size`).
    pub vocabulary: u64,
    /// Whether the four projections of attention have biases (`attention_bias`, default false).
    pub attention_bias: bool,
    /// Whether the three projections of the MLP have biases (`mlp_bias`, llama only, default false).
    pub mlp_bias: bool,
    /// Whether the embedding is also the output head (`tie_word_embeddings`, default false).
    pub tied: bool,
    /// Added to the mean square in every norm (`rms_norm_eps`).
    pub rms_norm_eps: f64,
    /// The rotary embedding.
    pub rotary: Rotary,
    /// Longest context (`max_position_embeddings`), if stated.
    pub max_positions: Option<u64>,
    /// Sizes of the gated DeltaNet layers, in families that have them.
    pub delta_net: Option<DeltaNet>,
}

/// Sizes of a gated DeltaNet mixer (the fields `linear_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeltaNet {
    /// Query and key heads (`linear_num_key_heads`).
    pub key_heads: u64,
    /// Value heads (`linear_num_value_heads`); a multiple of `key_heads`.
    pub value_heads: u64,
    /// Channels of a query or key head (`linear_key_head_dim`).
    pub key_dim: u64,
    /// Channels of a value head (`linear_value_head_dim`).
    pub value_dim: u64,
    /// Taps of the causal convolution (`linear_conv_kernel_dim`).
    pub taps: u64,
}

impl DeltaNet {
    fn from_fields(fields: &Fields<'_>) -> Result<Self> {
        let dimension = |name| fields.dimension(name, limits::MODEL_DIMENSION);
        let sizes = Self {
            key_heads: dimension("linear_num_key_heads")?,
            value_heads: dimension("linear_num_value_heads")?,
            key_dim: dimension("linear_key_head_dim")?,
            value_dim: dimension("linear_value_head_dim")?,
            taps: fields.dimension("linear_conv_kernel_dim", limits::CONVOLUTION_TAPS)?,
        };
        if !sizes.value_heads.is_multiple_of(sizes.key_heads) {
            return Err(Error::new(ErrorKind::BadValue, "the value heads can't share the key heads evenly")
                .expected_found("`linear_num_value_heads` a multiple of `linear_num_key_heads`", {
                    format!("{} and {}", sizes.value_heads, sizes.key_heads)
                }));
        }
        // Every factor is at most 2^24, so the sum fits u64.
        if sizes.mixed_width() > limits::MODEL_DIMENSION {
            return Err(Error::new(ErrorKind::TooLarge, "the linear-attention heads together are too wide")
                .expected_found(
                    format!("at most {} channels", limits::MODEL_DIMENSION),
                    sizes.mixed_width(),
                ));
        }
        Ok(sizes)
    }

    /// Width of all query heads together, and of all key heads: `key_heads * key_dim`.
    pub fn key_width(&self) -> u64 {
        self.key_heads * self.key_dim
    }

    /// Width of all value heads together: `value_heads * value_dim`.
    pub fn value_width(&self) -> u64 {
        self.value_heads * self.value_dim
    }

    /// Channels that pass the convolution: queries, keys and values.
    pub fn mixed_width(&self) -> u64 {
        2 * self.key_width() + self.value_width()
    }
}

impl Decoder {
    /// Reads the sizes from `fields`: those of config.json, or of its `text_config` with config.json
    /// itself as `outer`.
    pub(super) fn from_fields(family: Family, fields: &Fields<'_>, outer: &Fields<'_>) -> Result<Self> {
        refuse_unsupported(fields)?;
        let dimension = |name| fields.dimension(name, limits::MODEL_DIMENSION);
        let heads = dimension("num_attention_heads")?;
        let hidden = dimension("hidden_size")?;
        let kv_heads = match fields.optional_dimension("num_key_value_heads", limits::MODEL_DIMENSION)? {
            None if family.defaults().kv_heads_of_heads => heads,
            None => return Err(fields.missing("num_key_value_heads", "a positive whole number")),
            Some(kv_heads) => kv_heads,
        };
        let head_dim = head_dim(family, fields, hidden, heads)?;
        // Only the outer config.json of a nested one may lack the field inside.
        let tied = if fields.get("tie_word_embeddings").is_some() { fields } else { outer };
        let model = Self {
            family,
            hidden,
            intermediate: dimension("intermediate_size")?,
            layers: layer_types(family, fields)?,
            heads,
            kv_heads,
            head_dim,
            vocabulary: dimension("vocab_size")?,
            attention_bias: fields.flag("attention_bias")?,
            mlp_bias: family.defaults().mlp_bias && fields.flag("mlp_bias")?,
            tied: tied.flag("tie_word_embeddings")?,
            rms_norm_eps: fields.positive("rms_norm_eps")?,
            rotary: Rotary::from_fields(family, fields, head_dim)?,
            max_positions: fields.optional_dimension("max_position_embeddings", u64::from(u32::MAX))?,
            delta_net: match family.defaults().full_attention_interval {
                Some(_) => Some(DeltaNet::from_fields(fields)?),
                None => None,
            },
        };
        model.check_heads()?;
        Ok(model)
    }

    /// Width of all query heads together, `heads * head_dim`.
    pub fn query_width(&self) -> u64 {
        self.heads * self.head_dim
    }

    /// Width of all key heads together, and of all value heads: `kv_heads * head_dim`.
    pub fn kv_width(&self) -> u64 {
        self.kv_heads * self.head_dim
    }

    /// Whether attention's output is gated: `q_proj` then has a gate beside each query head.
    pub fn output_gate(&self) -> bool {
        self.family.defaults().output_gate
    }

    fn check_heads(&self) -> Result<()> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(Error::new(ErrorKind::BadValue, "the query heads can't share the key heads evenly")
                .expected_found("`num_attention_heads` a multiple of `num_key_value_heads`", {
                    format!("{} and {}", self.heads, self.kv_heads)
                }));
        }
        let gates = 1 + u64::from(self.output_gate());
        match self.heads.checked_mul(gates * self.head_dim) {
            Some(width) if width <= limits::MODEL_DIMENSION => Ok(()),
            _ => Err(Error::new(ErrorKind::TooLarge, "the heads together are too wide").expected_found(
                format!("`num_attention_heads` * `head_dim` at most {}", limits::MODEL_DIMENSION / gates),
                format!("{} * {}", self.heads, self.head_dim),
            )),
        }
    }
}

/// Channels of a head: its own field, or the family's default.
fn head_dim(family: Family, fields: &Fields<'_>, hidden: u64, heads: u64) -> Result<u64> {
    if let Some(head_dim) = fields.optional_dimension("head_dim", limits::MODEL_DIMENSION)? {
        return Ok(head_dim);
    }
    match family.defaults().head_dim {
        HeadDim::Fixed(head_dim) => Ok(head_dim),
        HeadDim::Required => Err(fields.missing("head_dim", "a positive whole number")),
        HeadDim::SharedWidth if hidden.is_multiple_of(heads) => Ok(hidden / heads),
        HeadDim::SharedWidth => {
            Err(Error::new(ErrorKind::BadValue, "the heads can't share the width evenly").expected_found(
                "`hidden_size` a multiple of `num_attention_heads`",
                format!("{hidden} and {heads}"),
            ))
        }
    }
}

/// The mixer of each layer: `layer_types`, or every `full_attention_interval`th attention.
fn layer_types(family: Family, fields: &Fields<'_>) -> Result<Vec<LayerType>> {
    let layers = fields.dimension("num_hidden_layers", limits::LAYERS_COUNT)?;
    let default_interval = family.defaults().full_attention_interval;
    let Some(listed) = fields.get("layer_types") else {
        let Some(default) = default_interval else {
            return Ok(vec![LayerType::FullAttention; layers as usize]);
        };
        let interval = fields.optional_dimension("full_attention_interval", limits::LAYERS_COUNT)?;
        let interval = interval.unwrap_or(default);
        let layer_type = |layer: u64| match (layer + 1) % interval {
            0 => LayerType::FullAttention,
            _ => LayerType::LinearAttention,
        };
        return Ok((0..layers).map(layer_type).collect());
    };
    let (wanted, allowed): (_, &[(&str, LayerType)]) = match default_interval {
        Some(_) => (
            "linear_attention or full_attention in every layer",
            &[("linear_attention", LayerType::LinearAttention), ("full_attention", LayerType::FullAttention)],
        ),
        None => ("full_attention in every layer", &[("full_attention", LayerType::FullAttention)]),
    };
    let bad = |kind, wanted: &str| fields.bad(kind, "layer_types", wanted, listed);
    let list = listed.as_array().ok_or_else(|| bad(ErrorKind::Malformed, "a list"))?;
    let find = |name: &serde_json::Value| allowed.iter().find(|(known, _)| name == known);
    let types: Option<Vec<_>> = list.iter().map(|name| Some(find(name)?.1)).collect();
    let types = types.ok_or_else(|| bad(ErrorKind::Unsupported, wanted))?;
    if types.len() as u64 != layers {
        return Err(bad(ErrorKind::BadValue, &format!("{layers} layer types, as `num_hidden_layers` says")));
    }
    Ok(types)
}

/// Refuses settings that change the forward pass in a way that is not implemented.
fn refuse_unsupported(fields: &Fields<'_>) -> Result<()> {
    let unsupported = |name: &str, wanted: &str| match fields.get(name) {
        Some(found) => Err(fields.bad(ErrorKind::Unsupported, name, wanted, found)),
        None => Ok(()),
    };
    if fields.flag("use_sliding_window")? {
        unsupported("use_sliding_window", "false")?;
    }
    if fields.text("hidden_act")?.is_some_and(|name| name != "silu") {
        unsupported("hidden_act", "silu")?;
    }
    Ok(())
}
