//! JSON artifacts of the validator's proxy.

use std::sync::LazyLock;

use bitgauge_core::contract::proxy::{Teacher, compile, inspect};
use bitgauge_core::contract::python::Json;
use bitgauge_core::contract::{Halt, Rules};
use bitgauge_core::report::{Outcome as Gate, Report, Verdict};

use crate::Outcome;

static TEACHER: LazyLock<Teacher> = LazyLock::new(Teacher::default);

/// The report says what compiling the artifact says: the same message, the same counts.
pub fn check(input: &[u8]) -> Outcome {
    let Ok(report) = inspect("a.json", input, Rules::Binary) else { return Outcome::Refused };
    let json = report.to_json();
    assert_eq!(Report::from_json(&json).map(|again| again.to_json()).as_deref(), Ok(json.as_str()));
    assert_eq!(report.verdict, Verdict::of(&report.gates));
    let artifact = std::str::from_utf8(input).ok().and_then(|text| Json::parse(text).ok());
    let Some(artifact) = artifact.filter(|artifact| artifact.root().is_object()) else {
        assert_eq!(report.gates[0].outcome, Gate::Fail);
        return Outcome::Refused;
    };
    match compile(artifact.root(), &TEACHER, &Rules::Binary.rule_set()) {
        Ok(candidate) => {
            assert_eq!(report.gates[0].outcome, Gate::Pass);
            let bits: u128 = report.weights.iter().map(|weight| u128::from(weight.bits)).sum();
            let is_exact = report.weights.iter().all(|weight| weight.bits < u64::MAX);
            assert!(!is_exact || candidate.totals.proxy_compressed_bits == bits.into(), "{bits} bits");
            Outcome::Accepted
        }
        Err(Halt::Raised(raised)) => {
            assert_eq!(report.gates[0].details, [raised.to_string()]);
            Outcome::Refused
        }
        Err(Halt::Fault(error)) => panic!("inspected, but not compiled: {error}"),
    }
}
