//! How many bits an artifact may have. All floating-point work is f64 in the validator's own
//! grouping, so that the ceilings agree to the bit.

/// Parameters of the reference model, as the competition rounds Qwen3.6-27B.
pub const REFERENCE_PARAMETERS: u64 = 27_000_000_000;
/// A model may have at most this many times the reference's parameters.
pub const PARAMETER_COUNT_MULTIPLIER: u64 = 16;
/// Bits of one rescue code.
const RESCUE_CODE_BITS: f64 = 4.0;
/// One 16-bit scale serves 128 rescue codes.
const RESCUE_SCALE_BITS: f64 = 16.0 / 128.0;
/// Largest fraction of parameters that may not be in the native form.
const MAX_NON_NATIVE_FRACTION: f64 = 0.10;
/// Slack of the validator's own comparison of fractions.
const FRACTION_TOLERANCE: f64 = 1e-12;

/// Which competition pack's limits apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pack {
    /// 1 bit per native parameter.
    Binary,
    /// 2 bits per native parameter.
    Ternary,
}

impl Pack {
    /// Bits of one native parameter.
    fn native_bits(self) -> f64 {
        match self {
            Self::Binary => 1.0,
            Self::Ternary => 2.0,
        }
    }

    /// The pack's name as options and reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Ternary => "ternary",
        }
    }

    /// Average bits per parameter that the budget allows: 1.3125 for binary, 2.2125 for ternary.
    pub fn bits_per_parameter(self) -> f64 {
        let rescue = RESCUE_CODE_BITS + RESCUE_SCALE_BITS;
        ((1.0 - MAX_NON_NATIVE_FRACTION) * self.native_bits()) + (MAX_NON_NATIVE_FRACTION * rescue)
    }

    /// Most bits of an artifact whose model has `parameters` parameters.
    pub fn max_artifact_bits(self, parameters: u64) -> u64 {
        (parameters as f64 * self.bits_per_parameter()).ceil() as u64
    }

    /// Most parameters out of `parameters` that may be stored in anything but the native form.
    pub fn max_non_native(self, parameters: u64) -> u64 {
        let mut most = (parameters as f64 * MAX_NON_NATIVE_FRACTION) as u64;
        while self.non_native_allowed(most + 1, parameters) {
            most += 1;
        }
        most
    }

    /// Whether `count` of `parameters` parameters may be stored in anything but the native form.
    pub fn non_native_allowed(self, count: u64, parameters: u64) -> bool {
        count <= parameters
            && parameters > 0
            && count as f64 / parameters as f64 <= MAX_NON_NATIVE_FRACTION + FRACTION_TOLERANCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_budgets_are_the_published_ones() {
        assert_eq!(Pack::Binary.max_artifact_bits(REFERENCE_PARAMETERS), 35_437_500_000);
        assert_eq!(Pack::Ternary.max_artifact_bits(REFERENCE_PARAMETERS), 59_737_500_000);
    }

    #[test]
    fn budgets_round_up_and_never_shrink() {
        let mut last = 0;
        for parameters in (1..10_000).chain(26_895_998_000..26_895_999_000) {
            let bits = Pack::Binary.max_artifact_bits(parameters);
            assert!(bits >= last && bits as f64 >= parameters as f64 * 1.3125);
            last = bits;
        }
    }

    #[test]
    fn the_fraction_limit_is_exact_at_its_boundary() {
        for parameters in [1, 9, 10, 11, 999, 1000, 1001, 26_895_998_464] {
            let most = Pack::Binary.max_non_native(parameters);
            assert!(most == 0 || Pack::Binary.non_native_allowed(most, parameters), "{parameters}");
            assert!(!Pack::Binary.non_native_allowed(most + 1, parameters), "{parameters}");
        }
        assert_eq!(Pack::Binary.max_non_native(1000), 100);
        assert_eq!(Pack::Binary.max_non_native(1009), 100);
    }
}
