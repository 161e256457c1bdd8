//! The validator's proxy: a JSON artifact scored against five small random matrices.
//!
//! The binary pack's own benchmark no longer reaches it; it is here because the shared module has it,
//! and because its accounting rules are the competition's.

mod candidate;
mod entries;
mod inspect;
mod layer;
mod model;
mod prepare;
mod report;
mod rescue;
mod run;
mod submission;
mod totals;

pub use candidate::{Candidate, compile};
pub use inspect::{inspect, looks_like_json, too_long};
pub use model::{LAYERS, LayerSpec, Metrics, Teacher, VOCABULARY, vocabulary};
pub use prepare::prepare_report;
pub use rescue::{Payload, decode_q4, encode_q4, round_to_f16};
pub use run::{Proxy, run};
pub use submission::{Builder, Submission, default_submission};
pub use totals::{Totals, scaled};
