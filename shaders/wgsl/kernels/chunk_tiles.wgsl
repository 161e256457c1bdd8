// Heads as f16 for the kernels with cooperative matrices that look at other tokens: the rows of each chunk of up
// to 64 tokens as tiles of 16 tokens x 16 channels, each of them contiguous and row-major. Rows past the chunk's
// last token are 0, so that what they meet is finite.
//
// x is [tokens, x_stride] f32, a row beginning with the heads, of 16 * head_tiles channels each; chunks holds each chunk's first token and length, and out is [chunks, heads, 4, head_tiles, 16, 16]
// f16, out_stride quads from chunk to chunk. A workgroup takes one head of one chunk.

struct ChunkTiles {
    head_tiles: u32,
    first_chunk: u32,
    // Token of the first row of x.
    first_token: u32,
    x_stride: u32,
    out_stride: u32,
}

@group(0) @binding(0) var<uniform> p: ChunkTiles;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> chunks: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2<u32>>;

const TILE_QUADS = 64u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chunk = chunks[p.first_chunk + group.x];
    let first = chunk.x - p.first_token;
    let head_quads = 4u * p.head_tiles * TILE_QUADS;
    let place = group.x * p.out_stride + group.y * head_quads;
    for (var i = lane; i < head_quads; i += 256u) {
        let tile = i / TILE_QUADS;
        let row = tile / p.head_tiles * 16u + i % TILE_QUADS / 4u;
        let quad = (group.y * p.head_tiles + tile % p.head_tiles) * 4u + i % 4u;
        var value = vec4<f32>();
        if row < chunk.y {
            value = x[(first + row) * p.x_stride / 4u + quad];
        }
        out[place + i] = vec2<u32>(pack2x16float(value.xy), pack2x16float(value.zw));
    }
}
