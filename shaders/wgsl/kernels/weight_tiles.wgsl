// Weights in any stored form as f16 for matmul_coop.wgsl: [rows / TILE, quads, TILE] quads of f16, so that
// invocations that each take a row read side by side. The columns c and c + 16 of every 32 lie side by side, as in
// to_f16.wgsl. A workgroup writes TILE rows x COLUMN_BLOCK columns, an invocation 32 columns of a row; what is past the
// last row or column is 0.

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

// Columns c ..= c + 3 of the row at `place`; 0 past the last one.
fn columns4(place: u32, c: u32, is_there: bool) -> vec4<f32> {
    if !is_there || c >= p.columns {
        return vec4<f32>();
    }
    let columns = vec4<u32>(c, c + 1u, c + 2u, c + 3u);
    return select(vec4<f32>(), decode4(place, c), columns < vec4<u32>(p.columns));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * TILE + lane % TILE;
    let is_there = row < p.rows;
    let place = locate(p.first_row + min(row, p.rows - 1u));
    let c = group.x * COLUMN_BLOCK + lane / TILE * 32u;
    var slot = (group.y * p.blocks_across * (COLUMN_BLOCK / 4u) + c / 4u) * TILE + lane % TILE;
    for (var column = c; column < c + 16u; column += 4u) {
        let near = columns4(place, column, is_there);
        let far = columns4(place, column + 16u, is_there);
        tiles[slot] = vec2<u32>(pack2x16float(vec2<f32>(near.x, far.x)), pack2x16float(vec2<f32>(near.y, far.y)));
        tiles[slot + TILE] =
            vec2<u32>(pack2x16float(vec2<f32>(near.z, far.z)), pack2x16float(vec2<f32>(near.w, far.w)));
        slot += 2u * TILE;
    }
}
