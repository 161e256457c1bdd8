//! The proxy's counts, and the same scaled up to the reference model.

use num_bigint::BigInt;
use num_traits::Signed;

use super::entries::Entry;
use super::layer::Layer;
use crate::contract::python::{
    Exception, Node, Raised, Value, ceil_bytes, ceil_quotient, non_negative, quotient, significant12,
    to_float,
};
use crate::contract::{FRACTION_TOLERANCE, Limits, PROXY_PARAMETERS};

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
    fn nothing_scales_to_nothing_and_the_rest_rounds_up() {
        assert_eq!(scaled(&0.into(), 27_000_000_000), Ok(0.into()));
        assert_eq!(scaled(&1.into(), 27_000_000_000), Ok(457_318.into()));
        assert_eq!(scaled(&59_040.into(), 59_040), Ok(59_040.into()));
    }
}
