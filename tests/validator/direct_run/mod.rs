//! `direct_run/`: whole runs through the command, and their parts through the library.

pub mod cases;
pub mod doc_nll;
pub mod logits;
pub mod materialize;
pub mod tokens;
