//! The model families whose tensors and forward pass are known.

use super::fields::Fields;
use crate::{Error, ErrorKind, Result, limits};

/// A model family with its sizes. Another family is another variant here and another list of
/// tensors in `manifest`.
#[derive(Debug, Clone, PartialEq)]
pub enum Architecture {
    /// Dense Qwen3: grouped-query attention with normed queries and keys, SwiGLU.
    Qwen3(Qwen3),
    /// A `model_type` that is not known here. Not an error: sizes can still be judged.
    Unknown {
        /// The field `model_type`.
        model_type: String,
    },
}

/// transformers' `Qwen3Config` default for `head_dim`.
const DEFAULT_HEAD_DIM: u64 = 128;

/// Sizes of a dense Qwen3 model, from the top-level fields of config.json.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Qwen3 {
    /// Width of the residual stream (`hidden_size`).
    pub hidden: u64,
    /// Width of the MLP (`intermediate_size`).
    pub intermediate: u64,
    /// Decoder layers (`num_hidden_layers`).
    pub layers: u64,
    /// Query heads (`num_attention_heads`).
    pub heads: u64,
    /// Key and value heads (`num_key_value_heads`); divides `heads`.
    pub kv_heads: u64,
    /// Channels of one head (`head_dim`, default 128 as in transformers' `Qwen3Config`); even.
    pub head_dim: u64,
    /// Rows of the embedding (`vocab_size`).
    pub vocabulary: u64,
    /// Whether the four projections of attention have biases (`attention_bias`, default false).
    pub attention_bias: bool,
    /// Whether the embedding is also the output head (`tie_word_embeddings`, default false).
    pub tied: bool,
    /// Added to the mean square in every norm (`rms_norm_eps`).
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies (`rope_theta`, at the top or inside `rope_parameters`).
    pub rope_theta: f64,
    /// Longest context (`max_position_embeddings`), if stated.
    pub max_positions: Option<u64>,
}

impl Qwen3 {
    pub(super) fn from_fields(fields: &Fields<'_>) -> Result<Self> {
        refuse_unsupported(fields)?;
        let dimension = |name| fields.dimension(name, limits::MODEL_DIMENSION);
        let model = Self {
            hidden: dimension("hidden_size")?,
            intermediate: dimension("intermediate_size")?,
            layers: fields.dimension("num_hidden_layers", limits::LAYERS_COUNT)?,
            heads: dimension("num_attention_heads")?,
            kv_heads: dimension("num_key_value_heads")?,
            head_dim: fields
                .optional_dimension("head_dim", limits::MODEL_DIMENSION)?
                .unwrap_or(DEFAULT_HEAD_DIM),
            vocabulary: dimension("vocab_size")?,
            attention_bias: fields.flag("attention_bias")?,
            tied: fields.flag("tie_word_embeddings")?,
            rms_norm_eps: fields.positive("rms_norm_eps")?,
            rope_theta: rope_theta(fields)?,
            max_positions: fields.optional_dimension("max_position_embeddings", u64::from(u32::MAX))?,
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

    fn check_heads(&self) -> Result<()> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(Error::new(ErrorKind::BadValue, "the query heads can't share the key heads evenly")
                .expected("`num_attention_heads` a multiple of `num_key_value_heads`", {
                    format!("{} and {}", self.heads, self.kv_heads)
                }));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(Error::new(ErrorKind::BadValue, "rotary embedding needs channels in pairs")
                .expected("an even `head_dim`", self.head_dim));
        }
        match self.heads.checked_mul(self.head_dim) {
            Some(width) if width <= limits::MODEL_DIMENSION => Ok(()),
            _ => Err(Error::new(ErrorKind::TooLarge, "the heads together are too wide").expected(
                format!("`num_attention_heads` * `head_dim` at most {}", limits::MODEL_DIMENSION),
                format!("{} * {}", self.heads, self.head_dim),
            )),
        }
    }
}

/// transformers 4 wrote `rope_theta` at the top level, transformers 5 inside `rope_parameters`.
fn rope_theta(fields: &Fields<'_>) -> Result<f64> {
    match fields.object("rope_parameters")? {
        Some(rope) if rope.get("rope_theta").is_some() => rope.positive("rope_theta"),
        _ => fields.positive("rope_theta"),
    }
}

/// Refuses settings that change the forward pass in a way that is not implemented.
fn refuse_unsupported(fields: &Fields<'_>) -> Result<()> {
    let unsupported = |fields: &Fields<'_>, name: &str, wanted: &str| match fields.get(name) {
        Some(found) => Err(fields.bad(ErrorKind::Unsupported, name, wanted, found)),
        None => Ok(()),
    };
    if fields.flag("use_sliding_window")? {
        unsupported(fields, "use_sliding_window", "false")?;
    }
    if fields.text("hidden_act")?.is_some_and(|name| name != "silu") {
        unsupported(fields, "hidden_act", "silu")?;
    }
    for group in ["rope_parameters", "rope_scaling"] {
        let Some(rope) = fields.object(group)? else { continue };
        // Configurations older than transformers 4.45 call it `type`.
        for name in ["rope_type", "type"] {
            if rope.text(name)?.is_some_and(|name| name != "default") {
                unsupported(&rope, name, "default")?;
            }
        }
    }
    let layer_types = fields.get("layer_types").and_then(|types| types.as_array());
    if layer_types.is_some_and(|types| types.iter().any(|layer| layer != "full_attention")) {
        unsupported(fields, "layer_types", "full_attention in every layer")?;
    }
    Ok(())
}
