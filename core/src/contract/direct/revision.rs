//! The public revisions of the validator's module, and how each scores.

use crate::contract::Environment;

/// A public revision of the validator's shared module. Which one production runs is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Revision {
    /// 06fbbef: the artifact's own tokenizer, one document at a time.
    R06fbbef,
    /// d899b08: the validator's tokenizer, padded batches.
    #[default]
    D899b08,
    /// b2f0ffc: a byte tokenizer by default, one target at a time, no stubs.
    B2f0ffc,
}

/// How documents go through the model. All three give the same losses up to rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scorer {
    /// Batches padded on the right; a model that returns too few logits is asked in windows.
    Padded,
    /// One document at a time, the model's own mean loss.
    PerDocument,
    /// One target at a time.
    Incremental,
}

impl Revision {
    /// The commit's first seven digits.
    pub fn name(self) -> &'static str {
        match self {
            Self::R06fbbef => "06fbbef",
            Self::D899b08 => "d899b08",
            Self::B2f0ffc => "b2f0ffc",
        }
    }

    /// The revision's own scorer.
    pub fn scorer(self) -> Scorer {
        match self {
            Self::R06fbbef => Scorer::PerDocument,
            Self::D899b08 => Scorer::Padded,
            Self::B2f0ffc => Scorer::Incremental,
        }
    }

    /// Tokenizer id when the environment names none; `None` for the artifact's own.
    pub fn default_tokenizer(self) -> Option<&'static str> {
        match self {
            Self::R06fbbef => None,
            Self::D899b08 => Some(Environment::DEFAULT_TOKENIZER),
            Self::B2f0ffc => Some("autoresearch-byte-utf8"),
        }
    }

    /// Whether a JSON stub may stand for an artifact.
    pub fn has_stub(self) -> bool {
        self != Self::B2f0ffc
    }

    /// Whether the report's runtime has a batch size.
    pub(super) fn reports_batch_size(self) -> bool {
        self != Self::R06fbbef
    }

    /// Whether the report's runtime tells of windows.
    pub(super) fn reports_chunks(self) -> bool {
        self != Self::B2f0ffc
    }
}

impl Scorer {
    /// The scorer's name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Padded => "padded",
            Self::PerDocument => "per-document",
            Self::Incremental => "incremental",
        }
    }
}
