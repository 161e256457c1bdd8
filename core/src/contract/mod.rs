//! The competition's rules: budgets, and the gates an artifact must pass.

mod budget;
mod gates;

pub use budget::{Pack, PARAMETER_COUNT_MULTIPLIER, REFERENCE_PARAMETERS};
pub use gates::{Evidence, judge};
