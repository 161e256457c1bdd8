// out[:, places[c] - first_place] = x[:, c] for `columns` columns from `first` of places on: puts the
// products of rescue rows where they belong. x is [tokens, x_stride] f32, out is [tokens, out_stride]
// f32 and counts from column out_start.

struct Scatter {
    columns: u32,
    first: u32,
    first_place: u32,
    x_stride: u32,
    out_start: u32,
    out_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Scatter;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var c = lane; c < p.columns; c += WORKGROUP) {
        let place = places[p.first + c] - p.first_place;
        out[group.x * p.out_stride + p.out_start + place] = x[group.x * p.x_stride + c];
    }
}
