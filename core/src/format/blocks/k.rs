//! The K types: 256 values, whose 8 or 16 groups have scales of few bits of their own below the block's.

use std::array;

use super::half;

/// The two bits of a value among 64 bytes: 128 values in 32 bytes, the first 32 in the lowest bits.
fn two_bits(codes: &[u8], value: usize) -> u8 {
    codes[value / 128 * 32 + value % 32] >> (value % 128 / 32 * 2) & 3
}

/// The values of a run: they lie in the same bits of 32 bytes.
const RUN: usize = 32;

/// The four bits of a run of values among 128 bytes: 64 values in 32 bytes, the first 32 in the low halves.
fn four_bits(codes: &[u8], run: usize) -> [u8; RUN] {
    run_of(codes, run / 2).map(|byte| byte >> (run % 2 * 4) & 0xf)
}

/// The 32 bytes of this number.
fn run_of(bytes: &[u8], number: usize) -> [u8; RUN] {
    bytes.as_chunks::<RUN>().0[number]
}

/// 16 bytes of scales (low half) and minima (high half), codes, scale, scale of the minima.
pub(super) fn q2_k(block: &[u8], values: &mut [f32]) {
    let (scales, codes) = (&block[..16], &block[16..80]);
    let (scale, minimum) = (half(&block[80..]), half(&block[82..]));
    for (group, values) in values.chunks_exact_mut(16).enumerate() {
        let scale = scale * f32::from(scales[group] & 0xf);
        let minimum = minimum * f32::from(scales[group] >> 4);
        for (i, value) in values.iter_mut().enumerate() {
            *value = scale * f32::from(two_bits(codes, 16 * group + i)) - minimum;
        }
    }
}

/// 32 bytes of high bits (set: 0, clear: -4), codes, 12 bytes of scales of 6 bits, scale.
pub(super) fn q3_k(block: &[u8], values: &mut [f32]) {
    let (high, codes, scales, scale) = (&block[..32], &block[32..96], &block[96..108], half(&block[108..]));
    for (group, values) in values.chunks_exact_mut(16).enumerate() {
        let low = scales[group % 8] >> (group / 8 * 4) & 0xf;
        let top = scales[8 + group % 4] >> (group / 4 * 2) & 3;
        let scale = scale * (f32::from(low | top << 4) - 32.0);
        for (i, value) in values.iter_mut().enumerate() {
            let at = 16 * group + i;
            let has_high = high[at % 32] >> (at / 32) & 1 == 1;
            let code = f32::from(two_bits(codes, at)) - if has_high { 0.0 } else { 4.0 };
            *value = scale * code;
        }
    }
}

/// The scale and the minimum, 6 bits each, of one of 8 groups.
fn scale_and_minimum(packed: &[u8], group: usize) -> [f32; 2] {
    let [scale, minimum] = if group < 4 {
        [packed[group] & 0x3f, packed[4 + group] & 0x3f]
    } else {
        let last = packed[4 + group];
        [last & 0xf | packed[group - 4] >> 2 & 0x30, last >> 4 | packed[group] >> 2 & 0x30]
    };
    [f32::from(scale), f32::from(minimum)]
}

/// Scale, scale of the minima, 12 bytes of both, codes.
pub(super) fn q4_k(block: &[u8], values: &mut [f32]) {
    let codes = &block[16..144];
    with_minima(block, values, |run| four_bits(codes, run));
}

/// Scale, scale of the minima, 12 bytes of both, 32 bytes of high bits, low bits.
pub(super) fn q5_k(block: &[u8], values: &mut [f32]) {
    let (high, codes) = (run_of(&block[16..48], 0), &block[48..176]);
    with_minima(block, values, |run| {
        let low = four_bits(codes, run);
        array::from_fn(|i| low[i] | (high[i] >> run & 1) << 4)
    });
}

fn with_minima(block: &[u8], values: &mut [f32], codes: impl Fn(usize) -> [u8; RUN]) {
    let (scale, minimum) = (half(block), half(&block[2..]));
    for (group, values) in values.as_chunks_mut::<RUN>().0.iter_mut().enumerate() {
        let [own_scale, own_minimum] = scale_and_minimum(&block[4..16], group);
        let (scale, minimum) = (scale * own_scale, minimum * own_minimum);
        *values = codes(group).map(|code| scale * f32::from(code) - minimum);
    }
}

/// 128 bytes of low bits, 64 of high ones, 16 signed scales, scale; codes are stored 32 too high.
pub(super) fn q6_k(block: &[u8], values: &mut [f32]) {
    let (low, high, scales, scale) = (&block[..128], &block[128..192], &block[192..208], half(&block[208..]));
    for (run, values) in values.as_chunks_mut::<RUN>().0.iter_mut().enumerate() {
        let (low, high) = (run_of(low, run / 4 * 2 + run % 2), run_of(high, run / 4));
        let scales = [0, 1].map(|half| scale * f32::from(scales[2 * run + half] as i8));
        *values = array::from_fn(|i| {
            let code = low[i] >> (run % 4 / 2 * 4) & 0xf | (high[i] >> (run % 4 * 2) & 3) << 4;
            scales[i / 16] * (f32::from(code) - 32.0)
        });
    }
}
