//! The packed format, through its public functions.

mod blocks;
mod errors;
mod grouping;
mod round_trip;
mod sample;
