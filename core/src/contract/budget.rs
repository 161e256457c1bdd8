//! Which pack's limits an artifact is held against.

use super::config::{Config, Limits};
use crate::json::names;

/// A competition pack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pack {
    /// 1 bit per native parameter.
    #[default]
    Binary,
    /// 2 bits per native parameter.
    Ternary,
}

names!(Pack { Binary = "binary", Ternary = "ternary" });

impl Pack {
    /// The pack's name as options and reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Ternary => "ternary",
        }
    }

    /// The pack's settings.
    pub fn config(self) -> Config {
        match self {
            Self::Binary => Config::binary(),
            Self::Ternary => Config::ternary(),
        }
    }

    /// The pack's limits.
    pub fn limits(self) -> Limits {
        Limits::of_valid(&self.config())
    }
}
