//! Rotary position embedding.

use bitgauge_eval::Backend;
use bitgauge_shaders::{Kernel, twins};
use pollster::block_on;

use crate::data::{Random, batch};
use crate::kernels::{Case, SMALL_LIMIT, flipped, limit_name, patch, put};

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes: [(&[usize], usize, usize, usize); 4] =
        [(&[2], 1, 2, 1), (&[33, 32], 3, 64, 32), (&[63, 1, 65], 2, 128, 64), (&[257], 2, 96, 16)];
    for (documents, heads, d, pairs) in sizes {
        for limit in [None, Some(SMALL_LIMIT)] {
            let batch = batch(documents);
            let positions = batch.positions();
            let x = Random(51).values(positions.len() * heads * d);
            // Large angles, as at far positions.
            let frequency = |i| 37.0 * 1e4f32.powf(-(i as f32) / pairs as f32);
            let frequencies: Vec<f32> = (0..pairs).map(frequency).collect();
            let mut want = x.clone();
            twins::rotary(&mut want, positions, &frequencies, d);
            cases.push(Case {
                name: format!(
                    "rotary, {documents:?} tokens, {heads} x {d}, {pairs} pairs{}",
                    limit_name(limit)
                ),
                bound: Kernel::Rotary.bound(),
                limit,
                patches: vec![patch(Kernel::Rotary, "b * turn.x + a * turn.y", "b * turn.x - a * turn.y")],
                want,
                run: Box::new(move |backend, flips| {
                    let mut x = put(backend, &flipped(&x, flips), heads * d)?;
                    let batch = backend.upload_batch(&batch)?;
                    let frequencies = backend.upload_vector(&frequencies)?;
                    backend.rotary(&mut x, &batch, &frequencies, d)?;
                    block_on(backend.read(&x))
                }),
            });
        }
    }
    cases
}
