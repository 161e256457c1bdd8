// x = x ∘ σ(gate) in place, σ(g) = 1 / (1 + e^-g). One workgroup per row; both are [rows, 4 * quads] f32.

struct SigmoidGate { quads: u32 }

@group(0) @binding(0) var<uniform> p: SigmoidGate;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gate: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var c = lane; c < p.quads; c += WORKGROUP) {
        let i = group.x * p.quads + c;
        // e^87 is the last whole power below the largest f32.
        x[i] = x[i] / (1.0 + exp(min(-gate[i], vec4<f32>(87.0))));
    }
}
