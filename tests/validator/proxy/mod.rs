//! The proxy: its numbers, its artifacts, its runs, the prepare report.

pub mod artifacts;
pub mod numbers;
pub mod prepare;
pub mod recipe;
pub mod runs;

use bitgauge_core::contract::Halt;
use bitgauge_core::contract::proxy::Teacher;
use bitgauge_core::contract::python::Raised;
use std::sync::LazyLock;

/// The teacher of every run.
static TEACHER: LazyLock<Teacher> = LazyLock::new(Teacher::default);

/// A result in the validator's own words; what the twin itself can't do fails the case.
fn raised<T>(result: Result<T, Halt>) -> Result<Result<T, Raised>, String> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Halt::Raised(raised)) => Ok(Err(raised)),
        Err(Halt::Fault(error)) => Err(error.to_string()),
    }
}
