// out = x / sqrt(mean(x²) + eps) ∘ weight over each row. One workgroup per row. x and out are
// [rows, stride] f32 of which `columns` count; weight is [columns] f32.

struct RmsNorm {
    columns: u32,
    stride: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> p: RmsNorm;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let start = group.x * p.stride;
    var squares = 0.0;
    for (var c = lane; c < p.columns; c += WORKGROUP) {
        let value = x[start + c];
        squares += value * value;
    }
    let mean = reduce_sum(lane, squares) / f32(p.columns);
    let factor = 1.0 / sqrt(mean + p.eps);
    for (var c = lane; c < p.columns; c += WORKGROUP) {
        out[start + c] = x[start + c] * factor * weight[c];
    }
}
