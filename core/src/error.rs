//! What went wrong, where, what was expected, what was found, and what to do about it.
//!
//! An [`Error`] means that the input could not be judged. An artifact that was read and judged
//! to be over a limit is not an error: it is a failed gate in the report.

use std::fmt;
use std::ops::Deref;

use serde_json::Value;

use crate::json::{FromJson, fields, names};

names! {
    /// Everything that can be wrong with an input; one variant per kind of fault.
    pub enum ErrorKind {
        /// The bytes end before the structure does.
        Truncated = "truncated",
        /// A structure's own fields contradict each other or the format.
        #[default]
        Malformed = "malformed",
        /// A declared size or count is over a cap of [`crate::limits`].
        TooLarge = "too-large",
        /// A member name that is unsafe, duplicated or not UTF-8.
        BadName = "bad-name",
        /// Tensor offsets that overlap, leave a hole or leave trailing bytes.
        BadLayout = "bad-layout",
        /// A tensor's data type is not the one that its role asks for.
        WrongDtype = "wrong-dtype",
        /// A tensor's shape contradicts its siblings or its byte length.
        WrongShape = "wrong-shape",
        /// A required file or tensor is absent.
        Missing = "missing",
        /// A stored value is outside what the format allows (a code of -8, a scale of NaN, a set pad bit).
        BadValue = "bad-value",
        /// A checksum recorded in the file does not match its bytes.
        Checksum = "checksum",
        /// A valid thing that this version does not handle (an encrypted zip, format_version 2).
        Unsupported = "unsupported",
        /// The operating system refused to read a file.
        Io = "io",
    }
}

/// A fault in an input: what, where, expected, found, hint. One pointer, since every result carries the space for it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Error(Box<Fault>);

fields! {
    /// What an [`Error`] says.
    #[derive(Eq)]
    pub struct Fault {
        /// The kind of fault.
        pub kind: ErrorKind,
        /// One line: what is wrong.
        pub what: String,
        /// The file, member or tensor, outermost first: `model.zip: model.safetensors: lm_head.weight`.
        pub place: String,
        /// Byte offset of the fault within the innermost file of `place`.
        pub offset: Option<u64>,
        /// What the format asks for.
        pub expected: String,
        /// What the input holds.
        pub found: String,
        /// What the user can do about it.
        pub hint: Option<String>,
        /// What the validator says of the same input, where the fault makes that certain.
        #[serde(skip)]
        pub rejection: Option<Rejection> = default,
    }
}

/// Why the validator takes no model from an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// It is neither a folder nor a zip nor a tar.
    NoArchive,
    /// The member of this name would be unpacked outside the archive's folder.
    UnsafePath(String),
    /// No config.json is in it.
    NoConfig,
}

/// Result of anything that reads an input.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl FromJson for Rejection {
    /// It is never written: a report that holds a fault is not a run of the validator.
    fn from_json(value: Value) -> Result<Self, String> {
        Err(crate::json::mismatch("nothing", &value))
    }
}

impl FromJson for Error {
    fn from_json(value: Value) -> Result<Self, String> {
        Fault::from_json(value).map(|fault| Self(Box::new(fault)))
    }
}

impl Deref for Error {
    type Target = Fault;

    fn deref(&self) -> &Fault {
        &self.0
    }
}

impl Error {
    /// A fault of `kind` with its one-line description.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Fault {
            kind,
            what: what.into(),
            place: String::new(),
            offset: None,
            expected: String::new(),
            found: String::new(),
            hint: None,
            rejection: None,
        }))
    }

    /// Sets what the format asks for and what the input holds.
    pub fn expected_found(mut self, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        self.0.expected = expected.to_string();
        self.0.found = found.to_string();
        self
    }

    /// Sets the byte offset within the innermost file.
    pub fn at(mut self, offset: u64) -> Self {
        self.0.offset = Some(offset);
        self
    }

    /// Puts an outer file, member or tensor name in front of the place.
    pub fn within(mut self, outer: impl fmt::Display) -> Self {
        self.0.place =
            if self.place.is_empty() { outer.to_string() } else { format!("{outer}: {}", self.place) };
        self
    }

    /// Sets what the user can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Sets what the validator says of the same input. Only where it must: a reader may be stricter than the
    /// validator, and its other faults say nothing about a run.
    pub fn rejected_as(mut self, rejection: Rejection) -> Self {
        self.0.rejection = Some(rejection);
        self
    }

    /// There is not enough memory for `bytes` bytes of `what`.
    pub fn no_memory(what: &str, bytes: u64) -> Self {
        Self::new(ErrorKind::TooLarge, "not enough memory")
            .expected_found(format!("{bytes} bytes for {what}"), "less than that")
            .hint("give the process more memory")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        match (self.place.is_empty(), self.offset) {
            (false, Some(offset)) => write!(f, "\n  where:    {}, byte {offset}", self.place)?,
            (false, None) => write!(f, "\n  where:    {}", self.place)?,
            (true, Some(offset)) => write!(f, "\n  where:    byte {offset}")?,
            (true, None) => {}
        }
        if !self.expected.is_empty() {
            write!(f, "\n  expected: {}", self.expected)?;
        }
        if !self.found.is_empty() {
            write!(f, "\n  found:    {}", self.found)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint:     {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
