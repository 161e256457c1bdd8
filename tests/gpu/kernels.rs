//! Every kernel against its CPU twin, at awkward sizes, in every stored form of the weights.

use bitgauge_core::{Dense, Matrix, Values};
use bitgauge_shaders::{Kernel, twins};
use native_eval::{Attention, Backend, BackendError, GpuBackend, GpuBuffer, NO_TARGET, ShaderPatch};

use crate::data::{Form, Random, Rescue, flip, matrix, positions};

type Result<T> = std::result::Result<T, BackendError>;

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
    pub run: Box<dyn Fn(&mut GpuBackend, bool) -> Result<Vec<f32>>>,
}

// The largest errors allowed. Sums of up to 513 products, rounded to f32 at each step, stay within a
// few units in the last place (6e-8) of the largest result; exp adds a few more.
const EMBED_BOUND: f64 = 0.0;
const NORM_BOUND: f64 = 5e-7;
const MATMUL_BOUND: f64 = 2e-6;
const ROTARY_BOUND: f64 = 2e-7;
const ATTENTION_BOUND: f64 = 2e-6;
const SWIGLU_BOUND: f64 = 5e-7;
const ADD_BOUND: f64 = 0.0;
const HEAD_LOSS_BOUND: f64 = 2e-6;

/// A binding limit that cuts the larger cases into several spans and parts.
const SMALL_LIMIT: u64 = 16_384;

/// Every case.
pub fn cases() -> Vec<Case> {
    [embed(), rms_norm(), head_norm(), matmul(), rotary(), attention(), swiglu(), add(), head_loss()]
        .into_iter()
        .flatten()
        .collect()
}

fn patch(kernel: Kernel, from: &'static str, to: &'static str) -> ShaderPatch {
    ShaderPatch { kernel, from, to }
}

/// Brings activations to the device the only way there is: as rows of an f32 table.
fn put(backend: &mut GpuBackend, values: &[f32], cols: usize) -> Result<GpuBuffer> {
    let rows = values.len() / cols;
    let table = Matrix::Dense(Dense { rows, cols, values: Values::F32(values.to_vec()) });
    let table = backend.upload_matrix(table)?;
    let ids = backend.upload_indices(&(0..rows as u32).collect::<Vec<_>>())?;
    let mut out = backend.buffer(rows, cols)?;
    backend.embed(&table, &ids, &mut out)?;
    Ok(out)
}

/// An output buffer that holds NaN, in its padding too: whatever a kernel fails to write, or reads
/// from beyond the last column, shows.
fn poisoned(backend: &mut GpuBackend, rows: usize, cols: usize) -> Result<GpuBuffer> {
    let padded = cols.next_multiple_of(64);
    let nan = put(backend, &vec![f32::NAN; rows * padded], padded)?;
    drop(nan);
    backend.buffer(rows, cols)
}

/// The input with the sign of its first value flipped, if asked.
fn flipped(values: &[f32], flip: bool) -> Vec<f32> {
    let mut values = values.to_vec();
    if flip {
        values[0] = -values[0];
    }
    values
}

fn limit_name(limit: Option<u64>) -> &'static str {
    if limit.is_some() { ", split" } else { "" }
}

/// Faults of a kernel that decodes weights: one in the kernel, one in the codec.
fn decoding_faults(fault: ShaderPatch, form: Form) -> Vec<ShaderPatch> {
    let kernel = fault.kernel;
    let codec = match form {
        Form::Bits { rescue: Rescue::All, .. } => patch(kernel, "vec4<u32>(28u, 24u,", "vec4<u32>(24u, 28u,"),
        Form::Bits { .. } => patch(kernel, "vec4<u32>(1u, 2u, 4u, 8u)", "vec4<u32>(2u, 4u, 8u, 1u)"),
        Form::F32 => patch(kernel, "return values[place + k / 4u];", "return values[place + k / 4u].yxzw;"),
        Form::F16 => {
            patch(kernel, "vec4<f32>(unpack2x16float(halves.x)", "vec4<f32>(unpack2x16float(halves.x).yx")
        }
        Form::Bf16 => {
            patch(kernel, "vec4<u32>(halves.x << 16u, halves.x,", "vec4<u32>(halves.x, halves.x << 16u,")
        }
    };
    vec![fault, codec]
}

fn embed() -> Vec<Case> {
    let sizes = [(1, 33), (31, 64), (65, 127), (257, 160)];
    let mut cases = Vec::new();
    for (form, (rows, cols)) in pairs(&Form::all(), &sizes) {
        for limit in [None, Some(SMALL_LIMIT)] {
            let table = matrix(form, rows, cols, 0.1, 11);
            let mut random = Random(12);
            let ids: Vec<u32> = (0..70).map(|_| random.below(rows) as u32).collect();
            let mut want = vec![0.0; ids.len() * cols];
            twins::embed(&table, &ids, &mut want);
            let fault = patch(
                Kernel::Embed(form.codec()),
                "decode4(place, quad * 4u)",
                "decode4(place, quad * 4u) * 1.001",
            );
            cases.push(Case {
                name: format!("embed, {form:?}, [{rows}, {cols}]{}", limit_name(limit)),
                bound: EMBED_BOUND,
                limit,
                patches: decoding_faults(fault, form),
                want,
                run: Box::new(move |backend, flips| {
                    let row = ids[0] as usize;
                    let table = if flips { flip(&table, row) } else { table.clone() };
                    let table = backend.upload_matrix(table)?;
                    let ids = backend.upload_indices(&ids)?;
                    let mut out = poisoned(backend, 70, cols)?;
                    backend.embed(&table, &ids, &mut out)?;
                    backend.read(&out)
                }),
            });
        }
    }
    cases
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

fn matmul() -> Vec<Case> {
    let whole = [
        (1, 32, 1),
        (1, 257, 33),
        (31, 33, 64),
        (32, 64, 32),
        (33, 31, 65),
        (63, 127, 127),
        (64, 128, 64),
        (65, 129, 63),
        (127, 65, 31),
        (257, 257, 257),
    ];
    let split = [(5, 257, 300), (257, 64, 129)];
    let mut sizes: Vec<_> = whole.iter().map(|size| (*size, None)).collect();
    sizes.extend(split.iter().map(|size| (*size, Some(SMALL_LIMIT))));
    let mut cases = Vec::new();
    for (form, ((t, k, n), limit)) in pairs(&Form::all(), &sizes) {
        let w = matrix(form, n, k, 0.05, 41);
        let x = Random(42).values(t * k);
        let mut want = vec![0.0; t * n];
        twins::matmul(&x, &w, &mut want);
        let fault = patch(
            Kernel::Matmul(form.codec()),
            "vec4<f32>(tokens.x), rows,",
            "vec4<f32>(tokens.x), rows * 1.001,",
        );
        cases.push(Case {
            name: format!("matmul, {form:?}, {t} x {k} x {n}{}", limit_name(limit)),
            bound: MATMUL_BOUND,
            limit,
            patches: decoding_faults(fault, form),
            want,
            run: Box::new(move |backend, flips| {
                let x = put(backend, &x, k)?;
                let w = backend.upload_matrix(if flips { flip(&w, n / 2) } else { w.clone() })?;
                let mut out = poisoned(backend, t, n)?;
                backend.matmul(&x, &w, &mut out)?;
                backend.read(&out)
            }),
        });
    }
    cases
}

fn rotary() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes: [(&[usize], usize, usize, usize); 4] =
        [(&[1], 1, 2, 1), (&[33, 32], 3, 64, 32), (&[63, 1, 65], 2, 128, 64), (&[257], 2, 96, 16)];
    for (documents, heads, d, pairs) in sizes {
        for limit in [None, Some(SMALL_LIMIT)] {
            // Past the first token nothing turns by 0, and far positions have large angles.
            let positions: Vec<u32> = positions(documents).iter().map(|p| p * 37 + 1).collect();
            let x = Random(51).values(positions.len() * heads * d);
            let frequencies: Vec<f32> = (0..pairs).map(|i| 1e4f32.powf(-(i as f32) / pairs as f32)).collect();
            let mut want = x.clone();
            twins::rotary(&mut want, &positions, &frequencies, d);
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
                    let positions = backend.upload_indices(&positions)?;
                    let frequencies = backend.upload_vector(&frequencies)?;
                    backend.rotary(&mut x, &positions, &frequencies, d)?;
                    backend.read(&x)
                }),
            });
        }
    }
    cases
}

fn attention() -> Vec<Case> {
    let shape = |heads, kv_heads, head_dim| Attention { heads, kv_heads, head_dim };
    let sizes: [(&[usize], Attention, Option<u64>); 10] = [
        (&[1], shape(1, 1, 4), None),
        (&[31, 1, 33], shape(2, 1, 32), None),
        (&[33, 64], shape(4, 2, 64), None),
        (&[63, 2, 65], shape(6, 2, 33), None),
        (&[127], shape(3, 3, 100), None),
        (&[257, 5], shape(4, 1, 128), None),
        (&[70, 9], shape(2, 1, 256), None),
        (&[5, 257], shape(2, 2, 255), None),
        (&[31, 1, 33, 60, 40], shape(4, 1, 32), Some(SMALL_LIMIT)),
        (&[60, 3, 50], shape(2, 1, 64), Some(SMALL_LIMIT)),
    ];
    sizes.into_iter().map(|(documents, shape, limit)| attention_case(documents, shape, limit)).collect()
}

fn attention_case(documents: &[usize], shape: Attention, limit: Option<u64>) -> Case {
    let Attention { heads, kv_heads, head_dim: d } = shape;
    let positions = positions(documents);
    let tokens = positions.len();
    let mut random = Random(61);
    let (q, k) = (random.values(tokens * heads * d), random.values(tokens * kv_heads * d));
    let v = random.values(tokens * kv_heads * d);
    let mut want = vec![0.0; q.len()];
    twins::attention(&q, &k, &v, &positions, heads, kv_heads, d, &mut want);
    // What only shows with several documents, or several blocks of keys, is not asked of one token.
    let mut patches = vec![patch(
        Kernel::Attention,
        "let value = mix[channel / 8u + j] / sum;",
        "let value = mix[channel / 8u + j] / (sum * 1.001);",
    )];
    if documents.len() > 1 {
        patches.push(patch(Kernel::Attention, "(row >= from_row) & (row <= to_row)", "(row <= to_row)"));
    }
    if documents.iter().any(|len| *len > 32) {
        patches.push(patch(
            Kernel::Attention,
            "let shrink = exp(before - largest);",
            "let shrink = vec4<f32>(1.0);",
        ));
    }
    Case {
        name: format!("attention, {documents:?} tokens, {heads}/{kv_heads} x {d}{}", limit_name(limit)),
        bound: ATTENTION_BOUND,
        limit,
        patches,
        want,
        run: Box::new(move |backend, flips| {
            let q = put(backend, &q, heads * d)?;
            let k = put(backend, &k, kv_heads * d)?;
            let v = put(backend, &flipped(&v, flips), kv_heads * d)?;
            let positions = backend.upload_indices(&positions)?;
            let mut out = poisoned(backend, tokens, heads * d)?;
            backend.attention(&q, &k, &v, &positions, shape, &mut out)?;
            backend.read(&out)
        }),
    }
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

fn head_loss() -> Vec<Case> {
    let whole = [(1, 32, 33), (33, 65, 127), (31, 128, 257), (65, 64, 1031)];
    let mut sizes: Vec<_> = whole.iter().map(|size| (*size, None)).collect();
    sizes.extend([((65, 127, 300), Some(SMALL_LIMIT)), ((9, 64, 8_321), Some(SMALL_LIMIT))]);
    // Several blocks of the vocabulary without a forced limit.
    sizes.push(((3, 32, 16_500), None));
    let mut cases = Vec::new();
    for (form, ((t, h, vocabulary), limit)) in pairs(&Form::all(), &sizes) {
        let head = matrix(form, vocabulary, h, 0.1, 91);
        let mut random = Random(92);
        let x = random.values(t * h);
        let mut targets: Vec<u32> = (0..t).map(|_| random.below(vocabulary) as u32).collect();
        if t > 2 {
            targets[2] = NO_TARGET;
        }
        let want = twins::head_loss(&x, &head, &targets);
        let fault = patch(Kernel::HeadLoss, "sum += exp(", "sum += 1.001 * exp(");
        cases.push(Case {
            name: format!("head_loss, {form:?}, {t} x {h} x {vocabulary}{}", limit_name(limit)),
            bound: HEAD_LOSS_BOUND,
            limit,
            patches: vec![fault],
            want,
            run: Box::new(move |backend, flips| {
                let row = targets[0] as usize;
                let head = if flips { flip(&head, row) } else { head.clone() };
                let (x, head) = (put(backend, &x, h)?, backend.upload_matrix(head)?);
                let targets = backend.upload_indices(&targets)?;
                backend.head_loss(&x, &head, &targets)
            }),
        });
    }
    cases
}

fn pairs<A: Copy, B: Copy>(a: &[A], b: &[B]) -> Vec<(A, B)> {
    a.iter().flat_map(|a| b.iter().map(|b| (*a, *b))).collect()
}
