//! Arguments and help texts.

mod bench;
mod contract;
mod eval;
mod examples;
mod pack;
mod remote;
mod submission;

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use bitgauge_core::contract::Rules;
use bitgauge_core::model::Transformers;
use bitgauge_core::report::SourceUrl;
use bitgauge_core::{Error, ErrorKind};
use bitgauge_eval::Precision;
use clap::{Parser, Subcommand, ValueEnum};
use native_eval::MAX_THREADS;

use super::print::{self, print};
use super::{Exit, version};

pub use bench::*;
pub use contract::*;
pub use eval::*;
pub use pack::*;
pub use remote::*;
pub use submission::*;

/// Tells the maker of a packed 1-bit language model whether it is eligible, and how good it is.
///
/// Without a command it inspects and evaluates a small built-in model.
///
/// Artifacts are regular files or folders. Documents, tokenizers, settings, shards and reports may also come
/// through a pipe: the shell's <(...), or /dev/stdin. Devices, sockets and named pipes are not read.
///
/// Ctrl-C says which work is kept; a second Ctrl-C ends the command at once. So does a closed output pipe, quietly.
///
/// Exit status: 0 eligible or done, 1 judged and not eligible, 2 wrong usage, IO error or
/// malformed input, 3 inconclusive.
#[derive(Parser)]
#[command(name = "bitgauge", version = version::SHORT, long_version = version::LONG)]
#[command(max_term_width = 100, after_help = examples::ALL)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Print only errors and warnings on stderr: no notes, no progress.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more on stderr: the device, each step and its time.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// How the result is printed on stdout.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Subcommand)]
pub enum Command {
    /// Judge an artifact: verdict per gate, where its bits go, every weight.
    #[command(after_help = examples::INSPECT)]
    Inspect(InspectOptions),
    /// Measure perplexity on held-out documents.
    #[command(after_help = examples::EVAL)]
    Eval(EvalOptions),
    /// Compare two artifacts: gates, margins, layers, weights, and which ranks first.
    #[command(after_help = examples::COMPARE)]
    Compare(CompareOptions),
    /// Show somebody's report, from its file or a link.
    #[command(after_help = examples::SHOW)]
    Show(ShowOptions),
    /// Write submission.json for the competition from a report.
    #[command(after_help = examples::SUBMISSION)]
    Submission(SubmissionOptions),
    /// Show a task of the competition, and the best submission so far.
    #[command(after_help = examples::TASK)]
    Task(TaskOptions),
    /// Run the task's own benchmark: same environment, same output, same verdicts.
    #[command(after_help = examples::BENCHMARK)]
    Benchmark(BenchmarkOptions),
    /// Score a JSON artifact with the validator's proxy.
    #[command(after_help = examples::PROXY)]
    Proxy(ProxyOptions),
    /// Write a pack's limits as a report, like the task's prepare step.
    #[command(after_help = examples::PREPARE)]
    Prepare(PrepareOptions),
    /// Join the shards of an evaluation.
    #[command(after_help = examples::MERGE)]
    Merge(MergeOptions),
    /// Pack a dense Hugging Face model folder into a 1-bit artifact.
    #[command(after_help = examples::PACK)]
    Pack(PackOptions),
    /// Time the evaluation of a random model of a known shape on this machine.
    #[command(visible_alias = "bench", after_help = examples::SPEED)]
    Speed(BenchOptions),
    /// List the devices that can evaluate, their memory, and whether an artifact fits.
    #[command(after_help = examples::DEVICES)]
    Devices {
        /// An artifact: says on which devices its weights fit.
        artifact: Option<PathBuf>,
    },
    /// Print a shell completion script.
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write a manual page for each command into a folder.
    #[command(hide = true)]
    Man {
        /// The folder. It is made if it does not exist.
        folder: PathBuf,
    },
}

impl Command {
    /// Whether its output is in words of ours, which may be broken into lines. Of the validator's and of shells' every
    /// byte counts.
    pub fn is_for_people(&self) -> bool {
        !matches!(
            self,
            Self::Benchmark(_)
                | Self::Proxy(_)
                | Self::Prepare(_)
                | Self::Completions { .. }
                | Self::Man { .. }
        )
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people.
    Human,
    /// One JSON document.
    Json,
    /// One line: the verdict, or the perplexity.
    Quiet,
}

/// Whose limits apply.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PackName {
    /// 1.3125 bits per parameter.
    Binary,
    /// 2.2125 bits per parameter.
    Ternary,
}

impl From<PackName> for Rules {
    fn from(name: PackName) -> Self {
        match name {
            PackName::Binary => Self::Binary,
            PackName::Ternary => Self::Ternary,
        }
    }
}

/// Which transformers is to load the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TransformersName {
    /// 5.24, the validator's version.
    #[value(name = "5")]
    V5,
    /// 4.57.6; more models stay inconclusive (docs/loading.md).
    #[value(name = "4.57")]
    V4,
}

impl TransformersName {
    /// Refuses a link to a report for another version than the validator's, since links do not say which it is.
    ///
    /// # Errors
    /// Both are asked for.
    pub fn check_share(self, base: Option<&str>) -> Result<(), Error> {
        if self == Self::V5 || base.is_none() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, "a link does not carry the version of transformers")
            .expected_found("--share without --transformers 4.57", "both")
            .hint("--report writes a file with the version"))
    }
}

impl From<TransformersName> for Transformers {
    fn from(name: TransformersName) -> Self {
        match name {
            TransformersName::V5 => Self::V5,
            TransformersName::V4 => Self::V4,
        }
    }
}

#[derive(clap::Args)]
pub struct InspectOptions {
    /// A model folder, .zip, .tar (.gz, .bz2, .xz), .safetensors or .gguf file, a proxy's JSON artifact, or the address
    /// of one (docs/addresses.md). Several artifacts get one line each.
    #[arg(required = true, value_name = "ARTIFACT")]
    pub artifacts: Vec<PathBuf>,
    #[command(flatten)]
    pub remote: RemoteOptions,
    /// Read only the structure, not the weights: milliseconds at any size, but the payload gate
    /// can't run, so the best verdict is `inconclusive`.
    #[arg(long)]
    pub headers_only: bool,
    /// Also hash every tensor. The report lists the hashes, so that `compare` names the tensors that differ.
    #[arg(long, conflicts_with = "headers_only")]
    pub hash_tensors: bool,
    /// Whose limits apply.
    #[arg(long, value_enum, default_value_t = PackName::Binary)]
    pub pack: PackName,
    /// Your own packing, described in TOML (docs/layouts.md): how the weights lie in tensors.
    #[arg(long, value_name = "FILE.toml")]
    pub layout: Option<PathBuf>,
    /// The version of transformers that loads the model; versions differ in what they load.
    #[arg(long, value_enum, value_name = "VERSION", default_value_t = TransformersName::V5)]
    pub transformers: TransformersName,
    /// Print every weight, not only the totals.
    #[arg(long)]
    pub weights: bool,
    /// Also write the report as JSON to this file. An existing file is replaced; of a link, its target.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Also print a link that carries the report, to an inspector page at this address. The report
    /// is in the link itself: nothing is uploaded, and only people with the link can read it.
    #[arg(long, value_name = "BASE_URL", value_parser = base_url)]
    pub share: Option<String>,
    /// Record in the report, and in the link, where the artifact can be downloaded (https).
    #[arg(long, value_name = "URL")]
    pub source: Option<SourceUrl>,
}

/// An address that a fragment can be appended to.
fn base_url(text: &str) -> Result<String, String> {
    let scheme = ["https://", "http://", "file://"].iter().any(|scheme| text.starts_with(scheme));
    if !scheme {
        return Err("an address begins with https://".into());
    }
    if text.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control()) {
        return Err("the address has a fragment or a space: remove the # and the text after it".into());
    }
    Ok(text.to_owned())
}

/// Compares two artifacts, reports or links, and says which ranks first by the competition's rule: only
/// eligible ones rank; the lower perplexity wins; where the two differ by less than 0.02 nats the smaller one
/// wins. Perplexities come from reports of `bitgauge eval`.
///
/// Exit status: 0 one wins or both tie, 1 neither is eligible, 2 wrong usage, IO error or malformed input,
/// 3 undecided.
#[derive(clap::Args)]
pub struct CompareOptions {
    /// An artifact, a report (JSON), the address of either, or a link with a report.
    pub a: OsString,
    /// The second artifact, report or link.
    #[arg(required_unless_present = "best")]
    pub b: Option<OsString>,
    /// In place of B, the best submission of the task at this address: would A replace it?
    #[arg(long, value_name = "URL", conflicts_with = "b")]
    pub best: Option<String>,
    /// Read only the structure of artifacts, as `inspect --headers-only`.
    #[arg(long)]
    pub headers_only: bool,
    /// Also compare artifacts tensor by tensor, by their hashes.
    #[arg(long, conflicts_with = "headers_only")]
    pub hash_tensors: bool,
    /// Whose limits apply to artifacts; a report keeps its own.
    #[arg(long, value_enum, default_value_t = PackName::Binary)]
    pub pack: PackName,
    /// List every layer and weight that differs, not only the first.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// Shows a report as `inspect` prints it. A report is its maker's claim; nothing is checked.
#[derive(clap::Args)]
pub struct ShowOptions {
    /// A report (JSON), its address, or a link with one.
    pub report: OsString,
    #[command(flatten)]
    pub remote: RemoteOptions,
    /// Print every weight, not only the totals.
    #[arg(long)]
    pub weights: bool,
    /// Also print a link that carries the report, to an inspector page at this address.
    #[arg(long, value_name = "BASE_URL", value_parser = base_url)]
    pub share: Option<String>,
}

#[derive(clap::Args, Clone, Default)]
pub struct DeviceOptions {
    /// Where to evaluate: `auto` takes a GPU if there is one, else the CPU; see `bitgauge devices`. `eval`
    /// shares the documents out among several: `all` takes every hardware GPU, `gpu:0,gpu:2` those two.
    #[arg(long, value_name = "auto|all|cpu|gpu|gpu:INDEX[,…]", default_value = "auto")]
    pub device: DeviceChoice,
    /// Tokens in one batch, at most 1,048,576. Default: by the device.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub tokens_in_flight: Option<u32>,
    /// Number format of products with weights on a GPU; the CPU computes in f32. `auto` takes f16 on
    /// GPUs with cooperative matrices (tensor cores) for it, else f32.
    #[arg(long, value_enum, default_value_t = PrecisionName::Auto)]
    pub precision: PrecisionName,
    /// CPU threads, at most 1,024. Default: one for each core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_THREADS as i64))]
    pub threads: Option<u16>,
}

/// What products with weights are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PrecisionName {
    /// f16 through cooperative matrices where there are any, else f32.
    #[default]
    Auto,
    /// f32, for comparisons with references.
    F32,
    /// f16, through cooperative matrices where there are any.
    F16,
    /// f16 without cooperative matrices.
    F16Plain,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::Auto => Self::Auto,
            PrecisionName::F32 => Self::F32,
            PrecisionName::F16 => Self::F16,
            PrecisionName::F16Plain => Self::F16Plain,
        }
    }
}

/// Which devices evaluate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// Every hardware GPU; the CPU if there is none.
    All,
    /// These.
    Named(Vec<DeviceName>),
}

/// One device by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceName {
    /// The CPU backend.
    Cpu,
    /// The adapter of this index; software adapters included.
    Gpu(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => return Ok(Self::Auto),
            "all" => return Ok(Self::All),
            _ => {}
        }
        let mut names = Vec::new();
        for part in text.split(',') {
            let index = || part.strip_prefix("gpu:").and_then(|index| index.parse().ok());
            let name = match part {
                "cpu" => DeviceName::Cpu,
                "gpu" => DeviceName::Gpu(0),
                _ => DeviceName::Gpu(
                    index().ok_or_else(|| format!("`{part}` is none of auto, all, cpu, gpu, gpu:INDEX"))?,
                ),
            };
            if names.contains(&name) {
                return Err(format!("`{part}` names a device that is named already"));
            }
            names.push(name);
        }
        Ok(Self::Named(names))
    }
}

/// Writes the completion script of `shell` to stdout.
pub fn print_completions(shell: clap_complete::Shell) {
    let mut command = <Args as clap::CommandFactory>::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "bitgauge", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
}

/// Writes the manual pages into `folder`.
///
/// # Errors
/// What the system says.
pub fn write_manual(folder: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(<Args as clap::CommandFactory>::command(), folder)
}

/// Prints the help or the version that was asked for, or what is wrong with the arguments.
pub fn print_unparsed(unparsed: &clap::Error) -> Exit {
    let words = unparsed.render();
    if unparsed.use_stderr() {
        print::to_stderr(format_args!("{}", words.ansi()));
        Exit::Fault
    } else {
        print!("{}", words.ansi());
        Exit::Done
    }
}
