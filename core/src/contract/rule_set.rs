//! What a competition pack sets, and the limits that follow from it. All floating-point work is f64 in
//! the validator's own grouping, so that the ceilings agree to the bit.

use num_traits::ToPrimitive;

use super::python::{Raised, Value, to_float, to_int};

/// The model of the proxy, and the validator's default tokenizer.
pub const PROXY_MODEL: &str = "Qwen/Qwen3-0.6B";
/// Parameters of the reference model, as the competition rounds Qwen3.6-27B.
pub const REFERENCE_PARAMETERS: u64 = 27_000_000_000;
/// A model may have at most this many times the reference's parameters.
pub const PARAMETER_COUNT_MULTIPLIER: u64 = 16;
/// Bits per parameter of the uncompressed baseline.
const BASELINE_BITS: i128 = 16;
/// What the q4 rescue form is called.
pub const RESCUE_QUANTIZATION: &str = "q4_symmetric_int_scaled_g128";
/// Bits of one rescue scale.
pub const RESCUE_SCALE_BITS: u64 = 16;
/// Rescue codes that share a scale.
pub const RESCUE_SCALE_GROUP: u64 = 128;
/// Perplexities whose logarithms differ by less than this tie.
pub const PPL_RESOLUTION_NATS: f64 = 0.02;
/// Slack of the validator's own comparison of fractions.
pub const FRACTION_TOLERANCE: f64 = 1e-12;

/// A pack's settings, the validator's `BenchmarkConfig`.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSet {
    /// Name of the pack in reports.
    pub pack_name: String,
    /// `binary`, `ternary` or another word.
    pub quant_mode: String,
    /// The proxy's second metric.
    pub secondary_metric_name: Option<String>,
    /// Lowest quality of a proxy artifact; direct mode does not apply it.
    pub quality_floor: f64,
    /// The model to compress.
    pub reference_model_id: Option<String>,
    /// Its parameters. Without it the proxy's own totals are the limits.
    pub reference_parameter_count: Option<i128>,
    /// Bits of one native parameter; by mode when absent.
    pub native_bits_per_parameter: Option<f64>,
    /// Largest fraction of parameters that may not be native.
    pub max_non_native_fraction: f64,
    /// Bits of one rescue code.
    pub rescue_bits_per_parameter: f64,
    /// Differences of ln heldout_ppl below this are ties; the validator only reports it.
    pub ppl_resolution_nats: f64,
}

impl RuleSet {
    /// The competition pack `qwen3-27b-binary-frontier`.
    pub fn binary() -> Self {
        Self::of("qwen3_27b_binary_frontier", "binary", 1.0)
    }

    /// Its ternary sibling.
    pub fn ternary() -> Self {
        Self::of("qwen3_27b_ternary_frontier", "ternary", 2.0)
    }

    fn of(pack_name: &str, quant_mode: &str, native_bits: f64) -> Self {
        Self {
            pack_name: pack_name.into(),
            quant_mode: quant_mode.into(),
            secondary_metric_name: None,
            quality_floor: 0.76,
            reference_model_id: Some("Qwen/Qwen3.6-27B".into()),
            reference_parameter_count: Some(REFERENCE_PARAMETERS.into()),
            native_bits_per_parameter: Some(native_bits),
            max_non_native_fraction: 0.10,
            rescue_bits_per_parameter: 4.0,
            ppl_resolution_nats: PPL_RESOLUTION_NATS,
        }
    }

    /// Reads a JSON object with the validator's field names; absent fields are the binary pack's.
    ///
    /// # Errors
    /// A field of the wrong type, or one that the validator does not have.
    pub fn from_json(json: &Value) -> Result<Self, Raised> {
        let Value::Object(object) = json else {
            return Err(Raised::value("the config must be a JSON object"));
        };
        let mut config = Self::binary();
        for (key, value) in object {
            let text = || match value {
                Value::String(text) => Ok(text.clone()),
                _ => Err(Raised::value(format!("config field {key} must be a string"))),
            };
            let nullable = || if *value == Value::Null { Ok(None) } else { text().map(Some) };
            match key.as_str() {
                "pack_name" => config.pack_name = text()?,
                "quant_mode" => config.quant_mode = text()?,
                "secondary_metric_name" => config.secondary_metric_name = nullable()?,
                "reference_model_id" => config.reference_model_id = nullable()?,
                "reference_parameter_count" if *value == Value::Null => {
                    config.reference_parameter_count = None
                }
                "reference_parameter_count" => {
                    let count = to_int(value)?.to_i64().map(i128::from);
                    let fail = || Raised::value(format!("config field {key} must be below 2^63"));
                    config.reference_parameter_count = Some(count.ok_or_else(fail)?);
                }
                "native_bits_per_parameter" if *value == Value::Null => {
                    config.native_bits_per_parameter = None
                }
                "native_bits_per_parameter" => config.native_bits_per_parameter = Some(to_float(value)?),
                "quality_floor" => config.quality_floor = to_float(value)?,
                "max_non_native_fraction" => config.max_non_native_fraction = to_float(value)?,
                "rescue_bits_per_parameter" => config.rescue_bits_per_parameter = to_float(value)?,
                "ppl_resolution_nats" => config.ppl_resolution_nats = to_float(value)?,
                "allow_runtime_patch" => {}
                _ => return Err(Raised::value(format!("the validator's config has no field {key}"))),
            }
        }
        Ok(config)
    }

    /// Bits of one native parameter.
    fn native_bits(&self) -> f64 {
        self.native_bits_per_parameter.unwrap_or_else(|| self.native_bits_by_mode())
    }

    /// Bits of one native parameter when the config does not say.
    fn native_bits_by_mode(&self) -> f64 {
        match self.quant_mode.as_str() {
            "binary" => 1.0,
            "ternary" => 2.0,
            _ => 16.0,
        }
    }

    /// The id of the reference model as reports name it.
    pub fn model_id(&self) -> &str {
        self.reference_model_id.as_deref().filter(|id| !id.is_empty()).unwrap_or(PROXY_MODEL)
    }
}

/// Every limit that follows from a [`RuleSet`].
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Model that the limits belong to.
    pub model_id: String,
    /// Parameters of the baseline.
    pub parameter_count: i128,
    /// Bits of the baseline.
    pub baseline_bits: i128,
    /// Bytes of the baseline.
    pub baseline_size_bytes: i128,
    /// Most parameters of a model.
    pub max_parameter_count: i128,
    /// Most bits of an artifact, whatever its model.
    pub max_compressed_bits: i128,
    /// Bits of one native parameter.
    pub native_bits_per_parameter: f64,
    /// Largest fraction of parameters that may not be native.
    pub max_non_native_fraction: f64,
    /// Bits of one rescue code.
    pub rescue_bits_per_parameter: f64,
}

/// Parameters of the proxy's five matrices.
pub const PROXY_PARAMETERS: i128 = 59_040;

impl Limits {
    /// The limits of a pack.
    ///
    /// # Errors
    /// A config whose numbers make no sense, in the validator's words.
    pub fn of(config: &RuleSet) -> Result<Self, Raised> {
        let rescue_bits = config.rescue_bits_per_parameter;
        if !(rescue_bits.is_finite() && rescue_bits > 0.0) {
            return Err(Raised::value("rescue_bits_per_parameter must be positive and finite"));
        }
        if let Some(parameters) = config.reference_parameter_count {
            if parameters <= 0 {
                return Err(Raised::value("reference_parameter_count must be positive"));
            }
            let native = config.native_bits();
            if !(native.is_finite() && native > 0.0) {
                return Err(Raised::value("native_bits_per_parameter must be positive and finite"));
            }
            if !(0.0..=1.0).contains(&config.max_non_native_fraction) {
                return Err(Raised::value("max_non_native_fraction must be in [0, 1]"));
            }
        }
        Ok(Self::of_valid(config))
    }

    /// [`Limits::of`] of a config that is known to be valid.
    pub(super) fn of_valid(config: &RuleSet) -> Self {
        let Some(parameters) = config.reference_parameter_count else { return Self::of_proxy(config) };
        let baseline_bits = BASELINE_BITS * parameters;
        let limits = Self {
            model_id: config.model_id().to_owned(),
            parameter_count: parameters,
            baseline_bits,
            // A correctly rounded quotient, as Python's `/` gives it: inexact from 2^53 on.
            baseline_size_bytes: (baseline_bits as f64 / 8.0).ceil() as i128,
            max_parameter_count: i128::from(PARAMETER_COUNT_MULTIPLIER) * parameters,
            max_compressed_bits: 0,
            native_bits_per_parameter: config.native_bits(),
            max_non_native_fraction: config.max_non_native_fraction,
            rescue_bits_per_parameter: config.rescue_bits_per_parameter,
        };
        Self { max_compressed_bits: limits.budget(parameters), ..limits }
    }

    /// The limits without a reference: the proxy's own totals.
    fn of_proxy(config: &RuleSet) -> Self {
        let bits = BASELINE_BITS * PROXY_PARAMETERS;
        Self {
            model_id: PROXY_MODEL.into(),
            parameter_count: PROXY_PARAMETERS,
            baseline_bits: bits,
            baseline_size_bytes: bits / 8,
            max_parameter_count: bits,
            max_compressed_bits: bits,
            native_bits_per_parameter: config.native_bits_by_mode(),
            max_non_native_fraction: 0.10,
            rescue_bits_per_parameter: config.rescue_bits_per_parameter,
        }
    }

    /// Bits of one rescue code with its share of a scale.
    pub fn effective_rescue_bits(&self) -> f64 {
        self.rescue_bits_per_parameter + RESCUE_SCALE_BITS as f64 / RESCUE_SCALE_GROUP as f64
    }

    /// Average bits per parameter that an artifact may have: 1.3125 for binary, 2.2125 for ternary.
    pub fn bits_per_parameter(&self) -> f64 {
        ((1.0 - self.max_non_native_fraction) * self.native_bits_per_parameter)
            + (self.max_non_native_fraction * self.effective_rescue_bits())
    }

    /// Most bits of an artifact whose model has this many parameters.
    pub fn budget(&self, parameters: i128) -> i128 {
        (parameters as f64 * self.bits_per_parameter()).ceil() as i128
    }

    /// [`Limits::budget`] in 64 bits, for artifacts that fit on a disk.
    pub fn max_artifact_bits(&self, parameters: u64) -> u64 {
        u64::try_from(self.budget(parameters.into())).unwrap_or(u64::MAX)
    }

    /// [`Limits::budget`] of a loaded model.
    ///
    /// # Errors
    /// A model without parameters.
    pub fn model_budget(&self, parameters: i128) -> Result<i128, Raised> {
        if parameters <= 0 {
            return Err(Raised::runtime("loaded model parameter_count must be positive"));
        }
        Ok(self.budget(parameters))
    }

    /// Whether `count` of `parameters` parameters may be stored in anything but the native form.
    pub fn non_native_allowed(&self, count: u64, parameters: u64) -> bool {
        count <= parameters
            && parameters > 0
            && count as f64 / parameters as f64 <= self.max_non_native_fraction + FRACTION_TOLERANCE
    }

    /// Most parameters out of `parameters` that may be stored in anything but the native form.
    pub fn max_non_native(&self, parameters: u64) -> u64 {
        let mut most = (parameters as f64 * self.max_non_native_fraction) as u64;
        while self.non_native_allowed(most + 1, parameters) {
            most += 1;
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::of(&RuleSet::binary()).unwrap()
    }

    #[test]
    fn reference_budgets_are_the_published_ones() {
        assert_eq!(limits().max_compressed_bits, 35_437_500_000);
        assert_eq!(Limits::of(&RuleSet::ternary()).unwrap().max_compressed_bits, 59_737_500_000);
    }

    #[test]
    fn budgets_round_up_and_never_shrink() {
        let (limits, mut last) = (limits(), 0);
        for parameters in (1..10_000).chain(26_895_998_000..26_895_999_000) {
            let bits = limits.budget(parameters);
            assert!(bits >= last && bits as f64 >= parameters as f64 * 1.3125);
            last = bits;
        }
    }

    #[test]
    fn the_fraction_limit_is_exact_at_its_boundary() {
        let limits = limits();
        for parameters in [1, 9, 10, 11, 999, 1000, 1001, 26_895_998_464] {
            let most = limits.max_non_native(parameters);
            assert!(most == 0 || limits.non_native_allowed(most, parameters), "{parameters}");
            assert!(!limits.non_native_allowed(most + 1, parameters), "{parameters}");
        }
        assert_eq!(limits.max_non_native(1000), 100);
        assert_eq!(limits.max_non_native(1009), 100);
    }

    #[test]
    fn a_config_with_a_field_that_the_validator_lacks_is_refused() {
        let config = |text| RuleSet::from_json(&Value::parse(text).unwrap());
        assert_eq!(config("{}").unwrap(), RuleSet::binary());
        assert!(config(r#"{"quant_mod": "ternary"}"#).unwrap_err().message.contains("quant_mod"));
        assert!(config(r#"{"quality_floor": "x"}"#).is_err() && config("[]").is_err());
    }
}
