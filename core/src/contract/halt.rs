//! Why a run of the validator's twin ends without a result.

use super::python::Raised;
use crate::Error;

/// What ended a run: the validator's own exception, or something that the twin can't do.
#[derive(Debug, Clone, PartialEq)]
pub enum Halt {
    /// The validator would end here too, with these words.
    Raised(Raised),
    /// The validator might go on, the twin can't: what it lacks, and what to do about it.
    Fault(Error),
}

impl From<Raised> for Halt {
    fn from(raised: Raised) -> Self {
        Self::Raised(raised)
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl std::fmt::Display for Halt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Raised(raised) => raised.fmt(f),
            Self::Fault(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Halt {}
