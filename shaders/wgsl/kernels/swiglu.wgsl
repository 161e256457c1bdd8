// gate = silu(gate) ∘ up in place, silu(g) = g / (1 + e^-g). One workgroup per row; both are
// [rows, 4 * quads] f32.

struct Swiglu { quads: u32 }

@group(0) @binding(0) var<uniform> p: Swiglu;
@group(0) @binding(1) var<storage, read_write> gate: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> up: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var c = lane; c < p.quads; c += WORKGROUP) {
        let i = group.x * p.quads + c;
        let g = gate[i];
        // e^87 is the last whole power below the largest f32; silu is 0 there to 1e-36.
        gate[i] = g / (1.0 + exp(min(-g, vec4<f32>(87.0)))) * up[i];
    }
}
