//! The kernels of gated DeltaNet and of gated attention: split_heads, sigmoid_gate, causal_conv, l2_norm,
//! decay_gates, delta_rule (with delta_chunk), gated_norm.

use bitgauge_shaders::{Heads, Kernel, twins};
use native_eval::{Backend, DeltaRule};

use crate::data::{Random, batch};
use crate::kernels::{Case, SMALL_LIMIT, flipped, limit_name, patch, poisoned, put};

/// Copies are exact.
const SPLIT_BOUND: f64 = 0.0;
/// An exponential, a quotient and a product.
const GATE_BOUND: f64 = 5e-7;
/// Up to 5 products and an exponential.
const CONV_BOUND: f64 = 5e-7;
/// Up to 257 squares summed in f32, a square root and up to four products.
const NORM_BOUND: f64 = 1e-6;
/// Sums of up to 128 products, through a triangular system of 64 rows and several chunks.
const DELTA_RULE_BOUND: f64 = 2e-6;

/// Rows, heads, channels of a head: around and between the widths of a workgroup.
const HEADS: [(usize, usize, usize); 5] = [(1, 1, 32), (31, 3, 33), (65, 2, 64), (33, 9, 8), (257, 17, 3)];

/// Every case.
pub fn cases() -> Vec<Case> {
    let gates = [split_heads(), sigmoid_gate(), causal_conv(), l2_norm(), decay_gates(), gated_norm()];
    gates.into_iter().flatten().chain(delta_rule()).collect()
}

fn split_heads() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, heads, d) in HEADS {
        for (which, limit) in [(0, None), (1, None), (1, Some(SMALL_LIMIT))] {
            let x = Random(101).values(rows * heads * 2 * d);
            let mut halves = [vec![0.0; x.len() / 2], vec![0.0; x.len() / 2]];
            let [first, second] = &mut halves;
            twins::split_heads(&x, d, first, second);
            let fault = ["first[group.x * p.stride + i] = x[from_channel];", "x[from_channel + p.head_dim]"];
            let wrong = [
                "first[group.x * p.stride + i] = x[from_channel + 1u];",
                "x[from_channel + p.head_dim - 1u]",
            ];
            cases.push(Case {
                name: format!("split_heads, half {which}, [{rows}, {heads} x {d}]{}", limit_name(limit)),
                bound: SPLIT_BOUND,
                limit,
                patches: vec![patch(Kernel::SplitHeads, fault[which], wrong[which])],
                want: halves.into_iter().nth(which).unwrap_or_default(),
                run: Box::new(move |backend, flips| {
                    let mut x = x.clone();
                    x[which * d] *= if flips { -1.0 } else { 1.0 };
                    let x = put(backend, &x, heads * 2 * d)?;
                    let mut first = poisoned(backend, rows, heads * d)?;
                    let mut second = poisoned(backend, rows, heads * d)?;
                    backend.split_heads(&x, d, &mut first, &mut second)?;
                    backend.read(if which == 0 { &first } else { &second })
                }),
            });
        }
    }
    cases
}

fn sigmoid_gate() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, cols) in [(1, 1), (31, 33), (65, 64), (33, 127), (257, 63)] {
        for limit in [None, Some(SMALL_LIMIT)] {
            let mut random = Random(111);
            let x = random.values(rows * cols);
            let mut gate = random.values(rows * cols);
            // Far out on both sides, where e^-g overflows or vanishes.
            gate.iter_mut().enumerate().for_each(|(i, g)| *g *= [1.0, 4.0, 100.0][i % 3]);
            let mut want = x.clone();
            twins::sigmoid_gate(&mut want, &gate);
            cases.push(Case {
                name: format!("sigmoid_gate, [{rows}, {cols}]{}", limit_name(limit)),
                bound: GATE_BOUND,
                limit,
                patches: vec![patch(Kernel::SigmoidGate, "/ (1.0 + exp", "/ (1.001 + exp")],
                want,
                run: Box::new(move |backend, flips| {
                    let mut x = put(backend, &flipped(&x, flips), cols)?;
                    let gate = put(backend, &gate, cols)?;
                    backend.sigmoid_gate(&mut x, &gate)?;
                    backend.read(&x)
                }),
            });
        }
    }
    cases
}

fn causal_conv() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes: [(&[usize], usize, usize); 5] =
        [(&[1], 1, 4), (&[33, 32], 31, 4), (&[63, 1, 65], 130, 3), (&[257], 64, 1), (&[2, 60, 3], 200, 5)];
    for (documents, channels, taps) in sizes {
        for limit in [None, Some(SMALL_LIMIT)] {
            let batch = batch(documents);
            let positions = batch.positions();
            let tokens = positions.len();
            let mut random = Random(121);
            let x = random.values(positions.len() * channels);
            let weight = random.values(taps * channels);
            let mut want = vec![0.0; x.len()];
            twins::causal_conv(&x, &weight, positions, &mut want);
            let mut patches = vec![patch(Kernel::CausalConv, "sum / (1.0 + exp", "sum / (1.001 + exp")];
            if documents.len() > 1 && taps > 1 {
                // A document that sees the one in front of it.
                let seen = "min(p.taps, positions[p.first_token + group.x] + 1u)";
                patches.push(patch(Kernel::CausalConv, seen, "min(p.taps, row + 1u)"));
                patches.push(patch(Kernel::CausalConv, "p.taps - 1u - back", "back"));
            }
            cases.push(Case {
                name: format!(
                    "causal_conv, {documents:?} tokens, {channels} channels, {taps} taps{}",
                    limit_name(limit)
                ),
                bound: CONV_BOUND,
                limit,
                patches,
                want,
                run: Box::new(move |backend, flips| {
                    let x = put(backend, &flipped(&x, flips), channels)?;
                    let weight = backend.upload_vector(&weight)?;
                    let batch = backend.upload_batch(&batch)?;
                    let mut out = poisoned(backend, tokens, channels)?;
                    backend.causal_conv(&x, &weight, &batch, &mut out)?;
                    backend.read(&out)
                }),
            });
        }
    }
    cases
}

fn l2_norm() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, heads, d) in HEADS {
        for limit in [None, Some(SMALL_LIMIT)] {
            // One head more than is normed.
            let cols = (heads + 1) * d;
            let x = Random(131).values(rows * cols);
            let mut want = x.clone();
            twins::l2_norm(&mut want, rows, heads, d, 1e-6);
            cases.push(Case {
                name: format!("l2_norm, [{rows}, {heads} x {d}]{}", limit_name(limit)),
                bound: NORM_BOUND,
                limit,
                patches: vec![
                    patch(Kernel::L2Norm, "+ p.eps", "+ 1e5 * p.eps"),
                    patch(Kernel::L2Norm, "head < p.heads", "head <= p.heads"),
                ],
                want,
                run: Box::new(move |backend, flips| {
                    let mut x = put(backend, &flipped(&x, flips), cols)?;
                    backend.l2_norm(&mut x, heads, d, 1e-6)?;
                    backend.read(&x)
                }),
            });
        }
    }
    cases
}

fn gated_norm() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, heads, d) in HEADS {
        for limit in [None, Some(SMALL_LIMIT)] {
            let mut random = Random(141);
            let x = random.values(rows * heads * d);
            let mut gate = random.values(x.len());
            gate.iter_mut().enumerate().for_each(|(i, g)| *g *= [1.0, 4.0, 100.0][i % 3]);
            let weight = random.values(d);
            let mut want = x.clone();
            twins::gated_norm(&mut want, &weight, 1e-6, &gate);
            cases.push(Case {
                name: format!("gated_norm, [{rows}, {heads} x {d}]{}", limit_name(limit)),
                bound: NORM_BOUND,
                limit,
                patches: vec![
                    patch(Kernel::GatedNorm, "/ f32(p.head_dim)", "/ f32(p.head_dim + 1u)"),
                    patch(Kernel::GatedNorm, "(g / (1.0 + exp", "(1.0 / (1.0 + exp"),
                ],
                want,
                run: Box::new(move |backend, flips| {
                    let mut x = put(backend, &flipped(&x, flips), heads * d)?;
                    let gate = put(backend, &gate, heads * d)?;
                    let weight = backend.upload_vector(&weight)?;
                    backend.gated_norm(&mut x, &weight, 1e-6, &gate)?;
                    backend.read(&x)
                }),
            });
        }
    }
    cases
}

fn decay_gates() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, heads) in [(1, 1), (31, 33), (65, 64), (33, 127), (257, 48)] {
        for (which, limit) in [(0, None), (1, None), (1, Some(SMALL_LIMIT))] {
            let mut random = Random(151);
            let [mut a, mut b] = [(); 2].map(|()| random.values(rows * heads));
            a.iter_mut().enumerate().for_each(|(i, a)| *a *= [1.0, 4.0, 30.0][i % 3]);
            b.iter_mut().enumerate().for_each(|(i, b)| *b *= [1.0, 4.0, 100.0][i % 3]);
            let rate: Vec<f32> = random.values(heads).iter().map(|rate| -rate.abs()).collect();
            let bias = random.values(heads);
            let mut gates = [a.clone(), b.clone()];
            let [decay, beta] = &mut gates;
            twins::decay_gates(decay, beta, &rate, &bias);
            let fault = [
                patch(Kernel::DecayGates, "log(1.0 + exp(", "log(1.001 + exp("),
                patch(Kernel::DecayGates, "b[i] = 1.0 / (1.0 +", "b[i] = 1.0 / (1.001 +"),
            ];
            let [softplus, sigmoid] = fault;
            cases.push(Case {
                name: format!("decay_gates, output {which}, [{rows}, {heads}]{}", limit_name(limit)),
                bound: GATE_BOUND,
                limit,
                patches: vec![if which == 0 { softplus } else { sigmoid }],
                want: gates.into_iter().nth(which).unwrap_or_default(),
                run: Box::new(move |backend, flips| {
                    let mut a = put(backend, &flipped(&a, flips), heads)?;
                    let mut b = put(backend, &flipped(&b, flips), heads)?;
                    let (rate, bias) = (backend.upload_vector(&rate)?, backend.upload_vector(&bias)?);
                    backend.decay_gates(&mut a, &mut b, &rate, &bias)?;
                    backend.read(if which == 0 { &a } else { &b })
                }),
            });
        }
    }
    cases
}

fn delta_rule() -> Vec<Case> {
    let batches: [&[usize]; 6] = [&[2], &[63, 1], &[64], &[65, 31], &[31, 130, 2], &[257]];
    let shapes = [[1, 1, 16, 16], [2, 6, 17, 5], [2, 4, 128, 33], [3, 3, 65, 64], [1, 2, 32, 128]];
    let mut cases = Vec::new();
    for (i, lengths) in batches.into_iter().enumerate() {
        for (j, [key_heads, value_heads, key_dim, value_dim]) in shapes.into_iter().enumerate() {
            let interleaved = (i + j) % 2 == 1;
            let shape = DeltaRule { key_heads, value_heads, key_dim, value_dim, interleaved };
            cases.push(delta_rule_case(shape, lengths, None));
        }
    }
    let narrow = DeltaRule { key_heads: 1, value_heads: 2, key_dim: 16, value_dim: 16, interleaved: false };
    cases.push(delta_rule_case(narrow, &[10, 5, 3, 14, 9], Some(SMALL_LIMIT)));
    cases
}

fn delta_rule_case(shape: DeltaRule, lengths: &[usize], limit: Option<u64>) -> Case {
    let batch = batch(lengths);
    let positions = batch.positions();
    let tokens = positions.len();
    let mut random = Random(161);
    let mut mixed = random.values(tokens * shape.mixed_width());
    twins::l2_norm(&mut mixed, tokens, 2 * shape.key_heads, shape.key_dim, 1e-6);
    // Even heads keep nearly everything; odd ones forget all at every third token, so that the sums of a
    // chunk reach -300.
    let forgets = |i: usize| i % shape.value_heads % 2 == 1 && i / shape.value_heads % 3 == 1;
    let decay: Vec<f32> = (0..tokens * shape.value_heads)
        .map(|i| random.unit() * if forgets(i) { -30.0 } else { -0.05 })
        .collect();
    let beta: Vec<f32> = (0..tokens * shape.value_heads).map(|_| 0.1 + 0.9 * random.unit()).collect();
    let mut want = vec![0.0; tokens * shape.value_width()];
    let sizes = [shape.key_heads, shape.value_heads, shape.key_dim, shape.value_dim];
    twins::delta_rule(&mixed, &decay, &beta, positions, sizes, shape.interleaved, &mut want);
    Case {
        name: format!(
            "delta_rule, {lengths:?} tokens, {}/{} x {}/{}{}{}",
            shape.key_heads,
            shape.value_heads,
            shape.key_dim,
            shape.value_dim,
            if shape.interleaved { ", interleaved" } else { "" },
            limit_name(limit)
        ),
        bound: DELTA_RULE_BOUND,
        limit,
        patches: delta_rule_faults(shape, lengths),
        want,
        run: Box::new(move |backend, flips| {
            // What is flipped is the first value, which the first document's tokens read.
            let mut mixed = mixed.clone();
            mixed[2 * shape.key_width()] *= if flips { -1.0 } else { 1.0 };
            let mixed = put(backend, &mixed, shape.mixed_width())?;
            let decay = put(backend, &decay, shape.value_heads)?;
            let beta = put(backend, &beta, shape.value_heads)?;
            let batch = backend.upload_batch(&batch)?;
            let mut out = poisoned(backend, tokens, shape.value_width())?;
            backend.delta_rule(&mixed, &decay, &beta, &batch, shape, &mut out)?;
            backend.read(&out)
        }),
    }
}

/// Faults in both kernels; what needs several tokens, chunks or documents to show is asked of those only.
fn delta_rule_faults(shape: DeltaRule, lengths: &[usize]) -> Vec<native_eval::ShaderPatch> {
    let longest = lengths.iter().copied().max().unwrap_or_default();
    let aligned = shape.key_dim.is_multiple_of(4) && shape.value_dim.is_multiple_of(4);
    let heads = if aligned { Heads::Aligned } else { Heads::Any };
    let (chunk, rule) = (Kernel::DeltaChunk(heads), Kernel::DeltaRule(heads));
    let mut faults = vec![
        patch(chunk, "products * fade4(column, row, false)", "products * fade4(column, row, true)"),
        patch(chunk, "inverse * vec4<f32>(betas[c],", "inverse * vec4<f32>(1.001,"),
        patch(chunk, "fma(-square[entries + k],", "fma(-1.01 * square[entries + k],"),
        patch(rule, "let news = value -", "let news = 1.001 * value -"),
    ];
    if longest > 128 {
        faults.push(patch(rule, "keep * state[at] + added", "0.5 * keep * state[at] + added"));
    }
    if longest > 64 {
        faults.push(patch(rule, "news = value - fade_from_start(", "news = value - 1.1 * fade_from_start("));
    }
    if shape.key_heads > 1 && shape.key_heads < shape.value_heads {
        let right = "head % p.key_heads, head / max(p.group, 1u), p.group > 0u";
        let wrong = "head % p.key_heads, head / max(p.group, 1u), p.group == 0u";
        // In the second kernel only a state that is not 0 is met with keys.
        faults.push(patch(if longest > 64 { rule } else { chunk }, right, wrong));
    }
    faults
}
