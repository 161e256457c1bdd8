//! Arguments of `submission` and `task`.

use std::ffi::OsString;
use std::path::PathBuf;

use bitgauge_core::report::SourceUrl;

/// Writes submission.json from a report: the artifact's address, hash and size, and the measured figures.
///
/// It refuses figures that were not measured, an artifact that is not eligible, an address of the hub that names no
/// file of a revision, and a patch that the coordinator would refuse. Nothing is sent: sending takes a signature, and
/// bitgauge holds no key (docs/submission.md).
#[derive(clap::Args)]
pub struct SubmissionOptions {
    /// The report of `bitgauge eval` (JSON), or a link that carries it.
    pub report: OsString,
    /// Where the artifact can be downloaded (https). On huggingface.co .../resolve/COMMIT/FILE.
    #[arg(long, value_name = "URL")]
    pub uri: SourceUrl,
    /// A diff of the recipe: the pack's train.py alone, at most 262,144 bytes, without bytecode.
    #[arg(long, value_name = "FILE")]
    pub patch: Option<PathBuf>,
    /// A summary in your words. Default: the figures in one sentence.
    #[arg(long, value_name = "TEXT")]
    pub summary: Option<String>,
    /// Ask the host for the file's headers: the size must agree, and the hash if the host names one.
    #[arg(long)]
    pub verify: bool,
    /// Where the submission is written. An existing file is replaced.
    #[arg(long, value_name = "FILE", default_value = "submission.json")]
    pub out: PathBuf,
    /// Also write the body of the claim that comes before a submission.
    #[arg(long, value_name = "FILE")]
    pub claim: Option<PathBuf>,
}

/// Shows a task of the competition as its coordinator describes it: its limits, and the best submission so far.
///
/// Two documents are read from the coordinator; nothing is sent.
#[derive(clap::Args)]
pub struct TaskOptions {
    /// The coordinator's address, or that of one of its tasks.
    pub url: String,
    /// The task's name. Default: qwen3-27b-binary-frontier.
    #[arg(long, value_name = "NAME")]
    pub slug: Option<String>,
}
