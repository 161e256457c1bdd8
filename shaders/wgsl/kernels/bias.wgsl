// x += bias, on every row. One workgroup per row; x is [rows, stride] f32 of which `columns` count, bias
// is [columns] f32.

struct Bias {
    columns: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> p: Bias;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var c = lane; c < p.columns; c += WORKGROUP) {
        x[group.x * p.stride + c] += bias[c];
    }
}
