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

/// What transformers' class of a family takes where config.json leaves a field out, and what the family's models have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FamilyDefaults {
    /// The values of `model_type`; the last is the decoder's own, where it is a part of a larger model.
    pub model_types: &'static [&'static str],
    /// The value of `general.architecture` in a GGUF file.
    pub gguf_architecture: &'static str,
    /// `hidden_size`.
    pub hidden: u64,
    /// `intermediate_size`.
    pub intermediate: u64,
    /// `num_attention_heads`.
    pub heads: u64,
    /// `num_key_value_heads`; `None`: as many as query heads.
    pub kv_heads: Option<u64>,
    /// `vocab_size`.
    pub vocabulary: u64,
    /// `max_position_embeddings`.
    pub max_positions: u64,
    /// `head_dim`; `None`: `hidden_size / num_attention_heads`.
    pub head_dim: Option<u64>,
    /// `partial_rotary_factor`; `None` where all channels of a head turn.
    pub partial_rotary_factor: Option<f64>,
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

/// transformers' `Qwen3Config`.
const QWEN3: FamilyDefaults = FamilyDefaults {
    model_types: &["qwen3"],
    gguf_architecture: "qwen3",
    hidden: 4096,
    intermediate: 22_016,
    heads: 32,
    kv_heads: Some(32),
    vocabulary: 151_936,
    max_positions: 32_768,
    head_dim: Some(128),
    partial_rotary_factor: None,
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
    intermediate: 12_288,
    heads: 16,
    kv_heads: Some(4),
    vocabulary: 248_320,
    head_dim: Some(256),
    partial_rotary_factor: Some(0.25),
    full_attention_interval: Some(4),
    output_gate: true,
    centred_norms: true,
    nested: true,
    ..QWEN3
};

/// transformers' `LlamaConfig`.
const LLAMA: FamilyDefaults = FamilyDefaults {
    model_types: &["llama"],
    gguf_architecture: "llama",
    intermediate: 11_008,
    kv_heads: None,
    vocabulary: 32_000,
    max_positions: 2048,
    head_dim: None,
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
