//! What the container readers make of damaged, hostile and unusual artifacts: a clear error for each
//! fault, never a panic, and agreement with the reference readers and writers on what is valid.

mod archives;
mod gguf;
mod hashes;
mod headers;
mod models;
mod sources;
mod support;
mod sweeps;
mod tar_streams;
mod tars;
mod validator;
