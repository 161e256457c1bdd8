//! Every kernel variant against its twin, at sizes around every block edge.

pub mod data;
mod delta_net;
mod products;
mod row_kernels;

use super::{CpuBackend, CpuBuffer, InstructionSet};
use crate::backend::Backend;

/// Sizes around the vector widths, the sign words and the blocks of 256, with a prime past them.
const SIZES: [usize; 9] = [1, 31, 32, 33, 63, 64, 65, 127, 257];

/// One backend per kernel that this CPU has; names the others.
fn backends() -> Vec<CpuBackend> {
    let new = |set: InstructionSet| {
        CpuBackend::new(rayon::ThreadPoolBuilder::new().num_threads(2).build().ok())
            .with_instruction_set(set)
            .map_err(|error| eprintln!("SKIPPED {}: {error}", set.name()))
            .ok()
    };
    let backends: Vec<CpuBackend> = InstructionSet::ALL.into_iter().filter_map(new).collect();
    assert_eq!(backends.len(), InstructionSet::ALL.iter().filter(|set| set.is_available()).count());
    backends
}

/// A buffer `[values.len() / cols, cols]` that holds `values`.
fn buffer(backend: &mut CpuBackend, cols: usize, values: &[f32]) -> CpuBuffer {
    let mut buffer = backend.buffer(values.len() / cols, cols).unwrap();
    buffer.values.as_mut_slice().copy_from_slice(values);
    buffer
}

/// The largest `|found - expected| / magnitude`, if that is within `bound`; a description of the
/// worst element otherwise. Data that would make any kernel pass is refused.
fn compare(expected: &[f32], magnitude: &[f32], found: &[f32], bound: f32) -> Result<f32, String> {
    assert_eq!(expected.len(), found.len(), "length");
    assert_eq!(expected.len(), magnitude.len(), "length of the magnitudes");
    assert!(expected.iter().all(|x| x.is_finite()), "the reference is not finite");
    assert!(expected.iter().any(|x| *x != 0.0), "the reference is all zeros");
    let error = |i: usize| (found[i] - expected[i]).abs() / magnitude[i].max(f32::MIN_POSITIVE);
    // A NaN is the worst of all: `total_cmp` puts it last and no comparison with the bound holds.
    let worst = (0..expected.len()).max_by(|a, b| error(*a).total_cmp(&error(*b))).unwrap();
    if error(worst) <= bound {
        return Ok(error(worst));
    }
    let (expected, found, error) = (expected[worst], found[worst], error(worst));
    Err(format!("worst at {worst}: expected {expected}, found {found}, error {error:e} over {bound:e}"))
}

#[test]
fn comparison_sees_nan_and_wrong_values() {
    let one = [1.0, 2.0];
    assert!(compare(&one, &one, &[1.0, 2.0], 1e-6).is_ok());
    assert!(compare(&one, &one, &[1.0, f32::NAN], 1e-6).is_err());
    assert!(compare(&one, &one, &[1.0, 2.1], 1e-6).unwrap_err().contains("worst at 1"));
}
