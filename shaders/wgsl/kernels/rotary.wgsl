// Rotates channels i and i + pairs of each head by the token's angle i, in place. One workgroup per
// token. x is [tokens, stride] f32, a row being [heads, head_dim]; turns is [tokens, turn_stride]
// (cos, sin). The sines come from the host: WGSL promises them only within 2^-11, and only for
// angles below pi.

struct Rotary {
    heads: u32,
    head_dim: u32,
    pairs: u32,
    stride: u32,
    turn_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Rotary;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read> turns: array<vec2<f32>>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var i = lane; i < p.heads * p.pairs; i += WORKGROUP) {
        let turn = turns[group.x * p.turn_stride + i % p.pairs];
        let first = group.x * p.stride + i / p.pairs * p.head_dim + i % p.pairs;
        let second = first + p.pairs;
        let a = x[first];
        let b = x[second];
        x[first] = a * turn.x - b * turn.y;
        x[second] = b * turn.x + a * turn.y;
    }
}
