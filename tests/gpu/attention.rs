//! Attention: several documents, grouped heads, widths that fill no quad, spans of queries.

use bitgauge_eval::{Attention, Backend};
use bitgauge_shaders::{Kernel, twins};
use pollster::block_on;

use crate::data::{Random, batch};
use crate::kernels::{Case, SMALL_LIMIT, flipped, limit_name, patch, poisoned, put};

/// Every case.
pub fn cases() -> Vec<Case> {
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
    let batch = batch(documents);
    let positions = batch.positions();
    let tokens = positions.len();
    let mut random = Random(61);
    let (q, k) = (random.values(tokens * heads * d), random.values(tokens * kv_heads * d));
    let v = random.values(tokens * kv_heads * d);
    let mut want = vec![0.0; q.len()];
    twins::attention(&q, &k, &v, positions, heads, kv_heads, d, &mut want);
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
        bound: Kernel::Attention.bound(),
        limit,
        patches,
        want,
        run: Box::new(move |backend, flips| {
            let q = put(backend, &q, heads * d)?;
            let k = put(backend, &k, kv_heads * d)?;
            let v = put(backend, &flipped(&v, flips), kv_heads * d)?;
            let batch = backend.upload_batch(&batch)?;
            let mut out = poisoned(backend, tokens, heads * d)?;
            backend.attention(&q, &k, &v, &batch, shape, &mut out)?;
            block_on(backend.read(&out))
        }),
    }
}
