// Weights stored as f32: [rows, columns], each row padded with zeros to whole quads.

struct Weight { row_quads: u32 }

@group(1) @binding(0) var<uniform> weight: Weight;
@group(1) @binding(1) var<storage, read> values: array<vec4<f32>>;

// Where the data of a row begins.
fn locate(row: u32) -> u32 {
    return row * weight.row_quads;
}

// Columns k ..= k + 3 of the row at `place`; k is a multiple of 4.
fn decode4(place: u32, k: u32) -> vec4<f32> {
    return values[place + k / 4u];
}
