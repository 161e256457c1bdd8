//! The kernels of bitgauge: WGSL text, its composition, and one plain CPU twin per kernel.
#![forbid(unsafe_code)]

mod kernel;
pub mod params;
pub mod twins;

pub use kernel::{Access, Codec, Heads, Kernel, Staging, compose};
