//! Arguments of `pack`.

use std::path::PathBuf;

use clap::ValueEnum;
use native_eval::Fit;

use super::{PackName, RemoteOptions};

#[derive(clap::Args)]
pub struct PackOptions {
    /// A dense Hugging Face model folder (config.json and safetensors), or its address (docs/addresses.md).
    pub model: PathBuf,
    /// The artifact to write: a .zip or .tar file, or a folder.
    pub out: PathBuf,
    /// Spend this pack's size budget to the last byte: choose which rows are kept in 4 bits and which
    /// matrices get a second basis by what lowers the error most per bit.
    #[arg(long, value_enum, value_name = "PACK", conflicts_with_all = ["rescue_fraction", "bases"])]
    pub budget: Option<PackName>,
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
    /// Documents whose tokens the model is run on to see what its weights' inputs look like: text like that which
    /// it will be used on, but not the held-out documents. In the forms of `eval --documents`; the first 16,384
    /// tokens are used, 512 of each document. Default: 2,048 random tokens.
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
    /// A tokenizer.json, a folder that holds one, or `byte-utf8`, for --calibration. Default: the model's own.
    #[arg(long, value_name = "DIR|FILE|byte-utf8", requires = "calibration")]
    pub tokenizer: Option<PathBuf>,
    /// Write nothing: print what would be packed how, the artifact's size, and an estimate of the time.
    #[arg(long)]
    pub dry_run: bool,
    /// Replace OUT if it exists and is an artifact that `pack` wrote, or empty. Anything else stays, and is an error;
    /// so is a place that is, holds or lies in the model.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub remote: RemoteOptions,
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
