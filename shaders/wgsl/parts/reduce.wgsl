// Sum and maximum over a workgroup, for kernels with one workgroup per row.

override WORKGROUP: u32 = 64u;

var<workgroup> reduced: array<f32, WORKGROUP>;

// The sum of every lane's value, in every lane. WORKGROUP is a power of two.
fn reduce_sum(lane: u32, value: f32) -> f32 {
    reduced[lane] = value;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            reduced[lane] += reduced[lane + half];
        }
        workgroupBarrier();
    }
    let sum = reduced[0];
    workgroupBarrier();
    return sum;
}

// The largest of every lane's value, in every lane.
fn reduce_max(lane: u32, value: f32) -> f32 {
    reduced[lane] = value;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            reduced[lane] = max(reduced[lane], reduced[lane + half]);
        }
        workgroupBarrier();
    }
    let largest = reduced[0];
    workgroupBarrier();
    return largest;
}
