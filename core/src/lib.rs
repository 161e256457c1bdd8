//! Parses packed 1-bit language models and judges them by the rules of the
//! `qwen3-27b-binary-frontier` competition.
//!
//! Sans-IO: nothing here opens a file, asks the time, starts a thread or touches a GPU, so the
//! same code runs in the native evaluator and, compiled to WebAssembly, in the browser.
//!
//! The flow is one way: bytes -> [`container`] -> [`inventory`] -> [`accounting`] -> gates
//! ([`contract`]) -> verdict -> [`report`]. [`inspect`] runs it, [`scan`] checks the payload.
#![forbid(unsafe_code)]
#![deny(clippy::missing_errors_doc)]

pub mod accounting;
pub mod container;
pub mod contract;
mod crc32;
mod error;
pub mod format;
pub mod hub;
pub mod inspect;
pub mod inventory;
pub mod json;
pub mod limits;
mod loading;
mod memory;
pub mod model;
mod order;
pub mod plan;
pub mod report;
pub mod scan;
mod tensor;

pub use error::{Error, ErrorKind, Rejection, Result};
pub use format::{Bitpacked, Blocks, Matrix, RowSlot};
pub use tensor::{BlockType, Dense, Dtype, RESCUE_GROUP, Values};
