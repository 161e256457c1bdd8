//! One product with weights, timed on its own.

use std::time::Instant;

use bitgauge_core::format::Layout;
use bitgauge_core::{Bitpacked, Dense, Error, Matrix, Values};
use bitgauge_eval::weights::LoadError;
use bitgauge_eval::{Backend, BackendError, Batch};
use half::f16;

use super::{Random, SCALE_GROUP, failed};

/// Products timed, after as many untimed ones as bring the device up to speed.
const REPEATS: usize = 15;
const WARM_UP: usize = 5;
/// Tokens of the product that is compared with f64.
const CHECKED_TOKENS: usize = 100;
/// Outputs of each of them that are compared.
const CHECKED_ROWS: usize = 40;

/// `[T, K] · [N, K]ᵀ` with random packed weights, one scale per 128 columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatmulOptions {
    /// T.
    pub tokens: usize,
    /// N.
    pub rows: usize,
    /// K.
    pub columns: usize,
    /// Additive sign bases.
    pub bases: usize,
    /// Share of the rows that are rescued.
    pub rescue_fraction: f64,
}

/// What a product took.
#[derive(Debug, Clone, serde::Serialize)]
pub struct MatmulResult {
    /// What it ran on.
    pub device: String,
    /// What it was computed in.
    pub precision: &'static str,
    /// T, N, K.
    pub size: [usize; 3],
    /// Median time of the product's kernel; of the whole call where kernels can't be timed.
    pub seconds: f64,
    /// The shortest.
    pub best_seconds: f64,
    /// Median time of bringing the activations into the shape that the kernel reads.
    pub conversion_seconds: f64,
    /// 2 T N K over `seconds`, in TFLOP/s.
    pub tflop_per_second: f64,
    /// Largest error of some outputs against f64, as a share of their root mean square.
    pub largest_error: f64,
}

/// Times one product.
///
/// # Errors
/// A device failure.
pub fn run_matmul<B: Backend>(
    options: &MatmulOptions,
    backend: &mut B,
) -> Result<MatmulResult, BackendError> {
    let MatmulOptions { tokens, rows, columns, .. } = *options;
    let mut random = Random::new();
    let weights = random_weights(options, &mut random).map_err(LoadError::Artifact).map_err(failed)?;
    let w = backend.upload_matrix(weights.clone())?;
    let largest_error = check(backend, &weights, &w, &mut random)?;
    drop(weights);

    let table = backend.upload_matrix(activations(tokens, columns, &mut random))?;
    let batch = backend.upload_batch(&Batch::of([&row_numbers(tokens)[..]]))?;
    let (mut x, mut out) = (backend.buffer(tokens, columns)?, backend.buffer(tokens, rows)?);
    let (mut products, mut conversions) = (Vec::new(), Vec::new());
    for repeat in 0..WARM_UP + REPEATS {
        // Activations that were written anew are converted anew.
        backend.embed(&table, &batch, &mut x)?;
        backend.kernel_times()?;
        let start = Instant::now();
        backend.matmul(&x, &w, &mut out)?;
        let times = backend.kernel_times()?;
        let whole = start.elapsed().as_secs_f64();
        if repeat >= WARM_UP {
            let conversion = times.iter().filter(|time| !time.kernel.starts_with("matmul"));
            let conversion: f64 = conversion.map(|time| time.seconds).sum();
            let all: f64 = times.iter().map(|time| time.seconds).sum();
            products.push(if times.is_empty() { whole } else { all - conversion });
            conversions.push(conversion);
        }
    }
    let seconds = median(&mut products);
    Ok(MatmulResult {
        device: backend.describe(),
        precision: backend.precision(),
        size: [tokens, rows, columns],
        seconds,
        best_seconds: products[0],
        conversion_seconds: median(&mut conversions),
        tflop_per_second: 2.0 * (tokens * rows) as f64 * columns as f64 / seconds / 1e12,
        largest_error,
    })
}

/// The largest error of some outputs of a small product, as a share of their root mean square.
fn check<B: Backend>(
    backend: &mut B,
    weights: &Matrix,
    w: &B::Matrix,
    random: &mut Random,
) -> Result<f64, BackendError> {
    let (rows, columns) = (weights.rows(), weights.cols());
    let Matrix::Bitpacked(packed) = weights else { return Ok(0.0) };
    let slots = packed.slots();
    let activations = activations(CHECKED_TOKENS, columns, random);
    let values = activations.to_f32();
    let table = backend.upload_matrix(activations)?;
    let batch = backend.upload_batch(&Batch::of([&row_numbers(CHECKED_TOKENS)[..]]))?;
    let (mut x, mut out) = (backend.buffer(CHECKED_TOKENS, columns)?, backend.buffer(CHECKED_TOKENS, rows)?);
    backend.embed(&table, &batch, &mut x)?;
    backend.matmul(&x, w, &mut out)?;
    let got = pollster::block_on(backend.read(&out))?;

    let mut row_values = vec![0.0; columns];
    let (mut worst, mut squares) = (0.0f64, 0.0);
    for _ in 0..CHECKED_ROWS {
        let row = random.bits() as usize % rows;
        packed.read_row(slots[row], &mut row_values);
        for (token, x) in values.chunks_exact(columns).enumerate() {
            let want: f64 = x.iter().zip(&row_values).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
            let error = (f64::from(got[token * rows + row]) - want).abs();
            // NaN must not pass for a small error.
            worst = if error <= worst { worst } else { error };
            squares += want * want;
        }
    }
    Ok(worst / (squares / (CHECKED_ROWS * CHECKED_TOKENS) as f64).sqrt())
}

/// What looks up each row of a table, in order.
fn row_numbers(rows: usize) -> Vec<u32> {
    (0..rows as u32).collect()
}

/// Uniform in -1.5 .. 1.5.
fn activations(tokens: usize, columns: usize, random: &mut Random) -> Matrix {
    let values = (0..tokens * columns).map(|_| 3.0 * random.unit() - 1.5).collect();
    Matrix::Dense(Dense { rows: tokens, cols: columns, values: Values::F32(values) })
}

fn random_weights(options: &MatmulOptions, random: &mut Random) -> Result<Matrix, Error> {
    let MatmulOptions { rows, columns, bases, rescue_fraction, .. } = *options;
    let rescue_rows: Vec<u32> =
        (0..rows as u32).filter(|_| f64::from(random.unit()) < rescue_fraction).collect();
    let bases = if rescue_rows.len() == rows { 0 } else { bases };
    let [rows, columns, bases, rescued] = [rows, columns, bases, rescue_rows.len()].map(|size| size as u64);
    let layout = Layout::new(rows, columns, bases, rescued, SCALE_GROUP)?;
    let mut packed = Bitpacked { rescue_rows, ..Bitpacked::zeroed(layout) };
    packed.scale.fill_with(|| f16::from_f32(random.scale()));
    packed.rescue_scale.fill_with(|| f16::from_f32(random.scale()));
    packed.rescue_code.fill_with(|| random.bits() as u8 & 0x77);
    packed.sign.fill_with(|| random.bits());
    Ok(Matrix::Bitpacked(packed))
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::open_cpu;

    #[test]
    fn a_small_product_is_timed_and_right() {
        let options = MatmulOptions { tokens: 33, rows: 70, columns: 256, bases: 2, rescue_fraction: 0.2 };
        let result = run_matmul(&options, &mut open_cpu(None).unwrap()).unwrap();
        assert!(result.seconds > 0.0 && result.best_seconds <= result.seconds, "{result:?}");
        assert!(result.largest_error < 1e-5, "{result:?}");
    }
}
