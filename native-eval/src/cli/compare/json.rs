//! A comparison as one JSON document.

use super::claim::Claim;
use bitgauge_core::report::compare::{self, Decision, Figure, Pair, Side};
use bitgauge_core::report::{Estimate, Gate, Report, TensorSummary, WeightSummary};
use serde::Serialize;
use serde_json::{Value, json};

/// Version of the document.
const SCHEMA_VERSION: u32 = 1;

/// The document, with a final newline.
pub fn document(left: &Report, right: &Report, decision: &Decision, claim: Option<&Claim>) -> String {
    let figures: Vec<Value> = compare::figures(left, right)
        .iter()
        .map(|line| {
            json!({
                "what": line.what,
                "left": figure(line.left.as_ref()),
                "right": figure(line.right.as_ref()),
                "agrees": line.agrees(),
            })
        })
        .collect();
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "left": summary(left),
        "right": summary(right),
        "same_artifact": compare::same_bytes(&left.artifact, &right.artifact),
        "decision": {
            "winner": decision.winner.map(side),
            "reason": decision.reason.id(),
            "words": decision.reason.words(),
            "nats": decision.nats,
            "difference": decision.difference.map(difference),
            "smaller": decision.smaller.map(side),
            "bytes": decision.bytes,
        },
        "claim": claim.map(claimed),
        "gates": compare::gates(left, right).into_iter().map(gate).collect::<Vec<_>>(),
        "figures": figures,
        "layers": compare::layers(left, right).into_iter().map(sides).collect::<Vec<_>>(),
        "weights": compare::weights(left, right)
            .map(|pairs| pairs.into_iter().map(sides::<WeightSummary>).collect::<Vec<_>>()),
        "tensors": compare::tensors(left, right)
            .map(|pairs| pairs.into_iter().map(sides::<TensorSummary>).collect::<Vec<_>>()),
    });
    format!("{document:#}\n")
}

/// Nats of the left less those of the right.
fn difference(difference: Estimate) -> Value {
    let [low, high] = difference.interval();
    json!({
        "nats": difference.nats,
        "standard_error": difference.standard_error,
        "low": low,
        "high": high,
        "documents": difference.documents,
        "band": difference.band().name(),
    })
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Left => "left",
        Side::Right => "right",
    }
}

/// What became of a claim: three answers, never merged.
fn claimed(claim: &Claim) -> Value {
    let check = &claim.check;
    let not_measured = check
        .not_measured
        .iter()
        .map(|(what, claimed)| json!({ "what": what, "claimed": figure(Some(claimed)) }))
        .collect::<Vec<_>>();
    json!({
        "side": side(claim.side),
        "same_bytes": check.same_bytes,
        "agreeing": check.agreeing,
        "differing": check.differing,
        "not_measured": not_measured,
    })
}

fn summary(report: &Report) -> Value {
    json!({
        "artifact": report.artifact.name,
        "kind": report.artifact.kind,
        "size_bytes": report.artifact.size_bytes,
        "sha256": report.artifact.sha256,
        "pack": report.pack,
        "verdict": report.verdict,
        "heldout_ppl": report.evaluation.as_ref().map(|evaluation| evaluation.heldout_ppl),
    })
}

fn gate(pair: Pair<Gate>) -> Value {
    let named = pair[0].or(pair[1]);
    let one = |gate: &Gate| json!({ "outcome": gate.outcome, "got": gate.got, "wanted": gate.wanted, "margin": gate.margin });
    json!({
        "id": named.map(|gate| &gate.id),
        "title": named.map(|gate| &gate.title),
        "unit": named.map(|gate| gate.unit),
        "left": pair[0].map(one),
        "right": pair[1].map(one),
    })
}

fn sides<T: Serialize>(pair: Pair<T>) -> Value {
    json!({ "left": pair[0], "right": pair[1] })
}

fn figure(figure: Option<&Figure>) -> Value {
    match figure {
        None => Value::Null,
        Some(Figure::Text(words)) => words.as_str().into(),
        Some(Figure::Count(number, _)) => (*number).into(),
        Some(Figure::Measured(value)) => (*value).into(),
        Some(Figure::Gate(outcome, Some(got), unit)) => {
            format!("{}, {got} {}", outcome.words(), unit.name()).into()
        }
        Some(Figure::Gate(outcome, None, _)) => outcome.words().into(),
        Some(Figure::Verdict(verdict)) => verdict.words().into(),
    }
}
