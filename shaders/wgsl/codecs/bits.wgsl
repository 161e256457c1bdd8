// Packed weights: binary rows are sums of signed scales, rescue rows are 4-bit codes times a scale.
// sign is [bases, binary_rows, sign_words] (column c is bit c % 32 of word c / 32, 1 is +), scale is
// [bases, binary_rows, scale_groups] f16, code is [rescue rows, code_words] (column c is nibble c % 8
// of word c / 8, two's complement), rescue_scale is [rescue rows, rescue_groups] f16.

struct Weight {
    bases: u32,
    binary_rows: u32,
    sign_words: u32,
    scale_groups: u32,
    // Columns per scale, a multiple of 4.
    group_columns: u32,
    code_words: u32,
    rescue_groups: u32,
}

@group(1) @binding(0) var<uniform> weight: Weight;
@group(1) @binding(1) var<storage, read> slots: array<u32>;
@group(1) @binding(2) var<storage, read> sign: array<u32>;
@group(1) @binding(3) var<storage, read> scale: array<u32>;
@group(1) @binding(4) var<storage, read> code: array<u32>;
@group(1) @binding(5) var<storage, read> rescue_scale: array<u32>;

// Where the data of a row is: its index among the binary rows, or RESCUE (the highest bit) with its index
// among the rescue rows, whose scales span RESCUE_GROUP columns.
fn locate(row: u32) -> u32 {
    return slots[row];
}

fn half_of(pair: u32, index: u32) -> f32 {
    let halves = unpack2x16float(pair);
    return select(halves.x, halves.y, index % 2u == 1u);
}

fn binary4(row: u32, k: u32) -> vec4<f32> {
    let mask = vec4<u32>(1u, 2u, 4u, 8u);
    let word = k / 32u;
    let group = k / weight.group_columns;
    var sum = vec4<f32>();
    for (var basis = 0u; basis < weight.bases; basis++) {
        let plane_row = basis * weight.binary_rows + row;
        let nibble = sign[plane_row * weight.sign_words + word] >> (k % 32u);
        let index = plane_row * weight.scale_groups + group;
        let s = half_of(scale[index / 2u], index);
        sum += select(vec4<f32>(-s), vec4<f32>(s), (vec4<u32>(nibble) & mask) != vec4<u32>());
    }
    return sum;
}

fn rescue4(row: u32, k: u32) -> vec4<f32> {
    let nibbles = code[row * weight.code_words + k / 8u] >> (4u * (k % 8u));
    let raised = vec4<u32>(nibbles) << vec4<u32>(28u, 24u, 20u, 16u);
    let signed = bitcast<vec4<i32>>(raised) >> vec4<u32>(28u);
    let index = row * weight.rescue_groups + k / RESCUE_GROUP;
    return vec4<f32>(signed) * half_of(rescue_scale[index / 2u], index);
}

// Columns k ..= k + 3 of the row at `place`; k is a multiple of 4. Columns past the last one are
// finite and unspecified.
fn decode4(place: u32, k: u32) -> vec4<f32> {
    if (place & RESCUE) != 0u {
        return rescue4(place & ~RESCUE, k);
    }
    return binary4(place, k);
}
