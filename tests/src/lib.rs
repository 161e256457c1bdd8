//! What the conformance suites share: counting cases, finding fixtures, running a model on every
//! backend.

mod compare;
pub mod demo;
pub mod dense;
pub mod largest;
mod models;
mod tally;

pub use compare::{Comparison, compare};
pub use models::{Device, copy_folder, fixtures, golden_models, golden_ops, on_device, open_model};
pub use properties::gguf_file::{GgmlType, GgufFile, Meta};
pub use tally::Tally;
