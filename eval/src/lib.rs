//! What evaluates a model: the forward pass over any backend, the backends for CPU and GPU, the weights that they take, and
//! the losses that they give. Compiled natively and to WebAssembly, so it has no files, threads or clock of its own; what a
//! browser does otherwise stands in a twin below `web`, which has the same names.

#[cfg_attr(target_arch = "wasm32", path = "web/clock.rs")]
mod clock;

mod backend;
mod batch;
mod cpu;
mod evaluate;
mod forward;
mod gpu;
pub mod memory;
pub mod weights;

pub use backend::{Attention, Backend, BackendError, DeltaRule, KernelTime, Task, WeightForms};
pub use batch::{Batch, NO_TARGET};
pub use clock::Moment;
pub use cpu::{CpuBackend, CpuBuffer, InstructionSet, Weights};
pub use evaluate::{EvaluateOptions, Finished, MAX_MEAN_NATS, Queue, Tally, check_ids, evaluate, work};
pub use forward::{AttentionLayer, DeltaNetLayer, Layer, Mixer, Model, Observer, Projection, Shape, Stage};
pub use gpu::{
    AdapterChoice, AdapterClass, AdapterInfo, Check, GpuBackend, GpuBatch, GpuBuffer, GpuMatrix, GpuOptions,
    GpuVector, Precision, RowOperand, Sample, ShaderPatch, adapters, checks, devices_opened,
};
