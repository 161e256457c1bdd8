//! A direct run: what the pack's benchmark does with a model artifact, but for the scoring itself.
//!
//! The order is the validator's: documents, then the artifact's path, its size
//! ([`declared_bytes`], [`check_size`]), the scoring, and at last [`judge`].

mod report;
mod revision;
mod stub;

pub use report::{DatasetHandle, Measured, RunOutput, Runtime, judge};
pub use revision::{Revision, Scorer};
pub use stub::{STUB, stub};

use num_traits::{Signed, ToPrimitive};

use super::python::{Raised, parse_int};
use super::{Environment, Limits};

const PATH: &str = Environment::ARTIFACT_PATH;
const BYTES: &str = Environment::DECLARED_BYTES;

/// The path of the artifact as it is set.
///
/// # Errors
/// No path.
pub fn artifact_path(environment: &Environment) -> Result<&str, Raised> {
    match environment.artifact_path() {
        "" => Err(Raised::runtime(format!("{PATH} is required for direct model evaluation"))),
        path => Ok(path),
    }
}

/// The size that the environment declares, which the validator trusts unseen.
///
/// # Errors
/// A value that is not a positive integer.
pub fn declared_bytes(environment: &Environment) -> Result<Option<i128>, Raised> {
    let text = environment.declared_bytes();
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = parse_int(text).ok_or_else(|| Raised::runtime(format!("{BYTES} must be an integer")))?;
    if !bytes.is_positive() {
        return Err(Raised::runtime(format!("{BYTES} must be positive")));
    }
    // Eight times more must still fit; no file is a thousandth of this long.
    Ok(Some(bytes.to_i128().unwrap_or(i128::MAX).min(i128::MAX / 8)))
}

/// Rejects an artifact over the reference's budget, before it is opened.
///
/// # Errors
/// The rejection.
pub fn check_size(bytes: i128, limits: &Limits) -> Result<(), Raised> {
    let (bits, max) = (8 * bytes, limits.max_compressed_bits);
    if bits > max {
        return Err(Raised::rejection(format!("artifact_size artifact_bits={bits} max_artifact_bits={max}")));
    }
    Ok(())
}
