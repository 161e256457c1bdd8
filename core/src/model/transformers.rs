//! The versions of transformers that a model can be judged for.

/// A version of transformers. Whether a model loads, and as what, depends on it (docs/loading.md).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Transformers {
    /// 5.24, which the validator runs.
    #[default]
    V5,
    /// 4.57, of which less is modelled: see `earlier`.
    V4,
}

impl Transformers {
    /// Its number, as users say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V5 => "5.24",
            Self::V4 => "4.57",
        }
    }
}

/// The files that decide which tokenizer transformers makes of a model's folder; the tokenizer's own is the first.
pub const TOKENIZER_FILES: [&str; 5] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "config.json",
    "special_tokens_map.json",
    "added_tokens.json",
];
