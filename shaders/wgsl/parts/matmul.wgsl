// What matmul.wgsl and matmul_f16.wgsl share: their arguments, and what they read and write. x is
// [tokens, 4 * x_stride] f32 of which `columns` count; out is [tokens, 4 * out_stride] f32.

struct Matmul {
    tokens: u32,
    columns: u32,
    x_stride: u32,
    // Rows first_row .. first_row + rows of the weights in group 1.
    first_row: u32,
    rows: u32,
    // Quad of out where those rows begin.
    out_quad: u32,
    out_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Matmul;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

// TILE is how many tokens, and rows of weights, a workgroup takes.
const TILE_QUADS = TILE / 4u;
const STEP = 16u;

// Columns k ..= k + 3 of one token; 0 past the last column, where the buffer's padding is.
fn load4(token: u32, k: u32) -> vec4<f32> {
    if k >= p.columns {
        return vec4<f32>();
    }
    let columns = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
    let value = x[min(token, p.tokens - 1u) * p.x_stride + k / 4u];
    return select(vec4<f32>(), value, columns < vec4<u32>(p.columns));
}

// The same of four tokens, transposed: quad j holds column k + j.
fn load_block(token: u32, k: u32) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(
        load4(token, k), load4(token + 1u, k), load4(token + 2u, k), load4(token + 3u, k)));
}

fn decode_block(places: vec4<u32>, k: u32) -> mat4x4<f32> {
    if k >= p.columns {
        return mat4x4<f32>();
    }
    return transpose(mat4x4<f32>(
        decode4(places.x, k), decode4(places.y, k), decode4(places.z, k), decode4(places.w, k)));
}

fn place_of(row: u32) -> u32 {
    return locate(p.first_row + min(row, p.rows - 1u));
}

fn store4(token: u32, row: u32, value: vec4<f32>) {
    if token < p.tokens && row < p.rows {
        out[token * p.out_stride + p.out_quad + row / 4u] = value;
    }
}
