// What the delta rule needs of each chunk of up to 64 tokens by itself. With G the running sum of the
// decays and D[i][j] = e^(G[i] - G[j]) for j <= i, else 0:
//
//     solution = (I + strictly_lower(diag(beta) K Kᵀ ∘ D))⁻¹ diag(beta)
//     reads    = Q Kᵀ ∘ D / sqrt(key_dim)
//
// The inverse is found by forward substitution. One workgroup of 8 x 8 invocations per chunk and value
// head; an invocation computes a patch of 4 + 4 rows and 4 + 4 columns, 32 apart.
//
// mixed is [tokens, mixed_stride] f32: queries [key_heads, key_dim], then keys, then values; decay and
// beta are [tokens, gate_stride] f32, chunks holds each chunk's first token and length, and out is
// [tokens, 4 * out_stride] f32, a row being [value_heads, 2, 64].
//
// Sums are named, not indexed, and handed on by value: drivers keep what is indexed in a loop, or what a
// long function has a pointer to, in slow memory.

struct DeltaChunk {
    key_dim: u32,
    // Value heads that share a key head: consecutive ones, or if 0 every key_heads-th.
    group: u32,
    key_heads: u32,
    first_chunk: u32,
    // Token of the first row of all buffers.
    first_token: u32,
    mixed_stride: u32,
    gate_stride: u32,
    out_stride: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: DeltaChunk;
@group(0) @binding(2) var<storage, read> decay: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read> chunks: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

const STEP = 16u;
const TILE_QUADS = 16u;

// [STEP channels, 16 quads of tokens]: of queries or keys, and of keys.
var<workgroup> row_tile: array<vec4<f32>, 256>;
var<workgroup> key_tile: array<vec4<f32>, 256>;
// [64, 64]: the triangular matrix, replaced row by row by its inverse.
var<workgroup> square: array<f32, 4096>;
var<workgroup> betas: array<f32, 64>;

// Channels c ..= c + 3 of a head that begins at column `start`; those past its last one as 0.
fn load4(row: u32, start: u32, c: u32) -> vec4<f32> {
    if c >= p.key_dim {
        return vec4<f32>();
    }
    let value = mixed4(row * p.mixed_stride + start + c);
    return select(vec4<f32>(), value, vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(p.key_dim));
}

// The same of four tokens, transposed: quad j holds channel c + j. Rows past the last repeat it.
fn load_block(row: u32, last: u32, start: u32, c: u32) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(
        load4(min(row, last), start, c), load4(min(row + 1u, last), start, c),
        load4(min(row + 2u, last), start, c), load4(min(row + 3u, last), start, c)));
}

// Sums of four rows: the left quad of columns, and the right one.
struct Half {
    a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>,
    e: vec4<f32>, f: vec4<f32>, g: vec4<f32>, h: vec4<f32>,
}

fn accumulate(sums: ptr<function, Half>, rows: vec4<f32>, left: vec4<f32>, right: vec4<f32>) {
    (*sums).a = fma(vec4<f32>(rows.x), left, (*sums).a);
    (*sums).b = fma(vec4<f32>(rows.y), left, (*sums).b);
    (*sums).c = fma(vec4<f32>(rows.z), left, (*sums).c);
    (*sums).d = fma(vec4<f32>(rows.w), left, (*sums).d);
    (*sums).e = fma(vec4<f32>(rows.x), right, (*sums).e);
    (*sums).f = fma(vec4<f32>(rows.y), right, (*sums).f);
    (*sums).g = fma(vec4<f32>(rows.z), right, (*sums).g);
    (*sums).h = fma(vec4<f32>(rows.w), right, (*sums).h);
}

// Rows ty * 4 ..= ty * 4 + 3, and those 32 further on.
struct Patch { low: Half, high: Half }

// x · kᵀ for the queries or keys x that begin at column `start`.
fn multiply(first: u32, last: u32, start: u32, keys: u32, lane: u32) -> Patch {
    var low = Half();
    var high = Half();
    let tx = lane % 8u;
    let ty = lane / 8u;
    let load_quad = lane / 4u;
    let load_column = lane % 4u * 4u;
    let row = first + load_quad * 4u;
    // What comes next is loaded before the products, to hide its latency.
    var row_block = load_block(row, last, start, load_column);
    var key_block = load_block(row, last, keys, load_column);
    for (var channel = 0u; channel < p.key_dim; channel += STEP) {
        workgroupBarrier();
        let at = load_column * TILE_QUADS + load_quad;
        row_tile[at] = row_block[0];
        row_tile[at + TILE_QUADS] = row_block[1];
        row_tile[at + 2u * TILE_QUADS] = row_block[2];
        row_tile[at + 3u * TILE_QUADS] = row_block[3];
        key_tile[at] = key_block[0];
        key_tile[at + TILE_QUADS] = key_block[1];
        key_tile[at + 2u * TILE_QUADS] = key_block[2];
        key_tile[at + 3u * TILE_QUADS] = key_block[3];
        workgroupBarrier();
        row_block = load_block(row, last, start, channel + STEP + load_column);
        key_block = load_block(row, last, keys, channel + STEP + load_column);
        for (var line = 0u; line < STEP * TILE_QUADS; line += TILE_QUADS) {
            let left = key_tile[line + tx];
            let right = key_tile[line + tx + 8u];
            accumulate(&low, row_tile[line + ty], left, right);
            accumulate(&high, row_tile[line + ty + 8u], left, right);
        }
    }
    return Patch(low, high);
}

// What is left behind row `to` of what was there behind rows column ..= column + 3; 0 for later rows than
// row `to`, and for that row itself if `strictly`.
fn fade4(column: u32, to: u32, strictly: bool) -> vec4<f32> {
    let columns = vec4<u32>(column, column + 1u, column + 2u, column + 3u);
    let left = vec4<f32>(
        fade(min(column, to), to), fade(min(column + 1u, to), to),
        fade(min(column + 2u, to), to), fade(min(column + 3u, to), to));
    let earlier = (columns < vec4<u32>(to)) | ((columns == vec4<u32>(to)) & vec4<bool>(!strictly));
    return select(vec4<f32>(), left, earlier);
}

// Four entries of the triangular matrix without its diagonal of ones.
fn put_square4(row: u32, column: u32, products: vec4<f32>) {
    let entries = betas[row] * products * fade4(column, row, true);
    let at = row * CHUNK + column;
    square[at] = entries.x;
    square[at + 1u] = entries.y;
    square[at + 2u] = entries.z;
    square[at + 3u] = entries.w;
}

fn put_square(row: u32, tx: u32, sums: Half) {
    put_square4(row, tx * 4u, sums.a);
    put_square4(row + 1u, tx * 4u, sums.b);
    put_square4(row + 2u, tx * 4u, sums.c);
    put_square4(row + 3u, tx * 4u, sums.d);
    put_square4(row, tx * 4u + 32u, sums.e);
    put_square4(row + 1u, tx * 4u + 32u, sums.f);
    put_square4(row + 2u, tx * 4u + 32u, sums.g);
    put_square4(row + 3u, tx * 4u + 32u, sums.h);
}

// Four entries of the matrix of reads; `place` is the quad of out where the chunk's first row begins.
fn put_reads4(place: u32, tokens: u32, row: u32, column: u32, products: vec4<f32>) {
    if row < tokens {
        out[place + row * p.out_stride + column / 4u] = p.scale * products * fade4(column, row, false);
    }
}

fn put_reads(place: u32, tokens: u32, row: u32, tx: u32, sums: Half) {
    put_reads4(place, tokens, row, tx * 4u, sums.a);
    put_reads4(place, tokens, row + 1u, tx * 4u, sums.b);
    put_reads4(place, tokens, row + 2u, tx * 4u, sums.c);
    put_reads4(place, tokens, row + 3u, tx * 4u, sums.d);
    put_reads4(place, tokens, row, tx * 4u + 32u, sums.e);
    put_reads4(place, tokens, row + 1u, tx * 4u + 32u, sums.f);
    put_reads4(place, tokens, row + 2u, tx * 4u + 32u, sums.g);
    put_reads4(place, tokens, row + 3u, tx * 4u + 32u, sums.h);
}

// Replaces the triangular matrix by its inverse: a lane solves for its column, row by row. The entries of
// a row are taken four at a time; those from the row's own column on meet rows that are not solved yet,
// and are 0.
fn invert(lane: u32) {
    for (var row = 0u; row < CHUNK; row++) {
        var value = select(0.0, 1.0, row == lane);
        let entries = row * CHUNK;
        for (var k = 0u; k < row; k += 4u) {
            value = fma(-square[entries + k], square[k * CHUNK + lane], value);
            value = fma(-square[entries + k + 1u], square[(k + 1u) * CHUNK + lane], value);
            value = fma(-square[entries + k + 2u], square[(k + 2u) * CHUNK + lane], value);
            value = fma(-square[entries + k + 3u], square[(k + 3u) * CHUNK + lane], value);
        }
        workgroupBarrier();
        square[entries + lane] = value;
        workgroupBarrier();
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tx = lane % 8u;
    let ty = lane / 8u;
    let head = group.y;
    let chunk = chunks[p.first_chunk + group.x];
    let first = chunk.x - p.first_token;
    let last = first + chunk.y - 1u;
    let key_head = select(head % p.key_heads, head / max(p.group, 1u), p.group > 0u);
    let queries = key_head * p.key_dim;
    let keys = queries + p.key_heads * p.key_dim;

    let is_token = lane < chunk.y;
    let gate = min(first + lane, last) * p.gate_stride + head;
    betas[lane] = select(0.0, beta[gate], is_token);
    sum_decays(lane, select(0.0, decay[gate], is_token));

    let overlaps = multiply(first, last, keys, keys, lane);
    put_square(ty * 4u, tx, overlaps.low);
    put_square(ty * 4u + 32u, tx, overlaps.high);
    workgroupBarrier();
    invert(lane);
    let place = first * p.out_stride + head * 2u * CHUNK / 4u;
    for (var i = lane; i < chunk.y * TILE_QUADS; i += 64u) {
        let c = i % TILE_QUADS * 4u;
        let at = i / TILE_QUADS * CHUNK + c;
        let inverse = vec4<f32>(square[at], square[at + 1u], square[at + 2u], square[at + 3u]);
        out[place + i / TILE_QUADS * p.out_stride + c / 4u] =
            inverse * vec4<f32>(betas[c], betas[c + 1u], betas[c + 2u], betas[c + 3u]);
    }

    let reads = multiply(first, last, queries, keys, lane);
    put_reads(place + CHUNK / 4u, chunk.y, ty * 4u, tx, reads.low);
    put_reads(place + CHUNK / 4u, chunk.y, ty * 4u + 32u, tx, reads.high);
}
