//! Whose limits an artifact is held against.

use super::rule_set::{Limits, RuleSet};
use crate::json::names;

names! {
    /// The rules of one competition, which the validator calls a pack (`--pack`, `pack` in reports).
    /// Links hold the place of each, so new ones are appended.
    pub enum Rules {
        /// 1 bit per native parameter.
        #[default]
        Binary = "binary",
        /// 2 bits per native parameter.
        Ternary = "ternary",
    }
}

impl Rules {
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
