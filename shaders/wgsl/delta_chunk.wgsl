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
// [tokens, out_stride] f32, a row being [value_heads, 2, 64].

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
@group(0) @binding(1) var<storage, read> mixed: array<f32>;
@group(0) @binding(2) var<storage, read> decay: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read> chunks: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

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
    let i = row * p.mixed_stride + start + c;
    let value = vec4<f32>(mixed[i], mixed[i + 1u], mixed[i + 2u], mixed[i + 3u]);
    return select(vec4<f32>(), value, vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(p.key_dim));
}

// The same of four tokens, transposed: quad j holds channel c + j. Rows past the last repeat it.
fn load_block(row: u32, last: u32, start: u32, c: u32) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(
        load4(min(row, last), start, c), load4(min(row + 1u, last), start, c),
        load4(min(row + 2u, last), start, c), load4(min(row + 3u, last), start, c)));
}

// Row i of the patch's 8 rows, as a row of the chunk.
fn patch_row(ty: u32, i: u32) -> u32 {
    return ty * 4u + i % 4u + i / 4u * 32u;
}

// x · kᵀ for the queries or keys x that begin at column `start`: [8 rows, 2 quads of columns].
fn multiply(first: u32, last: u32, start: u32, keys: u32, lane: u32) -> array<vec4<f32>, 16> {
    let tx = lane % 8u;
    let ty = lane / 8u;
    let load_quad = lane / 4u;
    let load_column = lane % 4u * 4u;
    var sums: array<vec4<f32>, 16>;
    for (var channel = 0u; channel < p.key_dim; channel += STEP) {
        let row = first + load_quad * 4u;
        let row_block = load_block(row, last, start, channel + load_column);
        let key_block = load_block(row, last, keys, channel + load_column);
        workgroupBarrier();
        for (var j = 0u; j < 4u; j++) {
            row_tile[(load_column + j) * TILE_QUADS + load_quad] = row_block[j];
            key_tile[(load_column + j) * TILE_QUADS + load_quad] = key_block[j];
        }
        workgroupBarrier();
        for (var line = 0u; line < STEP * TILE_QUADS; line += TILE_QUADS) {
            let low = row_tile[line + ty];
            let high = row_tile[line + ty + 8u];
            let left = key_tile[line + tx];
            let right = key_tile[line + tx + 8u];
            for (var i = 0u; i < 4u; i++) {
                sums[2u * i] = fma(vec4<f32>(low[i]), left, sums[2u * i]);
                sums[2u * i + 1u] = fma(vec4<f32>(low[i]), right, sums[2u * i + 1u]);
                sums[2u * i + 8u] = fma(vec4<f32>(high[i]), left, sums[2u * i + 8u]);
                sums[2u * i + 9u] = fma(vec4<f32>(high[i]), right, sums[2u * i + 9u]);
            }
        }
    }
    return sums;
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

    // The triangular matrix without its diagonal of ones.
    var sums = multiply(first, last, keys, keys, lane);
    for (var i = 0u; i < 8u; i++) {
        let row = patch_row(ty, i);
        for (var j = 0u; j < 8u; j++) {
            let column = patch_row(tx, j);
            let value = betas[row] * sums[2u * i + j / 4u][j % 4u];
            var entry = 0.0;
            if column < row {
                entry = value * fade(column, row);
            }
            square[row * CHUNK + column] = entry;
        }
    }
    workgroupBarrier();

    // Forward substitution: a lane solves for its column of the inverse.
    for (var row = 0u; row < CHUNK; row++) {
        var value = select(0.0, 1.0, row == lane);
        for (var k = 0u; k < row; k++) {
            value = fma(-square[row * CHUNK + k], square[k * CHUNK + lane], value);
        }
        workgroupBarrier();
        square[row * CHUNK + lane] = value;
        workgroupBarrier();
    }
    let place = head * 2u * CHUNK;
    for (var row = 0u; row < chunk.y; row++) {
        out[(first + row) * p.out_stride + place + lane] = square[row * CHUNK + lane] * betas[lane];
    }

    sums = multiply(first, last, queries, keys, lane);
    for (var i = 0u; i < 8u; i++) {
        let row = patch_row(ty, i);
        for (var j = 0u; j < 8u; j++) {
            let column = patch_row(tx, j);
            if row < chunk.y {
                var read = 0.0;
                if column <= row {
                    read = p.scale * sums[2u * i + j / 4u][j % 4u] * fade(column, row);
                }
                out[(first + row) * p.out_stride + place + CHUNK + column] = read;
            }
        }
    }
}
