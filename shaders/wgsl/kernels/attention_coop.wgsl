// Causal softmax attention within each document through cooperative matrices: f16 factors, f32 sums and f32 softmax
// in one pass over the keys (Dao et al., "FlashAttention", 2022). A workgroup of four subgroups of 32 takes one chunk
// of 64 queries of one head, 32 keys at a time: a subgroup scores 32 queries with 16 keys, weights 16 queries, and
// mixes 32 queries' values in half of the head's channels, so that each reads as few tiles as it can.
//
// Weights are relative to a score that was a query's largest. Only when a score passes it by MARGIN is what was summed
// so far scaled down, since that takes the sums through workgroup memory; weights are at most 2^MARGIN, which f16 holds.
//
// q, k and v are what chunk_tiles.wgsl leaves, [chunks, heads, 4, HEAD_TILES, 16, 16] f16; chunks holds each chunk's
// first token and length, positions each token's index in its document. out is [tokens, out_stride] f32, a row
// being [heads, head_dim]. Chunks begin where documents begin, so what a document gets does not depend on others.
//
// A line with U stands for two, 16 queries each; a line with H for SIDE_TILES, the tiles of channels that a subgroup
// mixes; a line with W for four, a quad of an invocation's keys each.

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
const LOG2_E = 1.4426950408889634;
// In powers of two.
const MARGIN = 10.0;
// Padded against bank conflicts: scores in f32, weights in quads of f16.
const SCORE_STRIDE = 36u;
const WEIGHT_STRIDE = 10u;

// Cooperative loads want arrays that begin at 16 bytes, and the driver lays these out one after the other: each takes a
// multiple of that.
// [64 queries, 32 keys].
var<workgroup> scores: array<f32, 2304>;
var<workgroup> weights: array<vec4<f16>, 640>;
// What each query's sums are to be multiplied by.
var<workgroup> factors: array<f32, 64>;
// Whether any query's sums are to be scaled down, in bands of even and odd number.
var<workgroup> passed: array<vec4<u32>, 2>;

fn quad(at: u32) -> vec4<f32> {
    return vec4<f32>(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]);
}

fn put(at: u32, value: vec4<f32>) {
    scores[at] = value.x;
    scores[at + 1u] = value.y;
    scores[at + 2u] = value.z;
    scores[at + 3u] = value.w;
}

// Multiplies the eight channels that an invocation takes of a tile.
fn scale_staged(at: u32, factor: f32) {
    put(at, quad(at) * factor);
    put(at + 4u, quad(at + 4u) * factor);
}

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    // Two invocations share a query, each taking 16 of 32 keys.
    let row = lane / 2u;
    let half = lane % 2u;
    let own = row * SCORE_STRIDE + half * 16u;
    let own_weights = row * WEIGHT_STRIDE + half * 4u;
    // Two subgroups share 32 queries, each taking a side: 16 of 32 keys, then half of the channels.
    let first_row = subgroup / 2u * 32u;
    let side = subgroup % 2u;
    let tile_H = min(side * SIDE_TILES + H, HEAD_TILES - 1u);
    // Where a subgroup stages a tile, and what an invocation takes of it.
    let place = subgroup * 16u * SCORE_STRIDE;
    let staged = place + lane % 32u / 2u * SCORE_STRIDE + half * 8u;
    let row_U = first_row + U * 16u + lane % 32u / 2u;

    let number = p.first_chunk + group.x;
    let chunk = chunks[number];
    // Chunks of the document in front of this one, and 16 keys by 16 keys the last that any of its queries sees.
    let before = positions[chunk.x] / CHUNK;
    let last_band = before * 4u + (chunk.y - 1u) / 16u;
    let token = before * CHUNK + row;
    let queries = number * p.q_stride + group.y * HEAD_QUADS + first_row / 16u * ROWS_QUADS;
    let first_keys = (number - before) * p.kv_stride + group.y / p.group * HEAD_QUADS;
    let scale = p.scale * LOG2_E;
    let stride = SCORE_STRIDE;

    var reference = LOWEST;
    var sum = 0.0;
    if lane < 2u { passed[lane] = vec4<u32>(); }
    var mix_U_H = coop_mat16x16<f32, C>();
    for (var band = 0u; band <= last_band; band += 2u) {
        let keys = first_keys + band / 4u * p.kv_stride + band % 4u * ROWS_QUADS;
        var score_U = coop_mat16x16<f32, C>();
        for (var tile = 0u; tile < HEAD_TILES; tile++) {
            let query_U = coopLoadT<coop_mat16x16<f16, A>>(&q[queries + U * ROWS_QUADS + tile * TILE_QUADS], 4u);
            let key_tile = coopLoad<coop_mat16x16<f16, B>>(&k[keys + side * ROWS_QUADS + tile * TILE_QUADS], 4u);
            score_U = coopMultiplyAdd(query_U, key_tile, score_U);
        }
        // naga wants the operands of a store bound before, and the store in a block of its own.
        let scored_U = score_U;
        let score_place_U = &scores[(first_row + U * 16u) * SCORE_STRIDE + side * 16u];
        if p.group > 0u { coopStoreT(scored_U, score_place_U, stride); }
        workgroupBarrier();

        // Keys past the last are 0, and not seen.
        let key = vec4<u32>(band * 16u + half * 16u) + vec4<u32>(0u, 1u, 2u, 3u);
        let seen_W = key + W * 4u <= vec4<u32>(token);
        let own_W = select(vec4<f32>(LOWEST), quad(own + W * 4u) * scale, seen_W);
        let tops = max(max(own_0, own_1), max(own_2, own_3));
        let top = max(max(tops.x, tops.y), max(tops.z, tops.w));
        let largest = max(top, subgroupShuffleXor(top, 1u));
        let slot = band / 2u % 2u;
        var factor = 1.0;
        if largest > reference + MARGIN {
            factor = exp2(reference - largest);
            reference = largest;
            sum *= factor;
            // In the first band there is nothing to scale.
            passed[slot].x = band;
        }
        if lane == 0u { passed[1u - slot].x = 0u; }
        if half == 0u { factors[row] = factor; }
        let weight_W = exp2(own_W - reference);
        weights[own_weights + W] = vec4<f16>(weight_W);
        let sums = weight_0 + weight_1 + weight_2 + weight_3;
        sum += sums.x + sums.y + sums.z + sums.w;

        let has_passed = workgroupUniformLoad(&passed[slot]);
        if has_passed.x > 0u {
            let factor_U = factors[row_U];
            let sum_place = &scores[place];
            let old_U_H = mix_U_H;
            workgroupBarrier(); if p.group > 0u { coopStoreT(old_U_H, sum_place, stride); } workgroupBarrier(); scale_staged(staged, factor_U); workgroupBarrier(); mix_U_H = coopLoadT<coop_mat16x16<f32, C>>(sum_place, stride);
            workgroupBarrier();
        }
        for (var tile = 0u; tile < 2u; tile++) {
            let weight_tile_U = coopLoadT<coop_mat16x16<f16, A>>(&weights[(first_row + U * 16u) * WEIGHT_STRIDE + tile * 4u], WEIGHT_STRIDE);
            let value_H = coopLoadT<coop_mat16x16<f16, B>>(&v[keys + tile * ROWS_QUADS + tile_H * TILE_QUADS], 4u);
            mix_U_H = coopMultiplyAdd(weight_tile_U, value_H, mix_U_H);
        }
    }

    let total = sum + subgroupShuffleXor(sum, 1u);
    workgroupBarrier();
    if half == 0u { factors[row] = 1.0 / total; }
    workgroupBarrier();
    // Tiles go through workgroup memory, since the rows past the chunk's last belong to another document.
    let share_U = factors[row_U];
    let is_token_U = row_U < chunk.y;
    let is_channel_H = side * SIDE_TILES + H < HEAD_TILES;
    let out_U = ((chunk.x + row_U) * p.out_stride + group.y * HEAD_TILES * 16u + half * 8u) / 4u;
    let last_place = &scores[place];
    let value_U_H = mix_U_H;
    workgroupBarrier(); if p.group > 0u { coopStoreT(value_U_H, last_place, stride); } workgroupBarrier(); if is_token_U && is_channel_H { out[out_U + tile_H * 4u] = quad(staged) * share_U; out[out_U + tile_H * 4u + 1u] = quad(staged + 4u) * share_U; }
}
