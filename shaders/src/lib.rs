//! The kernels of bitgauge: WGSL text, its composition, and one plain CPU twin per kernel.
//!
//! A kernel is `wgsl/kernels/NAME.wgsl`, `src/kernels/NAME.rs` and two lines in `src/kernels/mod.rs`.
#![forbid(unsafe_code)]

mod declaration;
pub mod kernels;
pub mod params;
mod parts;
pub mod trial;
mod variants;

pub use declaration::{Access, Call, Row};
pub use kernels::{Kernel, compose, twins};
pub use variants::{Codec, HeadTiles, Heads, Staging};
