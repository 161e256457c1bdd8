//! Two reports side by side.

use bitgauge_core::report::Report;
use bitgauge_core::report::compare::{Side, decide, figures, gates, layers, tensors, weights};

use crate::Outcome;

/// A report agrees with itself, and the other way round two reports give the other side. The input is two reports
/// with a NUL between them.
pub fn check(input: &[u8]) -> Outcome {
    let Some(middle) = input.iter().position(|byte| *byte == 0) else { return Outcome::Refused };
    let report = |text: &[u8]| Report::from_json(std::str::from_utf8(text).ok()?).ok();
    let (Some(left), Some(right)) = (report(&input[..middle]), report(&input[middle + 1..])) else {
        return Outcome::Refused;
    };
    if ![&left, &right].into_iter().all(has_plain_names) {
        return Outcome::Refused;
    }
    for report in [&left, &right] {
        assert!(figures(report, report).iter().all(|line| line.agrees() == Some(true)), "{report:?}");
        assert!(layers(report, report).is_empty());
    }
    let (there, back) = (decide(&left, &right), decide(&right, &left));
    let other = |side: Side| if side == Side::Left { Side::Right } else { Side::Left };
    assert_eq!((there.reason, there.bytes), (back.reason, back.bytes));
    assert_eq!(there.winner.map(other), back.winner);
    assert_eq!(there.smaller.map(other), back.smaller);
    assert_eq!(there.nats.map(|nats| -nats), back.nats);
    let lines = |left, right| figures(left, right).len();
    assert_eq!(lines(&left, &right), lines(&right, &left));
    assert_eq!(gates(&left, &right).len(), gates(&right, &left).len());
    assert_eq!(layers(&left, &right).len(), layers(&right, &left).len());
    assert_eq!(
        weights(&left, &right).map(|pairs| pairs.len()),
        weights(&right, &left).map(|pairs| pairs.len())
    );
    assert_eq!(
        tensors(&left, &right).map(|pairs| pairs.len()),
        tensors(&right, &left).map(|pairs| pairs.len())
    );
    Outcome::Accepted
}

/// Whether no two gates, weights, tensors or layers have one name, as in the reports that we make.
fn has_plain_names(report: &Report) -> bool {
    let is_unique = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.windows(2).all(|pair| pair[0] != pair[1])
    };
    let mut layers: Vec<_> = report.layers.iter().map(|layer| layer.layer).collect();
    layers.sort_unstable();
    layers.windows(2).all(|pair| pair[0] != pair[1])
        && is_unique(report.gates.iter().map(|gate| &*gate.id).collect())
        && is_unique(report.weights.iter().map(|weight| weight.name.as_str()).collect())
        && is_unique(report.tensors.iter().flatten().map(|tensor| tensor.name.as_str()).collect())
}
