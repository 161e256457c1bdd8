// residual += x. One workgroup per row; both are [rows, 4 * quads] f32.

struct Add { quads: u32 }

@group(0) @binding(0) var<uniform> p: Add;
@group(0) @binding(1) var<storage, read_write> residual: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var c = lane; c < p.quads; c += WORKGROUP) {
        let i = group.x * p.quads + c;
        residual[i] += x[i];
    }
}
