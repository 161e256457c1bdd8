//! What sets the families of decoders apart: another one is a row here, and what is new about it in `manifest` and in
//! the forward pass.

/// A family of decoders: pre-norm residual blocks of a token mixer and a SwiGLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `qwen3`: grouped-query attention with normed queries and keys.
    Qwen3,
    /// `qwen3_5`, `qwen3_5_text`: three of four layers are gated DeltaNet, the others gated
    /// attention; norms are stored as their difference from 1.
    Qwen35,
    /// `llama`: grouped-query attention without norms of queries and keys.
    Llama,
}

/// What config.json may leave out in a family, and what the family's models have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FamilyDefaults {
    /// The values of `model_type`; the last is the decoder's own, where it is a part of a larger model.
    pub model_types: &'static [&'static str],
    /// The value of `general.architecture` in a GGUF file.
    pub gguf_architecture: &'static str,
    /// `head_dim`.
    pub head_dim: HeadDim,
    /// Whether `num_key_value_heads` may be left out: there are as many as query heads.
    pub kv_heads_of_heads: bool,
    /// `rope_theta`, if it may be left out.
    pub rope_theta: Option<f64>,
    /// `partial_rotary_factor`; `None` where all channels of a head turn.
    pub partial_rotary_factor: Option<f64>,
    /// Whether the rotary scaling `llama3` is known.
    pub llama3_scaling: bool,
    /// `full_attention_interval`: every layer of this number is attention and the others are gated DeltaNet; `None`
    /// where every layer is attention.
    pub full_attention_interval: Option<u64>,
    /// Whether attention's output is gated: `q_proj` then has a gate beside each query head.
    pub output_gate: bool,
    /// Whether queries and keys are normed before the rotary embedding.
    pub query_key_norm: bool,
    /// Whether the MLP may have biases (`mlp_bias`).
    pub mlp_bias: bool,
    /// Whether checkpoints store most norms as their difference from 1.
    pub centred_norms: bool,
    /// Whether the decoder may be a part of a checkpoint with vision: `text_config` and `model.language_model.`.
    pub nested: bool,
    /// Whether llama.cpp stores the channels of queries and keys that turn together side by side.
    pub gguf_pairs_channels: bool,
}

/// Channels of a head where config.json has no `head_dim`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadDim {
    /// It must be stated.
    Required,
    /// This many.
    Fixed(u64),
    /// `hidden_size / num_attention_heads`.
    SharedWidth,
}

/// transformers' `Qwen3Config`.
const QWEN3: FamilyDefaults = FamilyDefaults {
    model_types: &["qwen3"],
    gguf_architecture: "qwen3",
    head_dim: HeadDim::Fixed(128),
    kv_heads_of_heads: false,
    rope_theta: None,
    partial_rotary_factor: None,
    llama3_scaling: false,
    full_attention_interval: None,
    output_gate: false,
    query_key_norm: true,
    mlp_bias: false,
    centred_norms: false,
    nested: false,
    gguf_pairs_channels: false,
};

/// transformers' `Qwen3_5TextConfig`.
const QWEN35: FamilyDefaults = FamilyDefaults {
    model_types: &["qwen3_5", "qwen3_5_text"],
    gguf_architecture: "qwen35",
    head_dim: HeadDim::Required,
    partial_rotary_factor: Some(0.25),
    full_attention_interval: Some(4),
    output_gate: true,
    centred_norms: true,
    nested: true,
    ..QWEN3
};

/// transformers' `LlamaConfig`; Llama 1 and 2 do not state `rope_theta`.
const LLAMA: FamilyDefaults = FamilyDefaults {
    model_types: &["llama"],
    gguf_architecture: "llama",
    head_dim: HeadDim::SharedWidth,
    kv_heads_of_heads: true,
    rope_theta: Some(10_000.0),
    llama3_scaling: true,
    query_key_norm: false,
    mlp_bias: true,
    gguf_pairs_channels: true,
    ..QWEN3
};

impl Family {
    /// Every family.
    pub const ALL: [Self; 3] = [Self::Qwen3, Self::Qwen35, Self::Llama];

    /// What the family's models have and may leave unsaid.
    pub const fn defaults(self) -> &'static FamilyDefaults {
        match self {
            Self::Qwen3 => &QWEN3,
            Self::Qwen35 => &QWEN35,
            Self::Llama => &LLAMA,
        }
    }

    /// The family of this `model_type` of config.json.
    pub(crate) fn of_model_type(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.defaults().model_types.contains(&name))
    }

    /// The family of this `general.architecture` of a GGUF file.
    pub(crate) fn of_gguf(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.defaults().gguf_architecture == name)
    }

    /// The `model_type` of a config.json that describes the decoder alone.
    pub fn decoder_type(self) -> &'static str {
        self.defaults().model_types.last().copied().unwrap_or_default()
    }
}
