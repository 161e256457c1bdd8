// The gates of the delta rule, in place: a = rate ∘ softplus(a + bias) and b = σ(b). One workgroup per
// row; a and b are [rows, stride] f32 of which `heads` count, rate and bias are [heads] f32.

struct DecayGates {
    heads: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> p: DecayGates;
@group(0) @binding(1) var<storage, read_write> a: array<f32>;
@group(0) @binding(2) var<storage, read_write> b: array<f32>;
@group(0) @binding(3) var<storage, read> rate: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var head = lane; head < p.heads; head += WORKGROUP) {
        let i = group.x * p.stride + head;
        let x = a[i] + bias[head];
        // softplus(x) = max(x, 0) + ln(1 + e^-|x|); where e^-|x| drowns in the 1, it is below 1e-7.
        a[i] = rate[head] * (max(x, 0.0) + log(1.0 + exp(-abs(x))));
        b[i] = 1.0 / (1.0 + exp(min(-b[i], 87.0)));
    }
}
