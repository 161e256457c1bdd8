//! The kernels that take each row by itself: rms_norm, head_norm, rotary, swiglu, add, bias.

use bitgauge_shaders::{Kernel, twins};
use native_eval::Backend;

use crate::data::{Random, batch};
use crate::kernels::{Case, SMALL_LIMIT, flipped, limit_name, patch, poisoned, put};

/// Up to 257 squares summed in f32, a square root and two products.
const NORM_BOUND: f64 = 5e-7;
/// Two products and a sum, with sines rounded to f32.
const ROTARY_BOUND: f64 = 2e-7;
/// An exponential, a quotient and a product.
const SWIGLU_BOUND: f64 = 5e-7;
/// One rounding, the same on both sides.
const ADD_BOUND: f64 = 0.0;

/// Every case.
pub fn cases() -> Vec<Case> {
    [rms_norm(), head_norm(), rotary(), swiglu(), add(), bias()].into_iter().flatten().collect()
}

fn rms_norm() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, cols) in [(1, 1), (1, 31), (33, 32), (3, 64), (65, 63), (64, 65), (7, 127), (257, 257)] {
        for limit in [None, Some(SMALL_LIMIT)] {
            let mut random = Random(21);
            let (x, weight) = (random.values(rows * cols), random.values(cols));
            let mut want = vec![0.0; x.len()];
            twins::rms_norm(&x, &weight, 1e-6, &mut want);
            cases.push(Case {
                name: format!("rms_norm, [{rows}, {cols}]{}", limit_name(limit)),
                bound: NORM_BOUND,
                limit,
                patches: vec![patch(Kernel::RmsNorm, "mean + p.eps", "mean + 1e3 * p.eps")],
                want,
                run: Box::new(move |backend, flips| {
                    let x = put(backend, &flipped(&x, flips), cols)?;
                    let weight = backend.upload_vector(&weight)?;
                    let mut out = poisoned(backend, rows, cols)?;
                    backend.rms_norm(&x, &weight, 1e-6, &mut out)?;
                    backend.read(&out)
                }),
            });
        }
    }
    cases
}

fn head_norm() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, heads, d) in [(1, 1, 32), (31, 3, 33), (65, 5, 64), (33, 2, 128), (257, 3, 63)] {
        for limit in [None, Some(SMALL_LIMIT)] {
            let mut random = Random(31);
            let (x, weight) = (random.values(rows * heads * d), random.values(d));
            let mut want = x.clone();
            twins::head_norm(&mut want, &weight, 1e-6);
            cases.push(Case {
                name: format!("head_norm, [{rows}, {heads} x {d}]{}", limit_name(limit)),
                bound: NORM_BOUND,
                limit,
                patches: vec![patch(
                    Kernel::HeadNorm,
                    "f32(p.head_dim) + p.eps",
                    "f32(p.head_dim + 1u) + p.eps",
                )],
                want,
                run: Box::new(move |backend, flips| {
                    let mut x = put(backend, &flipped(&x, flips), heads * d)?;
                    let weight = backend.upload_vector(&weight)?;
                    backend.head_norm(&mut x, &weight, 1e-6)?;
                    backend.read(&x)
                }),
            });
        }
    }
    cases
}

fn rotary() -> Vec<Case> {
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
                bound: ROTARY_BOUND,
                limit,
                patches: vec![patch(Kernel::Rotary, "b * turn.x + a * turn.y", "b * turn.x - a * turn.y")],
                want,
                run: Box::new(move |backend, flips| {
                    let mut x = put(backend, &flipped(&x, flips), heads * d)?;
                    let batch = backend.upload_batch(&batch)?;
                    let frequencies = backend.upload_vector(&frequencies)?;
                    backend.rotary(&mut x, &batch, &frequencies, d)?;
                    backend.read(&x)
                }),
            });
        }
    }
    cases
}

fn swiglu() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, cols) in [(1, 1), (31, 33), (65, 64), (33, 127), (257, 63)] {
        for limit in [None, Some(SMALL_LIMIT)] {
            let mut random = Random(71);
            let mut gate = random.values(rows * cols);
            // Far out on both sides, where e^-g overflows or vanishes.
            gate.iter_mut().enumerate().for_each(|(i, g)| *g *= [1.0, 4.0, 100.0][i % 3]);
            let up = random.values(rows * cols);
            let mut want = gate.clone();
            twins::swiglu(&mut want, &up);
            cases.push(Case {
                name: format!("swiglu, [{rows}, {cols}]{}", limit_name(limit)),
                bound: SWIGLU_BOUND,
                limit,
                patches: vec![patch(Kernel::Swiglu, "g / (1.0 + exp", "g / (1.001 + exp")],
                want,
                run: Box::new(move |backend, flips| {
                    let mut gate = put(backend, &flipped(&gate, flips), cols)?;
                    let up = put(backend, &up, cols)?;
                    backend.swiglu(&mut gate, &up)?;
                    backend.read(&gate)
                }),
            });
        }
    }
    cases
}

fn add() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, cols) in [(1, 1), (31, 33), (65, 64), (33, 127), (257, 63)] {
        for limit in [None, Some(SMALL_LIMIT)] {
            let mut random = Random(81);
            let (residual, x) = (random.values(rows * cols), random.values(rows * cols));
            let mut want = residual.clone();
            twins::add(&mut want, &x);
            cases.push(Case {
                name: format!("add, [{rows}, {cols}]{}", limit_name(limit)),
                bound: ADD_BOUND,
                limit,
                patches: vec![patch(Kernel::Add, "residual[i] += x[i]", "residual[i] -= x[i]")],
                want,
                run: Box::new(move |backend, flips| {
                    let mut residual = put(backend, &flipped(&residual, flips), cols)?;
                    let x = put(backend, &x, cols)?;
                    backend.add(&mut residual, &x)?;
                    backend.read(&residual)
                }),
            });
        }
    }
    cases
}

fn bias() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, cols) in [(1, 1), (31, 33), (65, 64), (33, 127), (257, 63)] {
        for limit in [None, Some(SMALL_LIMIT)] {
            let mut random = Random(91);
            let (x, bias) = (random.values(rows * cols), random.values(cols));
            let mut want = x.clone();
            twins::bias(&mut want, &bias);
            cases.push(Case {
                name: format!("bias, [{rows}, {cols}]{}", limit_name(limit)),
                bound: ADD_BOUND,
                limit,
                patches: vec![patch(Kernel::Bias, "+= bias[c]", "-= bias[c]")],
                want,
                run: Box::new(move |backend, flips| {
                    let mut x = put(backend, &flipped(&x, flips), cols)?;
                    let bias = backend.upload_vector(&bias)?;
                    backend.bias(&mut x, &bias)?;
                    backend.read(&x)
                }),
            });
        }
    }
    cases
}
