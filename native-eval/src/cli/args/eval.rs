//! Arguments of `eval` and `merge`.

use std::path::PathBuf;

use native_eval::Shard;

use super::{DeviceOptions, PackName, RemoteOptions, TransformersName, base_url};

/// Most tokens of a document.
const LONGEST: u32 = 1 << 20;
/// Where the validator cuts.
const VALIDATOR_LONGEST: u32 = 512;

#[derive(clap::Args)]
pub struct EvalOptions {
    /// A model folder, .zip, .tar (.gz, .bz2, .xz), .safetensors or .gguf file, or the address of one
    /// (docs/addresses.md).
    pub artifact: PathBuf,
    #[command(flatten)]
    pub remote: RemoteOptions,
    /// Held-out documents, repeatable: files, folders with everything below them, `-` for standard input. Text (.txt,
    /// .md) is one document each file; JSON (.json) a list of strings or of objects with a text, JSON lines (.jsonl)
    /// the same line by line; .parquet a table with a column of texts. Default: the built-in demo's documents.
    #[arg(long, value_name = "FILE|DIR|-")]
    pub documents: Vec<PathBuf>,
    /// Each line of a text file is a document.
    #[arg(long)]
    pub lines: bool,
    /// The field or column that holds a document's text. Default: text.
    #[arg(long, value_name = "NAME")]
    pub text_key: Option<String>,
    /// A tokenizer.json, a folder that holds one, or `byte-utf8`. Default: the artifact's own.
    #[arg(long, value_name = "DIR|FILE|byte-utf8")]
    pub tokenizer: Option<PathBuf>,
    /// Your own packing, described in TOML (docs/layouts.md): how the weights lie in tensors.
    #[arg(long, value_name = "FILE.toml")]
    pub layout: Option<PathBuf>,
    /// The version of transformers that loads the model; versions differ in what they load.
    #[arg(long, value_enum, value_name = "VERSION", default_value_t = TransformersName::V5)]
    pub transformers: TransformersName,
    #[command(flatten)]
    pub device: DeviceOptions,
    /// Longest document in tokens; the rest of a longer one is cut off. Default: 512, like the validator; with
    /// --window 1,048,576.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=LONGEST as i64))]
    pub max_tokens: Option<u32>,
    /// Score long documents whole, in windows of N tokens that overlap: every token but a document's first is scored
    /// once, with at least N − M tokens before it (docs/documents.md). The validator has no windows.
    #[arg(long, value_name = "N", conflicts_with_all = ["resume", "shard"],
        value_parser = clap::value_parser!(u32).range(2..=LONGEST as i64))]
    pub window: Option<u32>,
    /// Tokens from the start of one window to the start of the next. Default: half of the window.
    #[arg(long, value_name = "M", requires = "window")]
    pub stride: Option<u32>,
    /// Print the perplexity and its measurement without the verdict. The report (--report, --format json) has both.
    #[arg(long)]
    pub no_verdict: bool,
    /// Whose limits the verdict uses.
    #[arg(long, value_enum, default_value_t = PackName::Binary)]
    pub pack: PackName,
    /// Also write the report as JSON to this file. An existing file is replaced; of a link, its target.
    #[arg(long, value_name = "FILE", conflicts_with = "shard")]
    pub report: Option<PathBuf>,
    /// Also write the loss of each document to this file: a table (.csv) or JSON lines (.jsonl).
    #[arg(long, value_name = "FILE.csv|FILE.jsonl", conflicts_with = "shard")]
    pub per_document: Option<PathBuf>,
    /// Also print a link that carries the report with its perplexity, to an inspector page at this address. Nothing
    /// is uploaded.
    #[arg(long, value_name = "BASE_URL", value_parser = base_url, conflicts_with = "shard")]
    pub share: Option<String>,
    /// Add the loss of each document to this file as soon as it is known, and skip the documents that it already
    /// holds: a killed run goes on where it was. A file with a torn first line is kept as FILE.jsonl.damaged, and
    /// the run begins anew.
    #[arg(long, value_name = "FILE.jsonl")]
    pub resume: Option<PathBuf>,
    /// Evaluate only every N-th document, from number I on (from 0): one of N jobs. `bitgauge merge` joins
    /// their --resume files.
    #[arg(long, value_name = "I/N", requires = "resume")]
    pub shard: Option<Shard>,
}

impl EvalOptions {
    /// Longest document in tokens.
    pub fn longest(&self) -> usize {
        self.max_tokens.unwrap_or(if self.window.is_some() { LONGEST } else { VALIDATOR_LONGEST }) as usize
    }
}

/// Joins the files of `bitgauge eval --resume FILE --shard I/N` and prints the report of the whole evaluation.
///
/// The files must be of one run (the same artifact, documents, tokenizer and settings) and hold each
/// document once.
///
/// Exit status: 0 done, 2 files that do not belong together or are malformed, 3 documents are missing.
#[derive(clap::Args)]
pub struct MergeOptions {
    /// The files.
    #[arg(required = true, value_name = "FILE.jsonl")]
    pub files: Vec<PathBuf>,
    /// Also write the report as JSON to this file. An existing file is replaced; of a link, its target.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}
