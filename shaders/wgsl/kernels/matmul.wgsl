// out = x · wᵀ for one part of w's rows. A workgroup of 8 x 8 invocations computes 64 tokens x 64
// rows, an invocation 8 x 8 of them: 4 + 4 tokens and 4 + 4 rows, 32 apart, so that neighbours read
// neighbouring quads. Each step brings 16 columns of x and of the decoded weights into workgroup
// memory, column-major; what comes next is loaded before the products, to hide its latency.

// [STEP, TILE_QUADS] quads of tokens, and of rows.
var<workgroup> x_tile: array<vec4<f32>, 256>;
var<workgroup> w_tile: array<vec4<f32>, 256>;

// Four sums for each of four tokens.
struct Patch { a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32> }

fn accumulate(sums: ptr<function, Patch>, tokens: vec4<f32>, rows: vec4<f32>) {
    (*sums).a = fma(vec4<f32>(tokens.x), rows, (*sums).a);
    (*sums).b = fma(vec4<f32>(tokens.y), rows, (*sums).b);
    (*sums).c = fma(vec4<f32>(tokens.z), rows, (*sums).c);
    (*sums).d = fma(vec4<f32>(tokens.w), rows, (*sums).d);
}

fn store(token: u32, row: u32, sums: Patch) {
    store4(token, row, sums.a);
    store4(token + 1u, row, sums.b);
    store4(token + 2u, row, sums.c);
    store4(token + 3u, row, sums.d);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Loading: four tokens and four rows each, four columns of the step.
    let load_quad = lane / 4u;
    let load_column = lane % 4u * 4u;
    let load_token = group.y * TILE + load_quad * 4u;
    let load_row = group.x * TILE + load_quad * 4u;
    let places = vec4<u32>(
        place_of(load_row), place_of(load_row + 1u), place_of(load_row + 2u), place_of(load_row + 3u));
    let slot = load_column * TILE_QUADS + load_quad;

    // Computing: token quads ty and ty + 8, row quads tx and tx + 8 of the tile.
    let tx = lane % 8u;
    let ty = lane / 8u;
    var near_near = Patch();
    var near_far = Patch();
    var far_near = Patch();
    var far_far = Patch();

    var x_next = load_block(load_token, load_column);
    var w_next = decode_block(places, load_column);
    for (var k = 0u; k < p.columns; k += STEP) {
        workgroupBarrier();
        x_tile[slot] = x_next[0];
        x_tile[slot + TILE_QUADS] = x_next[1];
        x_tile[slot + 2u * TILE_QUADS] = x_next[2];
        x_tile[slot + 3u * TILE_QUADS] = x_next[3];
        w_tile[slot] = w_next[0];
        w_tile[slot + TILE_QUADS] = w_next[1];
        w_tile[slot + 2u * TILE_QUADS] = w_next[2];
        w_tile[slot + 3u * TILE_QUADS] = w_next[3];
        workgroupBarrier();
        x_next = load_block(load_token, k + STEP + load_column);
        w_next = decode_block(places, k + STEP + load_column);
        for (var line = 0u; line < STEP * TILE_QUADS; line += TILE_QUADS) {
            let near_tokens = x_tile[line + ty];
            let far_tokens = x_tile[line + ty + 8u];
            let near_rows = w_tile[line + tx];
            let far_rows = w_tile[line + tx + 8u];
            accumulate(&near_near, near_tokens, near_rows);
            accumulate(&near_far, near_tokens, far_rows);
            accumulate(&far_near, far_tokens, near_rows);
            accumulate(&far_far, far_tokens, far_rows);
        }
    }

    let token = group.y * TILE + ty * 4u;
    let row = group.x * TILE + tx * 4u;
    store(token, row, near_near);
    store(token, row + 32u, near_far);
    store(token + 32u, row, far_near);
    store(token + 32u, row + 32u, far_far);
}
