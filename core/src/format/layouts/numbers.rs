//! Small floating-point numbers.

/// A number of 4 bits: sign, 2 of exponent (1 is 2^0), 1 of mantissa.
pub(super) fn e2m1(code: u8) -> f32 {
    const VALUES: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let value = VALUES[usize::from(code & 7)];
    if code & 8 == 0 { value } else { -value }
}

/// A number of 8 bits: sign, 4 of exponent (7 is 2^0), 3 of mantissa; 0x7f and 0xff are no numbers.
pub(super) fn e4m3(code: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(code >> 3 & 0xf), f32::from(code & 7));
    let value = match (exponent, code & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * 2_f32.powi(-9),
        _ => (8.0 + mantissa) * 2_f32.powi(exponent - 10),
    };
    if code & 0x80 == 0 { value } else { -value }
}

/// The power of two with this exponent, 127 too high; 255 is no number.
pub(super) fn e8m0(code: u8) -> f32 {
    match code {
        255 => f32::NAN,
        // The smallest is no normal number.
        0 => f32::from_bits(1 << 22),
        _ => f32::from_bits(u32::from(code) << 23),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_their_definitions() {
        assert_eq!([0, 1, 2, 7, 9, 15].map(e2m1), [0.0, 0.5, 1.0, 6.0, -0.5, -6.0]);
        assert_eq!([0, 1, 8, 0x38, 0x7e, 0xb9].map(e4m3), [0.0, 1.0 / 512.0, 1.0 / 64.0, 1.0, 448.0, -1.125]);
        assert!(e4m3(0x7f).is_nan() && e4m3(0xff).is_nan() && e8m0(255).is_nan());
        assert_eq!([127, 128, 1, 254].map(e8m0), [1.0, 2.0, 2_f32.powi(-126), 2_f32.powi(127)]);
        assert_eq!(f64::from(e8m0(0)), 2_f64.powi(-127));
    }
}
