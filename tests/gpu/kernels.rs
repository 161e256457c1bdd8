//! What a comparison of a kernel with its CPU twin consists of, and the data that it starts from.

use std::collections::HashMap;

use bitgauge_core::{Dense, Matrix, Values};
use bitgauge_eval::{Backend, BackendError, Batch, GpuBackend, GpuBuffer, Precision, ShaderPatch};
use bitgauge_shaders::{Kernel, compose};

use crate::{attention, delta_net, half_products, linear, operations, rotary, trials};

type Result<T> = std::result::Result<T, BackendError>;

/// Runs a kernel, with one bit of its input flipped if told so, and reads the result.
pub type Run = Box<dyn Fn(&mut GpuBackend, bool) -> Result<Vec<f32>>>;

/// One comparison of a kernel with its twin.
pub struct Case {
    pub name: String,
    /// Largest error allowed, as a share of the largest reference value.
    pub bound: f64,
    /// A forced binding limit, in bytes.
    pub limit: Option<u64>,
    /// Faults, each of which must fail the comparison.
    pub patches: Vec<ShaderPatch>,
    /// The twin's result.
    pub want: Vec<f32>,
    /// The kernel's result; with one bit of its input flipped if asked.
    pub run: Run,
}

/// A binding limit that cuts the larger cases into several spans and parts.
pub const SMALL_LIMIT: u64 = 16_384;

/// Every case, with the precision that its backend is opened with. [`Precision::F16`] needs an adapter
/// with cooperative matrices.
pub fn cases() -> Vec<(Precision, Case)> {
    let rows = [trials::cases(), operations::cases(), rotary::cases()];
    let exact = [linear::cases(), attention::cases(), delta_net::cases()];
    rows.into_iter()
        .chain(exact)
        .flatten()
        .map(|case| (Precision::F32, case))
        .chain(half_products::cases())
        .collect()
}

/// Each kernel has a case with a fault, and each fault replaces one piece of a text that a driver is given:
/// true of the cases that this adapter can't run, too.
pub fn every_kernel_has_faults(cases: &[(Precision, Case)]) -> std::result::Result<(), String> {
    let patches = || cases.iter().flat_map(|(_, case)| &case.patches);
    let has_fault = |kernel: &Kernel| patches().any(|patch| patch.kernel.name() == kernel.name());
    if let Some(kernel) = Kernel::all().into_iter().find(|kernel| !has_fault(kernel)) {
        return Err(format!("no case puts a fault into {}", kernel.name()));
    }
    let texts: HashMap<_, _> = Kernel::all().into_iter().map(|kernel| (kernel, compose(kernel))).collect();
    for patch in patches() {
        let count = texts.get(&patch.kernel).map_or(0, |text| text.matches(patch.from).count());
        if count != 1 {
            return Err(format!("`{}` occurs {count} times in {}", patch.from, patch.kernel.label()));
        }
    }
    Ok(())
}

/// A fault to put into a kernel.
pub fn patch(kernel: Kernel, from: &'static str, to: &'static str) -> ShaderPatch {
    ShaderPatch { kernel, from, to }
}

/// Brings activations to the device the only way there is: as rows of an f32 table.
pub fn put(backend: &mut GpuBackend, values: &[f32], cols: usize) -> Result<GpuBuffer> {
    let rows = values.len() / cols;
    let table = Matrix::Dense(Dense { rows, cols, values: Values::F32(values.to_vec()) });
    let table = backend.upload_matrix(table)?;
    let ids: Vec<u32> = (0..rows as u32).collect();
    let batch = backend.upload_batch(&Batch::of([&ids[..]]))?;
    let mut out = backend.buffer(rows, cols)?;
    backend.embed(&table, &batch, &mut out)?;
    Ok(out)
}

/// An output buffer that holds NaN, in its padding too: whatever a kernel fails to write, or reads
/// from beyond the last column, shows.
pub fn poisoned(backend: &mut GpuBackend, rows: usize, cols: usize) -> Result<GpuBuffer> {
    let padded = cols.next_multiple_of(64);
    let nan = put(backend, &vec![f32::NAN; rows * padded], padded)?;
    drop(nan);
    backend.buffer(rows, cols)
}

/// The input with the sign of its first value flipped, if asked.
pub fn flipped(values: &[f32], flip: bool) -> Vec<f32> {
    let mut values = values.to_vec();
    if flip {
        values[0] = -values[0];
    }
    values
}

/// What a case's name says of its limit.
pub fn limit_name(limit: Option<u64>) -> &'static str {
    if limit.is_some() { ", split" } else { "" }
}
