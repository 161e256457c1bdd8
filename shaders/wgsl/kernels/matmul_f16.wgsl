// out = x · wᵀ as in matmul.wgsl, with f16 factors: half the bytes in workgroup memory, and twice the
// rate where the device multiplies f16 in pairs. Few products are summed in f16, these sums in f32.

// Products that are summed in f16; divides STEP.
const SUMMED = 8u;

// [STEP, TILE_QUADS] quads of tokens, and of rows.
var<workgroup> x_tile: array<vec4<f16>, 256>;
var<workgroup> w_tile: array<vec4<f16>, 256>;

// Four sums for each of four tokens: over a few columns, and over those before.
struct Step { a: vec4<f16>, b: vec4<f16>, c: vec4<f16>, d: vec4<f16> }
struct Patch { a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32> }

fn accumulate(sums: ptr<function, Step>, tokens: vec4<f16>, rows: vec4<f16>) {
    (*sums).a = fma(vec4<f16>(tokens.x), rows, (*sums).a);
    (*sums).b = fma(vec4<f16>(tokens.y), rows, (*sums).b);
    (*sums).c = fma(vec4<f16>(tokens.z), rows, (*sums).c);
    (*sums).d = fma(vec4<f16>(tokens.w), rows, (*sums).d);
}

fn add_step(sums: ptr<function, Patch>, step: Step) {
    (*sums).a += vec4<f32>(step.a);
    (*sums).b += vec4<f32>(step.b);
    (*sums).c += vec4<f32>(step.c);
    (*sums).d += vec4<f32>(step.d);
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
        x_tile[slot] = vec4<f16>(x_next[0]);
        x_tile[slot + TILE_QUADS] = vec4<f16>(x_next[1]);
        x_tile[slot + 2u * TILE_QUADS] = vec4<f16>(x_next[2]);
        x_tile[slot + 3u * TILE_QUADS] = vec4<f16>(x_next[3]);
        w_tile[slot] = vec4<f16>(w_next[0]);
        w_tile[slot + TILE_QUADS] = vec4<f16>(w_next[1]);
        w_tile[slot + 2u * TILE_QUADS] = vec4<f16>(w_next[2]);
        w_tile[slot + 3u * TILE_QUADS] = vec4<f16>(w_next[3]);
        workgroupBarrier();
        x_next = load_block(load_token, k + STEP + load_column);
        w_next = decode_block(places, k + STEP + load_column);
        for (var first = 0u; first < STEP * TILE_QUADS; first += SUMMED * TILE_QUADS) {
            var near_near_step = Step();
            var near_far_step = Step();
            var far_near_step = Step();
            var far_far_step = Step();
            for (var line = first; line < first + SUMMED * TILE_QUADS; line += TILE_QUADS) {
                let near_tokens = x_tile[line + ty];
                let far_tokens = x_tile[line + ty + 8u];
                let near_rows = w_tile[line + tx];
                let far_rows = w_tile[line + tx + 8u];
                accumulate(&near_near_step, near_tokens, near_rows);
                accumulate(&near_far_step, near_tokens, far_rows);
                accumulate(&far_near_step, far_tokens, near_rows);
                accumulate(&far_far_step, far_tokens, far_rows);
            }
            add_step(&near_near, near_near_step);
            add_step(&near_far, near_far_step);
            add_step(&far_near, far_near_step);
            add_step(&far_far, far_far_step);
        }
    }

    let token = group.y * TILE + ty * 4u;
    let row = group.x * TILE + tx * 4u;
    store(token, row, near_near);
    store(token, row + 32u, near_far);
    store(token + 32u, row, far_near);
    store(token + 32u, row + 32u, far_far);
}
