//! The parts of a report as markup. Each is a function of the report alone.

pub mod accounting;
pub mod budget;
pub mod claim;
pub mod comparison;
pub mod estimate;
pub mod fault;
pub mod frame;
pub mod gates;
pub mod hashes;
pub mod layers;
pub mod manifest;
pub mod measure;
pub mod notes;
pub mod tensors;
#[cfg(test)]
mod tests;
pub mod verdict;
