//! matmul, attention and head_loss.

use bitgauge_core::{Dense, Matrix, Values};
use bitgauge_shaders::twins;

use super::data::{FORMS, Form, Random, batch, matrix, mutate, with_targets};
use super::{SIZES, backends, buffer, compare};
use crate::backend::{Attention, Backend};
use crate::batch::{Batch, NO_TARGET};

/// Of `Σ |x w|`: f32 rounding of products and of partial sums of at most 256 terms.
const MATMUL_BOUND: f32 = 1e-6;
/// Of the largest value: the weights' relative error is that of the scores, which are below 20.
const ATTENTION_BOUND: f32 = 5e-6;
/// Of 1 plus the row's largest `Σ |x w|`: the error of two logits and of the sum of exponentials.
const HEAD_LOSS_BOUND: f32 = 1e-6;

fn absolute(values: &[f32]) -> Vec<f32> {
    values.iter().map(|x| x.abs()).collect()
}

/// `|x| · |w|ᵀ`: what a rounding error of each term is relative to. Every basis is a term of its own.
fn magnitude(x: &[f32], w: &Matrix) -> Vec<f32> {
    let mut positive = w.clone();
    if let Matrix::Bitpacked(packed) = &mut positive {
        packed.sign.fill(u32::MAX);
    }
    let values = Values::F32(absolute(&positive.to_f32()));
    let w = Matrix::Dense(Dense { rows: w.rows(), cols: w.cols(), values });
    let mut out = vec![0.0; x.len() / w.cols() * w.rows()];
    twins::matmul(&absolute(x), &w, &mut out);
    out
}

/// Runs one matmul on every kernel, and once more with one weight changed, which must be seen.
fn check_matmul(form: Form, [t, n, k]: [usize; 3]) {
    let mut random = Random::new((t * 1_000_000 + n * 1_000 + k) as u64);
    let x = random.vec(t * k, 0.5, 1.5);
    let stored = matrix(&mut random, form, n, k);
    let mut expected = vec![0.0; t * n];
    twins::matmul(&x, &stored, &mut expected);
    let magnitude = magnitude(&x, &stored);
    for mut backend in backends() {
        let mut run = |stored: Matrix| {
            let w = backend.upload_matrix(stored).unwrap();
            let x = buffer(&mut backend, k, &x);
            let mut out = buffer(&mut backend, n, &vec![f32::NAN; t * n]);
            backend.matmul(&x, &w, &mut out).unwrap();
            compare(&expected, &magnitude, out.values.as_slice(), MATMUL_BOUND)
        };
        let (right, wrong) = (run(stored.clone()), run(mutate(stored.clone())));
        let case = format!("matmul {form:?} T={t} N={n} K={k} on {:?}", backend.instruction_set());
        right.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(wrong.is_err(), "{case}: a changed weight went unseen");
    }
}

#[test]
fn matmul_matches_its_twin_at_every_edge() {
    let mut forms = FORMS.into_iter().cycle();
    for t in SIZES {
        for n in SIZES {
            for k in SIZES {
                check_matmul(forms.next().unwrap(), [t, n, k]);
            }
        }
    }
}

#[test]
fn matmul_matches_its_twin_past_every_block() {
    for form in FORMS {
        check_matmul(form, [300, 150, 650]);
        check_matmul(form, [2, 1100, 513]);
    }
}

#[test]
fn attention_matches_its_twin() {
    let shapes = [(1, 1, 16), (4, 2, 32), (6, 2, 128), (8, 1, 65), (3, 3, 300)];
    let batches: [&[usize]; 6] = [&[1], &[31, 1, 33], &[64], &[65, 63, 127], &[257], &[5, 600, 2]];
    for (heads, kv_heads, head_dim) in shapes {
        for lengths in batches {
            check_attention(Attention { heads, kv_heads, head_dim }, lengths);
        }
    }
}

fn check_attention(shape: Attention, lengths: &[usize]) {
    let Attention { heads, kv_heads, head_dim: d } = shape;
    let batch = batch(lengths);
    let t = batch.tokens();
    let mut random = Random::new((heads * 1000 + d + t) as u64);
    let q = random.vec(t * heads * d, -3.0, 3.0);
    let [k, v] = [(); 2].map(|()| random.vec(t * kv_heads * d, -1.5, 1.5));
    let mut expected = vec![0.0; q.len()];
    twins::attention(&q, &k, &v, batch.positions(), heads, kv_heads, d, &mut expected);
    for mut backend in backends() {
        let mut run = |v: &[f32], batch: &Batch| {
            let [q, k, v] =
                [(&q[..], heads), (&k, kv_heads), (v, kv_heads)].map(|(x, n)| buffer(&mut backend, n * d, x));
            let batch = backend.upload_batch(batch).unwrap();
            let mut out = buffer(&mut backend, heads * d, &vec![f32::NAN; expected.len()]);
            backend.attention(&q, &k, &v, &batch, shape, &mut out).unwrap();
            compare(&expected, &vec![1.5; expected.len()], out.values.as_slice(), ATTENTION_BOUND)
        };
        let mut other_v = v.clone();
        other_v[0] += 0.5;
        // The last token becomes a document of its own.
        let (last, before) = lengths.split_last().unwrap();
        let cut = super::data::batch(&[before, &[last - 1, 1]].concat());
        let right = run(&v, &batch);
        let wrong = [run(&other_v, &batch), run(&v, &cut)];
        let case = format!("attention {shape:?} {lengths:?} on {:?}", backend.instruction_set());
        right.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(wrong[0].is_err(), "{case}: a changed value went unseen");
        assert!(*last == 1 || wrong[1].is_err(), "{case}: a changed document went unseen");
    }
}

#[test]
fn head_loss_matches_its_twin() {
    let mut forms = FORMS.into_iter().cycle();
    for t in [1, 2, 33, 65, 300] {
        for v in [1, 31, 33, 257, 1025, 2100] {
            for h in [31, 64, 257] {
                check_head_loss(forms.next().unwrap(), [t, v, h]);
            }
        }
    }
}

fn check_head_loss(form: Form, [t, v, h]: [usize; 3]) {
    let mut random = Random::new((t * 10_000 + v + h) as u64);
    let spread = if matches!(form, Form::Bitpacked { .. }) { 10.0 } else { 0.3 };
    let x = random.vec(t * h, -spread, spread);
    let head = matrix(&mut random, form, v, h);
    let mut targets: Vec<u32> = (0..t).map(|_| random.below(v) as u32).collect();
    targets[0] = 0;
    if t > 1 {
        targets[1] = NO_TARGET;
    }
    let expected = twins::head_loss(&x, &head, &targets);
    let largest = |row: &[f32]| row.iter().fold(1.0, |a: f32, b| a.max(1.0 + b));
    let scale: Vec<f32> = magnitude(&x, &head).chunks_exact(v).map(largest).collect();
    for mut backend in backends() {
        let mut run = |head: Matrix| {
            let head = backend.upload_matrix(head).unwrap();
            let x = buffer(&mut backend, h, &x);
            let batch = backend.upload_batch(&with_targets(&targets)).unwrap();
            pollster::block_on(backend.head_loss(&x, &head, &batch)).unwrap()
        };
        let (right, wrong) = (run(head.clone()), run(mutate(head.clone())));
        let case = format!("head_loss {form:?} T={t} V={v} H={h} on {:?}", backend.instruction_set());
        if v == 1 {
            // One token has probability 1: the loss is 0 whatever the weights are.
            assert!(right.iter().all(|loss| loss.abs() <= HEAD_LOSS_BOUND), "{case}: {right:?}");
            continue;
        }
        let check = |found: &[f32]| compare(&expected, &scale, found, HEAD_LOSS_BOUND);
        check(&right).unwrap_or_else(|error| panic!("{case}: {error}"));
        let unseen = check(&wrong);
        assert!(unseen.is_err(), "{case}: a changed weight went unseen");
        assert!(t == 1 || right[1] == 0.0, "{case}: a row without a target has a loss");
    }
}
