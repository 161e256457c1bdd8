//! Figures by layer.

use crate::json::fields;

fields! {
    /// The weights of one layer together.
    pub struct LayerSummary {
        /// Number from 0; `None` for the embedding, the final norm and the head.
        pub layer: Option<u32>,
        /// Logical parameters.
        pub parameters: u64,
        /// Those in rescue rows.
        pub rescue_parameters: u64,
        /// Bits stored for them, padding included.
        pub bits: u64,
        /// What the values of its binary rows add up to, when they were read.
        pub values: Option<ValueSummary>,
    }
}

fields! {
    /// Signs and scales of binary rows.
    pub struct ValueSummary {
        /// Sign bits.
        pub signs: u64,
        /// Those that are plus.
        pub plus: u64,
        /// Number of scales.
        pub scales: u64,
        /// Their mean.
        pub scale_mean: f64,
        /// The smallest.
        pub scale_min: f64,
        /// The largest.
        pub scale_max: f64,
        /// Scales by power of two, in rising order; empty when that is not known.
        pub octaves: Vec<Octave>,
    }
}

fields! {
    /// Scales between two powers of two.
    #[derive(Copy, Eq)]
    pub struct Octave {
        /// `e` of the scales in `2^e .. 2^(e + 1)`.
        pub exponent: i32,
        /// How many there are.
        pub scales: u64,
    }
}
