//! The five tensors of one packed weight.

use std::ops::{Index, IndexMut};

use crate::tensor::Dtype;

/// One of the five tensors that replace a packed weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// `U8 [B, M, 4 * ceil(K / 32)]`: sign planes of the binary rows.
    Sign,
    /// `F16 [B, M, G]`: scales of the binary rows.
    Scale,
    /// `U32 [R]`: which rows are rescue rows.
    RescueRows,
    /// `U8 [R, ceil(K / 2)]`: 4-bit codes of the rescue rows.
    RescueCode,
    /// `F16 [R, ceil(K / 128)]`: scales of the rescue rows.
    RescueScale,
}

impl Part {
    /// All five, in the order in which they are written.
    pub const ALL: [Self; 5] =
        [Self::Sign, Self::Scale, Self::RescueRows, Self::RescueCode, Self::RescueScale];

    /// What follows `P.weight.` in the tensor's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Scale => "scale",
            Self::RescueRows => "rescue_rows",
            Self::RescueCode => "rescue_code",
            Self::RescueScale => "rescue_scale",
        }
    }

    /// The data type that the format asks for.
    pub fn dtype(self) -> Dtype {
        match self {
            Self::Sign | Self::RescueCode => Dtype::U8,
            Self::Scale | Self::RescueScale => Dtype::F16,
            Self::RescueRows => Dtype::U32,
        }
    }

    /// Whether the part describes binary rows (and is left out when there are none) or rescue rows.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Sign | Self::Scale)
    }

    /// Splits `P.weight.sign` into `P.weight` and its part. Other names give `None`.
    pub fn split_name(name: &str) -> Option<(&str, Self)> {
        let (weight, suffix) = name.rsplit_once('.')?;
        let part = Self::ALL.into_iter().find(|part| part.suffix() == suffix)?;
        weight.ends_with(".weight").then_some((weight, part))
    }
}

/// One value for each of the five parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts<T>([T; 5]);

impl<T> Parts<T> {
    /// The values, in the order of [`Part::ALL`].
    pub fn new(values: [T; 5]) -> Self {
        Self(values)
    }

    /// Each part with its value, in the order of [`Part::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Part, &T)> {
        Part::ALL.into_iter().zip(&self.0)
    }

    /// The same parts with `f` applied to each value.
    pub fn map<'a, U>(&'a self, f: impl FnMut(&'a T) -> U) -> Parts<U> {
        Parts(self.0.each_ref().map(f))
    }
}

impl<T> Index<Part> for Parts<T> {
    type Output = T;

    fn index(&self, part: Part) -> &T {
        &self.0[part as usize]
    }
}

impl<T> IndexMut<Part> for Parts<T> {
    fn index_mut(&mut self, part: Part) -> &mut T {
        &mut self.0[part as usize]
    }
}
