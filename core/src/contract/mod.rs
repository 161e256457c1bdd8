//! The competition's rules: budgets, and the gates an artifact must pass.

mod budget;
mod gates;

pub use budget::{PARAMETER_COUNT_MULTIPLIER, Pack, REFERENCE_PARAMETERS};
pub use gates::{Evidence, judge};
