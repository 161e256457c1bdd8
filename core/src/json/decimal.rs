//! The nearest float to a decimal number, by whole numbers of any length: slower than tables, and far shorter.

use num_bigint::BigUint;

/// Significant digits that are kept. No number halfway between two floats has more than 767, so of those behind
/// only one thing matters: whether they are all zero.
const DIGITS: u32 = 800;
/// Exponents further from 0 than this are all alike.
const FAR: i64 = 1 << 40;
/// 10 to this power is beyond all floats.
const TOO_LARGE: i64 = 310;
/// 10 to this power is below half of the smallest float.
const TOO_SMALL: i64 = -330;
/// Bits of a float's significand.
const SIGNIFICAND_BITS: u32 = 53;
/// Exponent of the smallest float, 2^-1074.
const LEAST_EXPONENT: i64 = -1074;

/// The nearest float, of two equally near the even one, to a number of JSON's form; nothing when it is out of their
/// range.
pub(super) fn nearest(text: &[u8]) -> Option<f64> {
    let (mut digits, mut kept, mut is_cut) = (BigUint::ZERO, 0_u32, false);
    let (mut exponent, mut is_behind_point) = (0_i64, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' if kept < DIGITS => {
                digits = digits * 10_u32 + u32::from(byte - b'0');
                kept += u32::from(kept > 0 || *byte != b'0');
                exponent -= i64::from(is_behind_point);
            }
            b'0'..=b'9' => {
                is_cut |= *byte != b'0';
                exponent += i64::from(!is_behind_point);
            }
            b'.' => is_behind_point = true,
            b'e' | b'E' => {
                exponent += read_exponent(&text[at + 1..]);
                break;
            }
            _ => {}
        }
    }
    if is_cut {
        digits = digits * 10_u32 + 1_u32;
        exponent -= 1;
    }
    let magnitude = match exponent + i64::from(kept) {
        _ if kept == 0 => 0.0,
        ..TOO_SMALL => 0.0,
        TOO_LARGE.. => return None,
        _ => scaled(digits, exponent)?,
    };
    Some(if text.starts_with(b"-") { -magnitude } else { magnitude })
}

/// Digits behind an optional sign.
fn read_exponent(text: &[u8]) -> i64 {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit());
    let number = digits.fold(0, |number, digit| (10 * number + i64::from(digit - b'0')).min(FAR));
    if text.starts_with(b"-") { -number } else { number }
}

/// The nearest float to `digits * 10^exponent`, which is not 0.
fn scaled(digits: BigUint, exponent: i64) -> Option<f64> {
    let (mut dividend, mut divisor) = (digits, BigUint::from(1_u32));
    for _ in 0..exponent.unsigned_abs() {
        *(if exponent > 0 { &mut dividend } else { &mut divisor }) *= 10_u32;
    }
    // With both of the same length the quotient lies between 1/2 and 2.
    let shift = dividend.bits() as i64 - divisor.bits() as i64;
    *(if shift > 0 { &mut divisor } else { &mut dividend }) <<= shift.unsigned_abs();
    // 64 bits of it, the first worth 2^shift.
    let mut quotient = 0_u64;
    for _ in 0..u64::BITS {
        quotient <<= 1;
        if dividend >= divisor {
            dividend -= &divisor;
            quotient |= 1;
        }
        dividend <<= 1_u32;
    }
    round(quotient, shift - 63, dividend != BigUint::ZERO)
}

/// The nearest float to `quotient * 2^exponent` and maybe a little more.
fn round(quotient: u64, exponent: i64, has_more: bool) -> Option<f64> {
    let spare = i64::from(u64::BITS - quotient.leading_zeros() - SIGNIFICAND_BITS);
    // The smallest floats have fewer bits.
    let drop = spare.max(LEAST_EXPONENT - exponent);
    if drop > i64::from(u64::BITS) {
        return Some(0.0);
    }
    let kept = quotient.checked_shr(drop as u32).unwrap_or(0);
    let dropped = quotient - kept.checked_shl(drop as u32).unwrap_or(0);
    let half = 1 << (drop - 1);
    let is_up = dropped > half || (dropped == half && (has_more || kept & 1 == 1));
    // A carry out of the significand raises the exponent, as it should.
    let exponent = ((exponent + drop - LEAST_EXPONENT) as u64) << (SIGNIFICAND_BITS - 1);
    let bits = exponent + kept + u64::from(is_up);
    (bits < f64::INFINITY.to_bits()).then(|| f64::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rust's own reader is exact.
    #[track_caller]
    fn check(text: &str) {
        let wanted: f64 = text.parse().expect("a number");
        let found = nearest(text.as_bytes());
        assert_eq!(
            found.map(f64::to_bits),
            Some(wanted).filter(|x| x.is_finite()).map(f64::to_bits),
            "{text}"
        );
    }

    #[test]
    fn figures_of_reports_are_read_to_the_bit() {
        // Each is one step off to serde_json without its feature `float_roundtrip`.
        for text in [
            "5.960464477539063e-8",
            "0.9803921568627451",
            "1e-60",
            "2444444444444444444444444444444444444444444",
        ] {
            check(text);
        }
    }

    #[test]
    fn the_ends_of_the_range_and_halves_are_right() {
        for text in [
            "0",
            "-0",
            "0e999999999999999999999",
            "-0.0e-5",
            "5e-324",
            "2.4703282292062327e-324",
            "2.4703282292062328e-324",
            "2.2250738585072014e-308",
            "2.2250738585072011e-308",
            "2.225073858507201e-308",
            "1.7976931348623157e308",
            "1.7976931348623158e308",
            "1.7976931348623159e308",
            "1e309",
            "1e-330",
            "1e-331",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "9007199254740993",
            "9007199254740993.00000000000000000000000000000000000000001",
            "9007199254740995",
            "100000000000000000000000000000000000000000000000000e-50",
        ] {
            check(text);
        }
        // Halfway between two floats, and a digit far behind that decides. The first is 2^-1074 * 3/2.
        let halves =
            [(BigUint::from(5_u32).pow(1_075) * 3_u32, 1_075), (9_007_199_254_740_993_u64.into(), 0)];
        for (half, places) in halves {
            for (zeros, last) in [(0, ""), (9, "0"), (9, "1"), (2_000, ""), (2_000, "1"), (2_000, "01")] {
                let behind = ["0"; 2_000][..zeros].concat() + last;
                check(&format!("{half}{behind}e-{}", places + behind.len()));
                check(&format!("{half}.{behind}0e-{places}"));
            }
        }
    }

    #[test]
    fn any_number_is_read_as_rust_reads_it() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut random = move || rng.u64(..) >> 11;
        for _ in 0..30_000 {
            let float = f64::from_bits(random() << 11 | random() & 0x7ff);
            if float.is_finite() {
                check(&format!("{float:e}"));
                check(&format!("{float:.25e}"));
            }
            let exponent = random() as i64 % 700 - 350;
            check(&format!("{}e{exponent}", random()));
            check(&format!("-{}.{}e{}", random(), random(), exponent / 8));
        }
    }
}
