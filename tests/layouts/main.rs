//! Other writers' formats: the values of their own libraries, bit by bit, and whole models against dense ones.

mod by_value;
mod hybrid;
mod library;
mod models;
mod packing;
mod samples;
mod verdicts;
mod writer;
