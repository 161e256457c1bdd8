// RMS norm over each head's channels, then the gate, in place:
// x = x / sqrt(mean(x²) + eps) ∘ weight ∘ silu(gate). One workgroup per row; x and gate are
// [rows, stride] f32, a row being [heads, head_dim]; weight is [head_dim] f32.

struct GatedNorm {
    heads: u32,
    head_dim: u32,
    stride: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> p: GatedNorm;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> gate: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let own_head = lane / GROUP_LANES;
    for (var first = 0u; first < p.heads; first += GROUPS) {
        let head = first + own_head;
        // A group without a head sums nothing, but must come along to the barriers.
        let channels = select(0u, p.head_dim, head < p.heads);
        let start = group.x * p.stride + head * p.head_dim;
        var squares = 0.0;
        for (var c = lane % GROUP_LANES; c < channels; c += GROUP_LANES) {
            squares += x[start + c] * x[start + c];
        }
        let factor = 1.0 / sqrt(group_sum(lane, squares) / f32(p.head_dim) + p.eps);
        for (var c = lane % GROUP_LANES; c < channels; c += GROUP_LANES) {
            let g = gate[start + c];
            x[start + c] = x[start + c] * factor * weight[c] * (g / (1.0 + exp(min(-g, 87.0))));
        }
    }
}
