// Running sums of a chunk's decays, for the kernels of the delta rule. The sums reach thousands below 0
// while their differences near 0 are what counts, so each is kept with what rounding took from it.

const CHUNK = 64u;

var<workgroup> decays: array<f32, 64>;
// A running sum, and the rounding error to add to it.
var<workgroup> sums: array<vec2<f32>, 64>;

// Fills `sums` from the decays of the chunk's tokens, one in each lane (0 past the last).
fn sum_decays(lane: u32, decay: f32) {
    workgroupBarrier();
    decays[lane] = decay;
    workgroupBarrier();
    var sum = 0.0;
    var error = 0.0;
    for (var i = 0u; i <= lane; i++) {
        // Knuth's exact sum of two numbers: next + rounding = sum + value.
        let value = decays[i];
        let next = sum + value;
        let part = next - sum;
        error += (sum - (next - part)) + (value - part);
        sum = next;
    }
    sums[lane] = vec2<f32>(sum, error);
    workgroupBarrier();
}

// What is left behind token `to` of what was there behind token `source`, for source <= to.
fn fade(source: u32, to: u32) -> f32 {
    let difference = sums[to] - sums[source];
    return exp(difference.x + difference.y);
}

// What is left behind token `to` of what was there before the chunk.
fn fade_from_start(to: u32) -> f32 {
    return exp(sums[to].x + sums[to].y);
}
