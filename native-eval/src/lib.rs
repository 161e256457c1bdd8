//! The native evaluator: reads artifacts from disk, runs them on the CPU or through wgpu, and
//! reports perplexity. The binary `bitgauge` is a thin layer over this library.

mod backend;
mod cpu;

pub use backend::{Attention, Backend, BackendError, NO_TARGET};
pub use cpu::{CpuBackend, CpuBuffer, Kernel, Weights};
