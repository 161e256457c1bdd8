//! The parts of Python that the validator's words and numbers depend on: how text is trimmed, read
//! as a number and split into lines, how integers are divided, how numbers are printed, and what is raised when it fails.

mod convert;
mod integers;
mod json;
mod print;
mod raised;
mod text;

pub use convert::{to_float, to_int};
pub(super) use integers::{ceil_bytes, ceil_quotient, non_negative, quotient};
pub use json::{Json, JsonError, Node, NotRead, Object, Value, object};
pub use print::{fixed6, float_repr, significant12, string_repr};
pub use raised::{Exception, Raised};
pub use text::{lower, parse_float, parse_int, split_lines, split_whitespace, trim};
