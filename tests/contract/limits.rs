//! The last count that passes each limit, where rounding decides.

use bitgauge_core::contract::proxy::{Teacher, compile, default_submission};
use bitgauge_core::contract::python::{Exception, Json, Raised};
use bitgauge_core::contract::{Halt, Limits, RuleSet, choose_documents};
use bitgauge_core::{ErrorKind, limits};
use native_eval::LocalFiles;

use crate::environment;

#[test]
fn a_fraction_that_rounds_down_still_allows_the_whole_count() {
    let of = |fraction: f64| {
        let config = RuleSet { max_non_native_fraction: fraction, ..RuleSet::binary() };
        Limits::of(&config).expect("limits")
    };
    // 0.29 times 100 is 28.999999999999996 in f64.
    assert_eq!(of(0.29).max_non_native(100), 29);
    assert_eq!(of(0.10).max_non_native(10), 1);
    assert_eq!(of(0.10).max_non_native(9), 0);
    assert_eq!((of(1.0).max_non_native(7), of(0.0).max_non_native(7)), (7, 0));
    let limits = of(0.29);
    assert!(limits.non_native_allowed(29, 100) && !limits.non_native_allowed(30, 100));
    assert!(of(1.0).non_native_allowed(7, 7) && !of(1.0).non_native_allowed(8, 7));
    assert!(!of(1.0).non_native_allowed(0, 0), "a model without parameters");
}

#[test]
fn the_most_documents_are_not_too_many() {
    let files = LocalFiles::new(std::path::Path::new("/"));
    let of = |count: u64| {
        let environment = environment(&[
            ("HELDOUT_DATASET", "validator-private-shard"),
            ("HELDOUT_SOURCES_JSON", r#"{"documents": ["a", "b"]}"#),
            ("HELDOUT_DOCUMENT_COUNT", &count.to_string()),
        ]);
        choose_documents(&environment, None, &files).map(|documents| documents.len() as u64)
    };
    assert_eq!(of(limits::HELDOUT_DOCUMENTS), Ok(limits::HELDOUT_DOCUMENTS));
    let Err(Halt::Fault(error)) = of(limits::HELDOUT_DOCUMENTS + 1) else {
        panic!("one too many, but taken")
    };
    assert_eq!(error.kind, ErrorKind::TooLarge);
}

#[test]
fn counts_beyond_any_model_are_divided_exactly() {
    let artifact = default_submission(&Teacher::default(), "binary").to_canonical();
    let totals = |count: &str| {
        let entry = format!(r#"{{"parameter_count": {count}, "compressed_bits": 1}}"#);
        let text =
            format!(r#"{}, "accounting": {{"extra_entries": [{entry}]}}}}"#, &artifact[..artifact.len() - 1]);
        let json = Json::parse(text).expect("JSON");
        compile(json.root(), &Teacher::default(), &RuleSet::binary()).map(|candidate| candidate.totals)
    };
    // The proxy's matrices have 59,040 parameters; 1e40 and 59,040 times that.
    let tens = |zeros: usize| format!("1{}", "0".repeat(zeros));
    let multiplier = |count: &str| totals(count).expect("it compiles").proxy_parameter_count_multiplier;
    let near =
        |found: f64, wanted: f64| assert!((found / wanted - 1.0).abs() < 1e-12, "{found}, not {wanted}");
    near(multiplier(&tens(40)), 1e40 / 59_040.0);
    near(multiplier(&tens(300)), 1e300 / 59_040.0);
    // A float has no room for more than 1.8e308.
    let overflow = totals(&tens(400));
    assert!(matches!(overflow, Err(Halt::Raised(Raised { exception: Exception::OverflowError, .. }))));
}

#[test]
fn an_exit_is_a_rejection_and_nothing_else_is() {
    assert!(Raised::rejection("size").is_rejection());
    assert!(!Raised::value("size").is_rejection() && !Raised::runtime("size").is_rejection());
}
