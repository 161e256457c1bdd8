//! The native evaluator: reads artifacts from disk, runs them on the CPU or through wgpu, and
//! reports perplexity. The binary `bitgauge` is a thin layer over this library.

mod backend;
mod gpu;

pub use backend::{Attention, Backend, BackendError, NO_TARGET};
pub use gpu::{
    AdapterChoice, AdapterInfo, GpuBackend, GpuBuffer, GpuIndices, GpuMatrix, GpuOptions, GpuVector,
    ShaderPatch, adapters,
};
