// Activations as f16 for matmul_coop.wgsl: tiles of 16 tokens x 16 columns, each of them contiguous and
// row-major; the tiles of 16 tokens follow each other. The columns c and c + 16 of every 32 lie side by side:
// what one shift of a word of signs brings to the tops of two halves.
//
// x is [tokens, 2 * x_stride] f32 of which `columns` count. tiles is [tokens / 16, tiles_across,
// 16, 16] f16, tokens rounded up; what is past the last token or column is 0. A workgroup writes
// GROUP_TILES of TILE x TILE, an invocation four values.

struct ToF16 {
    tokens: u32,
    columns: u32,
    x_stride: u32,
    tiles_across: u32,
}

@group(0) @binding(0) var<uniform> p: ToF16;
@group(0) @binding(1) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> tiles: array<vec2<u32>>;

// Columns c and c + 1 of a token.
fn pair(token: u32, c: u32) -> vec2<f32> {
    if token >= p.tokens || c >= p.columns {
        return vec2<f32>();
    }
    let value = x[token * p.x_stride + c / 2u];
    return vec2<f32>(value.x, select(0.0, value.y, c + 1u < p.columns));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = group.x * GROUP_TILES + lane / 64u;
    let token = group.y * TILE + lane % 64u / 4u;
    let place = (group.y * p.tiles_across + tile) * 64u + lane % 64u;
    // Four places of the tile hold columns c, c + 16, c + 1, c + 17.
    let c = tile / 2u * 32u + tile % 2u * 8u + lane % 4u * 2u;
    let near = pair(token, c);
    let far = pair(token, c + 16u);
    tiles[place] =
        vec2<u32>(pack2x16float(vec2<f32>(near.x, far.x)), pack2x16float(vec2<f32>(near.y, far.y)));
}
