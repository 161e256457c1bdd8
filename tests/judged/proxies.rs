//! A proxy's JSON artifact: what its report states without a run.

use bitgauge_core::container::ContainerKind;
use bitgauge_core::contract::Rules;
use bitgauge_core::contract::proxy::{Teacher, default_submission, inspect};
use bitgauge_core::report::{Outcome, Report};
use bitgauge_core::scan::{Digest, Sha256};

/// One basis a matrix; the default rescues in three of the five.
fn artifact() -> String {
    default_submission(&Teacher::default(), "binary").to_canonical()
}

fn read(text: &str, rules: Rules) -> Report {
    inspect("artifact.json", text.as_bytes(), rules).expect("a report")
}

fn outcomes(report: &Report) -> Vec<(&str, Outcome)> {
    report.gates.iter().map(|gate| (&*gate.id, gate.outcome)).collect()
}

#[test]
fn the_report_says_what_was_read_and_by_which_limits() {
    let text = artifact();
    for rules in [Rules::Binary, Rules::Ternary] {
        let report = read(&text, rules);
        assert_eq!(report.pack, rules);
        assert_eq!(report.artifact.kind, ContainerKind::Json);
        assert_eq!(report.artifact.name, "artifact.json");
        assert_eq!(report.artifact.size_bytes, text.len() as u64);
        let sha256 = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(report.artifact.sha256, Some(sha256));
    }
}

#[test]
fn a_second_basis_fails_the_size_alone() {
    let text = artifact();
    let passed = |id| (id, Outcome::Pass);
    let last = ("quality_floor", Outcome::NotRun);
    let ids = ["loadable", "high_precision_fraction", "parameter_count", "compressed_size"];
    let all_pass: Vec<_> = ids.map(passed).into_iter().chain([last]).collect();
    assert_eq!(outcomes(&read(&text, Rules::Binary)), all_pass);

    let text = text.replace("{\"high_precision", "{\"binary_basis_count\":2,\"high_precision");
    let report = read(&text, Rules::Binary);
    let found: Vec<_> = report.gates.iter().map(|gate| gate.outcome).collect();
    let (pass, fail) = (Outcome::Pass, Outcome::Fail);
    assert_eq!(found, [pass, pass, pass, fail, Outcome::NotRun], "{:?}", outcomes(&report));
    let forms: Vec<&str> = report.weights.iter().map(|weight| weight.form.as_str()).collect();
    // The middle matrices rescue nothing.
    let (signs, rescued) = ("2 x 1-bit", "2 x 1-bit + q4");
    assert_eq!(forms, [rescued, rescued, signs, signs, rescued]);
}

#[test]
fn without_rescue_a_matrix_is_signs_alone() {
    let zero = |row: &str| {
        let end = row.find([',', '}']).expect("a value ends");
        format!("0.0{}", &row[end..])
    };
    let text = artifact();
    let mut rows = text.split("\"high_precision_fraction\":");
    let first = rows.next().expect("text before the first row").to_owned();
    let text = rows.fold(first, |text, row| text + "\"high_precision_fraction\":" + &zero(row));
    let report = read(&text, Rules::Binary);
    for weight in &report.weights {
        assert_eq!((weight.form.as_str(), weight.rescue_parameters), ("1-bit", 0), "{}", weight.name);
        let scale = 1;
        assert_eq!(weight.parameters, weight.shape.iter().product::<u64>() + scale, "{}", weight.name);
    }
}
