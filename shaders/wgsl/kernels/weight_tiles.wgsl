// Weights in any stored form as f16 for matmul_coop.wgsl: [rows / TILE, quads, TILE] quads of f16, so that
// invocations that each take a row read side by side. The columns c and c + 16 of every 32 lie side by side, as in
// to_f16.wgsl. A workgroup writes TILE rows x COLUMN_BLOCK columns, an invocation 32 columns of a row; what is past the
// last row or column is 0.
//
// A line with Q stands for four, with 0 to 3 in its place.

struct WeightTiles {
    // Rows first_row .. first_row + rows of the weights in group 1.
    first_row: u32,
    rows: u32,
    columns: u32,
    // Blocks of columns.
    blocks_across: u32,
}

@group(0) @binding(0) var<uniform> p: WeightTiles;
@group(0) @binding(1) var<storage, read_write> tiles: array<vec2<u32>>;

// Columns c ..= c + 3 of the row at `place`; 0 past the last one, or where there is no such row.
fn columns4(place: u32, c: u32, columns: u32) -> vec4<f32> {
    return select(vec4<f32>(), decode4(place, c), vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(columns));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * TILE + lane % TILE;
    let columns = select(0u, p.columns, row < p.rows);
    let place = locate(p.first_row + min(row, p.rows - 1u));
    let c = group.x * COLUMN_BLOCK + lane / TILE * 32u;
    let slot = (group.y * p.blocks_across * (COLUMN_BLOCK / 4u) + c / 4u) * TILE + lane % TILE;
    // All are read before one is written, so that a driver may read what they share once.
    let near_Q = columns4(place, c + Q * 4u, columns);
    let far_Q = columns4(place, c + Q * 4u + 16u, columns);
    let left_Q = vec2<u32>(pack2x16float(vec2<f32>(near_Q.x, far_Q.x)), pack2x16float(vec2<f32>(near_Q.y, far_Q.y)));
    let right_Q = vec2<u32>(pack2x16float(vec2<f32>(near_Q.z, far_Q.z)), pack2x16float(vec2<f32>(near_Q.w, far_Q.w)));
    tiles[slot + Q * 2u * TILE] = left_Q;
    tiles[slot + (Q * 2u + 1u) * TILE] = right_Q;
}
