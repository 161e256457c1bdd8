//! Parses packed 1-bit language models and judges them by the rules of the
//! `qwen3-27b-binary-frontier` competition.
//!
//! Sans-IO: nothing here opens a file, asks the time, starts a thread or touches a GPU, so the
//! same code runs in the native evaluator and, compiled to WebAssembly, in the browser.
//!
//! The flow is one way: bytes -> [`container`] -> tensors -> accounting -> gates -> verdict ->
//! report.
#![forbid(unsafe_code)]

pub mod codec;
pub mod container;
mod error;
pub mod limits;
pub mod model;
mod tensor;

pub use error::{Error, ErrorKind, Result};
pub use tensor::{Dense, Dtype, Matrix, Packed, RESCUE_GROUP, RowSlot, Values};
