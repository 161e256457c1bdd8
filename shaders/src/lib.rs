//! The kernels of bitgauge: WGSL text, its composition, and one plain CPU twin per kernel.
//!
//! A kernel is `wgsl/kernels/NAME.wgsl`, `src/kernels/NAME.rs` and two lines in `src/kernels/mod.rs`.
#![forbid(unsafe_code)]

pub mod kernels;
pub mod params;
mod parts;
#[cfg(test)]
mod portable;
mod variants;

pub use kernels::declaration::call::{Call, Row};
pub use kernels::declaration::trial;
pub use kernels::{Kernel, compose, twins};
pub use params::Access;
pub use variants::{Codec, HeadTiles, Heads, KeyTiles, Staging};
