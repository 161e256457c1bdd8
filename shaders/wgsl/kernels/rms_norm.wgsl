// out = x / sqrt(mean(x²) + eps) ∘ weight over each row. One workgroup per row. x and out are
// [rows, 4 * quads] f32 of which `columns` count; weight is [columns] f32, with room for whole quads.

struct RmsNorm {
    columns: u32,
    quads: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> p: RmsNorm;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let start = group.x * p.quads;
    let used = (p.columns + 3u) / 4u;
    var squares = vec4<f32>();
    for (var c = lane; c < used; c += WORKGROUP) {
        let value = x[start + c];
        // What pads the last quad is not specified.
        let counts = vec4<u32>(4u * c) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.columns);
        squares += select(vec4<f32>(), value * value, counts);
    }
    let mean = reduce_sum(lane, squares.x + squares.y + squares.z + squares.w) / f32(p.columns);
    let factor = 1.0 / sqrt(mean + p.eps);
    for (var c = lane; c < used; c += WORKGROUP) {
        out[start + c] = x[start + c] * factor * weight[c];
    }
}
