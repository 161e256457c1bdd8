// Weights as ggml's Q4_K and Q5_K: [rows, blocks of 256 columns]. A block is two f16, the scale and that of the minima;
// 12 bytes, 6 bits each of the scale and the minimum of 8 runs of 32 columns; HIGH_QUADS with the fifth bits, one for
// each run; low halves of codes, those of two runs in 32 bytes. Products of scales and codes are exact in f32.
// Everything lies in quads of words, which are loaded as a whole.

struct Weight { row_words: u32 }

@group(1) @binding(0) var<uniform> weight: Weight;
@group(1) @binding(1) var<storage, read> blocks: array<vec4<u32>>;

// The quad where the data of a row begins.
fn locate(row: u32) -> u32 {
    return row * (weight.row_words / 4u);
}

// The scale and the minimum of a run, from the three words that hold those of all.
fn scale_and_minimum(packed: vec3<u32>, run: u32) -> vec2<f32> {
    let bytes = (packed >> vec3<u32>(run % 4u * 8u)) & vec3<u32>(0xffu);
    let lows = vec2<u32>(bytes.z, bytes.z >> 4u) & vec2<u32>(0xfu);
    let highs = (bytes.xy >> vec2<u32>(2u)) & vec2<u32>(0x30u);
    return vec2<f32>(select(lows | highs, bytes.xy & vec2<u32>(0x3fu), run < 4u));
}

// Columns k ..= k + 3 of the row at `place`; k is a multiple of 4.
fn decode4(place: u32, k: u32) -> vec4<f32> {
    let block = place + k / 256u * BLOCK_QUADS;
    let run = k % 256u / 32u;
    // Of two quads, the one that holds these columns, and the word of it.
    let quad = k % 32u / 16u;
    let word = k % 16u / 4u;
    let head = blocks[block];
    let scales = unpack2x16float(head.x);
    let own = scale_and_minimum(head.yzw, run);
    let halves = blocks[block + 1u + HIGH_QUADS + run / 2u * 2u + quad];
    var codes = (halves[word] >> (run % 2u * 4u)) & 0x0f0f0f0fu;
    if HIGH_QUADS > 0u {
        let fifths = blocks[block + 1u + quad];
        codes |= ((fifths[word] >> run) & 0x01010101u) << 4u;
    }
    let code = (vec4<u32>(codes) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
    return scales.x * own.x * vec4<f32>(code) - scales.y * own.y;
}
