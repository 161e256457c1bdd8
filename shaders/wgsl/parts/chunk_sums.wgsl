// Running sums of a chunk's decays, for the kernels of the delta rule. The sums reach thousands below 0
// while their differences near 0 are what counts, so they are exact: whole numbers and fractions are
// summed apart, the fractions as multiples of 2^-25. (Summing in f32 with a correction for the rounding
// does not survive compilers that reorder sums.)

// CHUNK is how many tokens a chunk has.
// Nothing is left of a state that decays by e^-1000.
const LOWEST_DECAY = -1000.0;
const FRACTION = 33554432.0;

var<workgroup> decays: array<vec2<i32>, 64>;
// Running sum of the whole numbers, and of the fractions: at most 64 * 2^25.
var<workgroup> sums: array<vec2<i32>, 64>;

// Fills `sums` from the decays of the chunk's tokens, one in each of the first 64 lanes (0 past the last).
fn sum_decays(lane: u32, decay: f32) {
    let whole = floor(max(decay, LOWEST_DECAY));
    let fraction = max(decay, LOWEST_DECAY) - whole;
    workgroupBarrier();
    if lane < CHUNK {
        // The largest sum of fractions is one below 2^31.
        decays[lane] = vec2<i32>(i32(whole), min(i32(fraction * FRACTION), i32(FRACTION) - 1));
    }
    workgroupBarrier();
    if lane < CHUNK {
        var sum = vec2<i32>();
        for (var i = 0u; i <= lane; i++) {
            sum += decays[i];
        }
        sums[lane] = sum;
    }
    workgroupBarrier();
}

fn exp_of(sum: vec2<i32>) -> f32 {
    return exp(f32(sum.x) + f32(sum.y) / FRACTION);
}

// What is left behind token `to` of what was there behind token `source`, for source <= to.
fn fade(source: u32, to: u32) -> f32 {
    return exp_of(sums[to] - sums[source]);
}

// What is left behind token `to` of what was there before the chunk.
fn fade_from_start(to: u32) -> f32 {
    return exp_of(sums[to]);
}
