//! Types whose codes of 4 bits name one of 16 levels.

use super::{half, nibble, u16_at};

/// Levels of IQ4_NL and IQ4_XS.
const UNEVEN: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/// Twice the values of a float with two bits of exponent and one of mantissa.
const E2M1: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Levels of the low halves of the bytes, then of the high ones, times the scale.
fn halves(levels: &[i8; 16], scale: f32, codes: &[u8], values: &mut [f32]) {
    let (low, high) = values.split_at_mut(codes.len());
    for ((low, high), code) in low.iter_mut().zip(high).zip(codes) {
        *low = scale * f32::from(levels[usize::from(code & 0xf)]);
        *high = scale * f32::from(levels[usize::from(code >> 4)]);
    }
}

/// Scale, 16 bytes.
pub(super) fn iq4_nl(block: &[u8], values: &mut [f32]) {
    halves(&UNEVEN, half(block), &block[2..18], values);
}

/// Scale, 8 times the high 2 bits of a scale, 8 times its low 4 (32 too high together), 8 times 16 bytes.
pub(super) fn iq4_xs(block: &[u8], values: &mut [f32]) {
    let (scale, high, low) = (half(block), u16_at(&block[2..], 0), &block[4..8]);
    let groups = block[8..].chunks_exact(16).zip(values.chunks_exact_mut(32));
    for (group, (codes, values)) in groups.enumerate() {
        let own = nibble(low, group) | ((high >> (2 * group) & 3) as u8) << 4;
        halves(&UNEVEN, scale * (f32::from(own) - 32.0), codes, values);
    }
}

/// A power of two (e8m0), 16 bytes.
pub(super) fn mxfp4(block: &[u8], values: &mut [f32]) {
    let exponent = u32::from(block[0]);
    // Half the power, since the levels are doubled; the two smallest are subnormal.
    let bits = if exponent < 2 { 0x0020_0000 << exponent } else { (exponent - 1) << 23 };
    halves(&E2M1, f32::from_bits(bits), &block[1..17], values);
}

/// Four scales, then 8 bytes of each.
pub(super) fn nvfp4(block: &[u8], values: &mut [f32]) {
    let groups = block[4..].chunks_exact(8).zip(values.chunks_exact_mut(16));
    for ((codes, values), scale) in groups.zip(&block[..4]) {
        halves(&E2M1, 0.5 * e4m3(*scale), codes, values);
    }
}

/// A float without sign of 4 bits of exponent and 3 of mantissa; what would be NaN is 0, as in ggml.
fn e4m3(byte: u8) -> f32 {
    let (exponent, mantissa) = (byte >> 3 & 0xf, f32::from(byte & 7));
    match (byte, exponent) {
        (0x7f, _) => 0.0,
        (_, 0) => mantissa / 512.0,
        _ => (1.0 + mantissa / 8.0) * f32::powi(2.0, i32::from(exponent) - 7),
    }
}
