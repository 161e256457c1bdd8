//! The kernels that decode weights, at awkward sizes, in every stored form: embed, matmul, head_loss.

use bitgauge_core::{BlockType, Matrix};
use bitgauge_eval::{Backend, Batch, NO_TARGET, ShaderPatch};
use bitgauge_shaders::{Kernel, twins};
use pollster::block_on;

use crate::data::{Form, Random, Rescue, flip, matrix, with_targets};
use crate::kernels::{Case, SMALL_LIMIT, limit_name, patch, poisoned, put};

/// Every case.
pub fn cases() -> Vec<Case> {
    [embed(), matmul(), head_loss(), vec![head_loss_beside_others()]].into_iter().flatten().collect()
}

fn embed() -> Vec<Case> {
    let sizes = [(1, 33), (31, 64), (65, 127), (257, 160)];
    let mut cases = Vec::new();
    for (form, (rows, cols)) in pairs(&Form::all(), &sizes) {
        let cols = form.columns(cols);
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
                bound: Kernel::Embed(form.codec()).bound(),
                limit,
                patches: decoding_faults(fault, form),
                want,
                run: Box::new(move |backend, flips| {
                    let row = ids[0] as usize;
                    let table = if flips { flip(&table, row) } else { table.clone() };
                    let table = backend.upload_matrix(table)?;
                    let batch = backend.upload_batch(&Batch::of([&ids[..]]))?;
                    let mut out = poisoned(backend, 70, cols)?;
                    backend.embed(&table, &batch, &mut out)?;
                    block_on(backend.read(&out))
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
        let k = form.columns(k);
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
            bound: Kernel::Matmul(form.codec()).bound(),
            limit,
            patches: decoding_faults(fault, form),
            want,
            run: Box::new(move |backend, flips| {
                let x = put(backend, &x, k)?;
                let w = backend.upload_matrix(if flips { flip(&w, n / 2) } else { w.clone() })?;
                let mut out = poisoned(backend, t, n)?;
                backend.matmul(&x, &w, &mut out)?;
                block_on(backend.read(&out))
            }),
        });
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
        let h = form.columns(h);
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
            bound: Kernel::HeadLoss.bound(),
            limit,
            patches: vec![fault],
            want,
            run: Box::new(move |backend, flips| {
                let row = targets[0] as usize;
                let head = if flips { flip(&head, row) } else { head.clone() };
                let (x, head) = (put(backend, &x, h)?, backend.upload_matrix(head)?);
                let batch = backend.upload_batch(&with_targets(&targets))?;
                block_on(backend.head_loss(&x, &head, &batch))
            }),
        });
    }
    cases
}

/// Whether tokens have the losses to the bit that they have beside many others: 1 where they have.
fn head_loss_beside_others() -> Case {
    let (t, few, h, vocabulary) = (65, 9, 64, 1_031);
    let head = matrix(Form::F16, vocabulary, h, 0.1, 93);
    let mut random = Random(94);
    let x = random.values(t * h);
    let targets: Vec<u32> = (0..t).map(|_| random.below(vocabulary) as u32).collect();
    Case {
        name: format!("head_loss, the same of {few} tokens and of {t}{}", limit_name(Some(SMALL_LIMIT))),
        bound: 0.0,
        limit: Some(SMALL_LIMIT),
        patches: Vec::new(),
        want: vec![1.0; few],
        run: Box::new(move |backend, flips| {
            let mut losses = |count: usize, head: Matrix| {
                let (x, head) = (put(backend, &x[..count * h], h)?, backend.upload_matrix(head)?);
                let batch = backend.upload_batch(&with_targets(&targets[..count]))?;
                block_on(backend.head_loss(&x, &head, &batch))
            };
            let all = losses(t, head.clone())?;
            let some = losses(few, if flips { flip(&head, targets[0] as usize) } else { head.clone() })?;
            let is_same = |(all, some): (&f32, &f32)| f32::from(u8::from(all.to_bits() == some.to_bits()));
            Ok(all.iter().zip(&some).map(is_same).collect())
        }),
    }
}

/// Faults of a kernel that decodes weights: one in the kernel, one in the codec.
pub fn decoding_faults(fault: ShaderPatch, form: Form) -> Vec<ShaderPatch> {
    let codec = codec_fault(fault.kernel, form);
    vec![fault, codec]
}

/// A fault of a kernel in how it takes weights apart.
pub fn codec_fault(kernel: Kernel, form: Form) -> ShaderPatch {
    match form {
        Form::Bits { rescue: Rescue::All, .. } => patch(kernel, "vec4<u32>(28u, 24u,", "vec4<u32>(24u, 28u,"),
        Form::Bits { .. } => patch(kernel, "vec4<u32>(1u, 2u, 4u, 8u)", "vec4<u32>(2u, 4u, 8u, 1u)"),
        Form::F32 => patch(kernel, "return values[place + k / 4u];", "return values[place + k / 4u].yxzw;"),
        Form::F16 => {
            patch(kernel, "vec4<f32>(unpack2x16float(halves.x)", "vec4<f32>(unpack2x16float(halves.x).yx")
        }
        Form::Bf16 => {
            patch(kernel, "vec4<u32>(halves.x << 16u, halves.x,", "vec4<u32>(halves.x, halves.x << 16u,")
        }
        Form::Blocks(BlockType::Q6K) => {
            patch(kernel, "(24u - group % 4u * 8u)", "(16u + group % 4u * 8u) % 32u")
        }
        Form::Blocks(_) => patch(kernel, "select(lows | highs,", "select(lows & highs,"),
    }
}

pub fn pairs<A: Copy, B: Copy>(a: &[A], b: &[B]) -> Vec<(A, B)> {
    a.iter().flat_map(|a| b.iter().map(|b| (*a, *b))).collect()
}
