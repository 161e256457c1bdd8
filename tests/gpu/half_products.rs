//! Products with f16 factors: the activations as tiles, the plain kernel, and the one for cooperative
//! matrices, at awkward sizes and in every stored form.

use bitgauge_eval::{Attention, Backend, NO_TARGET, Precision, ShaderPatch};
use bitgauge_shaders::{HeadTiles, Kernel, Staging, twins};
use pollster::block_on;

use crate::data::{Form, Random, Rescue, batch, flip, matrix, with_targets};
use crate::delta_net;
use crate::kernels::{Case, flipped, limit_name, patch, poisoned, put};
use crate::linear::{codec_fault, decoding_faults, pairs};

/// A limit that cuts the larger cases into several spans and parts of whole matrices.
const LIMIT: u64 = 65_536;

/// Every case, with the precision that it runs in.
pub fn cases() -> Vec<(Precision, Case)> {
    let plain =
        Form::all().into_iter().map(|form| (33, form.columns(65), 70, form)).map(|(t, k, n, form)| {
            let fault = patch(Kernel::MatmulF16(form.codec()), "sums).a += ", "sums).a -= ");
            (Precision::F16Plain, product((t, k, n), form, None, faults(fault, form)))
        });
    let larger = [(1, 32, 1), (257, 257, 129)].map(|size| {
        let fault = patch(Kernel::MatmulF16(Form::F16.codec()), "sums).a += ", "sums).a -= ");
        (Precision::F16Plain, product(size, Form::F16, None, vec![fault]))
    });
    let conversions = to_f16().into_iter().chain(weight_tiles()).map(|case| (Precision::F32, case));
    let cooperative = [matmul_coop(), head_loss(), attention_coop(), delta_net::cooperative_cases()];
    let cooperative = cooperative.into_iter().flatten();
    let cooperative = cooperative.map(|case| (Precision::F16, case));
    plain.chain(larger).chain(conversions).chain(cooperative).collect()
}

fn matmul_coop() -> Vec<Case> {
    let whole = [(1, 32, 1), (31, 33, 64), (16, 128, 16), (65, 129, 63), (130, 300, 100), (257, 257, 257)];
    let mut sizes: Vec<_> = whole.iter().map(|size| (*size, None)).collect();
    sizes.push(((257, 257, 300), Some(LIMIT)));
    pairs(&Form::all(), &sizes)
        .into_iter()
        .map(|(form, ((t, k, n), limit))| {
            let size = (t, form.columns(k), n);
            // The second half of each block is multiplied by the first half's columns.
            let fault = patch(
                Kernel::MatmulCoop(staging(form)),
                "stage(lane * W_STRIDE, place, k, 0u, held);",
                "stage(lane * W_STRIDE, place, k + 64u, 1u, held);",
            );
            product(size, form, limit, faults(fault, form))
        })
        .collect()
}

/// How the backend brings weights of this form to cooperative matrices.
fn staging(form: Form) -> Staging {
    match form {
        Form::Bits { bases, rescue: Rescue::None | Rescue::Some, .. } => Staging::Signs(bases as u8),
        _ => Staging::Tiles,
    }
}

/// Faults of a kernel, and of how it takes weights apart.
fn faults(fault: ShaderPatch, form: Form) -> Vec<ShaderPatch> {
    match fault.kernel {
        Kernel::MatmulCoop(Staging::Signs(_)) => vec![patch_shift(form), fault],
        Kernel::MatmulCoop(Staging::Tiles) => {
            vec![codec_fault(Kernel::WeightTiles(form.codec()), form), fault]
        }
        _ => decoding_faults(fault, form),
    }
}

/// Turns the signs of columns 1 and 17 of every 32.
fn patch_shift(form: Form) -> ShaderPatch {
    let from = "far_0_0 = signed(held.scales_0, words.basis_0 << (14u";
    let to = "far_0_0 = signed(held.scales_0, ~words.basis_0 << (14u";
    patch(Kernel::MatmulCoop(staging(form)), from, to)
}

/// A case of the kernel that the last of these faults is put into.
fn product(
    (t, k, n): (usize, usize, usize),
    form: Form,
    limit: Option<u64>,
    patches: Vec<ShaderPatch>,
) -> Case {
    let kernel = patches[patches.len() - 1].kernel;
    let w = matrix(form, n, k, 0.05, 141);
    let x = Random(142).values(t * k);
    let mut want = vec![0.0; t * n];
    twins::matmul_f16(&x, &w, &mut want);
    Case {
        name: format!("{}, {form:?}, {t} x {k} x {n}{}", kernel.name(), limit_name(limit)),
        bound: kernel.bound(),
        limit,
        patches,
        want,
        run: Box::new(move |backend, flips| {
            // Activations that change after a product: what was converted for it is out of date.
            let half = put(backend, &x.iter().map(|x| x / 2.0).collect::<Vec<_>>(), k)?;
            let mut x = put(backend, &x.iter().map(|x| x / 2.0).collect::<Vec<_>>(), k)?;
            let w = backend.upload_matrix(if flips { flip(&w, n / 3) } else { w.clone() })?;
            let mut out = poisoned(backend, t, n)?;
            backend.matmul(&x, &w, &mut out)?;
            backend.add(&mut x, &half)?;
            backend.matmul(&x, &w, &mut out)?;
            block_on(backend.read(&out))
        }),
    }
}

/// The head through cooperative matrices, over several blocks of the vocabulary.
fn head_loss() -> Vec<Case> {
    let sizes = [(33, 65, 127), (65, 128, 1031), (3, 32, 16_500)];
    let form = Form::Bits { bases: 1, scale_group: 128, rescue: Rescue::Some };
    let cases = sizes.into_iter().map(|(t, h, vocabulary)| {
        let head = matrix(form, vocabulary, h, 0.1, 191);
        let mut random = Random(192);
        let x = random.values(t * h);
        let mut targets: Vec<u32> = (0..t).map(|_| random.below(vocabulary) as u32).collect();
        targets[2] = NO_TARGET;
        Case {
            name: format!("head_loss with matmul_coop, {t} x {h} x {vocabulary}"),
            bound: Kernel::MatmulCoop(staging(form)).bound(),
            limit: None,
            patches: vec![patch_shift(form)],
            // The head's scales and codes times scales are exact, or nearly so, in f16.
            want: twins::head_loss(&rounded(&x), &rounded_head(&head), &targets),
            run: Box::new(move |backend, flips| {
                let x = put(backend, &flipped(&x, flips), h)?;
                let head = backend.upload_matrix(head.clone())?;
                let batch = backend.upload_batch(&with_targets(&targets))?;
                block_on(backend.head_loss(&x, &head, &batch))
            }),
        }
    });
    cases.collect()
}

/// The matrix that the kernel multiplies by: every weight rounded to f16.
fn rounded_head(head: &bitgauge_core::Matrix) -> bitgauge_core::Matrix {
    let values = head.to_f32().into_iter().map(half::f16::from_f32).collect();
    let (rows, cols) = (head.rows(), head.cols());
    let values = bitgauge_core::Values::F16(values);
    bitgauge_core::Matrix::Dense(bitgauge_core::Dense { rows, cols, values })
}

fn attention_coop() -> Vec<Case> {
    // How much larger a key's channels are than those of the key before: what a query sees grows with it, so that
    // sums are scaled down on the way.
    let sizes: [(&[usize], [usize; 3], f32); 11] = [
        (&[1], [1, 1, 16], 0.0),
        (&[31, 1, 33], [2, 1, 64], 0.0),
        (&[15, 17, 64, 3], [4, 2, 64], 0.0),
        (&[63, 2, 65], [6, 2, 128], 0.0),
        (&[257, 5], [4, 1, 128], 0.0),
        (&[70, 9], [2, 1, 256], 0.0),
        (&[33, 20], [2, 1, 80], 0.0),
        (&[40, 41], [2, 2, 192], 0.0),
        (&[130, 70], [4, 2, 64], 0.05),
        (&[257, 34], [2, 1, 80], 0.02),
        (&[150, 65], [2, 1, 256], 0.01),
    ];
    let cases = sizes.into_iter().map(|(documents, [heads, kv_heads, d], growth)| {
        let batch = batch(documents);
        let positions = batch.positions();
        let tokens = positions.len();
        let mut random = Random(161);
        let lean = if growth > 0.0 { 1.0 } else { 0.0 };
        let q: Vec<f32> = random.values(tokens * heads * d).iter().map(|value| value + lean).collect();
        let mut k = random.values(tokens * kv_heads * d);
        for (row, position) in k.chunks_exact_mut(kv_heads * d).zip(positions) {
            row.iter_mut().for_each(|value| *value += growth * *position as f32);
        }
        let (q, k) = (rounded(&q), rounded(&k));
        let v = rounded(&random.values(tokens * kv_heads * d));
        let mut want = vec![0.0; q.len()];
        twins::attention(&q, &k, &v, positions, heads, kv_heads, d, &mut want);
        let kernel = Kernel::AttentionCoop(HeadTiles::of(d).expect("whole tiles"));
        let mut patches = vec![patch(kernel, "1.0 / total", "1.0 / (total + 0.01 * total)")];
        if documents.iter().any(|length| *length > 1) {
            patches.push(patch(kernel, "before * CHUNK + row;", "before * CHUNK + row + 1u;"));
        }
        if growth > 0.0 {
            patches.push(patch(kernel, "if has_passed.x > 0u", "if has_passed.x > 100000u"));
            patches.push(patch(kernel, "sum *= factor;", ""));
        }
        if documents.iter().any(|length| *length > 64) {
            patches.push(patch(kernel, "positions[chunk.x] / CHUNK", "0u * positions[chunk.x]"));
        }
        Case {
            name: format!("attention_coop, {documents:?}, {heads}/{kv_heads} x {d}, growth {growth}"),
            bound: kernel.bound(),
            limit: None,
            patches,
            want,
            run: Box::new(move |backend, flips| {
                let q = put(backend, &q, heads * d)?;
                let k = put(backend, &k, kv_heads * d)?;
                let v = put(backend, &flipped(&v, flips), kv_heads * d)?;
                let batch = backend.upload_batch(&batch)?;
                let mut out = poisoned(backend, tokens, heads * d)?;
                let shape = Attention { heads, kv_heads, head_dim: d };
                backend.attention(&q, &k, &v, &batch, shape, &mut out)?;
                block_on(backend.read(&out))
            }),
        }
    });
    cases.collect()
}

fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|value| half::f16::from_f32(*value).to_f32()).collect()
}

fn to_f16() -> Vec<Case> {
    let sizes = [(16, 128), (33, 65), (70, 257)];
    let cases = sizes.into_iter().map(|(t, k)| {
        let x = Random(171).values(t * k);
        let across = k.next_multiple_of(128) / 16;
        let want = twins::to_f16(&x, k, across).into_iter().map(half::f16::to_f32).collect();
        Case {
            name: format!("to_f16, [{t}, {k}]"),
            bound: Kernel::ToF16.bound(),
            limit: None,
            patches: vec![patch(Kernel::ToF16, "lane % 4u * 2u", "(lane + 1u) % 4u * 2u")],
            want,
            run: Box::new(move |backend, flips| {
                let x = put(backend, &flipped(&x, flips), k)?;
                let tiles = block_on(backend.read_f16_tiles(&x))?;
                Ok(tiles.into_iter().map(|bits| half::f16::from_bits(bits).to_f32()).collect())
            }),
        }
    });
    cases.collect()
}

fn weight_tiles() -> Vec<Case> {
    let sizes = [(16, 128), (33, 65), (70, 257)];
    // How bits decode is held by the other kernels: two bases, and rescue rows, are enough here.
    let is_tried = |form: &Form| !matches!(form, Form::Bits { bases: 1 | 3.., .. });
    let forms: Vec<_> = Form::all().into_iter().filter(is_tried).collect();
    let cases = pairs(&forms, &sizes).into_iter().map(|(form, (n, k))| {
        let w = matrix(form, n, form.columns(k), 0.05, 181);
        let kernel = Kernel::WeightTiles(form.codec());
        let halves = |values: Vec<half::f16>| values.into_iter().map(half::f16::to_f32).collect();
        Case {
            name: format!("weight_tiles, {form:?}, [{n}, {k}]"),
            bound: kernel.bound(),
            limit: None,
            patches: vec![patch(kernel, "vec2<f32>(near_0.y, far_0.y)", "vec2<f32>(far_0.y, near_0.y)")],
            want: halves(twins::weight_tiles(&w)),
            run: Box::new(move |backend, flips| {
                let w = backend.upload_matrix(if flips { flip(&w, n / 2) } else { w.clone() })?;
                let tiles = block_on(backend.read_weight_tiles(&w, 32))?;
                Ok(halves(tiles.into_iter().map(half::f16::from_bits).collect()))
            }),
        }
    });
    cases.collect()
}
