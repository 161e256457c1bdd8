//! The kernels of gated DeltaNet that look at other tokens: causal_conv, delta_rule (with delta_chunk), and the
//! same through cooperative matrices.

use bitgauge_eval::{Backend, DeltaRule};
use bitgauge_shaders::{Heads, Kernel, KeyTiles, twins};
use pollster::block_on;

use crate::data::{Random, batch};
use crate::kernels::{Case, SMALL_LIMIT, flipped, limit_name, patch, poisoned, put};

/// Every case.
pub fn cases() -> Vec<Case> {
    causal_conv().into_iter().chain(delta_rule()).collect()
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
                bound: Kernel::CausalConv.bound(),
                limit,
                patches,
                want,
                run: Box::new(move |backend, flips| {
                    let x = put(backend, &flipped(&x, flips), channels)?;
                    let weight = backend.upload_vector(&weight)?;
                    let batch = backend.upload_batch(&batch)?;
                    let mut out = poisoned(backend, tokens, channels)?;
                    backend.causal_conv(&x, &weight, &batch, &mut out)?;
                    block_on(backend.read(&out))
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
            cases.push(delta_rule_case(shape, lengths, None, plain(shape, lengths)));
        }
    }
    let narrow = DeltaRule { key_heads: 1, value_heads: 2, key_dim: 16, value_dim: 16, interleaved: false };
    let lengths = &[10, 5, 3, 14, 9];
    cases.push(delta_rule_case(narrow, lengths, Some(SMALL_LIMIT), plain(narrow, lengths)));
    cases
}

/// Every case of the kernels with cooperative matrices. The last one's documents fit no binding together.
pub fn cooperative_cases() -> Vec<Case> {
    let batches: [&[usize]; 5] = [&[2], &[63, 1, 64], &[65, 31], &[31, 130, 2], &[257]];
    let shapes = [[1, 1, 16, 16], [2, 6, 32, 48], [2, 4, 128, 64], [3, 3, 80, 16], [1, 2, 48, 128]];
    let mut cases = Vec::new();
    for (i, lengths) in batches.into_iter().enumerate() {
        for (j, [key_heads, value_heads, key_dim, value_dim]) in shapes.into_iter().enumerate() {
            let interleaved = (i + j) % 2 == 1;
            let shape = DeltaRule { key_heads, value_heads, key_dim, value_dim, interleaved };
            cases.push(delta_rule_case(shape, lengths, None, cooperative(shape, lengths)));
        }
    }
    let narrow = DeltaRule { key_heads: 1, value_heads: 2, key_dim: 16, value_dim: 16, interleaved: false };
    let lengths = &[65, 70, 3, 14, 100];
    cases.push(delta_rule_case(narrow, lengths, Some(7 * SMALL_LIMIT), cooperative(narrow, lengths)));
    cases
}

/// Which kernels a case is of: their name, bound and faults.
struct Kernels {
    name: &'static str,
    bound: f64,
    faults: Vec<bitgauge_eval::ShaderPatch>,
}

fn delta_rule_case(shape: DeltaRule, lengths: &[usize], limit: Option<u64>, kernels: Kernels) -> Case {
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
            "{}, {lengths:?} tokens, {}/{} x {}/{}{}{}",
            kernels.name,
            shape.key_heads,
            shape.value_heads,
            shape.key_dim,
            shape.value_dim,
            if shape.interleaved { ", interleaved" } else { "" },
            limit_name(limit)
        ),
        bound: kernels.bound,
        limit,
        patches: kernels.faults,
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
            block_on(backend.read(&out))
        }),
    }
}

/// The kernel of a chunk by itself, or of the documents, with the wrong key heads.
fn wrong_key_head(
    shape: DeltaRule,
    longest: usize,
    [chunk, rule]: [Kernel; 2],
) -> Option<bitgauge_eval::ShaderPatch> {
    let right = "head % p.key_heads, head / max(p.group, 1u), p.group > 0u";
    let wrong = "head % p.key_heads, head / max(p.group, 1u), p.group == 0u";
    // In the second kernel only a state that is not 0 is met with keys.
    let kernel = if longest > 64 { rule } else { chunk };
    let shares = shape.key_heads > 1 && shape.key_heads < shape.value_heads;
    shares.then(|| patch(kernel, right, wrong))
}

/// The kernels with cooperative matrices.
fn cooperative(shape: DeltaRule, lengths: &[usize]) -> Kernels {
    let longest = lengths.iter().copied().max().unwrap_or_default();
    let tiles = KeyTiles::of(shape.key_dim).expect("whole tiles");
    let (chunk, rule) = (Kernel::DeltaChunkCoop(tiles), Kernel::DeltaRuleCoop(tiles));
    let mut faults = vec![
        patch(Kernel::ChunkTiles, "row < chunk.y", "row + 1u < chunk.y"),
        patch(chunk, "columns <= vec4<u32>(to)", "columns < vec4<u32>(to)"),
        patch(chunk, "solved * vec4<f32>(betas[c],", "solved * vec4<f32>(1.1,"),
        patch(chunk, "sums = fma(-square[row * ROW", "sums = fma(-2.0 * square[row * ROW"),
        patch(rule, "let news_0 = value_0 -", "let news_0 = 1.1 * value_0 -"),
    ];
    if longest > 16 {
        faults.push(patch(chunk, "= -near_sum;", "= near_sum;"));
    }
    if longest > 128 {
        faults.push(patch(rule, "state_0_0 = state_0_0 * keep", "state_0_0 = state_0_0 * (0.5 * keep)"));
    }
    if longest > 64 {
        faults.push(patch(rule, "news_0 = value_0 - fade_0.x", "news_0 = value_0 - 2.0 * fade_0.x"));
        faults.push(patch(rule, "vec4<f16>(writes_0 * fade_0.y)", "vec4<f16>(writes_0)"));
    }
    faults.extend(wrong_key_head(shape, longest, [chunk, rule]));
    Kernels { name: "delta_rule_coop", bound: rule.bound(), faults }
}

/// The kernels in f32. What needs several tokens, chunks or documents to show is asked of those only.
fn plain(shape: DeltaRule, lengths: &[usize]) -> Kernels {
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
    faults.extend(wrong_key_head(shape, longest, [chunk, rule]));
    Kernels { name: "delta_rule", bound: rule.bound(), faults }
}
