// out = x · wᵀ for one part of w's rows through cooperative matrices: f16 factors, f32 sums. A
// workgroup of two subgroups of 32 computes 128 tokens x 64 rows, a subgroup 64 x 64 of them as
// 4 x 4 matrices of 16 x 16. Each invocation brings one row's next 64 columns into workgroup
// memory, where both subgroups take them from; x comes straight from the tiles of to_f16.wgsl.
//
// x is [tokens / 16, x_stride, 16, 16] f16, tokens rounded up; out is [tokens, 4 * out_stride] f32,
// and what it holds past the last token and row, up to the next multiple of 16, is overwritten.
//
// A line with I or J stands for four, with 0 to 3 in its place; a line with both for sixteen. A workgroup
// takes TILE_TOKENS x TILE_ROWS, and reads whole COLUMN_BLOCKs of columns.

struct Matmul {
    tokens: u32,
    columns: u32,
    // Tiles from 16 tokens to the next 16.
    x_stride: u32,
    // Rows first_row .. first_row + rows of the weights.
    first_row: u32,
    rows: u32,
    // Quad of out where those rows begin.
    out_quad: u32,
    out_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Matmul;
@group(0) @binding(1) var<storage, read> x: array<vec4<f16>>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const TILE_QUADS = 64u;
// [64 rows, 64 columns] f16 in quads: the factors of the next products. Two quads between rows keep
// neighbouring rows out of each other's memory banks.
const W_STRIDE = 18u;
var<workgroup> w_tile: array<vec4<f16>, 1152>;

// Blocks of tokens that take the same rows one after the other, so that these stay in the cache.
const BAND = 8u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    let index = group.y * groups.x + group.x;
    let band = index / (BAND * groups.x);
    let band_height = min(BAND, groups.y - band * BAND);
    let within = index - band * BAND * groups.x;
    let token = (band * BAND + within % band_height) * TILE_TOKENS + subgroup * 64u;
    let row = within / band_height * TILE_ROWS;

    // Past the last row or tile, the last one is read again and its products are stored nowhere.
    let place = locate(p.first_row + min(row + lane, p.rows - 1u));
    let last_tile = (p.tokens - 1u) / 16u;
    let x_start_I = min(token / 16u + I, last_tile) * p.x_stride * TILE_QUADS;
    let last_k = (p.columns - 1u) / COLUMN_BLOCK * COLUMN_BLOCK;

    var sum_I_J = coop_mat16x16<f32, C>();
    var held = hold(place, 0u);
    // The two halves of a block stand one after the other: a loop over them takes a seventh longer.
    for (var k = 0u; k <= last_k; k += COLUMN_BLOCK) {
        stage(lane * W_STRIDE, place, k, 0u, held);
        workgroupBarrier();
        for (var tile = 0u; tile < 4u; tile++) {
            let x_tile = (k / 16u + tile) * TILE_QUADS;
            let w_J = coopLoad<coop_mat16x16<f16, B>>(&w_tile[J * 16u * W_STRIDE + tile * 4u], W_STRIDE);
            let x_I = coopLoadT<coop_mat16x16<f16, A>>(&x[x_start_I + x_tile], 4u);
            sum_I_J = coopMultiplyAdd(x_I, w_J, sum_I_J);
        }
        workgroupBarrier();
        stage(lane * W_STRIDE, place, k + 64u, 1u, held);
        workgroupBarrier();
        held = hold(place, min(k + COLUMN_BLOCK, last_k));
        for (var tile = 4u; tile < 8u; tile++) {
            let x_tile = (k / 16u + tile) * TILE_QUADS;
            let w_J = coopLoad<coop_mat16x16<f16, B>>(&w_tile[J * 16u * W_STRIDE + (tile - 4u) * 4u], W_STRIDE);
            let x_I = coopLoadT<coop_mat16x16<f16, A>>(&x[x_start_I + x_tile], 4u);
            sum_I_J = coopMultiplyAdd(x_I, w_J, sum_I_J);
        }
        workgroupBarrier();
    }

    let stride = p.out_stride * 4u;
    let out_start = token * stride + p.out_quad * 4u + row;
    // naga wants the operands of a store bound before, and the store in a block of its own.
    let value_I_J = sum_I_J;
    let place_I_J = &out[out_start + I * 16u * stride + J * 16u];
    if token + I * 16u < p.tokens && row + J * 16u < p.rows { coopStoreT(value_I_J, place_I_J, stride); }
}
