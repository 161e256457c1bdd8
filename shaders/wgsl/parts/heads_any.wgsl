// Queries, keys and values whose heads begin anywhere.

@group(0) @binding(1) var<storage, read> mixed: array<f32>;

fn mixed4(i: u32) -> vec4<f32> {
    return vec4<f32>(mixed[i], mixed[i + 1u], mixed[i + 2u], mixed[i + 3u]);
}
