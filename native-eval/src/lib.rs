//! The native evaluator: reads artifacts from disk, runs them on the CPU or through wgpu, and
//! reports perplexity. The binary `bitgauge` is a thin layer over this library.

#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

mod backend;
mod batch;
pub mod bench;
mod benchmark;
mod coordinator;
mod cpu;
pub mod documents;
mod evaluate;
mod forward;
mod gpu;
mod http;
mod hub;
pub mod input;
mod layout_file;
mod local_files;
mod losses;
mod memory;
mod output_file;
mod pack;
mod places;
mod reference;
mod score;
mod source;
mod submission;
mod threads;
mod tokenizer;
mod weights;

pub use backend::{Attention, Backend, BackendError, DeltaRule, KernelTime, Task};
pub use batch::{Batch, NO_TARGET};
pub use benchmark::{Benchmark, Opened, Prepared};
pub use coordinator::{Best, CoordinatorTask};
pub use cpu::{CpuBackend, CpuBuffer, InstructionSet, Weights};
pub use evaluate::{EvaluateOptions, Finished, Queue, Tally, evaluate, work};
pub use forward::{AttentionLayer, DeltaNetLayer, Layer, Mixer, Model, Observer, Projection, Shape, Stage};
pub use gpu::{
    AdapterChoice, AdapterClass, AdapterInfo, GpuBackend, GpuBatch, GpuBuffer, GpuMatrix, GpuOptions,
    GpuVector, Precision, RowOperand, ShaderPatch, adapters, devices_opened, missing_gpu,
};
pub use hub::{Access, Retention, is_address, read_json};
pub use layout_file::read_layout;
pub use local_files::LocalFiles;
pub use losses::{LossFile, Merged, Resumed, Run, Shard, merge};
pub use memory::EndingAllocator;
pub use output_file::{OutputFile, outlive_file_limits};
pub use pack::{
    Calibration, Fit, PackMix, PackOutlook, PackSettings, PackStep, PackSummary, check_pack_target, outlook,
    pack, pack_smallest,
};
pub use reference::ReferenceBackend;
pub use score::{LogitLimits, Score, ScoreError, ScoreSettings, score};
pub use source::Source;
pub use submission::{ClaimedMetrics, Submission, Verified, check_address, check_patch};
pub use threads::{MAX_THREADS, spawn_scoped, start_threads};
pub use tokenizer::{ValidatorTokenizer, find_tokenizer, own_tokenizer, tokenizer_files};
pub use weights::{LoadError, LoadTimes, heads_differ, load, loaded_inventory, prepare};
