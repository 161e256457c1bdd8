// Cuts each head in two: first takes its first head_dim channels, second the others. One workgroup per
// row. x is [rows, x_stride] f32, a row being [heads, 2 * head_dim]; first and second are
// [rows, stride] f32.

struct SplitHeads {
    heads: u32,
    head_dim: u32,
    x_stride: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> p: SplitHeads;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> first: array<f32>;
@group(0) @binding(3) var<storage, read_write> second: array<f32>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var i = lane; i < p.heads * p.head_dim; i += WORKGROUP) {
        let from_channel = group.x * p.x_stride + i + i / p.head_dim * p.head_dim;
        first[group.x * p.stride + i] = x[from_channel];
        second[group.x * p.stride + i] = x[from_channel + p.head_dim];
    }
}
