//! The operations of gated DeltaNet and of gated attention.

use bitgauge_shaders::twins;

use super::super::{CpuBackend, CpuBuffer};
use super::data::{Random, batch};
use super::{SIZES, backends, buffer, compare};
use crate::backend::{Backend, DeltaRule};

/// Relative: an exponential and a few roundings of f32.
const GATE_BOUND: f32 = 1e-6;
/// Relative: the argument's rounding, of about 2e-6 at -20, is the exponential's relative error.
const DECAY_BOUND: f32 = 4e-6;
/// Of the largest sum of magnitudes: up to 5 products and an exponential.
const CONV_BOUND: f32 = 1e-6;
/// Of the largest output, or of one token's where its query and key do not cancel: sums of a hundred products,
/// in a triangular system of 64 rows.
const DELTA_RULE_BOUND: f32 = 2e-6;

fn absolute(values: &[f32]) -> Vec<f32> {
    values.iter().map(|x| x.abs()).collect()
}

/// Runs an operation on every kernel, with right and with changed data, and compares with `expected`.
fn check(
    case: &str,
    expected: &[f32],
    magnitude: &[f32],
    bound: f32,
    run: impl Fn(&mut CpuBackend, bool) -> CpuBuffer,
) {
    for mut backend in backends() {
        let mut compared = |changed| {
            let found = run(&mut backend, changed);
            compare(expected, magnitude, found.values.as_slice(), bound)
        };
        let (right, wrong) = (compared(false), compared(true));
        let case = format!("{case} on {:?}", backend.instruction_set());
        right.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(wrong.is_err(), "{case}: a changed value went unseen");
    }
}

/// The values, the one in the middle changed if asked.
fn changed(values: &[f32], change: bool) -> Vec<f32> {
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    if change {
        values[middle] += 0.01;
    }
    values
}

#[test]
fn heads_are_cut_in_two() {
    for d in SIZES {
        let x = Random::new(d as u64).vec(3 * 2 * 2 * d, -1.0, 1.0);
        let (mut first, mut second) = (vec![0.0; x.len() / 2], vec![0.0; x.len() / 2]);
        twins::split_heads(&x, d, &mut first, &mut second);
        for (which, expected) in [first, second].iter().enumerate() {
            // The second half of the last head of the row in the middle is what changes or does not.
            let run = |backend: &mut CpuBackend, change: bool| {
                let mut x = x.clone();
                x[which * d] += if change { 0.01 } else { 0.0 };
                let x = buffer(backend, 4 * d, &x);
                let mut halves = [(); 2].map(|()| buffer(backend, 2 * d, &vec![f32::NAN; expected.len()]));
                let [first, second] = &mut halves;
                backend.split_heads(&x, d, first, second).unwrap();
                halves.into_iter().nth(which).unwrap()
            };
            check(&format!("split_heads {d}"), expected, &vec![1.0; expected.len()], 0.0, run);
        }
    }
}

#[test]
fn gates_match_their_twins() {
    for n in SIZES {
        let mut random = Random::new(n as u64);
        let (x, gate) = (random.vec(3 * n, 0.5, 2.0), random.vec(3 * n, -30.0, 30.0));
        let mut expected = x.clone();
        twins::sigmoid_gate(&mut expected, &gate);
        check(
            &format!("sigmoid_gate {n}"),
            &expected,
            &absolute(&expected),
            GATE_BOUND,
            |backend, change| {
                let gate = buffer(backend, n, &gate);
                let mut out = buffer(backend, n, &changed(&x, change));
                backend.sigmoid_gate(&mut out, &gate).unwrap();
                out
            },
        );
    }
}

#[test]
fn decays_match_their_twins() {
    for n in SIZES {
        let mut random = Random::new(n as u64);
        let (a, mut b) = (random.vec(3 * n, -20.0, 20.0), random.vec(3 * n, -20.0, 20.0));
        // What is changed must not lie where σ is flat.
        b[3 * n / 2] = 0.5;
        let (rate, bias) = (random.vec(n, -12.0, -0.01), random.vec(n, -1.0, 1.0));
        let mut expected = [a.clone(), b.clone()];
        let [decay, beta] = &mut expected;
        twins::decay_gates(decay, beta, &rate, &bias);
        for (which, expected) in expected.iter().enumerate() {
            let case = format!("decay_gates {n}, output {which}");
            check(&case, expected, &absolute(expected), DECAY_BOUND, |backend, change| {
                let (rate, bias) =
                    (backend.upload_vector(&rate).unwrap(), backend.upload_vector(&bias).unwrap());
                let mut gates =
                    [buffer(backend, n, &changed(&a, change)), buffer(backend, n, &changed(&b, change))];
                let [decay, beta] = &mut gates;
                backend.decay_gates(decay, beta, &rate, &bias).unwrap();
                gates.into_iter().nth(which).unwrap()
            });
        }
    }
}

#[test]
fn head_norms_match_their_twins() {
    for d in SIZES {
        let mut random = Random::new(d as u64);
        let (x, mut gate) = (random.vec(3 * 5 * d, -2.0, 2.0), random.vec(3 * 5 * d, -9.0, 9.0));
        // What is changed must not lie where silu is flat.
        gate[3 * 5 * d / 2] = 0.5;
        let weight = random.vec(d, 0.5, 1.5);
        let mut expected = x.clone();
        twins::gated_norm(&mut expected, &weight, 1e-6, &gate);
        let scale = vec![expected.iter().fold(0.0f32, |a, b| a.max(b.abs())); expected.len()];
        check(&format!("gated_norm {d}"), &expected, &scale, GATE_BOUND, |backend, change| {
            let weight = backend.upload_vector(&weight).unwrap();
            let (mut out, gate) =
                (buffer(backend, 5 * d, &x), buffer(backend, 5 * d, &changed(&gate, change)));
            backend.gated_norm(&mut out, &weight, 1e-6, &gate).unwrap();
            out
        });
        // The last of five heads passes through; eps is large enough to be missed.
        let mut expected = x.clone();
        twins::l2_norm(&mut expected, 3, 4, d, 0.1);
        check(&format!("l2_norm {d}"), &expected, &vec![1.0; x.len()], GATE_BOUND, |backend, change| {
            let mut out = buffer(backend, 5 * d, &changed(&x, change));
            backend.l2_norm(&mut out, 4, d, 0.1).unwrap();
            out
        });
    }
}

#[test]
fn causal_conv_matches_its_twin() {
    for channels in SIZES {
        for taps in [1, 3, 4, 5] {
            let batch = batch(&[33, 1, 2, 5, 60]);
            let mut random = Random::new((channels * 10 + taps) as u64);
            let x = random.vec(batch.tokens() * channels, -2.0, 2.0);
            let weight = random.vec(taps * channels, -1.0, 1.0);
            let mut expected = vec![0.0; x.len()];
            twins::causal_conv(&x, &weight, batch.positions(), &mut expected);
            let scale = vec![2.0 * taps as f32; x.len()];
            let case = format!("causal_conv {channels} channels, {taps} taps");
            check(&case, &expected, &scale, CONV_BOUND, |backend, change| {
                let x = buffer(backend, channels, &changed(&x, change));
                let weight = backend.upload_vector(&weight).unwrap();
                let batch = backend.upload_batch(&batch).unwrap();
                let mut out = buffer(backend, channels, &vec![f32::NAN; expected.len()]);
                backend.causal_conv(&x, &weight, &batch, &mut out).unwrap();
                out
            });
        }
    }
}

#[test]
fn delta_rule_matches_its_recurrence() {
    let batches: [&[usize]; 7] = [&[1], &[63], &[64], &[65], &[128, 1, 33], &[31, 130, 2], &[257]];
    let shapes = [[1, 1, 16, 16], [2, 6, 17, 5], [2, 4, 128, 33], [3, 3, 64, 128], [1, 2, 300, 40]];
    for lengths in batches {
        for [key_heads, value_heads, key_dim, value_dim] in shapes {
            for interleaved in [false, true] {
                let shape = DeltaRule { key_heads, value_heads, key_dim, value_dim, interleaved };
                check_delta_rule(shape, lengths);
            }
        }
    }
}

fn check_delta_rule(shape: DeltaRule, lengths: &[usize]) {
    let batch = batch(lengths);
    let tokens = batch.tokens();
    let mut random = Random::new((tokens * 1000 + shape.key_dim) as u64);
    let mut mixed = random.vec(tokens * shape.mixed_width(), -1.0, 1.0);
    twins::l2_norm(&mut mixed, tokens, 2 * shape.key_heads, shape.key_dim, 1e-6);
    // Even heads keep nearly everything; odd ones forget all at every third token, so that the sums of a
    // chunk reach -500.
    let mut decay = random.vec(tokens * shape.value_heads, -0.05, 0.0);
    let forgets = |i: usize| i % shape.value_heads % 2 == 1 && i / shape.value_heads % 3 == 1;
    decay.iter_mut().enumerate().filter(|(i, _)| forgets(*i)).for_each(|(_, decay)| *decay *= 1000.0);
    let beta = random.vec(tokens * shape.value_heads, 0.1, 1.0);
    let mut expected = vec![0.0; tokens * shape.value_width()];
    let sizes = [shape.key_heads, shape.value_heads, shape.key_dim, shape.value_dim];
    twins::delta_rule(&mixed, &decay, &beta, batch.positions(), sizes, shape.interleaved, &mut expected);
    let one_token = 1.0 / (shape.key_dim as f32).sqrt();
    let scale = vec![expected.iter().fold(one_token, |a, b| a.max(b.abs())); expected.len()];
    let case = format!("delta_rule {shape:?} {lengths:?}");
    check(&case, &expected, &scale, DELTA_RULE_BOUND, |backend, change| {
        let mut mixed = mixed.clone();
        mixed[2 * shape.key_width()] += if change { 0.1 } else { 0.0 };
        let mixed = buffer(backend, shape.mixed_width(), &mixed);
        let [decay, beta] = [&decay, &beta].map(|gate| buffer(backend, shape.value_heads, gate));
        let batch = backend.upload_batch(&batch).unwrap();
        let mut out = buffer(backend, shape.value_width(), &vec![f32::NAN; expected.len()]);
        backend.delta_rule(&mixed, &decay, &beta, &batch, shape, &mut out).unwrap();
        out
    });
}
