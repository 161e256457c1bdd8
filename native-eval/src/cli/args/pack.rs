//! Arguments of `pack`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use native_eval::{Fit, LibraryForm};

use super::{PackName, RemoteOptions};

#[derive(clap::Args)]
pub struct PackOptions {
    /// A model or its address (docs/addresses.md): a folder, archive or file of dense weights, or in another writer's format
    /// (GGUF, MLX, GPTQ, AWQ and others: docs/layouts.md). Matrices of two or three values in each group are kept as they are.
    pub model: PathBuf,
    /// The artifact to write: a .zip, .tar or .tar.xz file, or a folder.
    pub out: PathBuf,
    /// The artifact's form; OUT gets its ending. `best` writes a zip and a .tar.xz and keeps the smaller.
    #[arg(long, value_enum, value_name = "FORM")]
    pub archive: Option<ArchiveName>,
    /// Spend this pack's size budget to the last byte: keep rows in 4 bits, and give matrices a second basis, where
    /// that lowers the error most per bit.
    #[arg(long, value_enum, value_name = "PACK", conflicts_with_all = ["rescue_fraction", "bases"])]
    pub budget: Option<PackName>,
    /// A form that transformers loads without remote code, if it fits the size budget (binary by default): the
    /// matrices' signs, in compressed archives. See docs/packing.md.
    #[arg(long = "as", value_enum, value_name = "FORM", conflicts_with_all = ["rescue_fraction", "bases", "scale_group", "fit", "calibration", "dry_run"])]
    pub library_form: Option<LibraryFormName>,
    /// Columns per scale, or 0 for one scale per row. Default: 128; with --budget whichever leaves
    /// less error.
    #[arg(long, value_name = "128|0", value_enum)]
    pub scale_group: Option<ScaleGroup>,
    /// Fraction of each matrix's rows to keep in 4 bits.
    #[arg(long, value_name = "F", default_value_t = 0.0, value_parser = fraction)]
    pub rescue_fraction: f64,
    /// Additive sign bases of each binary row.
    #[arg(long, value_name = "B", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub bases: u8,
    /// How signs, codes and scales are chosen.
    #[arg(long, value_enum, default_value_t = FitName::Output)]
    pub fit: FitName,
    /// Documents that show the typical inputs of the model's weights: text like that of its later use, but never the
    /// held-out documents. Forms as for `eval --documents`; the first 16,384 tokens count, 512 of each document. Default: 2,048 random tokens.
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
    /// A tokenizer.json, a folder that holds one, or `byte-utf8`, for --calibration. Default: the model's own.
    #[arg(long, value_name = "DIR|FILE|byte-utf8", requires = "calibration")]
    pub tokenizer: Option<PathBuf>,
    /// Your own packing, described in TOML (docs/layouts.md): how the weights lie in tensors.
    #[arg(long, value_name = "FILE.toml")]
    pub layout: Option<PathBuf>,
    /// Write nothing: print the plan, the artifact's size and an estimate of the time.
    #[arg(long)]
    pub dry_run: bool,
    /// Replace OUT if it is empty or an artifact that `pack` wrote. Anything else is an error and stays as it is; so
    /// is a place that is, holds or lies in the model.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// Forms of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArchiveName {
    /// A zip whose weights are not compressed.
    Zip,
    /// A tar.
    Tar,
    /// A tar compressed by xz: smaller, but slow to write.
    #[value(name = "tar.xz")]
    TarXz,
    /// The smaller of a zip and a .tar.xz.
    Best,
}

impl ArchiveName {
    /// The name of an artifact that is asked for by `out`; without an ending where that is yet to be seen.
    pub fn of(self, out: &Path) -> PathBuf {
        let name = out.to_string_lossy();
        let ending = match self {
            Self::Zip => ".zip",
            Self::Tar => ".tar",
            Self::TarXz => ".tar.xz",
            Self::Best => {
                let stem = [".zip", ".tar.xz"].iter().find_map(|ending| name.strip_suffix(ending));
                return stem.map_or_else(|| out.to_owned(), PathBuf::from);
            }
        };
        if name.ends_with(ending) { out.to_owned() } else { PathBuf::from(format!("{name}{ending}")) }
    }
}

/// Forms that transformers loads by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LibraryFormName {
    /// BitNet's `autobitlinear` for runs in fp16: codes of two bits for the layers' matrices; the embedding and the head stay.
    Bitnet,
    /// The same for runs in fp32.
    BitnetF32,
    /// Plain F16, each row one number and its opposite; the ending should be .tar.xz.
    Dense,
}

impl From<LibraryFormName> for LibraryForm {
    fn from(name: LibraryFormName) -> Self {
        match name {
            LibraryFormName::Bitnet => Self::Bitnet,
            LibraryFormName::BitnetF32 => Self::BitnetF32,
            LibraryFormName::Dense => Self::Dense,
        }
    }
}

/// Columns per scale of a binary row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScaleGroup {
    /// One scale per 128 columns.
    #[value(name = "128")]
    Columns128,
    /// One scale per row.
    #[value(name = "0")]
    Row,
}

impl ScaleGroup {
    /// The number that config.json records.
    pub fn columns(self) -> usize {
        match self {
            Self::Columns128 => 128,
            Self::Row => 0,
        }
    }
}

/// How signs, codes and scales are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FitName {
    /// Signs with mean magnitudes, codes up to the largest weight.
    Mean,
    /// Whatever gives the least squared error of weights; never worse.
    LeastSquares,
    /// The same with GPTQ: each column corrects the errors of the columns before it, which minimises the error of the outputs.
    Output,
}

impl From<FitName> for Fit {
    fn from(name: FitName) -> Self {
        match name {
            FitName::Mean => Self::Mean,
            FitName::LeastSquares | FitName::Output => Self::LeastSquares,
        }
    }
}

pub(super) fn fraction(text: &str) -> Result<f64, String> {
    let fraction: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if (0.0..=1.0).contains(&fraction) {
        Ok(fraction)
    } else {
        Err(format!("{fraction} is not between 0 and 1"))
    }
}
