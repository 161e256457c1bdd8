// Staging of weights that weight_tiles.wgsl has brought to f16: they are copied.
//
// A line with Q stands for sixteen, with 0 to 15 in its place.

@group(0) @binding(3) var<storage, read> w: array<vec4<f16>>;

// The first quad of a row; its next one is 16 quads on. Rows are as wide as those of x.
fn locate(row: u32) -> u32 {
    return row / 16u * p.x_stride * 64u + row % 16u;
}

// 64 columns of a row.
struct Held {
    quad_Q: vec4<f16>,
}

// Columns k .. k + 64 of the row at `place`: the first half of a block. Holding the second, too, is slower.
fn hold(place: u32, k: u32) -> Held {
    let first = place + k * 4u;
    var held = Held();
    held.quad_Q = w[first + Q * 16u];
    return held;
}

// Columns k .. k + 64 of the row at `place`, from quad `slot` of w_tile on: the first half of a block is what is held.
fn stage(slot: u32, place: u32, k: u32, half: u32, held: Held) {
    var quads = held;
    if half == 1u {
        quads = hold(place, k);
    }
    w_tile[slot + Q] = quads.quad_Q;
}
