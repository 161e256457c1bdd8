// Sums over the channels of 8 heads at once, for kernels with one workgroup per row: 64 invocations in
// 8 groups, a group sharing a head.

const GROUPS = 8u;
const GROUP_LANES = 8u;

var<workgroup> reduced: array<f32, 64>;

// The sum of the values of a lane's group, in each of its lanes.
fn group_sum(lane: u32, value: f32) -> f32 {
    workgroupBarrier();
    reduced[lane] = value;
    workgroupBarrier();
    let start = lane / GROUP_LANES * GROUP_LANES;
    var sum = 0.0;
    for (var i = 0u; i < GROUP_LANES; i++) {
        sum += reduced[start + i];
    }
    return sum;
}
