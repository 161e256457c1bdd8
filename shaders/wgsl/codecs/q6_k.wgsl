// Weights as ggml's Q6_K: [rows, blocks of 256 columns], each block padded to 53 words. A block is 128 bytes with the low
// four bits of codes, 64 bytes with the high two, 16 signed bytes of scales of 16 columns, and the f16 that scales them.
// Codes are stored 32 too high. Products of scales and codes are exact in f32.

struct Weight { row_words: u32 }

@group(1) @binding(0) var<uniform> weight: Weight;
@group(1) @binding(1) var<storage, read> blocks: array<u32>;

const BLOCK_WORDS = 53u;

// Where the data of a row begins.
fn locate(row: u32) -> u32 {
    return row * weight.row_words;
}

// Columns k ..= k + 3 of the row at `place`; k is a multiple of 4.
fn decode4(place: u32, k: u32) -> vec4<f32> {
    let block = place + k / 256u * BLOCK_WORDS;
    let run = k % 256u / 32u;
    let word = k % 32u / 4u;
    let low = (blocks[block + (run / 4u * 2u + run % 2u) * 8u + word] >> (run % 4u / 2u * 4u)) & 0x0f0f0f0fu;
    let high = (blocks[block + 32u + run / 4u * 8u + word] >> (run % 4u * 2u)) & 0x03030303u;
    let codes = low | (high << 4u);
    let code = (vec4<u32>(codes) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
    let group = k % 256u / 16u;
    let own = bitcast<i32>(blocks[block + 48u + group / 4u] << (24u - group % 4u * 8u)) >> 24u;
    let scale = unpack2x16float(blocks[block + 52u]).x * f32(own);
    return scale * (vec4<f32>(code) - 32.0);
}
