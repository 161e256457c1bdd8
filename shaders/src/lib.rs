//! The kernels of bitgauge: WGSL text, its composition, and one plain CPU twin per kernel.

pub mod twins;
