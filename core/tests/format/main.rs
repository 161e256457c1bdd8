//! The packed format, through its public functions.

mod carrying;
mod errors;
mod format_md;
mod grouping;
mod quantizing;
mod round_trip;
mod sample;
