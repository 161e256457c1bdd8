// Causal softmax attention within each document, streamed over the keys: token t attends to rows
// t - positions[t] ..= t. A workgroup of 8 x 8 invocations computes 32 queries of one head, 32 keys
// at a time; an invocation holds a patch of 4 queries x 4 keys, then 4 queries x 4 channels.
//
// q and out are [queries, q_stride] f32, a row being [heads, head_dim]; k and v are
// [keys, kv_stride] f32, a row being [heads / group, head_dim].

struct Attention {
    queries: u32,
    // Token of the first row of q and out, and of the first row of k and v.
    first_query: u32,
    first_key: u32,
    // Query heads per key/value head.
    group: u32,
    head_dim: u32,
    q_stride: u32,
    kv_stride: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Attention;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

// BLOCK is how many queries and keys that is, MAX_HEAD_DIM how many channels a head may have.
const BLOCK_QUADS = BLOCK / 4u;
const LOWEST = -3.4e38;

// [32 channels, 8 quads of queries]; later [32 keys, 8 quads of queries]: the weights.
var<workgroup> q_tile: array<vec4<f32>, 256>;
// [32 channels, 8 quads of keys]; later [32 keys, 8 quads of channels]: the values.
var<workgroup> kv_tile: array<vec4<f32>, 256>;
// [8, 8 quads of queries]: one partial result per invocation.
var<workgroup> partials: array<vec4<f32>, 64>;

// A quad of channels from c on, those past the head's last one as 0.
fn in_head(value: vec4<f32>, c: u32) -> vec4<f32> {
    return select(vec4<f32>(), value, vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(p.head_dim));
}

fn q4(row: u32, start: u32, c: u32) -> vec4<f32> {
    let i = min(row, p.queries - 1u) * p.q_stride + start + c;
    return in_head(vec4<f32>(q[i], q[i + 1u], q[i + 2u], q[i + 3u]), c);
}

fn k4(row: u32, start: u32, c: u32) -> vec4<f32> {
    let i = row * p.kv_stride + start + c;
    return in_head(vec4<f32>(k[i], k[i + 1u], k[i + 2u], k[i + 3u]), c);
}

fn v4(row: u32, start: u32, c: u32) -> vec4<f32> {
    let i = row * p.kv_stride + start + c;
    return in_head(vec4<f32>(v[i], v[i + 1u], v[i + 2u], v[i + 3u]), c);
}

fn combined_max(ty: u32) -> vec4<f32> {
    var largest = partials[ty];
    for (var i = 1u; i < 8u; i++) {
        largest = max(largest, partials[i * BLOCK_QUADS + ty]);
    }
    return largest;
}

fn combined_sum(ty: u32) -> vec4<f32> {
    var sum = partials[ty];
    for (var i = 1u; i < 8u; i++) {
        sum += partials[i * BLOCK_QUADS + ty];
    }
    return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tx = lane % 8u;
    let ty = lane / 8u;
    let q_start = group.y * p.head_dim;
    let kv_start = group.y / p.group * p.head_dim;
    let block_query = group.x * BLOCK;

    // The keys that any query of the block may see, as rows of k: the documents' first rows do not
    // decrease, so the first query has the lowest.
    let last = p.first_query + min(block_query + BLOCK, p.queries) - 1u - p.first_key;
    let block_token = p.first_query + block_query;
    let lowest = block_token - positions[block_token] - p.first_key;

    // This invocation's four queries, and the rows of k that each may see.
    let query = block_query + ty * 4u;
    var from_row = vec4<u32>();
    var to_row = vec4<u32>();
    for (var j = 0u; j < 4u; j++) {
        let token = p.first_query + min(query + j, p.queries - 1u);
        from_row[j] = token - positions[token] - p.first_key;
        to_row[j] = token - p.first_key;
    }

    var largest = vec4<f32>(LOWEST);
    var sum = vec4<f32>();
    // [blocks of 32 channels, 4 channels] quads of queries.
    var mix = array<vec4<f32>, MAX_HEAD_DIM / 8u>();

    for (var key = lowest; key <= last; key += BLOCK) {
        // Scores: q · kᵀ, four channels of four rows loaded at a time and transposed.
        var s = array<vec4<f32>, 4>();
        for (var channel = 0u; channel < p.head_dim; channel += BLOCK) {
            let c = channel + tx * 4u;
            let row = block_query + ty * 4u;
            let key_row = key + ty * 4u;
            let q_block = transpose(mat4x4<f32>(
                q4(row, q_start, c), q4(row + 1u, q_start, c),
                q4(row + 2u, q_start, c), q4(row + 3u, q_start, c)));
            let k_block = transpose(mat4x4<f32>(
                k4(min(key_row, last), kv_start, c), k4(min(key_row + 1u, last), kv_start, c),
                k4(min(key_row + 2u, last), kv_start, c), k4(min(key_row + 3u, last), kv_start, c)));
            workgroupBarrier();
            for (var j = 0u; j < 4u; j++) {
                q_tile[(tx * 4u + j) * BLOCK_QUADS + ty] = q_block[j];
                kv_tile[(tx * 4u + j) * BLOCK_QUADS + ty] = k_block[j];
            }
            workgroupBarrier();
            for (var line = 0u; line < BLOCK * BLOCK_QUADS; line += BLOCK_QUADS) {
                let queries = q_tile[line + ty];
                let keys = kv_tile[line + tx];
                s[0] = fma(queries, vec4<f32>(keys.x), s[0]);
                s[1] = fma(queries, vec4<f32>(keys.y), s[1]);
                s[2] = fma(queries, vec4<f32>(keys.z), s[2]);
                s[3] = fma(queries, vec4<f32>(keys.w), s[3]);
            }
        }

        // Softmax over the block: the new largest score, then weights relative to it.
        var block_largest = vec4<f32>(LOWEST);
        var seen = array<vec4<bool>, 4>();
        for (var j = 0u; j < 4u; j++) {
            let row = vec4<u32>(key + tx * 4u + j);
            seen[j] = (row >= from_row) & (row <= to_row);
            s[j] = select(vec4<f32>(LOWEST), s[j] * p.scale, seen[j]);
            block_largest = max(block_largest, s[j]);
        }
        partials[tx * BLOCK_QUADS + ty] = block_largest;
        workgroupBarrier();
        let before = largest;
        largest = max(largest, combined_max(ty));
        var block_sum = vec4<f32>();
        for (var j = 0u; j < 4u; j++) {
            s[j] = select(vec4<f32>(), exp(s[j] - largest), seen[j]);
            block_sum += s[j];
            q_tile[(tx * 4u + j) * BLOCK_QUADS + ty] = s[j];
        }
        workgroupBarrier();
        partials[tx * BLOCK_QUADS + ty] = block_sum;
        workgroupBarrier();
        let shrink = exp(before - largest);
        sum = sum * shrink + combined_sum(ty);

        // Values: mix = mix * shrink + weights · v, 32 channels at a time.
        for (var channel = 0u; channel < p.head_dim; channel += BLOCK) {
            workgroupBarrier();
            for (var j = 0u; j < 4u; j++) {
                let row = ty * 4u + j;
                kv_tile[row * BLOCK_QUADS + tx] = v4(min(key + row, last), kv_start, channel + tx * 4u);
            }
            workgroupBarrier();
            let slot = channel / 8u;
            var m0 = mix[slot] * shrink;
            var m1 = mix[slot + 1u] * shrink;
            var m2 = mix[slot + 2u] * shrink;
            var m3 = mix[slot + 3u] * shrink;
            for (var line = 0u; line < BLOCK * BLOCK_QUADS; line += BLOCK_QUADS) {
                let weights = q_tile[line + ty];
                let values = kv_tile[line + tx];
                m0 = fma(weights, vec4<f32>(values.x), m0);
                m1 = fma(weights, vec4<f32>(values.y), m1);
                m2 = fma(weights, vec4<f32>(values.z), m2);
                m3 = fma(weights, vec4<f32>(values.w), m3);
            }
            mix[slot] = m0;
            mix[slot + 1u] = m1;
            mix[slot + 2u] = m2;
            mix[slot + 3u] = m3;
        }
        workgroupBarrier();
    }

    for (var channel = 0u; channel < p.head_dim; channel += BLOCK) {
        for (var j = 0u; j < 4u; j++) {
            let c = channel + tx * 4u + j;
            let value = mix[channel / 8u + j] / sum;
            for (var i = 0u; i < 4u; i++) {
                if query + i < p.queries && c < p.head_dim {
                    out[(query + i) * p.q_stride + q_start + c] = value[i];
                }
            }
        }
    }
}
