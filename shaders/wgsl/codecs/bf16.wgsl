// Weights stored as bf16: [rows, columns], each row padded with zeros to whole quads. A bf16 is the
// upper half of an f32.

struct Weight { row_quads: u32 }

@group(1) @binding(0) var<uniform> weight: Weight;
@group(1) @binding(1) var<storage, read> values: array<vec2<u32>>;

// Where the data of a row begins.
fn locate(row: u32) -> u32 {
    return row * weight.row_quads;
}

// Columns k ..= k + 3 of the row at `place`; k is a multiple of 4.
fn decode4(place: u32, k: u32) -> vec4<f32> {
    let halves = values[place + k / 4u];
    let bits = vec4<u32>(halves.x << 16u, halves.x, halves.y << 16u, halves.y);
    return bitcast<vec4<f32>>(bits & vec4<u32>(0xffff0000u));
}
