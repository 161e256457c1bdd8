//! The native evaluator: reads artifacts from disk, runs them on the CPU or through wgpu, and
//! reports perplexity. The binary `bitgauge` is a thin layer over this library.

#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod bench;
mod benchmark;
mod coordinator;
pub mod documents;
mod http;
mod hub;
pub mod input;
mod layout_file;
mod load;
mod local_files;
mod losses;
mod memory;
mod missing;
mod output_file;
mod pack;
mod places;
mod reference;
mod score;
mod source;
mod submission;
mod threads;
mod tokenizer;

pub use benchmark::{Benchmark, Opened, Prepared};
pub use coordinator::{Best, CoordinatorTask};
pub use hub::{Access, Retention, is_address, read_json};
pub use layout_file::read_layout;
pub use load::{LoadTimes, Loader, Loading, heads_differ, load, loaded_inventory};
pub use local_files::LocalFiles;
pub use losses::{LossFile, Merged, Resumed, Run, Shard, merge};
pub use memory::EndingAllocator;
pub use missing::missing_gpu;
pub use output_file::{OutputFile, outlive_file_limits};
pub use pack::{
    Calibration, Fit, LibraryForm, PackMix, PackOutlook, PackSettings, PackStep, PackSummary,
    check_pack_target, outlook, pack, pack_for_library, pack_smallest, pack_smallest_for_library,
};
pub use reference::ReferenceBackend;
pub use score::{LogitLimits, Score, ScoreError, ScoreSettings, score};
pub use source::Source;
pub use submission::{ClaimedMetrics, Submission, Verified, check_address, check_patch};
pub use threads::{MAX_THREADS, open_cpu, spawn_scoped, start_threads};
pub use tokenizer::{ValidatorTokenizer, find_tokenizer, own_tokenizer, tokenizer_files};
