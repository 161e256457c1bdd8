//! Whose limits an artifact is held against.

use super::rule_set::{Limits, RuleSet};
use crate::json::names;

/// The rules of one competition, which the validator calls a pack (`--pack`, `pack` in reports).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rules {
    /// 1 bit per native parameter.
    #[default]
    Binary,
    /// 2 bits per native parameter.
    Ternary,
}

names!(Rules { Binary = "binary", Ternary = "ternary" });

impl Rules {
    /// The name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Ternary => "ternary",
        }
    }

    /// Every setting.
    pub fn rule_set(self) -> RuleSet {
        match self {
            Self::Binary => RuleSet::binary(),
            Self::Ternary => RuleSet::ternary(),
        }
    }

    /// The limits that follow from the settings.
    pub fn limits(self) -> Limits {
        Limits::of_valid(&self.rule_set())
    }
}
