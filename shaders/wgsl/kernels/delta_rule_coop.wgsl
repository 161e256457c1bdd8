// The gated delta rule over each document, chunk by chunk, through cooperative matrices: f16 factors, f32 sums
// and an f32 state. The formulas are those of delta_rule.wgsl. A workgroup of four subgroups of 32 takes BLOCK
// channels of one value head of one document. The state stays in the subgroups' registers, each holding every
// fourth 16 channels of the keys, and goes through workgroup memory as f16 where it is multiplied.
//
// mixed is [tokens, mixed_stride] f32, of which only the values are read; tiles is what chunk_tiles.wgsl leaves,
// matrices and fades what delta_chunk_coop.wgsl leaves. documents holds each document's first token, length and
// first chunk; out is [tokens, out_stride] f32, a row being [value_heads, value_dim].
//
// A line with J stands for two, a tile of value channels each; a line with R for STATE_TILES, the tiles of key
// channels that a subgroup holds; a line with N for four, the rows that a lane takes.

struct DeltaRuleCoop {
    value_dim: u32,
    // Value heads that share a key head: consecutive ones, or if 0 every key_heads-th.
    group: u32,
    key_heads: u32,
    first_document: u32,
    // Token of the first row of mixed and out, and chunk of the first row of tiles, matrices and fades.
    first_token: u32,
    first_chunk: u32,
    mixed_stride: u32,
    // Quads, quads and pairs from one chunk to the next.
    tile_stride: u32,
    matrix_stride: u32,
    fade_stride: u32,
    out_stride: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: DeltaRuleCoop;
@group(0) @binding(1) var<storage, read> mixed: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> tiles: array<vec4<f16>>;
@group(0) @binding(3) var<storage, read> matrices: array<vec4<f16>>;
@group(0) @binding(4) var<storage, read> fades: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read> documents: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;

const LANES = 128u;
const TILE_QUADS = 64u;
const HEAD_QUADS = 4u * KEY_TILES * TILE_QUADS;
const MATRIX_QUADS = 16u * TILE_QUADS;
const STATE_ROWS = 64u * STATE_TILES;
// Padded against bank conflicts: f32, and quads of f16.
const SUM_STRIDE = 36u;
const HALF_STRIDE = 10u;

// [128, BLOCK]: sums on their way from the subgroups to the lanes.
var<workgroup> staged: array<f32, 4608>;
// [channels of the keys, BLOCK].
var<workgroup> state: array<vec4<f16>, 1280>;
// [64 tokens, BLOCK]: what the tokens would write, then what they do write; and what is left of that at the end.
var<workgroup> written: array<vec4<f16>, 640>;
var<workgroup> left: array<vec4<f16>, 640>;

fn staged4(row: u32, quad: u32) -> vec4<f32> {
    let at = row * SUM_STRIDE + quad * 4u;
    return vec4<f32>(staged[at], staged[at + 1u], staged[at + 2u], staged[at + 3u]);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    let head = group.y;
    let document = documents[p.first_document + group.z];
    let key_head = select(head % p.key_heads, head / max(p.group, 1u), p.group > 0u);
    // A lane takes a quad of channels of every sixteenth row.
    let quad = lane % 8u;
    let row_N = lane / 8u + N * 16u;
    let c = group.x * BLOCK + quad * 4u;
    let exists = c < p.value_dim;
    let values = (2u * p.key_heads * KEY_TILES * 16u + head * p.value_dim + min(c, p.value_dim - 4u)) / 4u;
    let place = (head * p.value_dim + c) / 4u;
    let sum_stride = SUM_STRIDE;
    let own_rows = subgroup * 16u * SUM_STRIDE;

    var state_R_J = coop_mat16x16<f32, C>();
    for (var start = 0u; start < document.y; start += CHUNK) {
        let first = document.x - p.first_token + start;
        let last = min(CHUNK, document.y - start) - 1u;
        let chunk = document.z - p.first_chunk + start / CHUNK;
        let queries = chunk * p.tile_stride + key_head * HEAD_QUADS;
        let keys = queries + p.key_heads * HEAD_QUADS;
        let solution = chunk * p.matrix_stride + head * 2u * MATRIX_QUADS;
        let reads = solution + MATRIX_QUADS;
        let fade = chunk * p.fade_stride + head * CHUNK;
        let fade_N = fades[fade + row_N];
        let value_N = mixed[(first + min(row_N, last)) * p.mixed_stride / 4u + values];

        // naga wants the operands of a store bound before, and the store in a block of its own.
        let before_R_J = state_R_J;
        let before_place_R_J = &staged[(R * 64u) * SUM_STRIDE + own_rows + J * 16u];
        workgroupBarrier();
        if p.key_heads > 0u { coopStoreT(before_R_J, before_place_R_J, sum_stride); }
        workgroupBarrier();
        for (var row = lane / 8u; row < STATE_ROWS; row += 16u) {
            state[row * HALF_STRIDE + quad] = vec4<f16>(staged4(row, quad));
        }
        workgroupBarrier();

        // What the state knows of the tokens' values, and what they read of it.
        var known_J = coop_mat16x16<f32, C>();
        var seen_J = coop_mat16x16<f32, C>();
        for (var tile = 0u; tile < KEY_TILES; tile++) {
            let own = (subgroup * KEY_TILES + tile) * TILE_QUADS;
            let key = coopLoadT<coop_mat16x16<f16, A>>(&tiles[keys + own], 4u);
            let query = coopLoadT<coop_mat16x16<f16, A>>(&tiles[queries + own], 4u);
            let state_J = coopLoadT<coop_mat16x16<f16, B>>(&state[tile * 16u * HALF_STRIDE + J * 4u], HALF_STRIDE);
            known_J = coopMultiplyAdd(key, state_J, known_J);
            seen_J = coopMultiplyAdd(query, state_J, seen_J);
        }
        let all_known_J = known_J;
        let all_seen_J = seen_J;
        let known_place_J = &staged[own_rows + J * 16u];
        let seen_place_J = &staged[64u * SUM_STRIDE + own_rows + J * 16u];
        if p.key_heads > 0u {
            coopStoreT(all_known_J, known_place_J, sum_stride);
            coopStoreT(all_seen_J, seen_place_J, sum_stride);
        }
        workgroupBarrier();
        let news_N = value_N - fade_N.x * staged4(row_N, quad);
        let read_N = p.scale * fade_N.x * staged4(64u + row_N, quad);
        let is_there_N = exists && row_N <= last;
        written[row_N * HALF_STRIDE + quad] = vec4<f16>(select(vec4<f32>(), news_N, is_there_N));
        workgroupBarrier();

        // The matrices of the chunk are triangular: tiles past the own rows are 0.
        var solved_J = coop_mat16x16<f32, C>();
        for (var tile = 0u; tile <= subgroup; tile++) {
            let factor = coopLoadT<coop_mat16x16<f16, A>>(&matrices[solution + (subgroup * 4u + tile) * TILE_QUADS], 4u);
            let news_J = coopLoadT<coop_mat16x16<f16, B>>(&written[tile * 16u * HALF_STRIDE + J * 4u], HALF_STRIDE);
            solved_J = coopMultiplyAdd(factor, news_J, solved_J);
        }
        let all_solved_J = solved_J;
        if p.key_heads > 0u { coopStoreT(all_solved_J, known_place_J, sum_stride); }
        workgroupBarrier();
        let writes_N = staged4(row_N, quad);
        written[row_N * HALF_STRIDE + quad] = vec4<f16>(writes_N);
        left[row_N * HALF_STRIDE + quad] = vec4<f16>(writes_N * fade_N.y);
        workgroupBarrier();

        var mixed_J = coop_mat16x16<f32, C>();
        for (var tile = 0u; tile <= subgroup; tile++) {
            let factor = coopLoadT<coop_mat16x16<f16, A>>(&matrices[reads + (subgroup * 4u + tile) * TILE_QUADS], 4u);
            let writes_J = coopLoadT<coop_mat16x16<f16, B>>(&written[tile * 16u * HALF_STRIDE + J * 4u], HALF_STRIDE);
            mixed_J = coopMultiplyAdd(factor, writes_J, mixed_J);
        }
        let all_mixed_J = mixed_J;
        if p.key_heads > 0u { coopStoreT(all_mixed_J, seen_place_J, sum_stride); }

        let keep = fades[fade + last].x;
        state_R_J = state_R_J * keep;
        for (var tile = 0u; tile < 4u; tile++) {
            // The last subgroups may hold tiles past the last channel, which are multiplied by none.
            let channels_R = min(R * 4u + subgroup, KEY_TILES - 1u);
            let key_R = coopLoad<coop_mat16x16<f16, A>>(&tiles[keys + (tile * KEY_TILES + channels_R) * TILE_QUADS], 4u);
            let left_J = coopLoadT<coop_mat16x16<f16, B>>(&left[tile * 16u * HALF_STRIDE + J * 4u], HALF_STRIDE);
            state_R_J = coopMultiplyAdd(key_R, left_J, state_R_J);
        }
        workgroupBarrier();
        let sum_N = read_N + staged4(64u + row_N, quad);
        if is_there_N { out[(first + row_N) * p.out_stride / 4u + place] = sum_N; }
    }
}
