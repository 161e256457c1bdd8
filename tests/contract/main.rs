//! Properties of the validator's twin that hold for any input, not only for the recorded ones.

mod budgets;
mod direct;
mod documents;
mod hub;
mod json;
mod limits;
mod proxy;
mod reading;
mod runs;

use bitgauge_core::contract::Environment;

/// An environment of these variables, without their common prefix.
fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(key, value)| (format!("AUTORESEARCH_{key}"), *value)).collect()
}
