// Depthwise causal convolution over each document's tokens, then SiLU:
// out[t, c] = silu(Σ_j weight[j, c] · x[t - taps + 1 + j, c]). One workgroup per row of out. x is
// [before + rows, stride] f32 and begins `before` rows earlier than out, which is [rows, stride] f32;
// weight is [taps, columns] f32.

struct CausalConv {
    columns: u32,
    stride: u32,
    taps: u32,
    // Token of out's first row, and rows of x in front of it.
    first_token: u32,
    before: u32,
}

@group(0) @binding(0) var<uniform> p: CausalConv;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

override WORKGROUP: u32 = 128u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = p.before + group.x;
    let seen = min(p.taps, positions[p.first_token + group.x] + 1u);
    for (var c = lane; c < p.columns; c += WORKGROUP) {
        var sum = 0.0;
        for (var back = 0u; back < seen; back++) {
            sum = fma(weight[(p.taps - 1u - back) * p.columns + c], x[(row - back) * p.stride + c], sum);
        }
        out[group.x * p.stride + c] = sum / (1.0 + exp(min(-sum, 87.0)));
    }
}
