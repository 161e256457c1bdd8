//! The proxy's counts, and the same scaled up to the reference model.

use num_bigint::{BigInt, Sign};
use num_traits::{Signed, ToPrimitive, Zero};

use super::entries::{Entry, non_negative};
use super::layer::Layer;
use crate::contract::python::{Exception, Node, Raised, Value, significant12, to_float, to_int};
use crate::contract::{FRACTION_TOLERANCE, Limits, PROXY_PARAMETERS};

/// `dividend / divisor` of two integers as Python's `/` gives it: correctly rounded.
///
/// # Errors
/// A quotient beyond the range of f64. The divisor is positive.
pub(super) fn quotient(dividend: &BigInt, divisor: &BigInt) -> Result<f64, Raised> {
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
fn ceil_quotient(dividend: &BigInt, divisor: &BigInt) -> Result<BigInt, Raised> {
    to_int(&quotient(dividend, divisor)?.ceil().into())
}

/// Whole bytes that hold this many bits.
pub(super) fn ceil_bytes(bits: &BigInt) -> Result<BigInt, Raised> {
    ceil_quotient(bits, &8.into())
}

/// A count of the proxy as it would be for a model of `parameters` parameters.
///
/// # Errors
/// A result beyond the range of f64.
pub fn scaled(count: &BigInt, parameters: i128) -> Result<BigInt, Raised> {
    if !count.is_positive() {
        return Ok(BigInt::ZERO);
    }
    ceil_quotient(&(count * parameters), &PROXY_PARAMETERS.into())
}

/// What an artifact costs.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields carry the report's names; proxy_ ones are not scaled")]
pub struct Totals {
    pub parameter_count: BigInt,
    pub compressed_bits: BigInt,
    pub compressed_size_bytes: BigInt,
    pub rescue_count: BigInt,
    pub rescue_fraction: f64,
    pub parameter_count_multiplier: f64,
    pub compression_ratio: f64,
    pub proxy_parameter_count: BigInt,
    pub proxy_parameter_count_multiplier: f64,
    pub proxy_compressed_bits: BigInt,
    pub proxy_compressed_size_bytes: BigInt,
    pub proxy_rescue_count: BigInt,
}

impl Totals {
    /// Adds up matrices and entries.
    pub(super) fn of(layers: &[Layer], entries: &[Entry], limits: &Limits) -> Result<Self, Raised> {
        let (mut parameters, mut bits, mut rescued) = (BigInt::ZERO, BigInt::ZERO, BigInt::ZERO);
        for layer in layers {
            parameters += layer.parameters;
            bits += layer.bits;
            rescued += layer.rescued;
        }
        for entry in entries {
            parameters += &entry.parameters;
            bits += &entry.bits;
            rescued += entry.rescued();
        }
        let reference = limits.parameter_count;
        let scaled = |count: &BigInt| scaled(count, reference);
        let (parameter_count, compressed_bits) = (scaled(&parameters)?, scaled(&bits)?);
        Ok(Self {
            compressed_size_bytes: ceil_bytes(&compressed_bits)?,
            rescue_count: scaled(&rescued)?,
            rescue_fraction: quotient(&rescued, &PROXY_PARAMETERS.into())?,
            parameter_count_multiplier: quotient(&parameter_count, &reference.into())?,
            compression_ratio: quotient(
                &limits.baseline_bits.into(),
                (&compressed_bits).max(&BigInt::from(1)),
            )?,
            proxy_parameter_count_multiplier: quotient(&parameters, &PROXY_PARAMETERS.into())?,
            proxy_compressed_size_bytes: ceil_bytes(&bits)?,
            parameter_count,
            compressed_bits,
            proxy_parameter_count: parameters,
            proxy_compressed_bits: bits,
            proxy_rescue_count: rescued,
        })
    }

    /// Whether more is rescued than the limits allow.
    pub(super) fn is_over_fraction(&self, limits: &Limits) -> bool {
        self.rescue_fraction > limits.max_non_native_fraction + FRACTION_TOLERANCE
    }

    /// Whether there are more parameters than the limits allow.
    pub(super) fn is_over_parameters(&self, limits: &Limits) -> bool {
        self.parameter_count > limits.max_parameter_count.into()
    }

    /// Whether they take more bits than the limits allow.
    pub(super) fn is_over_bits(&self, limits: &Limits) -> bool {
        self.compressed_bits > limits.max_compressed_bits.into()
    }

    /// Holds what the artifact declares of itself against these.
    pub(super) fn check_declared(&self, accounting: Node) -> Result<(), Raised> {
        let counts = [
            ("parameter_count", &self.parameter_count),
            ("compressed_bits", &self.compressed_bits),
            ("compressed_size_bytes", &self.compressed_size_bytes),
            ("high_precision_count", &self.rescue_count),
            ("rescue_count", &self.rescue_count),
            ("total_rescue_count", &self.rescue_count),
        ];
        for (key, computed) in counts {
            let Some(declared) = accounting.get(key) else { continue };
            let place = format!("artifact.accounting.{key}");
            let declared = non_negative(&declared.scalar(), &place)?;
            if declared != *computed {
                return Err(mismatch(&place, &declared, computed));
            }
        }
        let fractions = [
            "overall_high_precision_fraction",
            "high_precision_fraction",
            "rescue_fraction",
            "overall_rescue_fraction",
        ];
        for key in fractions {
            let Some(declared) = accounting.get(key) else { continue };
            check_fraction(&format!("artifact.accounting.{key}"), &declared.scalar(), self.rescue_fraction)?;
        }
        Ok(())
    }
}

fn mismatch(place: &str, declared: &dyn std::fmt::Display, computed: &dyn std::fmt::Display) -> Raised {
    Raised::value(format!("{place}={declared} does not match validator computed {computed}"))
}

fn check_fraction(place: &str, declared: &Value, computed: f64) -> Result<(), Raised> {
    let declared = match to_float(declared) {
        Err(raised) if raised.exception == Exception::OverflowError => return Err(raised),
        Err(_) => return Err(Raised::value(format!("{place} must be a finite number"))),
        Ok(declared) => declared,
    };
    let tolerance = f64::max(1e-6 * f64::max(declared.abs(), computed.abs()), 1e-9);
    if declared.is_finite() && (declared - computed).abs() <= tolerance {
        return Ok(());
    }
    Err(mismatch(place, &significant12(declared), &significant12(computed)))
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
        // 2^53 + 1 is no f64, so dividing rounded operands would give 2^53.
        assert_eq!(divide(3 * ((1 << 53) + 1) + 1, 3), 9_007_199_254_740_994.0);
        let huge = BigInt::from(1) << 2000;
        assert_eq!(quotient(&huge, &1.into()).unwrap_err().exception, Exception::OverflowError);
        assert_eq!(quotient(&huge, &(BigInt::from(3) << 1999)).unwrap(), 2.0 / 3.0);
    }

    #[test]
    fn nothing_scales_to_nothing_and_the_rest_rounds_up() {
        assert_eq!(scaled(&0.into(), 27_000_000_000), Ok(0.into()));
        assert_eq!(scaled(&1.into(), 27_000_000_000), Ok(457_318.into()));
        assert_eq!(scaled(&59_040.into(), 59_040), Ok(59_040.into()));
    }
}
