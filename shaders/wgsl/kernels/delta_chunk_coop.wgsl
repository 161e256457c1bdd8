// What the delta rule needs of each chunk of up to 64 tokens by itself, through cooperative matrices: f16
// factors, f32 sums and an f32 inverse. The formulas are those of delta_chunk.wgsl. One workgroup of four
// subgroups of 32 per chunk and value head; a subgroup multiplies 16 rows.
//
// tiles is what chunk_tiles.wgsl leaves; decay and beta are [tokens, gate_stride] f32, chunks holds each chunk's
// first token and length. matrices is [chunks, value_heads, 2, 4, 4, 16, 16] f16: solution, then reads, as tiles;
// what is past the last token is 0. fades is [chunks, value_heads, 64] pairs of f32: what is left behind each
// token of what was there before the chunk, and behind the chunk of what the token wrote.
//
// A line with J stands for four, with 0 to 3 in its place: a tile of columns each.

struct DeltaChunkCoop {
    // Value heads that share a key head: consecutive ones, or if 0 every key_heads-th.
    group: u32,
    key_heads: u32,
    first_chunk: u32,
    // Token of the first row of decay and beta.
    first_token: u32,
    gate_stride: u32,
    // Quads, quads and pairs from one chunk to the next.
    tile_stride: u32,
    matrix_stride: u32,
    fade_stride: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: DeltaChunkCoop;
@group(0) @binding(1) var<storage, read> tiles: array<vec4<f16>>;
@group(0) @binding(2) var<storage, read> decay: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read> chunks: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> matrices: array<vec4<f16>>;
@group(0) @binding(6) var<storage, read_write> fades: array<vec2<f32>>;

const LANES = 128u;
const TILE_QUADS = 64u;
const HEAD_QUADS = 4u * KEY_TILES * TILE_QUADS;
const MATRIX_QUADS = 16u * TILE_QUADS;
// Quads of a row, padded against bank conflicts.
const ROW = 17u;

// [64, 64]: the triangular matrix without its diagonal of ones.
var<workgroup> square: array<vec4<f32>, 1088>;
// [64, 64]: products of queries and keys, then the inverse.
var<workgroup> inverse: array<vec4<f32>, 1088>;
var<workgroup> betas: array<f32, 64>;

// What is left behind row `to` of what was there behind rows column ..= column + 3; 0 for later rows.
fn fade4(column: u32, to: u32) -> vec4<f32> {
    if column > to {
        return vec4<f32>();
    }
    let columns = vec4<u32>(column, column + 1u, column + 2u, column + 3u);
    let left = vec4<f32>(
        fade(column, to), fade(min(column + 1u, to), to),
        fade(min(column + 2u, to), to), fade(min(column + 3u, to), to));
    return select(vec4<f32>(), left, columns <= vec4<u32>(to));
}

// Quad of a matrix where columns c ..= c + 3 of a row lie in its tiles.
fn tile_quad(row: u32, c: u32) -> u32 {
    return (row / 16u * 4u + c / 16u) * TILE_QUADS + row % 16u * 4u + c % 16u / 4u;
}

// Column `lane` of the inverse within the 16 x 16 block on the diagonal that it crosses, row by row.
fn invert_block(lane: u32) {
    let block = lane / 16u * 16u;
    for (var row = block; row < block + 16u; row++) {
        var sums = vec4<f32>(select(0.0, 1.0, row == lane), 0.0, 0.0, 0.0);
        // Those from the row's own column on are 0.
        for (var k = block; k < row; k += 4u) {
            let at = k * ROW + lane / 4u;
            let column = vec4<f32>(
                inverse[at][lane % 4u], inverse[at + ROW][lane % 4u],
                inverse[at + 2u * ROW][lane % 4u], inverse[at + 3u * ROW][lane % 4u]);
            sums = fma(-square[row * ROW + k / 4u], column, sums);
        }
        inverse[row * ROW + lane / 4u][lane % 4u] = (sums.x + sums.y) + (sums.z + sums.w);
    }
}

// Columns of quad c, times the entries of a row from column `start` to before column `end`: of the triangular matrix
// and the rows of the inverse, or of the inverse and what stands for these rows in it.
fn by_square(row: u32, c: u32, start: u32, end: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var k = start; k < end; k += 4u) {
        let entries = square[row * ROW + k / 4u];
        sum = fma(vec4<f32>(entries.x), inverse[k * ROW + c], sum);
        sum = fma(vec4<f32>(entries.y), inverse[(k + 1u) * ROW + c], sum);
        sum = fma(vec4<f32>(entries.z), inverse[(k + 2u) * ROW + c], sum);
        sum = fma(vec4<f32>(entries.w), inverse[(k + 3u) * ROW + c], sum);
    }
    return sum;
}

fn by_block(row: u32, c: u32, block: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var k = block; k < block + 16u; k += 4u) {
        let entries = inverse[row * ROW + k / 4u];
        sum = fma(vec4<f32>(entries.x), inverse[k * ROW + c], sum);
        sum = fma(vec4<f32>(entries.y), inverse[(k + 1u) * ROW + c], sum);
        sum = fma(vec4<f32>(entries.z), inverse[(k + 2u) * ROW + c], sum);
        sum = fma(vec4<f32>(entries.w), inverse[(k + 3u) * ROW + c], sum);
    }
    return sum;
}

// The inverse of the triangular matrix, by blocks of 16 rows: those on the diagonal by themselves, then what is left
// of them, X[i][j] = -X[i][i] sum(L[i][k] X[k][j]) for k from j to i - 1. A lane takes up to two quads of a row.
fn invert(lane: u32) {
    if lane < CHUNK {
        invert_block(lane);
    }
    workgroupBarrier();
    for (var block = 16u; block < CHUNK; block += 16u) {
        let row = block + lane / 8u;
        let near = lane % 8u;
        let far = near + 8u;
        let has_near = near < block / 4u;
        let has_far = far < block / 4u;
        if has_near { inverse[row * ROW + near] = by_square(row, near, near / 4u * 16u, block); }
        if has_far { inverse[row * ROW + far] = by_square(row, far, far / 4u * 16u, block); }
        workgroupBarrier();
        var near_sum = vec4<f32>();
        var far_sum = vec4<f32>();
        if has_near { near_sum = by_block(row, near, block); }
        if has_far { far_sum = by_block(row, far, block); }
        workgroupBarrier();
        if has_near { inverse[row * ROW + near] = -near_sum; }
        if has_far { inverse[row * ROW + far] = -far_sum; }
        workgroupBarrier();
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    let head = group.y;
    let chunk = chunks[p.first_chunk + group.x];
    let first = chunk.x - p.first_token;
    let last = chunk.y - 1u;
    let key_head = select(head % p.key_heads, head / max(p.group, 1u), p.group > 0u);
    let queries = group.x * p.tile_stride + key_head * HEAD_QUADS;
    let keys = queries + p.key_heads * HEAD_QUADS;

    let is_token = lane <= last;
    let gate = (first + min(lane, last)) * p.gate_stride + head;
    if lane < CHUNK {
        betas[lane] = select(0.0, beta[gate], is_token);
    }
    sum_decays(lane, select(0.0, decay[gate], is_token));
    if lane < CHUNK {
        let to_end = select(0.0, fade(lane, last), is_token);
        fades[group.x * p.fade_stride + head * CHUNK + lane] = vec2<f32>(fade_from_start(min(lane, last)), to_end);
    }

    var overlap_J = coop_mat16x16<f32, C>();
    var read_J = coop_mat16x16<f32, C>();
    for (var tile = 0u; tile < KEY_TILES; tile++) {
        let own = (subgroup * KEY_TILES + tile) * TILE_QUADS;
        let key = coopLoadT<coop_mat16x16<f16, A>>(&tiles[keys + own], 4u);
        let query = coopLoadT<coop_mat16x16<f16, A>>(&tiles[queries + own], 4u);
        let other_J = coopLoad<coop_mat16x16<f16, B>>(&tiles[keys + (J * KEY_TILES + tile) * TILE_QUADS], 4u);
        overlap_J = coopMultiplyAdd(key, other_J, overlap_J);
        read_J = coopMultiplyAdd(query, other_J, read_J);
    }
    // naga wants the operands of a store bound before, and the store in a block of its own.
    let overlaps_J = overlap_J;
    let reads_J = read_J;
    let overlap_place_J = &square[subgroup * 16u * ROW + J * 4u];
    let read_place_J = &inverse[subgroup * 16u * ROW + J * 4u];
    let stride = ROW;
    if p.key_heads > 0u {
        coopStoreT(overlaps_J, overlap_place_J, stride);
        coopStoreT(reads_J, read_place_J, stride);
    }
    workgroupBarrier();

    let place = group.x * p.matrix_stride + head * 2u * MATRIX_QUADS;
    for (var i = lane; i < MATRIX_QUADS; i += LANES) {
        let row = i / 16u;
        let c = i % 16u * 4u;
        let at = row * ROW + c / 4u;
        let left = fade4(c, row);
        matrices[place + MATRIX_QUADS + tile_quad(row, c)] = vec4<f16>(p.scale * inverse[at] * left);
        let earlier = vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(row);
        square[at] *= betas[row] * select(vec4<f32>(), left, earlier);
    }
    workgroupBarrier();
    invert(lane);
    for (var i = lane; i < MATRIX_QUADS; i += LANES) {
        let row = i / 16u;
        let c = i % 16u * 4u;
        let exists = vec4<bool>(c / 16u <= row / 16u);
        let solved = select(vec4<f32>(), inverse[row * ROW + c / 4u], exists);
        let solution = solved * vec4<f32>(betas[c], betas[c + 1u], betas[c + 2u], betas[c + 3u]);
        matrices[place + tile_quad(row, c)] = vec4<f16>(solution);
    }
}
