//! Arguments of the commands that do what the validator does: `benchmark`, `proxy`, `prepare`.

use std::path::PathBuf;

use bitgauge_core::contract::direct::{Revision, Scorer};
use clap::ValueEnum;

use super::{DeviceOptions, PackName, TransformersName};

/// Runs like the task's benchmark.py, without Python. Environment variables say what to evaluate.
///
/// AUTORESEARCH_SUBMISSION_ARTIFACT_PATH names the artifact: a model folder, .zip, .tar, .tar.gz,
/// .tar.bz2 or .tar.xz. AUTORESEARCH_HELDOUT_DATASET chooses the documents: private ones come from
/// AUTORESEARCH_PRIVATE_HELDOUT_MANIFEST or AUTORESEARCH_HELDOUT_SOURCES_JSON, public ones from --corpus.
/// AUTORESEARCH_EVAL_TOKENIZER_ID, _MAX_TOKENS, _BATCH_SIZE and _DEVICE set how it is scored.
///
/// Exit status: 0 scored, 1 rejected or failed as the validator would (stderr says how, in its words),
/// 2 when bitgauge itself can't go on.
#[derive(clap::Args)]
pub struct BenchmarkOptions {
    #[command(flatten)]
    pub contract: ContractOptions,
    /// A tokenizer.json, a folder that holds one, `byte-utf8`, or `artifact` for the artifact's own,
    /// instead of the one that AUTORESEARCH_EVAL_TOKENIZER_ID names.
    #[arg(long, value_name = "DIR|FILE|byte-utf8|artifact")]
    pub tokenizer: Option<PathBuf>,
    /// Which public revision of the validator to follow.
    #[arg(long, value_enum, default_value_t = RevisionName::D899b08)]
    pub revision: RevisionName,
    /// How documents are batched. Default: the revision's own way. The figures agree up to rounding.
    #[arg(long, value_enum)]
    pub scorer: Option<ScorerName>,
    /// The version of transformers that loads the model; versions differ in what they load.
    #[arg(long, value_enum, value_name = "VERSION", default_value_t = TransformersName::V5)]
    pub transformers: TransformersName,
    #[command(flatten)]
    pub device: DeviceOptions,
    /// Let the model return only its first N logit positions, as some custom code does.
    #[arg(long, value_name = "N", hide = true)]
    pub limit_positions: Option<usize>,
    /// Let the model return only its first N logit columns.
    #[arg(long, value_name = "N", hide = true)]
    pub limit_vocabulary: Option<usize>,
}

/// Runs the validator's proxy: a JSON artifact scored against five small random matrices.
///
/// AUTORESEARCH_SUBMISSION_ARTIFACT_PATH names the artifact; without it the validator's default submission
/// is scored. The proxy's vocabulary is the set of words in the validator's built-in texts, so --corpus is
/// required. The competition's own benchmark scores models (`bitgauge benchmark`), not this proxy.
///
/// Exit status as for `bitgauge benchmark`.
#[derive(clap::Args)]
pub struct ProxyOptions {
    #[command(flatten)]
    pub contract: ContractOptions,
}

#[derive(clap::Args)]
pub struct PrepareOptions {
    #[command(flatten)]
    pub config: ConfigOptions,
    /// Where the report is written. An existing file is replaced; of a link, its target.
    #[arg(long, value_name = "FILE.json", default_value = "baseline_manifest.json")]
    pub result: PathBuf,
}

/// Whose rules, whose texts, and where the result goes.
#[derive(clap::Args)]
pub struct ContractOptions {
    #[command(flatten)]
    pub config: ConfigOptions,
    /// The validator's built-in texts, {group: [texts]}: the source of its public datasets.
    #[arg(long, value_name = "FILE.json")]
    pub corpus: Option<PathBuf>,
    /// Where the result is written. An existing file is replaced; of a link, its target.
    #[arg(long, value_name = "FILE.json", default_value = "last_run.json")]
    pub result: PathBuf,
}

/// Whose rules.
#[derive(clap::Args)]
pub struct ConfigOptions {
    /// Whose limits apply.
    #[arg(long, value_enum, default_value_t = PackName::Binary)]
    pub pack: PackName,
    /// Another pack's settings: a JSON object with the fields of the validator's config.
    #[arg(long, value_name = "FILE.json", conflicts_with = "pack")]
    pub config: Option<PathBuf>,
}

/// A public revision of the validator.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RevisionName {
    /// The artifact's own tokenizer, one document at a time.
    #[value(name = "06fbbef")]
    R06fbbef,
    /// The validator's tokenizer, padded batches.
    #[value(name = "d899b08")]
    D899b08,
    /// A byte tokenizer by default, one target at a time.
    #[value(name = "b2f0ffc")]
    B2f0ffc,
}

impl From<RevisionName> for Revision {
    fn from(name: RevisionName) -> Self {
        match name {
            RevisionName::R06fbbef => Self::R06fbbef,
            RevisionName::D899b08 => Self::D899b08,
            RevisionName::B2f0ffc => Self::B2f0ffc,
        }
    }
}

/// How documents are batched.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ScorerName {
    /// Padded batches; a model that returns too few logits is asked in windows.
    Padded,
    /// One document at a time.
    PerDocument,
    /// One target at a time.
    Incremental,
}

impl From<ScorerName> for Scorer {
    fn from(name: ScorerName) -> Self {
        match name {
            ScorerName::Padded => Self::Padded,
            ScorerName::PerDocument => Self::PerDocument,
            ScorerName::Incremental => Self::Incremental,
        }
    }
}
