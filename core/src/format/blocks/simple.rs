//! Blocks of one scale, and perhaps one minimum, for plain integer codes.

use super::{half, u32_at};

/// The code of 4 bits of a column: byte j holds the low bits of columns j and j + 16.
fn low_bits(codes: &[u8], column: usize) -> u8 {
    codes[column % 16] >> (4 * (column / 16)) & 0xf
}

/// The code of 5 bits of a column, whose high one stands in `high`.
fn five_bits(high: u32, codes: &[u8], column: usize) -> u8 {
    low_bits(codes, column) | ((high >> column & 1) as u8) << 4
}

/// Scale, codes from -8 to 7, each stored 8 too high.
pub(super) fn q4_0(block: &[u8], values: &mut [f32]) {
    let (scale, codes) = (half(block), &block[2..]);
    for (column, value) in values.iter_mut().enumerate() {
        *value = scale * (f32::from(low_bits(codes, column)) - 8.0);
    }
}

/// Scale, minimum, codes from 0 to 15.
pub(super) fn q4_1(block: &[u8], values: &mut [f32]) {
    let (scale, minimum, codes) = (half(block), half(&block[2..]), &block[4..]);
    for (column, value) in values.iter_mut().enumerate() {
        *value = scale * f32::from(low_bits(codes, column)) + minimum;
    }
}

/// Scale, 32 high bits, low bits; each code is stored 16 too high.
pub(super) fn q5_0(block: &[u8], values: &mut [f32]) {
    let (scale, high, codes) = (half(block), u32_at(&block[2..], 0), &block[6..]);
    for (column, value) in values.iter_mut().enumerate() {
        *value = scale * (f32::from(five_bits(high, codes, column)) - 16.0);
    }
}

/// Scale, minimum, 32 high bits, low bits.
pub(super) fn q5_1(block: &[u8], values: &mut [f32]) {
    let (scale, minimum) = (half(block), half(&block[2..]));
    let (high, codes) = (u32_at(&block[4..], 0), &block[8..]);
    for (column, value) in values.iter_mut().enumerate() {
        *value = scale * f32::from(five_bits(high, codes, column)) + minimum;
    }
}

/// Scale, signed bytes.
pub(super) fn q8_0(block: &[u8], values: &mut [f32]) {
    signed(half(block), &block[2..], values);
}

/// Scale, the sum of the values, signed bytes.
pub(super) fn q8_1(block: &[u8], values: &mut [f32]) {
    signed(half(block), &block[4..], values);
}

/// A scale of 32 bits, signed bytes, and the sums of 16 of them each.
pub(super) fn q8_k(block: &[u8], values: &mut [f32]) {
    signed(f32::from_bits(u32_at(block, 0)), &block[4..], values);
}

fn signed(scale: f32, codes: &[u8], values: &mut [f32]) {
    for (value, code) in values.iter_mut().zip(codes) {
        *value = scale * f32::from(*code as i8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q8_1 and Q8_K have no decoder in ggml's Python package to compare with.
    #[test]
    fn signed_bytes_begin_behind_the_scale_and_the_sum() {
        let mut block = [0; 36];
        (block[1], block[3], block[4], block[35]) = (0x38, 0x77, 0x80, 3);
        let mut values = [0.0; 32];
        q8_1(&block, &mut values);
        assert_eq!((values[0], values[1], values[31]), (-64.0, 0.0, 1.5));
        let mut block = [0; 292];
        block[..4].copy_from_slice(&0.5_f32.to_le_bytes());
        (block[4], block[259], block[260]) = (0x80, 3, 0x55);
        let mut values = [0.0; 256];
        q8_k(&block, &mut values);
        assert_eq!((values[0], values[1], values[255]), (-64.0, 0.0, 1.5));
    }
}
