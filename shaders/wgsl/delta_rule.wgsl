// The gated delta rule over each document, chunk by chunk, from a state S of zeros. With G the running
// sum of a chunk's decays, and the two matrices of each chunk that delta_chunk.wgsl found:
//
//     written = solution (V - diag(e^G) K S)
//     out     = diag(e^G) Q S / sqrt(key_dim) + reads written
//     S       = e^G[last] S + (diag(e^(G[last] - G)) K)ᵀ written
//
// Channels of the values do not depend on each other: a workgroup of 8 x 8 invocations takes 32 of one
// value head of one document and keeps their part of the state. An invocation computes 4 + 4 rows, 32
// apart, of a quad of channels.
//
// mixed is [tokens, mixed_stride] f32: queries [key_heads, key_dim], then keys, then values; decay is
// [tokens, gate_stride] f32, matrices is [tokens, matrix_stride] f32, a row being [value_heads, 2, 64],
// documents holds each document's first token and length, and out is [tokens, out_stride] f32, a row
// being [value_heads, value_dim]. key_dim is at most 128.

struct DeltaRule {
    key_dim: u32,
    value_dim: u32,
    // Value heads that share a key head: consecutive ones, or if 0 every key_heads-th.
    group: u32,
    key_heads: u32,
    first_document: u32,
    // Token of the first row of all buffers.
    first_token: u32,
    mixed_stride: u32,
    gate_stride: u32,
    matrix_stride: u32,
    out_stride: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: DeltaRule;
@group(0) @binding(1) var<storage, read> mixed: array<f32>;
@group(0) @binding(2) var<storage, read> decay: array<f32>;
@group(0) @binding(3) var<storage, read> matrices: array<f32>;
@group(0) @binding(4) var<storage, read> documents: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const STEP = 16u;
const TILE_QUADS = 16u;
const BLOCK = 32u;
const BLOCK_QUADS = 8u;
const STATE_QUADS = 1024u;

// [128 channels of the keys, 8 quads of channels of the values].
var<workgroup> state: array<vec4<f32>, 1024>;
// [64 tokens, 8 quads]: what the tokens would write, then what they do write.
var<workgroup> written: array<vec4<f32>, 512>;
// [STEP, 16 quads of rows]: a piece of the left factor.
var<workgroup> tile: array<vec4<f32>, 256>;

// Four sums for each of a lane's 4 + 4 rows.
struct Patch { low: mat4x4<f32>, high: mat4x4<f32> }

fn accumulate(sums: ptr<function, Patch>, low: vec4<f32>, high: vec4<f32>, right: vec4<f32>) {
    (*sums).low[0] = fma(vec4<f32>(low.x), right, (*sums).low[0]);
    (*sums).low[1] = fma(vec4<f32>(low.y), right, (*sums).low[1]);
    (*sums).low[2] = fma(vec4<f32>(low.z), right, (*sums).low[2]);
    (*sums).low[3] = fma(vec4<f32>(low.w), right, (*sums).low[3]);
    (*sums).high[0] = fma(vec4<f32>(high.x), right, (*sums).high[0]);
    (*sums).high[1] = fma(vec4<f32>(high.y), right, (*sums).high[1]);
    (*sums).high[2] = fma(vec4<f32>(high.z), right, (*sums).high[2]);
    (*sums).high[3] = fma(vec4<f32>(high.w), right, (*sums).high[3]);
}

// Channels c ..= c + 3 of a query or key that begins at column `start`; those past its last one as 0.
fn channels4(row: u32, start: u32, c: u32) -> vec4<f32> {
    if c >= p.key_dim {
        return vec4<f32>();
    }
    let i = row * p.mixed_stride + start + c;
    let value = vec4<f32>(mixed[i], mixed[i + 1u], mixed[i + 2u], mixed[i + 3u]);
    return select(vec4<f32>(), value, vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(p.key_dim));
}

fn matrix4(row: u32, column: u32) -> vec4<f32> {
    let i = row * p.matrix_stride + column;
    return vec4<f32>(matrices[i], matrices[i + 1u], matrices[i + 2u], matrices[i + 3u]);
}

fn store_tile(lane: u32, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) {
    let block = transpose(mat4x4<f32>(a, b, c, d));
    workgroupBarrier();
    for (var j = 0u; j < 4u; j++) {
        tile[(lane % 4u * 4u + j) * TILE_QUADS + lane / 4u] = block[j];
    }
    workgroupBarrier();
}

// sums += x · S for the queries or keys x that begin at column `start`.
fn add_by_state(sums: ptr<function, Patch>, first: u32, last: u32, start: u32, lane: u32) {
    let row = first + lane / 4u * 4u;
    for (var channel = 0u; channel < p.key_dim; channel += STEP) {
        let c = channel + lane % 4u * 4u;
        store_tile(lane,
            channels4(min(row, last), start, c), channels4(min(row + 1u, last), start, c),
            channels4(min(row + 2u, last), start, c), channels4(min(row + 3u, last), start, c));
        for (var i = 0u; i < STEP; i++) {
            accumulate(sums, tile[i * TILE_QUADS + lane / 8u], tile[i * TILE_QUADS + lane / 8u + 8u],
                state[(channel + i) * BLOCK_QUADS + lane % 8u]);
        }
    }
}

// sums += matrix · written for the matrix of the chunk that begins at column `start`.
fn add_by_written(sums: ptr<function, Patch>, first: u32, last: u32, start: u32, lane: u32) {
    let row = first + lane / 4u * 4u;
    for (var token = 0u; token < CHUNK; token += STEP) {
        let c = start + token + lane % 4u * 4u;
        store_tile(lane,
            matrix4(min(row, last), c), matrix4(min(row + 1u, last), c),
            matrix4(min(row + 2u, last), c), matrix4(min(row + 3u, last), c));
        for (var i = 0u; i < STEP; i++) {
            accumulate(sums, tile[i * TILE_QUADS + lane / 8u], tile[i * TILE_QUADS + lane / 8u + 8u],
                written[(token + i) * BLOCK_QUADS + lane % 8u]);
        }
    }
}

// sums += (diag(left) K)ᵀ · written for key channels from `channel` on, left being what is left of each
// token's write behind the chunk's last token.
fn add_by_keys(sums: ptr<function, Patch>, first: u32, last: u32, start: u32, channel: u32, lane: u32) {
    for (var token = 0u; token < CHUNK; token += STEP) {
        let own = token + lane / 4u;
        let row = min(first + own, last);
        let left = fade(row - first, last - first);
        workgroupBarrier();
        for (var j = 0u; j < 4u; j++) {
            let quad = lane % 4u + 4u * j;
            tile[lane / 4u * TILE_QUADS + quad] = left * channels4(row, start, channel + quad * 4u);
        }
        workgroupBarrier();
        for (var i = 0u; i < STEP; i++) {
            accumulate(sums, tile[i * TILE_QUADS + lane / 8u], tile[i * TILE_QUADS + lane / 8u + 8u],
                written[(token + i) * BLOCK_QUADS + lane % 8u]);
        }
    }
}

// Row i of a lane's 4 + 4, as a row of the chunk.
fn patch_row(lane: u32, i: u32) -> u32 {
    return lane / 8u * 4u + i % 4u + i / 4u * 32u;
}

fn row_of(sums: Patch, i: u32) -> vec4<f32> {
    var both = sums;
    if i < 4u {
        return both.low[i];
    }
    return both.high[i - 4u];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.y;
    let document = documents[p.first_document + group.z];
    let begin = document.x - p.first_token;
    let end = begin + document.y;
    let key_head = select(head % p.key_heads, head / max(p.group, 1u), p.group > 0u);
    let queries = key_head * p.key_dim;
    let keys = queries + p.key_heads * p.key_dim;
    let matrix = head * 2u * CHUNK;
    // This lane's channels of the value head, and those that exist.
    let c = group.x * BLOCK + lane % 8u * 4u;
    let exists = vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(p.value_dim);
    let values = 2u * p.key_heads * p.key_dim + head * p.value_dim + c;
    let place = head * p.value_dim + c;

    for (var i = lane; i < STATE_QUADS; i += 64u) {
        state[i] = vec4<f32>();
    }
    for (var first = begin; first < end; first += CHUNK) {
        let last = min(first + CHUNK, end) - 1u;
        let tokens = last - first + 1u;
        sum_decays(lane, select(0.0, decay[min(first + lane, last) * p.gate_stride + head], lane < tokens));

        var known: Patch;
        add_by_state(&known, first, last, keys, lane);
        for (var i = 0u; i < 8u; i++) {
            let row = patch_row(lane, i);
            let at = min(first + row, last) * p.mixed_stride + values;
            let value = vec4<f32>(mixed[at], mixed[at + 1u], mixed[at + 2u], mixed[at + 3u]);
            let news = value - fade_from_start(min(row, tokens - 1u)) * row_of(known, i);
            written[row * BLOCK_QUADS + lane % 8u] = select(vec4<f32>(), news, exists & vec4<bool>(row < tokens));
        }
        workgroupBarrier();

        var solved: Patch;
        add_by_written(&solved, first, last, matrix, lane);
        workgroupBarrier();
        for (var i = 0u; i < 8u; i++) {
            let row = patch_row(lane, i);
            let value = select(vec4<f32>(), row_of(solved, i), row < tokens);
            written[row * BLOCK_QUADS + lane % 8u] = value;
        }
        workgroupBarrier();

        var reads: Patch;
        add_by_state(&reads, first, last, queries, lane);
        for (var i = 0u; i < 4u; i++) {
            reads.low[i] *= p.scale * fade_from_start(min(patch_row(lane, i), tokens - 1u));
            reads.high[i] *= p.scale * fade_from_start(min(patch_row(lane, i + 4u), tokens - 1u));
        }
        add_by_written(&reads, first, last, matrix + CHUNK, lane);
        for (var i = 0u; i < 8u; i++) {
            let row = patch_row(lane, i);
            let value = row_of(reads, i);
            for (var j = 0u; j < 4u; j++) {
                if row < tokens && exists[j] {
                    out[(first + row) * p.out_stride + place + j] = value[j];
                }
            }
        }

        let keep = fade_from_start(tokens - 1u);
        for (var channel = 0u; channel < p.key_dim; channel += 64u) {
            var added: Patch;
            add_by_keys(&added, first, last, keys, channel, lane);
            for (var i = 0u; i < 8u; i++) {
                let at = (channel + patch_row(lane, i)) * BLOCK_QUADS + lane % 8u;
                state[at] = keep * state[at] + row_of(added, i);
            }
        }
        workgroupBarrier();
    }
}
