//! Arguments of `bench`.

use std::path::PathBuf;
use std::str::FromStr;

use super::DeviceOptions;
use super::pack::fraction;

/// Largest size of a product that can be timed.
const MAX_PRODUCT_SIZE: usize = 1 << 20;
/// Most elements of a matrix of such a product: 8 GiB of floats.
const MAX_PRODUCT_ELEMENTS: usize = 1 << 31;

#[derive(clap::Args)]
pub struct BenchOptions {
    /// The shape of a published model.
    #[arg(long, value_name = "NAME", default_value = "qwen3-0.6b")]
    pub shape: String,
    /// Time one product of this size instead: tokens, rows and columns of the weights.
    #[arg(long, value_name = "T,N,K", conflicts_with_all = ["layers", "documents", "tokens", "profile"])]
    pub matmul: Option<ProductSize>,
    /// With --matmul: additive sign bases of the weights.
    #[arg(long, value_name = "B", default_value_t = 1, requires = "matmul", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub bases: u8,
    /// With --matmul: fraction of rescue rows.
    #[arg(long, value_name = "F", default_value_t = 0.0, requires = "matmul", value_parser = fraction)]
    pub rescue_fraction: f64,
    /// Load the weights from this artifact and time that. If it does not exist it is written first, with
    /// random weights: a .zip or .tar file, or a folder.
    #[arg(long, value_name = "PATH", conflicts_with = "matmul")]
    pub artifact: Option<PathBuf>,
    /// Also show where the time goes, kernel by kernel. Timed kernels do not overlap.
    #[arg(long)]
    pub profile: bool,
    /// Cut the model to this many layers.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub layers: Option<u16>,
    /// Documents of random tokens.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub documents: u32,
    /// Tokens of each document.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(2..=1_048_576))]
    pub tokens: u32,
    #[command(flatten)]
    pub device: DeviceOptions,
}

/// Tokens, rows and columns of a product.
#[derive(Debug, Clone, Copy)]
pub struct ProductSize(pub [usize; 3]);

impl FromStr for ProductSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sizes: Option<Vec<usize>> = text.split(',').map(|size| size.trim().parse().ok()).collect();
        match sizes.as_deref() {
            Some(&[t, n, k]) if [t, n, k].iter().all(|size| (1..=MAX_PRODUCT_SIZE).contains(size)) => {
                if [t * n, n * k, t * k].iter().any(|&elements| elements > MAX_PRODUCT_ELEMENTS) {
                    return Err(format!(
                        "a matrix of `{text}` has more than {MAX_PRODUCT_ELEMENTS} elements"
                    ));
                }
                Ok(Self([t, n, k]))
            }
            _ => Err(format!("`{text}` is not T,N,K: three numbers from 1 to {MAX_PRODUCT_SIZE}")),
        }
    }
}
