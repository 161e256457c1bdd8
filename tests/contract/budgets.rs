//! Budgets: monotonic, and exact to the byte at their boundary.

use bitgauge_core::contract::direct::{DatasetHandle, Measured, Revision, Runtime, check_size, judge};
use bitgauge_core::contract::proxy::scaled;
use bitgauge_core::contract::{Limits, RuleSet};
use proptest::prelude::*;

use crate::environment;

fn limits(config: &RuleSet) -> Limits {
    Limits::of(config).expect("limits")
}

fn configs() -> impl Strategy<Value = RuleSet> {
    let numbers = (1..1_i128 << 60, 0.01..16.0_f64, 0.0..=1.0_f64, 0.5..16.0_f64);
    (any::<bool>(), numbers).prop_map(|(is_ternary, (parameters, native, fraction, rescue))| RuleSet {
        reference_parameter_count: Some(parameters),
        native_bits_per_parameter: Some(native),
        max_non_native_fraction: fraction,
        rescue_bits_per_parameter: rescue,
        ..if is_ternary { RuleSet::ternary() } else { RuleSet::binary() }
    })
}

/// Judges a model of this many parameters in an artifact of this many bytes.
fn judged(limits: &Limits, bytes: i128, parameters: i128) -> Result<(), String> {
    let (config, environment) = (RuleSet::binary(), environment(&[]));
    let dataset = DatasetHandle { environment: &environment, documents: 1, documents_sha256: None };
    let measured = Measured {
        heldout_ppl: 20.0,
        cross_entropy_nats: 3.0,
        parameter_count: parameters,
        scored_documents: 1,
        token_count: 1,
        runtime: Runtime {
            revision: Revision::default(),
            device: "cpu".into(),
            dtype: "fp32",
            max_tokens: 512,
            batch_size: Some(8),
            tokenizer_id: "t".into(),
            window_tokens: None,
            passes: 1,
        },
    };
    let verdict = judge(&config, limits, &dataset, bytes, &measured);
    verdict.map(drop).map_err(|raised| raised.message)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn more_parameters_never_have_a_smaller_budget(config in configs(), n in 1..1_i128 << 60, more in 0..1_i128 << 40) {
        let limits = limits(&config);
        prop_assert!(limits.budget(n) <= limits.budget(n + more));
        // Rounding up costs less than a bit where the product is exact, a few units in the last place where not.
        let exact = n as f64 * limits.bits_per_parameter();
        prop_assert!(limits.budget(n) as f64 >= exact);
        prop_assert!(limits.budget(n) as f64 <= exact.ceil());
    }

    #[test]
    fn a_larger_fraction_of_rescue_never_shrinks_a_budget(config in configs(), f in 0.0..=1.0_f64, n in 1..1_i128 << 50) {
        // Where a rescued parameter costs more than a native one, as it does in both packs.
        prop_assume!(config.rescue_bits_per_parameter + 0.125 >= config.native_bits_per_parameter.unwrap_or(0.0));
        let (low, high) = (f.min(config.max_non_native_fraction), f.max(config.max_non_native_fraction));
        let budget = |fraction| limits(&RuleSet { max_non_native_fraction: fraction, ..config.clone() }).budget(n);
        // One rounding each of the two products and their sum.
        let slack = (budget(high) as f64 * 4.0 * f64::EPSILON) as i128 + 1;
        prop_assert!(budget(low) <= budget(high) + slack);
    }

    #[test]
    fn the_reference_budget_is_exact_to_the_byte(config in configs()) {
        let limits = limits(&config);
        let most = limits.max_compressed_bits / 8;
        prop_assert!(check_size(most, &limits).is_ok());
        let rejection = check_size(most + 1, &limits).expect_err("one byte over").message;
        let (bits, max) = (8 * (most + 1), limits.max_compressed_bits);
        prop_assert_eq!(
            rejection,
            format!("validator_rejection=artifact_size artifact_bits={bits} max_artifact_bits={max}")
        );
    }

    #[test]
    fn a_models_own_budget_is_exact_to_the_byte(parameters in 1..432_000_000_000_i128) {
        let limits = limits(&RuleSet::binary());
        let most = limits.budget(parameters) / 8;
        prop_assert!(judged(&limits, most, parameters).is_ok());
        let rejection = judged(&limits, most + 1, parameters).expect_err("one byte over");
        prop_assert!(rejection.starts_with("validator_rejection=quantized_size"), "{}", rejection);
    }

    #[test]
    fn scaling_is_monotonic_and_never_rounds_down(a in 0..1_u64 << 50, b in 0..1_u64 << 50, n in 1..1_i128 << 60) {
        let scaled = |count: u64| scaled(&count.into(), n).expect("in range");
        prop_assert!(scaled(a.min(b)) <= scaled(a.max(b)));
        prop_assert_eq!(scaled(59_040), num_bigint::BigInt::from(n as f64 as i128));
    }
}

#[test]
fn one_parameter_over_the_cap_is_rejected_before_the_budget() {
    let limits = limits(&RuleSet::binary());
    assert!(judged(&limits, 1, limits.max_parameter_count).is_ok());
    let rejection = judged(&limits, i128::MAX / 8, limits.max_parameter_count + 1).expect_err("over the cap");
    assert!(rejection.starts_with("validator_rejection=parameter_count"), "{rejection}");
}
