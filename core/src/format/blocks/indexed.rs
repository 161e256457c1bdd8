//! The IQ types whose codes name rows of a table: 4 or 8 values at once, and their signs beside them.

use half::f16;

use super::grids::{IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS};
use super::{half, nibble, u16_at, u32_at};

/// What two bits of a row of the IQ2 tables mean.
const IQ2_LEVELS: [f32; 3] = [8.0, 25.0, 43.0];
/// What three bits of a row of IQ3_XXS's table mean.
const IQ3_XXS_LEVELS: [f32; 8] = [4.0, 12.0, 20.0, 28.0, 36.0, 44.0, 52.0, 62.0];
/// What all values of IQ1 are moved by, up or down.
const IQ1_SHIFT: f32 = 0.125;

/// Eight signs, 1 is -: seven as stored, and the last makes their number even.
fn even_signs(seven: u32) -> u8 {
    let seven = (seven & 0x7f) as u8;
    seven | ((seven.count_ones() & 1) as u8) << 7
}

/// `scale` times what `level` gives for each place, with its sign.
fn signed(scale: f32, signs: u8, values: &mut [f32], level: impl Fn(usize) -> f32) {
    for (i, value) in values.iter_mut().enumerate() {
        let sign = if signs >> i & 1 == 1 { -1.0 } else { 1.0 };
        *value = scale * level(i) * sign;
    }
}

/// A row of eight levels of two bits each.
fn iq2_row(row: u16, scale: f32, signs: u8, values: &mut [f32]) {
    signed(scale, signs, values, |i| IQ2_LEVELS[usize::from(row >> (2 * i) & 3)]);
}

fn iq2_scale(scale: f32, own: f32) -> f32 {
    scale * (0.5 + own) * 0.25
}

/// Scale; of each 32 values four numbers of rows, then four times 7 signs and 4 bits of scale.
pub(super) fn iq2_xxs(block: &[u8], values: &mut [f32]) {
    for (group, values) in values.chunks_exact_mut(32).enumerate() {
        let own = &block[2 + 8 * group..][..8];
        let signs = u32_at(own, 1);
        let scale = iq2_scale(half(block), (signs >> 28) as f32);
        for (i, values) in values.chunks_exact_mut(8).enumerate() {
            iq2_row(IQ2_XXS[usize::from(own[i])], scale, even_signs(signs >> (7 * i)), values);
        }
    }
}

/// Scale; of each 8 values a number of 9 bits and 7 signs; 16 scales of 4 bits.
pub(super) fn iq2_xs(block: &[u8], values: &mut [f32]) {
    let (codes, scales) = (&block[2..66], &block[66..74]);
    for (i, values) in values.chunks_exact_mut(8).enumerate() {
        let code = u16_at(codes, i);
        let scale = iq2_scale(half(block), nibble(scales, i / 2).into());
        iq2_row(IQ2_XS[usize::from(code & 511)], scale, even_signs((code >> 9).into()), values);
    }
}

/// Scale; of each 8 values the low byte of a number, 8 signs, two high bits; 16 scales of 4 bits.
pub(super) fn iq2_s(block: &[u8], values: &mut [f32]) {
    let (low, signs, high, scales) = (&block[2..34], &block[34..66], &block[66..74], &block[74..82]);
    for (i, values) in values.chunks_exact_mut(8).enumerate() {
        let row = usize::from(low[i]) | usize::from(high[i / 4] >> (i % 4 * 2) & 3) << 8;
        iq2_row(IQ2_S[row], iq2_scale(half(block), nibble(scales, i / 2).into()), signs[i], values);
    }
}

/// Scale; of each 4 values a number of a row; of each 32 four times 7 signs and 4 bits of scale.
pub(super) fn iq3_xxs(block: &[u8], values: &mut [f32]) {
    let (codes, rest) = (&block[2..66], &block[66..98]);
    for (i, values) in values.chunks_exact_mut(4).enumerate() {
        let signs = u32_at(rest, i / 8);
        let scale = half(block) * (0.5 + (signs >> 28) as f32) * 0.5;
        let signs = even_signs(signs >> (i % 8 / 2 * 7)) >> (i % 2 * 4);
        let row = IQ3_XXS[usize::from(codes[i])];
        signed(scale, signs, values, |i| IQ3_XXS_LEVELS[usize::from(row >> (4 * i) & 7)]);
    }
}

/// Scale; of each 4 values the low byte of a number and its high bit; signs; 8 scales of 4 bits.
pub(super) fn iq3_s(block: &[u8], values: &mut [f32]) {
    let (low, high, signs, scales) = (&block[2..66], &block[66..74], &block[74..106], &block[106..110]);
    for (i, values) in values.chunks_exact_mut(4).enumerate() {
        let row = IQ3_S[usize::from(low[i]) | usize::from(high[i / 8] >> (i % 8) & 1) << 8];
        let scale = half(block) * f32::from(1 + 2 * nibble(scales, i / 8));
        signed(scale, nibble(signs, i), values, |i| f32::from(1 + 2 * (row >> (4 * i) & 7)));
    }
}

/// A row of eight values of -1, 0 and 1, all moved by the same.
fn iq1_row(row: u16, scale: f32, is_lower: bool, values: &mut [f32]) {
    let shift = if is_lower { -IQ1_SHIFT } else { IQ1_SHIFT };
    for (i, value) in values.iter_mut().enumerate() {
        *value = scale * (f32::from(row >> (2 * i) & 3) - 1.0 + shift);
    }
}

/// Scale; of each 8 values the low byte of a number; of each 32 four times its 3 high bits, a scale of 3 bits, the shift.
pub(super) fn iq1_s(block: &[u8], values: &mut [f32]) {
    let (low, high) = (&block[2..34], &block[34..50]);
    for (i, values) in values.chunks_exact_mut(8).enumerate() {
        let high = u16_at(high, i / 4);
        let scale = half(block) * f32::from(2 * (high >> 12 & 7) + 1);
        let row = usize::from(low[i]) | usize::from(high >> (i % 4 * 3) & 7) << 8;
        iq1_row(IQ1_S[row], scale, high >> 15 == 1, values);
    }
}

/// Of each 8 values the low byte of a number, then its 3 high bits and the shift; four words of four scales of 3 bits, whose
/// highest 4 bits make up the block's scale.
pub(super) fn iq1_m(block: &[u8], values: &mut [f32]) {
    let (low, high, scales) = (&block[..32], &block[32..48], &block[48..56]);
    let scale = (0..4).fold(0, |bits, i| bits | u16_at(scales, i) >> 12 << (4 * i));
    let scale = f16::from_bits(scale).to_f32();
    for (i, values) in values.chunks_exact_mut(8).enumerate() {
        let own = u16_at(scales, i / 8) >> (i / 2 % 4 * 3) & 7;
        let high = nibble(high, i);
        let row = usize::from(low[i]) | usize::from(high & 7) << 8;
        iq1_row(IQ1_S[row], scale * f32::from(2 * own + 1), high & 8 != 0, values);
    }
}
