// Weights as ggml's Q4_K and Q5_K: [rows, blocks of 256 columns]. A block is two f16, the scale and that of the minima;
// 12 bytes, 6 bits each of the scale and the minimum of 8 runs of 32 columns; HIGH_WORDS with the fifth bits, one for
// each run; low halves of codes, those of two runs in 32 bytes. Products of scales and codes are exact in f32.

struct Weight { row_words: u32 }

@group(1) @binding(0) var<uniform> weight: Weight;
@group(1) @binding(1) var<storage, read> blocks: array<u32>;

// Where the data of a row begins.
fn locate(row: u32) -> u32 {
    return row * weight.row_words;
}

// One of the 12 bytes from word `start` on.
fn scale_byte(start: u32, index: u32) -> u32 {
    return blocks[start + index / 4u] >> (index % 4u * 8u);
}

// The scale and the minimum of a run.
fn scale_and_minimum(start: u32, run: u32) -> vec2<f32> {
    if run < 4u {
        return vec2<f32>(vec2<u32>(scale_byte(start, run), scale_byte(start, 4u + run)) & vec2<u32>(0x3fu));
    }
    let low = scale_byte(start, 4u + run);
    let high = vec2<u32>(scale_byte(start, run - 4u), scale_byte(start, run)) >> vec2<u32>(2u);
    let lows = vec2<u32>(low, low >> 4u) & vec2<u32>(0xfu);
    return vec2<f32>(lows | (high & vec2<u32>(0x30u)));
}

// Columns k ..= k + 3 of the row at `place`; k is a multiple of 4.
fn decode4(place: u32, k: u32) -> vec4<f32> {
    let block = place + k / 256u * BLOCK_WORDS;
    let run = k % 256u / 32u;
    let word = k % 32u / 4u;
    let scales = unpack2x16float(blocks[block]);
    let own = scale_and_minimum(block + 1u, run);
    var codes = (blocks[block + 4u + HIGH_WORDS + run / 2u * 8u + word] >> (run % 2u * 4u)) & 0x0f0f0f0fu;
    if HIGH_WORDS > 0u {
        codes |= ((blocks[block + 4u + word] >> run) & 0x01010101u) << 4u;
    }
    let code = (vec4<u32>(codes) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
    return scales.x * own.x * vec4<f32>(code) - scales.y * own.y;
}
