//! Integers of any size: division as Python does it, and counts read from JSON.

use num_bigint::{BigInt, Sign};
use num_traits::{Signed, ToPrimitive, Zero};

use super::{Exception, Raised, Value, to_int};

/// `dividend / divisor` of two integers as Python's `/` gives it: correctly rounded.
///
/// # Errors
/// A quotient beyond the range of f64. The divisor is positive.
pub(in crate::contract) fn quotient(dividend: &BigInt, divisor: &BigInt) -> Result<f64, Raised> {
    // A quotient of 66 bits or more whose last bit also stands for everything behind it is rounded by
    // the conversion as the exact one would be.
    let shift = 66 + divisor.bits() as i64 - dividend.bits() as i64;
    let (scaled, divisor) = if shift > 0 {
        (dividend.abs() << shift, divisor.clone())
    } else {
        (dividend.abs(), divisor << -shift)
    };
    let is_inexact = !(&scaled % &divisor).is_zero();
    let sticky = (scaled / divisor) | BigInt::from(u8::from(is_inexact));
    let value = sticky.to_f64().unwrap_or(f64::INFINITY) * 2f64.powi(-shift as i32);
    if !value.is_finite() {
        return Err(Raised::new(Exception::OverflowError, "integer division result too large for a float"));
    }
    Ok(if dividend.sign() == Sign::Minus { -value } else { value })
}

/// `ceil(dividend / divisor)`, the quotient rounded to f64 first.
///
/// # Errors
/// A quotient beyond the range of f64.
pub(in crate::contract) fn ceil_quotient(dividend: &BigInt, divisor: &BigInt) -> Result<BigInt, Raised> {
    to_int(&quotient(dividend, divisor)?.ceil().into())
}

/// Whole bytes that hold this many bits.
///
/// # Errors
/// More bytes than an f64 can count.
pub(in crate::contract) fn ceil_bytes(bits: &BigInt) -> Result<BigInt, Raised> {
    ceil_quotient(bits, &8.into())
}

/// `int(value)`, not negative. Infinity is an overflow, which the validator does not catch.
///
/// # Errors
/// What is not such a number; `place` begins the message.
pub(in crate::contract) fn non_negative(value: &Value, place: &str) -> Result<BigInt, Raised> {
    match to_int(value) {
        Ok(int) if !int.is_negative() => Ok(int),
        Err(raised) if raised.exception == Exception::OverflowError => Err(raised),
        _ => Err(Raised::value(format!("{place} must be a non-negative integer"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_correctly_rounded() {
        let divide = |a: i128, b: i128| quotient(&a.into(), &b.into()).unwrap();
        for (a, b) in [(1, 3), (7, 8), (1 << 53, 59_040), (22, 7), (0, 5), (5, 1 << 60)] {
            assert_eq!(divide(a, b), a as f64 / b as f64, "{a} / {b}");
        }
        // 2^53 + 1 is not an f64, so dividing rounded operands would give 2^53.
        assert_eq!(divide(3 * ((1 << 53) + 1) + 1, 3), 9_007_199_254_740_994.0);
        let huge = BigInt::from(1) << 2000;
        assert_eq!(quotient(&huge, &1.into()).unwrap_err().exception, Exception::OverflowError);
        assert_eq!(quotient(&huge, &(BigInt::from(3) << 1999)).unwrap(), 2.0 / 3.0);
    }
}
