// Causal softmax attention within each document through cooperative matrices: f16 factors, f32 sums
// and f32 softmax. A workgroup of four subgroups of 32 takes one chunk of 64 queries of one head, a subgroup 16
// of them, 32 keys at a time, in two passes over the keys: the first finds each query's largest score and the sum
// of the exponentials, so that the second can weight the values without ever rescaling what is summed.
//
// q, k and v are what chunk_tiles.wgsl leaves, [chunks, heads, 4, HEAD_TILES, 16, 16] f16; chunks holds each chunk's
// first token and length, positions each token's index in its document. out is [tokens, out_stride] f32, a row
// being [heads, head_dim]. Chunks begin where documents begin, so what a document gets does not depend on others.
//
// A line with T stands for HEAD_TILES, one per 16 channels of a head, with 0 .. in its place.

struct AttentionCoop {
    first_chunk: u32,
    // Query heads per key/value head.
    group: u32,
    // Quads from one chunk to the next, of q, and of k and v.
    q_stride: u32,
    kv_stride: u32,
    out_stride: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: AttentionCoop;
@group(0) @binding(1) var<storage, read> q: array<vec4<f16>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f16>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f16>>;
@group(0) @binding(4) var<storage, read> chunks: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read> positions: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;

const TILE_QUADS = 64u;
// Quads of 16 tokens of a head, and of a chunk's.
const ROWS_QUADS = HEAD_TILES * TILE_QUADS;
const HEAD_QUADS = 4u * ROWS_QUADS;
const LOWEST = -3.4e38;
// Padded against bank conflicts: scores in f32, weights in quads of f16.
const SCORE_STRIDE = 36u;
const WEIGHT_STRIDE = 10u;
// Of one subgroup.
const SCORES = 576u;
const WEIGHTS = 160u;

// [16 queries, 32 keys] for each of the four subgroups.
var<workgroup> scores: array<f32, 2304>;
var<workgroup> weights: array<vec4<f16>, 640>;
// Largest score and sum of a query's even and odd half of the keys.
var<workgroup> halves: array<vec2<f32>, 128>;

// The largest score and the sum of exponentials relative to it, of two disjoint sets of keys.
fn combine(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    let largest = max(a.x, b.x);
    return vec2<f32>(largest, a.y * exp(a.x - largest) + b.y * exp(b.x - largest));
}

// Brings the scores of 16 queries and twice 16 keys, not yet scaled, into workgroup memory from `place` on; the
// other arguments are where the queries and the keys begin.
fn score(place: u32, queries: u32, keys: u32) {
    let q_T = coopLoadT<coop_mat16x16<f16, A>>(&q[queries + T * TILE_QUADS], 4u);
    let near_T = coopLoad<coop_mat16x16<f16, B>>(&k[keys + T * TILE_QUADS], 4u);
    let far_T = coopLoad<coop_mat16x16<f16, B>>(&k[keys + ROWS_QUADS + T * TILE_QUADS], 4u);
    var near_sum = coop_mat16x16<f32, C>();
    var far_sum = coop_mat16x16<f32, C>();
    near_sum = coopMultiplyAdd(q_T, near_T, near_sum);
    far_sum = coopMultiplyAdd(q_T, far_T, far_sum);
    // naga wants the operands of a store bound before, and the store in a block of its own.
    let near_scores = near_sum;
    let far_scores = far_sum;
    let near_place = &scores[place];
    let far_place = &scores[place + 16u];
    let stride = SCORE_STRIDE;
    if p.group > 0u {
        coopStoreT(near_scores, near_place, stride);
        coopStoreT(far_scores, far_place, stride);
    }
}

// Eight channels from `place` of the scores on, to quad `at` of out.
fn put(at: u32, place: u32) {
    out[at] = vec4<f32>(scores[place], scores[place + 1u], scores[place + 2u], scores[place + 3u]);
    out[at + 1u] = vec4<f32>(scores[place + 4u], scores[place + 5u], scores[place + 6u], scores[place + 7u]);
}

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    // Two invocations share a query, each taking 16 of 32 keys.
    let row = lane % 32u / 2u;
    let half = lane % 2u;
    let place = subgroup * SCORES;
    let own = place + row * SCORE_STRIDE + half * 16u;
    let weight_place = subgroup * WEIGHTS;

    let number = p.first_chunk + group.x;
    let chunk = chunks[number];
    // Chunks of the document in front of this one, and 16 keys by 16 keys the last that any of its queries sees.
    let before = positions[chunk.x] / CHUNK;
    let last_band = before * 4u + (chunk.y - 1u) / 16u;
    let token = before * CHUNK + subgroup * 16u + row;
    let queries = number * p.q_stride + group.y * HEAD_QUADS + subgroup * ROWS_QUADS;
    let first_keys = (number - before) * p.kv_stride + group.y / p.group * HEAD_QUADS;

    // Keys past the last are 0, and not seen.
    var state = vec2<f32>(LOWEST, 0.0);
    for (var band = 0u; band <= last_band; band += 2u) {
        score(place, queries, first_keys + band / 4u * p.kv_stride + band % 4u * ROWS_QUADS);
        workgroupBarrier();
        let key = (band + half) * 16u;
        var largest = LOWEST;
        for (var i = 0u; i < 16u; i++) {
            largest = max(largest, select(LOWEST, scores[own + i] * p.scale, key + i <= token));
        }
        var sum = 0.0;
        for (var i = 0u; i < 16u; i++) {
            sum += select(0.0, exp(scores[own + i] * p.scale - largest), key + i <= token);
        }
        state = combine(state, vec2<f32>(largest, sum));
        workgroupBarrier();
    }
    halves[lane] = state;
    workgroupBarrier();
    state = combine(halves[lane & ~1u], halves[lane | 1u]);

    var mix_T = coop_mat16x16<f32, C>();
    for (var band = 0u; band <= last_band; band += 2u) {
        let keys = first_keys + band / 4u * p.kv_stride + band % 4u * ROWS_QUADS;
        score(place, queries, keys);
        workgroupBarrier();
        let key = (band + half) * 16u;
        for (var i = 0u; i < 16u; i += 4u) {
            var weight = vec4<f32>();
            for (var j = 0u; j < 4u; j++) {
                let share = exp(scores[own + i + j] * p.scale - state.x) / state.y;
                weight[j] = select(0.0, share, key + i + j <= token);
            }
            weights[weight_place + row * WEIGHT_STRIDE + half * 4u + i / 4u] = vec4<f16>(weight);
        }
        workgroupBarrier();
        let near_weights = coopLoadT<coop_mat16x16<f16, A>>(&weights[weight_place], WEIGHT_STRIDE);
        let far_weights = coopLoadT<coop_mat16x16<f16, A>>(&weights[weight_place + 4u], WEIGHT_STRIDE);
        let near_T = coopLoadT<coop_mat16x16<f16, B>>(&v[keys + T * TILE_QUADS], 4u);
        let far_T = coopLoadT<coop_mat16x16<f16, B>>(&v[keys + ROWS_QUADS + T * TILE_QUADS], 4u);
        mix_T = coopMultiplyAdd(near_weights, near_T, mix_T);
        mix_T = coopMultiplyAdd(far_weights, far_T, mix_T);
    }

    // Tiles go through workgroup memory, since the rows past the chunk's last belong to another document.
    let is_token = subgroup * 16u + row < chunk.y;
    let out_start = ((chunk.x + subgroup * 16u + row) * p.out_stride + group.y * HEAD_TILES * 16u + half * 8u) / 4u;
    let stride = SCORE_STRIDE;
    let value_T = mix_T;
    let staged = place + row * SCORE_STRIDE + half * 8u;
    let staged_place = &scores[place];
    workgroupBarrier(); if p.group > 0u { coopStoreT(value_T, staged_place, stride); } workgroupBarrier(); if is_token { put(out_start + T * 4u, staged); }
}
