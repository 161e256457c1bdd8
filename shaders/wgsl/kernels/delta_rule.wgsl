// The gated delta rule over each document, chunk by chunk, from a state S of zeros. With G the running
// sum of a chunk's decays, and the two matrices of each chunk that delta_chunk.wgsl found:
//
//     written = solution (V - diag(e^G) K S)
//     out     = diag(e^G) Q S / sqrt(key_dim) + reads written
//     S       = e^G[last] S + (diag(e^(G[last] - G)) K)ᵀ written
//
// Channels of the values do not depend on each other: a workgroup of 8 x 16 invocations takes 32 of one
// value head of one document and keeps their part of the state. An invocation computes four rows of a
// quad of channels.
//
// mixed is [tokens, mixed_stride] f32: queries [key_heads, key_dim], then keys, then values; decay is
// [tokens, gate_stride] f32, matrices is [tokens, 4 * matrix_stride] f32, a row being [value_heads, 2, 64],
// documents holds each document's first token and length, and out is [tokens, out_stride] f32, a row
// being [value_heads, value_dim].
//
// Sums are named, not indexed, and handed on by value: drivers keep what is indexed in a loop, or what a
// long function has a pointer to, in slow memory.

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
@group(0) @binding(2) var<storage, read> decay: array<f32>;
@group(0) @binding(3) var<storage, read> matrices: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> documents: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const STEP = 16u;
const TILE_QUADS = 16u;
// BLOCK is how many channels of the values a workgroup takes, MAX_KEY_DIM how many a key may have.
const BLOCK_QUADS = BLOCK / 4u;
const STATE_QUADS = MAX_KEY_DIM * BLOCK_QUADS;
const LANES = 128u;
// Lanes that bring a piece of the left factor to the tile.
const LOADING = 64u;

// [channels of the keys, 8 quads of channels of the values].
var<workgroup> state: array<vec4<f32>, STATE_QUADS>;
// [64 tokens, 8 quads]: what the tokens would write, then what they do write.
var<workgroup> written: array<vec4<f32>, 512>;
// [STEP, 16 quads of rows]: a piece of the left factor.
var<workgroup> tile: array<vec4<f32>, 256>;

// Four sums for each of a lane's four rows.
struct Patch { a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32> }

// Adds the products of line i of the tile and a quad of the right factor.
fn accumulate(sums: ptr<function, Patch>, i: u32, lane: u32, right: vec4<f32>) {
    let rows = tile[i * TILE_QUADS + lane / 8u];
    (*sums).a = fma(vec4<f32>(rows.x), right, (*sums).a);
    (*sums).b = fma(vec4<f32>(rows.y), right, (*sums).b);
    (*sums).c = fma(vec4<f32>(rows.z), right, (*sums).c);
    (*sums).d = fma(vec4<f32>(rows.w), right, (*sums).d);
}

// Channels c ..= c + 3 of a query or key that begins at column `start`; those past its last one as 0.
fn channels4(row: u32, start: u32, c: u32) -> vec4<f32> {
    if c >= p.key_dim {
        return vec4<f32>();
    }
    let value = mixed4(row * p.mixed_stride + start + c);
    return select(vec4<f32>(), value, vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(p.key_dim));
}

// The same of four tokens; rows past the last repeat it.
fn rows4(lane: u32, row: u32, last: u32, start: u32, c: u32) -> mat4x4<f32> {
    if lane >= LOADING {
        return mat4x4<f32>();
    }
    return mat4x4<f32>(
        channels4(min(row, last), start, c), channels4(min(row + 1u, last), start, c),
        channels4(min(row + 2u, last), start, c), channels4(min(row + 3u, last), start, c));
}

// Four rows of the matrix of the chunk, a quad of columns each; past its last column whatever is there.
fn matrix4(lane: u32, row: u32, last: u32, c: u32) -> mat4x4<f32> {
    if lane >= LOADING {
        return mat4x4<f32>();
    }
    return mat4x4<f32>(
        matrices[min(row, last) * p.matrix_stride + c], matrices[min(row + 1u, last) * p.matrix_stride + c],
        matrices[min(row + 2u, last) * p.matrix_stride + c], matrices[min(row + 3u, last) * p.matrix_stride + c]);
}

// Brings four columns of four rows to the tile. What comes after them is loaded before they are multiplied,
// to hide its latency.
fn store_tile(lane: u32, rows: mat4x4<f32>) {
    let block = transpose(rows);
    let at = lane % 4u * 4u * TILE_QUADS + lane / 4u;
    workgroupBarrier();
    if lane < LOADING {
        tile[at] = block[0];
        tile[at + TILE_QUADS] = block[1];
        tile[at + 2u * TILE_QUADS] = block[2];
        tile[at + 3u * TILE_QUADS] = block[3];
    }
    workgroupBarrier();
}

// x · S for the queries or keys x that begin at column `start`.
fn by_state(first: u32, last: u32, start: u32, lane: u32) -> Patch {
    var sums = Patch();
    let row = first + lane / 4u * 4u;
    let c = lane % 4u * 4u;
    var next = rows4(lane, row, last, start, c);
    for (var channel = 0u; channel < p.key_dim; channel += STEP) {
        store_tile(lane, next);
        next = rows4(lane, row, last, start, channel + STEP + c);
        let right = channel * BLOCK_QUADS + lane % 8u;
        for (var i = 0u; i < STEP; i += 4u) {
            accumulate(&sums, i, lane, state[right + i * BLOCK_QUADS]);
            accumulate(&sums, i + 1u, lane, state[right + (i + 1u) * BLOCK_QUADS]);
            accumulate(&sums, i + 2u, lane, state[right + (i + 2u) * BLOCK_QUADS]);
            accumulate(&sums, i + 3u, lane, state[right + (i + 3u) * BLOCK_QUADS]);
        }
    }
    return sums;
}

// before + matrix · written for the matrix of the chunk that begins at quad `start`.
fn add_by_written(before: Patch, first: u32, last: u32, start: u32, lane: u32) -> Patch {
    var sums = before;
    let row = first + lane / 4u * 4u;
    let c = start + lane % 4u;
    var next = matrix4(lane, row, last, c);
    for (var token = 0u; token < CHUNK; token += STEP) {
        store_tile(lane, next);
        next = matrix4(lane, row, last, c + (token + STEP) / 4u);
        let right = token * BLOCK_QUADS + lane % 8u;
        for (var i = 0u; i < STEP; i += 4u) {
            accumulate(&sums, i, lane, written[right + i * BLOCK_QUADS]);
            accumulate(&sums, i + 1u, lane, written[right + (i + 1u) * BLOCK_QUADS]);
            accumulate(&sums, i + 2u, lane, written[right + (i + 2u) * BLOCK_QUADS]);
            accumulate(&sums, i + 3u, lane, written[right + (i + 3u) * BLOCK_QUADS]);
        }
    }
    return sums;
}

// Channels of a token's key, 32 apart, times what is left of the token's write behind the last one's.
fn faded_key(first: u32, last: u32, token: u32, start: u32, c: u32) -> mat2x4<f32> {
    let row = min(first + token, last);
    let left = fade(row - first, last - first);
    return left * mat2x4<f32>(channels4(row, start, c), channels4(row, start, c + 32u));
}

// (diag(left) K)ᵀ · written for key channels from `channel` on, left being what is left of each
// token's write behind the chunk's last token.
fn by_keys(first: u32, last: u32, start: u32, channel: u32, lane: u32) -> Patch {
    var sums = Patch();
    let quad = lane % 8u;
    let at = lane / 8u * TILE_QUADS + quad;
    var next = faded_key(first, last, lane / 8u, start, channel + quad * 4u);
    for (var token = 0u; token < CHUNK; token += STEP) {
        workgroupBarrier();
        tile[at] = next[0];
        tile[at + 8u] = next[1];
        workgroupBarrier();
        next = faded_key(first, last, token + STEP + lane / 8u, start, channel + quad * 4u);
        let right = token * BLOCK_QUADS + lane % 8u;
        for (var i = 0u; i < STEP; i += 4u) {
            accumulate(&sums, i, lane, written[right + i * BLOCK_QUADS]);
            accumulate(&sums, i + 1u, lane, written[right + (i + 1u) * BLOCK_QUADS]);
            accumulate(&sums, i + 2u, lane, written[right + (i + 2u) * BLOCK_QUADS]);
            accumulate(&sums, i + 3u, lane, written[right + (i + 3u) * BLOCK_QUADS]);
        }
    }
    return sums;
}

// A chunk, and what a lane does in it.
struct Work {
    // Rows of its first and last token.
    first: u32,
    last: u32,
    // The lane's first row within the chunk, and its channels of the value head.
    row: u32,
    quad: u32,
    // Where those channels begin in a row of mixed and of out, and which of them exist.
    values: u32,
    place: u32,
    exists: vec4<bool>,
}

// What a token would write: its value less what the state knows of it.
fn put_news(work: Work, row: u32, known: vec4<f32>) {
    let tokens = work.last - work.first + 1u;
    let value = mixed4(min(work.first + row, work.last) * p.mixed_stride + work.values);
    let news = value - fade_from_start(min(row, tokens - 1u)) * known;
    written[row * BLOCK_QUADS + work.quad] = select(vec4<f32>(), news, work.exists & vec4<bool>(row < tokens));
}

fn put_written(work: Work, row: u32, value: vec4<f32>) {
    let is_token = work.first + row <= work.last;
    written[row * BLOCK_QUADS + work.quad] = select(vec4<f32>(), value, is_token);
}

fn put_out(work: Work, row: u32, value: vec4<f32>) {
    if work.first + row > work.last {
        return;
    }
    let at = (work.first + row) * p.out_stride + work.place;
    if work.exists.x { out[at] = value.x; }
    if work.exists.y { out[at + 1u] = value.y; }
    if work.exists.z { out[at + 2u] = value.z; }
    if work.exists.w { out[at + 3u] = value.w; }
}

fn put_state(work: Work, row: u32, keep: f32, added: vec4<f32>) {
    let at = row * BLOCK_QUADS + work.quad;
    state[at] = keep * state[at] + added;
}

// How much of what a row reads from the state before the chunk is left.
fn read_scale(work: Work, row: u32) -> f32 {
    return p.scale * fade_from_start(min(row, work.last - work.first));
}

// One chunk: what its tokens write, what they read, and the state behind it.
fn run(work: Work, keys: u32, queries: u32, matrix: u32, lane: u32) {
    let row = work.row;
    let known = by_state(work.first, work.last, keys, lane);
    put_news(work, row, known.a);
    put_news(work, row + 1u, known.b);
    put_news(work, row + 2u, known.c);
    put_news(work, row + 3u, known.d);
    workgroupBarrier();

    let solved = add_by_written(Patch(), work.first, work.last, matrix, lane);
    workgroupBarrier();
    put_written(work, row, solved.a);
    put_written(work, row + 1u, solved.b);
    put_written(work, row + 2u, solved.c);
    put_written(work, row + 3u, solved.d);
    workgroupBarrier();

    var reads = by_state(work.first, work.last, queries, lane);
    reads.a *= read_scale(work, row);
    reads.b *= read_scale(work, row + 1u);
    reads.c *= read_scale(work, row + 2u);
    reads.d *= read_scale(work, row + 3u);
    reads = add_by_written(reads, work.first, work.last, matrix + CHUNK / 4u, lane);
    put_out(work, row, reads.a);
    put_out(work, row + 1u, reads.b);
    put_out(work, row + 2u, reads.c);
    put_out(work, row + 3u, reads.d);

    let keep = fade_from_start(work.last - work.first);
    for (var channel = 0u; channel < p.key_dim; channel += 64u) {
        let added = by_keys(work.first, work.last, keys, channel, lane);
        put_state(work, channel + row, keep, added.a);
        put_state(work, channel + row + 1u, keep, added.b);
        put_state(work, channel + row + 2u, keep, added.c);
        put_state(work, channel + row + 3u, keep, added.d);
    }
    workgroupBarrier();
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.y;
    let document = documents[p.first_document + group.z];
    let begin = document.x - p.first_token;
    let end = begin + document.y;
    let key_head = select(head % p.key_heads, head / max(p.group, 1u), p.group > 0u);
    let queries = key_head * p.key_dim;
    let keys = queries + p.key_heads * p.key_dim;
    let c = group.x * BLOCK + lane % 8u * 4u;

    var work = Work();
    work.row = lane / 8u * 4u;
    work.quad = lane % 8u;
    work.values = 2u * p.key_heads * p.key_dim + head * p.value_dim + c;
    work.place = head * p.value_dim + c;
    work.exists = vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(p.value_dim);

    for (var i = lane; i < STATE_QUADS; i += LANES) {
        state[i] = vec4<f32>();
    }
    for (var first = begin; first < end; first += CHUNK) {
        work.first = first;
        work.last = min(first + CHUNK, end) - 1u;
        let gate = decay[min(first + lane, work.last) * p.gate_stride + head];
        sum_decays(lane, select(0.0, gate, first + lane <= work.last));
        run(work, keys, queries, head * 2u * CHUNK / 4u, lane);
    }
}
