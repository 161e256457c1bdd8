// RMS norm in place over each head's channels. One invocation per head of a row, because a head is
// short. x is [rows, stride] f32, a row being [heads, head_dim]; weight is [head_dim] f32.

struct HeadNorm {
    rows: u32,
    heads: u32,
    head_dim: u32,
    stride: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> p: HeadNorm;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x / p.heads;
    if row >= p.rows {
        return;
    }
    let start = row * p.stride + (id.x % p.heads) * p.head_dim;
    var squares = 0.0;
    for (var c = 0u; c < p.head_dim; c++) {
        squares += x[start + c] * x[start + c];
    }
    let factor = 1.0 / sqrt(squares / f32(p.head_dim) + p.eps);
    for (var c = 0u; c < p.head_dim; c++) {
        x[start + c] = x[start + c] * factor * weight[c];
    }
}
