//! What the quantizer is asked for.

/// How signs, codes and scales are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Signs with mean magnitudes, one basis after the other, and codes up to the largest weight.
    Mean,
    /// Whatever gives the least squared error: the bases of a row are solved together, and the
    /// scale of codes is searched. Never worse than [`Fit::Mean`].
    #[default]
    LeastSquares,
}

/// How to pack a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Columns per scale of a binary row; 0 means one scale per row.
    pub(crate) scale_group: usize,
    /// Additive sign bases of a binary row, 1 to 4.
    pub(crate) bases: usize,
    /// How signs, codes and scales are chosen.
    pub(crate) fit: Fit,
}
