//! What is stored against what should be.

use crate::json::fields;

fields! {
    /// The difference between what config.json asks for and what is stored.
    #[derive(Eq)]
    pub struct ManifestSummary {
        /// Weights that the architecture requires.
        pub expected: u64,
        /// Required weights that are not stored.
        pub missing: Vec<String>,
        /// Stored weights that the architecture does not know.
        pub unknown: Vec<String>,
        /// Weights that are stored more than once.
        pub doubled: Vec<String>,
        /// Weights of another shape.
        pub misshapen: Vec<MisshapenSummary>,
    }
}

fields! {
    /// A weight whose stored shape is not the architecture's.
    #[derive(Eq)]
    pub struct MisshapenSummary {
        /// The weight, or the part of it that does not fit.
        pub name: String,
        /// The shape that is asked for.
        pub expected: String,
        /// The shape that is stored.
        pub found: String,
    }
}
