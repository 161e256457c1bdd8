// x = clamp(round(x · a), -128, 127) / a over each row, in place, with a = 127 / max(|x|). One workgroup per row. x is
// [rows, stride] f32 of which `columns` count.

struct RoundRows {
    columns: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> p: RoundRows;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let start = group.x * p.stride;
    var largest = 0.0;
    for (var c = lane; c < p.columns; c += WORKGROUP) {
        largest = max(largest, abs(x[start + c]));
    }
    let factor = 127.0 / max(reduce_max(lane, largest), 1e-5);
    for (var c = lane; c < p.columns; c += WORKGROUP) {
        x[start + c] = clamp(round(x[start + c] * factor), -128.0, 127.0) / factor;
    }
}
