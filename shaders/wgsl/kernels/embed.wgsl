// out[t, :] = table[ids[t], :] for those tokens whose id is in this part of the table. One
// workgroup per token. out is [tokens, 4 * stride] f32.

struct Embed {
    // Index of the first token in ids; out begins with that token's row.
    first_token: u32,
    // The ids in this part of the table: first_row .. first_row + rows.
    first_row: u32,
    rows: u32,
    // Quads of a row of the table, quads of a row of out.
    quads: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> p: Embed;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = ids[p.first_token + group.x];
    if id < p.first_row || id - p.first_row >= p.rows {
        return;
    }
    let place = locate(id - p.first_row);
    for (var quad = lane; quad < p.quads; quad += WORKGROUP) {
        out[group.x * p.stride + quad] = decode4(place, quad * 4u);
    }
}
