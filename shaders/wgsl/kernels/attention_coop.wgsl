// Causal softmax attention within each document through cooperative matrices: f16 factors, f32 sums
// and f32 softmax. A workgroup is one subgroup of 32 and computes 16 queries of one head, 32 keys at a
// time, in two passes over the keys: the first finds each query's largest score and the sum of the
// exponentials, so that the second can weight the values without ever rescaling what is summed.
//
// q, k and v are tiles of to_f16.wgsl, columns in order: [tokens / 16, tiles across, 16, 16] f16. out
// is [tokens, out_stride] f32, a row being [heads, head_dim]; whole tiles of 16 tokens are written.
//
// A line with T stands for HEAD_TILES, one per 16 channels of a head, with 0 .. in its place.

struct AttentionCoop {
    tokens: u32,
    // The first 16 queries, in tiles.
    first_tile: u32,
    // Query heads per key/value head.
    group: u32,
    // Tiles from 16 tokens to the next 16, of q, and of k and v.
    q_stride: u32,
    kv_stride: u32,
    out_stride: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: AttentionCoop;
@group(0) @binding(1) var<storage, read> q: array<vec4<f16>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f16>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f16>>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const TILE_QUADS = 64u;
const LOWEST = -3.4e38;
// Padded against bank conflicts: scores in f32, weights in quads of f16.
const SCORE_STRIDE = 36u;
const WEIGHT_STRIDE = 10u;

// [16 queries, 32 keys].
var<workgroup> scores: array<f32, 576>;
var<workgroup> weights: array<vec4<f16>, 160>;
// Largest score and sum of a query's even and odd half of the keys.
var<workgroup> halves: array<vec2<f32>, 32>;

// The largest score and the sum of exponentials relative to it, of two disjoint sets of keys.
fn combine(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    let largest = max(a.x, b.x);
    return vec2<f32>(largest, a.y * exp(a.x - largest) + b.y * exp(b.x - largest));
}

// Brings the scores of 16 queries and twice 16 keys, not yet scaled, into workgroup memory; the
// arguments are where the queries and each half of the keys begin.
fn score(q_start: u32, near: u32, far: u32) {
    let q_T = coopLoadT<coop_mat16x16<f16, A>>(&q[q_start + T * TILE_QUADS], 4u);
    let near_T = coopLoad<coop_mat16x16<f16, B>>(&k[near + T * TILE_QUADS], 4u);
    let far_T = coopLoad<coop_mat16x16<f16, B>>(&k[far + T * TILE_QUADS], 4u);
    var near_sum = coop_mat16x16<f32, C>();
    var far_sum = coop_mat16x16<f32, C>();
    near_sum = coopMultiplyAdd(q_T, near_T, near_sum);
    far_sum = coopMultiplyAdd(q_T, far_T, far_sum);
    // naga wants the operands of a store bound before, and the store in a block of its own.
    let near_scores = near_sum;
    let far_scores = far_sum;
    let near_place = &scores[0];
    let far_place = &scores[16];
    let stride = SCORE_STRIDE;
    if p.tokens > 0u {
        coopStoreT(near_scores, near_place, stride);
        coopStoreT(far_scores, far_place, stride);
    }
    workgroupBarrier();
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Two invocations share a query, each taking 16 of 32 keys.
    let tile = p.first_tile + group.x;
    let row = lane / 2u;
    let half = lane % 2u;
    let own = row * SCORE_STRIDE + half * 16u;
    let token = min(tile * 16u + row, p.tokens - 1u);
    let from_key = token - positions[token];
    // Documents follow each other, so the first query sees the earliest key of all.
    let first_token = tile * 16u;
    let first_band = (first_token - positions[first_token]) / 16u;

    let q_start = (tile * p.q_stride + group.y * HEAD_TILES) * TILE_QUADS;
    let kv_start = group.y / p.group * HEAD_TILES * TILE_QUADS;
    let kv_band = p.kv_stride * TILE_QUADS;

    // Past the last 16 keys these are read again, and not seen.
    var state = vec2<f32>(LOWEST, 0.0);
    for (var band = first_band; band <= tile; band += 2u) {
        score(q_start, kv_start + band * kv_band, kv_start + min(band + 1u, tile) * kv_band);
        let key = (band + half) * 16u;
        var largest = LOWEST;
        for (var i = 0u; i < 16u; i++) {
            let seen = key + i >= from_key && key + i <= token;
            largest = max(largest, select(LOWEST, scores[own + i] * p.scale, seen));
        }
        var sum = 0.0;
        for (var i = 0u; i < 16u; i++) {
            let seen = key + i >= from_key && key + i <= token;
            sum += select(0.0, exp(scores[own + i] * p.scale - largest), seen);
        }
        state = combine(state, vec2<f32>(largest, sum));
        workgroupBarrier();
    }
    halves[lane] = state;
    workgroupBarrier();
    state = combine(halves[lane & ~1u], halves[lane | 1u]);

    var mix_T = coop_mat16x16<f32, C>();
    for (var band = first_band; band <= tile; band += 2u) {
        let near = kv_start + band * kv_band;
        let far = kv_start + min(band + 1u, tile) * kv_band;
        score(q_start, near, far);
        let key = (band + half) * 16u;
        for (var i = 0u; i < 16u; i += 4u) {
            var weight: vec4<f32>;
            for (var j = 0u; j < 4u; j++) {
                let seen = key + i + j >= from_key && key + i + j <= token;
                weight[j] = select(0.0, exp(scores[own + i + j] * p.scale - state.x) / state.y, seen);
            }
            weights[row * WEIGHT_STRIDE + half * 4u + i / 4u] = vec4<f16>(weight);
        }
        workgroupBarrier();
        let near_weights = coopLoadT<coop_mat16x16<f16, A>>(&weights[0], WEIGHT_STRIDE);
        let far_weights = coopLoadT<coop_mat16x16<f16, A>>(&weights[4], WEIGHT_STRIDE);
        let near_T = coopLoadT<coop_mat16x16<f16, B>>(&v[near + T * TILE_QUADS], 4u);
        let far_T = coopLoadT<coop_mat16x16<f16, B>>(&v[far + T * TILE_QUADS], 4u);
        mix_T = coopMultiplyAdd(near_weights, near_T, mix_T);
        mix_T = coopMultiplyAdd(far_weights, far_T, mix_T);
    }

    let stride = p.out_stride;
    let out_start = tile * 16u * stride + group.y * HEAD_TILES * 16u;
    let value_T = mix_T;
    let place_T = &out[out_start + T * 16u];
    if p.tokens > 0u { coopStoreT(value_T, place_T, stride); }
}
