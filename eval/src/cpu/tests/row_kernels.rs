//! The kernels that work row by row, and the exponential under them.

use bitgauge_shaders::twins;

use super::super::isa::{Isa, vectorised};
use super::super::rows;
use super::data::{FORMS, Random, batch, matrix, mutate};
use super::{SIZES, backends, buffer, compare};
use crate::backend::Backend;
use crate::batch::Batch;

/// Relative error of [`rows::exp`].
const EXP_BOUND: f64 = 2e-7;
/// Relative: a few roundings of f32.
const ROW_BOUND: f32 = 5e-7;
/// Relative: the exponential's error on top.
const SWIGLU_BOUND: f32 = 1e-6;

vectorised! {
    fn max(x: &[f32]) -> f32 {
        rows::max(x)
    }

    fn exp_and_sum(x: &mut [f32], shift: f32) -> f32 {
        rows::exp_and_sum(x, shift)
    }
}

fn absolute(values: &[f32]) -> Vec<f32> {
    values.iter().map(|x| x.abs()).collect()
}

#[test]
fn exp_is_within_its_documented_error() {
    let (mut worst, mut at) = (0.0, 0.0);
    for i in -870_000..880_000 {
        let x = i as f32 * 1e-4;
        let right = f64::from(x).exp();
        let error = (f64::from(rows::exp(x)) - right).abs() / right;
        if error > worst {
            (worst, at) = (error, x);
        }
    }
    assert!(worst <= EXP_BOUND, "relative error {worst:e} at {at}");
    assert!(rows::exp(f32::NAN).is_nan());
    assert!(rows::exp(f32::NEG_INFINITY) <= 2e-38);
    assert!(rows::exp(f32::INFINITY) >= 1e38);
}

#[test]
fn exp_sums_and_maxima_are_the_same_on_every_kernel() {
    let mut random = Random::new(7);
    for n in SIZES {
        let x = random.vec(n, -20.0, 0.0);
        let run = |isa: Isa| {
            let mut x = x.clone();
            let shift = max(isa, &x);
            (shift, exp_and_sum(isa, &mut x, shift), x)
        };
        let expected: f64 = x.iter().map(|x| f64::from(*x)).fold(f64::NEG_INFINITY, f64::max);
        for backend in backends() {
            let (shift, sum, weights) = run(backend.isa);
            assert_eq!(f64::from(shift), expected);
            let right: f64 = x.iter().map(|x| (f64::from(*x) - expected).exp()).sum();
            assert!((f64::from(sum) - right).abs() <= right * 1e-6, "n={n}: {sum} for {right}");
            assert_eq!(weights, run(Isa::fastest()).2, "n={n} on {:?}", backend.instruction_set());
        }
    }
}

#[test]
fn embed_reads_exactly_the_stored_row() {
    for (form, h) in FORMS.into_iter().zip(SIZES.into_iter().cycle()) {
        let mut random = Random::new(h as u64);
        let table = matrix(&mut random, form, 50, h);
        let mut ids: Vec<u32> = (0..33).map(|_| random.below(50) as u32).collect();
        ids[7] = 0;
        let mut expected = vec![0.0; ids.len() * h];
        twins::embed(&table, &ids, &mut expected);
        for mut backend in backends() {
            let set = backend.instruction_set();
            let mut run = |table| {
                let table = backend.upload_matrix(table).unwrap();
                let batch = backend.upload_batch(&Batch::of([&ids[..]])).unwrap();
                let mut out = buffer(&mut backend, h, &vec![f32::NAN; expected.len()]);
                backend.embed(&table, &batch, &mut out).unwrap();
                out.values.as_slice().to_vec()
            };
            assert_eq!(run(table.clone()), expected, "{form:?} H={h} on {set:?}");
            assert_ne!(run(mutate(table.clone())), expected, "{form:?} H={h}: a changed weight went unseen");
        }
    }
}

#[test]
fn norms_match_their_twins() {
    for h in SIZES.into_iter().chain([5120]) {
        let mut random = Random::new(h as u64);
        let (x, weight) = (random.vec(3 * h, -2.0, 2.0), random.vec(h, 0.5, 1.5));
        let mut expected = vec![0.0; x.len()];
        twins::rms_norm(&x, &weight, 1e-6, &mut expected);
        for mut backend in backends() {
            let set = backend.instruction_set();
            let mut run = |weight: &[f32]| {
                let weight = backend.upload_vector(weight).unwrap();
                let given = buffer(&mut backend, h, &x);
                let mut out = buffer(&mut backend, h, &vec![f32::NAN; x.len()]);
                backend.rms_norm(&given, &weight, 1e-6, &mut out).unwrap();
                // One row of three heads is three rows of one head.
                let mut heads = buffer(&mut backend, 3 * h, &x);
                backend.head_norm(&mut heads, &weight, 1e-6).unwrap();
                [out, heads]
                    .map(|out| compare(&expected, &absolute(&expected), out.values.as_slice(), ROW_BOUND))
            };
            let mut other = weight.clone();
            other[h / 2] *= 1.0001;
            for (result, mutated) in run(&weight).into_iter().zip(run(&other)) {
                result.unwrap_or_else(|error| panic!("H={h} on {set:?}: {error}"));
                assert!(mutated.is_err(), "H={h}: a changed norm weight went unseen");
            }
        }
    }
}

#[test]
fn rounded_rows_are_those_of_their_twin() {
    for h in SIZES {
        let x = Random::new(h as u64).vec(3 * h, -2.0, 2.0);
        let mut expected = x.clone();
        twins::round_rows(&mut expected, 3);
        for mut backend in backends() {
            let mut run = |x: &[f32]| {
                let mut out = buffer(&mut backend, h, x);
                backend.round_rows(&mut out).unwrap();
                out.values.as_slice().to_vec()
            };
            assert_eq!(run(&x), expected, "H={h}");
            let mut other = x.clone();
            other[h / 2] += 0.1;
            assert_ne!(run(&other), expected, "H={h}: a changed value went unseen");
        }
    }
}

#[test]
fn rotary_matches_its_twin() {
    for (head_dim, pairs) in [(2, 1), (64, 32), (66, 33), (128, 64), (128, 31), (256, 32)] {
        let lengths = [33, 1, 65];
        let mut random = Random::new(head_dim as u64);
        let x = random.vec(99 * 3 * head_dim, -2.0, 2.0);
        // Up to 40,000 radians, as at that position of a long document.
        let frequency = |i| 625.0 * 1e6f32.powf(-(i as f32) / pairs as f32);
        let frequencies: Vec<f32> = (0..pairs).map(frequency).collect();
        let mut expected = x.clone();
        twins::rotary(&mut expected, batch(&lengths).positions(), &frequencies, head_dim);
        for mut backend in backends() {
            let set = backend.instruction_set();
            let mut run = |lengths: &[usize]| {
                let batch = backend.upload_batch(&batch(lengths)).unwrap();
                let frequencies = backend.upload_vector(&frequencies).unwrap();
                let mut out = buffer(&mut backend, 3 * head_dim, &x);
                backend.rotary(&mut out, &batch, &frequencies, head_dim).unwrap();
                compare(&expected, &vec![2.0; x.len()], out.values.as_slice(), ROW_BOUND)
            };
            run(&lengths).unwrap_or_else(|error| panic!("{head_dim} on {set:?}: {error}"));
            assert!(run(&[33, 2, 64]).is_err(), "a changed position went unseen");
        }
    }
}

#[test]
fn swiglu_and_add_match_their_twins() {
    for n in SIZES {
        let mut random = Random::new(n as u64);
        let (gate, up) = (random.vec(3 * n, -30.0, 30.0), random.vec(3 * n, 1.0, 2.0));
        let (mut gated, mut added) = (gate.clone(), gate.clone());
        twins::swiglu(&mut gated, &up);
        twins::add(&mut added, &up);
        for mut backend in backends() {
            let set = backend.instruction_set();
            let mut run = |up: &[f32]| {
                let up = buffer(&mut backend, n, up);
                let [mut gate, mut sum] = [(); 2].map(|()| buffer(&mut backend, n, &gate));
                backend.swiglu(&mut gate, &up).unwrap();
                backend.add(&mut sum, &up).unwrap();
                let gated = compare(&gated, &absolute(&gated), gate.values.as_slice(), SWIGLU_BOUND);
                [gated, compare(&added, &vec![32.0; 3 * n], sum.values.as_slice(), ROW_BOUND)]
            };
            let mut other = up.clone();
            other[n] += 0.01;
            for (result, mutated) in run(&up).into_iter().zip(run(&other)) {
                result.unwrap_or_else(|error| panic!("n={n} on {set:?}: {error}"));
                assert!(mutated.is_err(), "n={n}: a changed input went unseen");
            }
        }
    }
}
