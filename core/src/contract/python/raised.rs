//! What the validator raises.

use std::fmt;

/// A Python exception class that the validator ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are Python's own names")]
pub enum Exception {
    RuntimeError,
    ValueError,
    TypeError,
    OverflowError,
    IndexError,
    KeyError,
    FileNotFoundError,
    IsADirectoryError,
    UnicodeDecodeError,
    /// The model returned fewer logits than tokens, even in windows.
    LogitsCoverageError,
    /// A rejection: its text goes to stderr, nothing else does.
    SystemExit,
}

impl Exception {
    /// The class's name in a traceback.
    pub fn name(self) -> &'static str {
        match self {
            Self::RuntimeError => "RuntimeError",
            Self::ValueError => "ValueError",
            Self::TypeError => "TypeError",
            Self::OverflowError => "OverflowError",
            Self::IndexError => "IndexError",
            Self::KeyError => "KeyError",
            Self::FileNotFoundError => "FileNotFoundError",
            Self::IsADirectoryError => "IsADirectoryError",
            Self::UnicodeDecodeError => "UnicodeDecodeError",
            Self::LogitsCoverageError => "_DirectEvalLogitsCoverageError",
            Self::SystemExit => "SystemExit",
        }
    }
}

/// An exception with its message, as the validator words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// The class.
    pub exception: Exception,
    /// `str()` of the exception.
    pub message: String,
}

impl Raised {
    /// An exception of this class.
    pub fn new(exception: Exception, message: impl Into<String>) -> Self {
        Self { exception, message: message.into() }
    }

    /// `RuntimeError(message)`.
    pub fn runtime(message: impl Into<String>) -> Self {
        Self::new(Exception::RuntimeError, message)
    }

    /// `ValueError(message)`.
    pub fn value(message: impl Into<String>) -> Self {
        Self::new(Exception::ValueError, message)
    }

    /// A rejection; `what` is printed behind `validator_rejection=`.
    pub fn rejection(what: impl fmt::Display) -> Self {
        Self::new(Exception::SystemExit, format!("validator_rejection={what}"))
    }

    /// Whether the artifact was judged and rejected, rather than the run failing.
    pub fn is_rejection(&self) -> bool {
        self.exception == Exception::SystemExit
    }
}

impl fmt::Display for Raised {
    /// What ends up as the last line on stderr.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exception {
            Exception::SystemExit => f.write_str(&self.message),
            exception => write!(f, "{}: {}", exception.name(), self.message),
        }
    }
}

impl std::error::Error for Raised {}
