// Folds one block of logits into each token's running softmax, so that the logits never exist as a
// whole. One workgroup per token. logits is [tokens, stride] f32 of which `columns` count; state is
// [tokens] (largest logit, Σ exp(logit - largest), target's logit, 0).

struct HeadLoss {
    // Index of the first token in targets; logits and state begin with that token.
    first_token: u32,
    // Vocabulary row of the block's first column.
    first_row: u32,
    columns: u32,
    stride: u32,
    // 1 for the vocabulary's first block, which starts the state.
    starts: u32,
}

@group(0) @binding(0) var<uniform> p: HeadLoss;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<vec4<f32>>;

const LOWEST = -3.4e38;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let start = group.x * p.stride;
    var largest = LOWEST;
    for (var c = lane; c < p.columns; c += WORKGROUP) {
        largest = max(largest, logits[start + c]);
    }
    var before = vec4<f32>(LOWEST, 0.0, 0.0, 0.0);
    if p.starts == 0u {
        before = state[group.x];
    }
    largest = max(before.x, reduce_max(lane, largest));
    var sum = 0.0;
    for (var c = lane; c < p.columns; c += WORKGROUP) {
        sum += exp(logits[start + c] - largest);
    }
    sum = reduce_sum(lane, sum) + before.y * exp(before.x - largest);
    if lane == 0u {
        let target_row = targets[p.first_token + group.x];
        var target_logit = before.z;
        if target_row >= p.first_row && target_row - p.first_row < p.columns {
            target_logit = logits[start + target_row - p.first_row];
        }
        state[group.x] = vec4<f32>(largest, sum, target_logit, 0.0);
    }
}
