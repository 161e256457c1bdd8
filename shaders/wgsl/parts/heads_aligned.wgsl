// Queries, keys and values whose heads all begin at whole quads.

@group(0) @binding(1) var<storage, read> mixed: array<vec4<f32>>;

fn mixed4(i: u32) -> vec4<f32> {
    return mixed[i / 4u];
}
