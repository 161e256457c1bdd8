//! Two reports side by side: which ranks first by the competition's rule, and what differs.

use bitgauge_core::contract::{PPL_RESOLUTION_NATS, Rules};
use bitgauge_core::report::compare::{Reason, Side, decide, gates, layers, weights};
use bitgauge_core::report::link::{Detail, decode, encode};
use bitgauge_core::report::{DocumentLoss, Evaluation, Report, Verdict};
use conformance::demo;
use properties::seeds;
use proptest::prelude::*;

fn evaluation(perplexity: f64) -> Evaluation {
    let (heldout_ppl, cross_entropy_nats) = (perplexity, perplexity.ln());
    Evaluation { heldout_ppl, cross_entropy_nats, documents: Vec::new(), ..seeds::reports::evaluation() }
}

/// The demo as if it had this perplexity, this size and this verdict.
fn report(perplexity: Option<f64>, size_bytes: u64, verdict: Verdict) -> Report {
    static DEMO: std::sync::LazyLock<Report> = std::sync::LazyLock::new(demo::report);
    let mut report = DEMO.clone();
    report.evaluation = perplexity.map(evaluation);
    report.artifact.size_bytes = size_bytes;
    report.verdict = verdict;
    report
}

fn eligible(perplexity: f64, size_bytes: u64) -> Report {
    report(Some(perplexity), size_bytes, Verdict::Eligible)
}

/// Decides, and checks that the sides do not matter.
#[track_caller]
fn outcome(left: &Report, right: &Report) -> (Option<Side>, Reason) {
    let (decision, mirrored) = (decide(left, right), decide(right, left));
    let other = |side| if side == Side::Left { Side::Right } else { Side::Left };
    assert_eq!(mirrored.winner.map(other), decision.winner);
    assert_eq!(mirrored.smaller.map(other), decision.smaller);
    // Lengths are named in the order of the sides.
    let reason = match mirrored.reason {
        Reason::OtherLengths(left, right) => Reason::OtherLengths(right, left),
        Reason::OtherTokens(left, right) => Reason::OtherTokens(right, left),
        reason => reason,
    };
    assert_eq!((reason, mirrored.bytes), (decision.reason, decision.bytes));
    assert_eq!(mirrored.nats.map(|nats| -nats), decision.nats);
    (decision.winner, decision.reason)
}

#[test]
fn the_lower_perplexity_wins_and_the_smaller_within_the_band() {
    let small = eligible(20.0, 1_000);
    let clearly = |nats: f64| eligible(20.0 * nats.exp(), 999);
    assert_eq!(outcome(&small, &clearly(0.021)), (Some(Side::Left), Reason::LowerPerplexity));
    assert_eq!(outcome(&small, &clearly(0.019)), (Some(Side::Right), Reason::SmallerWithinBand));
    assert_eq!(outcome(&small, &clearly(-0.019)), (Some(Side::Right), Reason::SmallerWithinBand));
    assert_eq!(outcome(&small, &eligible(20.1, 1_000)), (None, Reason::Tie));
}

#[test]
fn the_band_ends_below_its_width() {
    // 1 has the logarithm 0, so the difference is exactly the logarithm of the other.
    let at = |perplexity: f64| decide(&eligible(1.0, 2), &eligible(perplexity, 1));
    let mut perplexity = PPL_RESOLUTION_NATS.exp();
    while perplexity.ln() < PPL_RESOLUTION_NATS {
        perplexity = perplexity.next_up();
    }
    while perplexity.next_down().ln() >= PPL_RESOLUTION_NATS {
        perplexity = perplexity.next_down();
    }
    assert_eq!(at(perplexity).reason, Reason::LowerPerplexity);
    assert_eq!(at(perplexity.next_down()).reason, Reason::SmallerWithinBand);
}

#[test]
fn an_ineligible_artifact_never_wins() {
    let eligible = |perplexity| report(perplexity, 2_000, Verdict::Eligible);
    let better = report(Some(2.0), 10, Verdict::NotEligible);
    assert_eq!(outcome(&eligible(None), &better), (Some(Side::Left), Reason::OnlyEligible));
    assert_eq!(outcome(&eligible(Some(90.0)), &better), (Some(Side::Left), Reason::OnlyEligible));
    assert_eq!(outcome(&better, &better), (None, Reason::NoneEligible));
    let unknown = report(Some(2.0), 10, Verdict::Inconclusive);
    assert_eq!(outcome(&unknown, &better), (None, Reason::NotJudged));
    assert_eq!(outcome(&unknown, &eligible(Some(90.0))), (None, Reason::NotJudged));
}

#[test]
fn what_is_not_comparable_is_undecided() {
    let left = eligible(20.0, 1_000);
    assert_eq!(outcome(&left, &report(None, 10, Verdict::Eligible)), (None, Reason::NoPerplexity));
    assert_eq!(decide(&left, &report(None, 10, Verdict::Eligible)).smaller, Some(Side::Right));
    let mut other = eligible(2.0, 10);
    other.evaluation.as_mut().expect("one").documents_sha256 = "cd".repeat(32);
    assert_eq!(outcome(&left, &other), (None, Reason::OtherDocuments));
    let mut longer = eligible(2.0, 10);
    longer.evaluation.as_mut().expect("one").max_tokens = 2_048;
    assert_eq!(outcome(&left, &longer), (None, Reason::OtherLengths(512, 2_048)));
    let mut coarser = eligible(2.0, 10);
    coarser.evaluation.as_mut().expect("one").scored_tokens = 86;
    assert_eq!(outcome(&left, &coarser), (None, Reason::OtherTokens(12_264, 86)));
    // As many in all, and others in each document.
    let with_documents = |tokens: [u64; 2]| {
        let mut report = eligible(2.0, 10);
        let documents = tokens.map(|tokens| DocumentLoss { tokens, nats: 1.0 });
        report.evaluation.as_mut().expect("one").documents = documents.to_vec();
        report
    };
    let apart = outcome(&with_documents([5, 7]), &with_documents([6, 6]));
    assert_eq!(apart, (None, Reason::OtherTokens(12_264, 12_264)));
    assert_eq!(outcome(&with_documents([5, 7]), &with_documents([5, 7])), (None, Reason::Tie));
    assert_eq!(
        outcome(&with_documents([5, 7]), &eligible(2.0, 10)),
        (None, Reason::Tie),
        "a link lists none"
    );
    let mut windowed = eligible(2.0, 10);
    windowed.evaluation.as_mut().expect("one").window = Some(512);
    assert_eq!(outcome(&left, &windowed), (None, Reason::OtherWindows));
    let mut ternary = eligible(2.0, 10);
    ternary.pack = Rules::Ternary;
    assert_eq!(outcome(&left, &ternary), (None, Reason::OtherLimits));
    for nonsense in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(outcome(&left, &eligible(nonsense, 10)), (None, Reason::NoPerplexity), "{nonsense}");
    }
}

#[test]
fn weights_layers_and_gates_that_differ_are_found() {
    let left = demo::report();
    assert_eq!(weights(&left, &left), Some(Vec::new()));
    assert!(layers(&left, &left).is_empty());
    let mut right = left.clone();
    right.weights.swap(0, 5);
    assert_eq!(weights(&left, &right), Some(Vec::new()), "the order does not matter");
    right.weights[3].bits += 8;
    let gone = right.weights.remove(7);
    let mut extra = gone.clone();
    extra.name = "model.extra.weight".into();
    right.weights.push(extra.clone());
    let found = weights(&left, &right).expect("both list their weights");
    let changed =
        left.weights.iter().find(|weight| weight.name == right.weights[3].name).expect("the weight");
    assert_eq!(found.len(), 3);
    assert!(found.contains(&[Some(changed), Some(&right.weights[3])]));
    assert!(found.contains(&[Some(&gone), None]));
    assert_eq!(found[2], [None, Some(&extra)]);
    right.gates.remove(1);
    let gates = gates(&left, &right);
    assert_eq!(gates.len(), left.gates.len());
    assert_eq!(gates[1], [Some(&left.gates[1]), None]);
    assert!(gates.iter().enumerate().all(|(i, pair)| i == 1 || pair[0] == pair[1]));
    right.layers[2].bits += 1;
    assert_eq!(layers(&left, &right).len(), 1);
}

/// Two links rank, and their difference is as sure as two evaluations that know nothing of each other.
#[test]
fn links_rank_against_links() {
    let linked = |perplexity: f64, size_bytes| {
        let mut report = eligible(perplexity, size_bytes);
        let total = 8 * size_bytes;
        report.accounting.total_bits = total;
        report.accounting.buckets.iter_mut().for_each(|entry| entry.bits = 0);
        report.accounting.buckets[0].bits = total + report.accounting.saved_by_compression_bits;
        let evaluation = report.evaluation.as_mut().expect("one");
        evaluation.standard_error_nats = Some(0.03125);
        decode(&encode(&report, Detail::Full)).expect("a sound link").expect("a report")
    };
    let (good, worse) = (linked(20.0, 5_000), linked(21.0, 1_000));
    assert_eq!(outcome(&good, &worse), (Some(Side::Left), Reason::LowerPerplexity));
    let difference = decide(&good, &worse).difference.expect("both say how sure they are");
    assert_eq!(difference.standard_error, 0.03125_f64.hypot(0.03125));
    assert_eq!((difference.nats, difference.documents), (20_f64.ln() - 21_f64.ln(), 24));
    assert_eq!(decide(&eligible(20.0, 1), &worse).difference, None, "one does not say");
}

#[test]
fn a_link_is_compared_by_what_it_carries() {
    let left = demo::report();
    let link = decode(&encode(&left, Detail::Full)).expect("a sound link").expect("a report");
    assert_eq!(weights(&left, &link), None, "a link does not list weights");
    assert!(layers(&left, &link).is_empty());
    assert_eq!(decide(&left, &link).reason, Reason::NoPerplexity);
}

proptest! {
    #[test]
    fn no_two_artifacts_win_over_each_other(a in 1.0..1e6_f64, b in 1.0..1e6_f64, x in 1..9_u64, y in 1..9_u64) {
        let (winner, _) = outcome(&eligible(a, x), &eligible(b, y));
        if let Some(winner) = winner {
            let (won, lost) = if winner == Side::Left { ((a, x), (b, y)) } else { ((b, y), (a, x)) };
            prop_assert!(won.0 < lost.0 || won.1 < lost.1);
        } else {
            prop_assert_eq!(x, y);
        }
    }
}
