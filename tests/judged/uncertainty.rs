//! How sure a loss and a difference are: right values, and intervals that hold what they promise.

use bitgauge_core::report::{Band, DocumentLoss, Estimate, Evaluation, words};
use fastrand::Rng;

fn losses(pairs: &[(u64, f64)]) -> Vec<DocumentLoss> {
    pairs.iter().map(|&(tokens, nats)| DocumentLoss { tokens, nats }).collect()
}

#[test]
fn the_jackknife_leaves_each_document_out_once() {
    // Without the first: 5 / 2; without the second: 5 / 4; without the third: 8 / 4. The fourth has nothing to score.
    let estimate = Estimate::of(&losses(&[(3, 4.0), (1, 4.0), (1, 1.0), (0, 0.0)])).expect("three documents");
    assert_eq!((estimate.nats, estimate.documents), (1.8, 3));
    let left_out = [2.5, 1.25, 2.0];
    let centre = left_out.iter().sum::<f64>() / 3.0;
    let squares: f64 = left_out.iter().map(|x| (x - centre).powi(2)).sum();
    assert!((estimate.standard_error - (squares * 2.0 / 3.0).sqrt()).abs() < 1e-15, "{estimate:?}");
    // With documents of one length it is the textbook's standard error of a mean.
    let even = Estimate::of(&losses(&[(10, 20.0), (10, 30.0), (10, 40.0)])).expect("three documents");
    assert!((even.standard_error - (1.0_f64 / 3.0).sqrt()).abs() < 1e-12, "{even:?}");
}

#[test]
fn one_document_tells_nothing() {
    for few in [
        &[][..],
        &[(5, 9.0)],
        &[(5, 9.0), (0, 0.0)],
        &[(5, f64::NAN), (5, 1.0)],
        &[(u64::MAX, 1.0), (1, 1.0)],
    ] {
        assert_eq!(Estimate::of(&losses(few)), None, "{few:?}");
    }
    let alone = Evaluation { standard_error_nats: Some(0.1), scored_documents: 1, ..Evaluation::default() };
    assert_eq!(alone.estimate(), None);
}

/// Half the width of the interval over the standard error, for so many documents.
fn quantile(documents: u64) -> f64 {
    let [low, high] = Estimate { nats: 0.0, standard_error: 1.0, documents }.interval();
    assert_eq!(low, -high);
    high
}

#[test]
fn quantiles_are_students() {
    let table = [
        (2, 12.706),
        (3, 4.303),
        (4, 3.182),
        (5, 2.776),
        (6, 2.571),
        (7, 2.447),
        (8, 2.365),
        (11, 2.228),
        (24, 2.069),
        (61, 2.000),
        (121, 1.980),
        (u64::MAX, 1.960),
    ];
    for (documents, wanted) in table {
        assert!((quantile(documents) - wanted).abs() < 2e-3, "{documents}: {}", quantile(documents));
    }
}

/// A standard normal number.
fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (2.0 * std::f64::consts::PI * random.f64()).cos()
}

/// The kinds of documents that intervals are tried on.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Most are cut at 511 scored tokens.
    Cut,
    /// Most are shorter, of very different lengths.
    Mixed,
    /// A few are much harder than the others.
    Skewed,
}

/// Mean loss of all documents of any kind, in nats per token: a document's own mean does not depend on its length.
const MEAN_NATS: f64 = 3.0;

fn document(kind: Kind, random: &mut Rng) -> DocumentLoss {
    let (centre, spread) = match kind {
        Kind::Cut | Kind::Skewed => (6.5, 0.8),
        Kind::Mixed => (5.5, 1.0),
    };
    let tokens = ((centre + spread * normal(random)).exp() as u64 + 1).min(511);
    let own = match kind {
        // A sum of four exponentials less its mean.
        Kind::Skewed => (0..4).map(|_| -0.15 * (1.0 - random.f64()).ln()).sum::<f64>() - 0.6,
        Kind::Cut | Kind::Mixed => 0.3 * normal(random),
    };
    let length = tokens as f64;
    DocumentLoss { tokens, nats: length * (MEAN_NATS + own) + 2.5 * length.sqrt() * normal(random) }
}

/// How many of 1,000 intervals hold the mean; `shrink` scales the standard error.
fn coverage(kind: Kind, documents: usize, shrink: f64) -> usize {
    let mut random = Rng::with_seed(18);
    let holds = |_: &usize| {
        let set: Vec<DocumentLoss> = (0..documents).map(|_| document(kind, &mut random)).collect();
        let mut estimate = Estimate::of(&set).expect("several documents");
        estimate.standard_error *= shrink;
        let [low, high] = estimate.interval();
        (low..=high).contains(&MEAN_NATS)
    };
    (0..1_000).filter(holds).count()
}

#[test]
fn ninety_five_of_a_hundred_intervals_hold_the_mean() {
    for kind in [Kind::Cut, Kind::Mixed, Kind::Skewed] {
        for documents in [24, 60, 200] {
            let held = coverage(kind, documents, 1.0);
            println!("{kind:?}, {documents} documents: {held} of 1,000");
            assert!((930..=970).contains(&held), "{kind:?}, {documents} documents: {held}");
        }
        // Intervals a fifth too narrow are noticed.
        assert!(coverage(kind, 24, 0.8) < 930, "{kind:?}");
    }
}

#[test]
fn a_pair_is_surer_than_its_two_sides() {
    let mut random = Rng::with_seed(7);
    let left: Vec<DocumentLoss> = (0..24).map(|_| document(Kind::Cut, &mut random)).collect();
    let worse = |d: &DocumentLoss| DocumentLoss { nats: d.nats + 0.05 * d.tokens as f64, ..*d };
    let right: Vec<DocumentLoss> = left.iter().map(worse).collect();
    let paired = Estimate::paired(&left, &right).expect("the same documents");
    let [a, b] = [&left, &right].map(|side| Estimate::of(side).expect("documents"));
    let unpaired = Estimate::unpaired(&a, &b);
    assert!((paired.nats + 0.05).abs() < 1e-12 && (unpaired.nats + 0.05).abs() < 1e-12);
    assert!(paired.standard_error < 1e-12 && unpaired.standard_error > 0.05, "{paired:?} {unpaired:?}");
    assert!((unpaired.standard_error - a.standard_error.hypot(b.standard_error)).abs() < 1e-15);
    // Other lengths are other documents.
    let mut other = right.clone();
    other[3].tokens += 1;
    assert_eq!(Estimate::paired(&left, &other), None);
    assert_eq!(Estimate::paired(&left, &right[1..]), None);
}

#[test]
fn the_rule_of_two_hundredths_holds_inside_or_outside_or_not() {
    let of = |nats, standard_error| Estimate { nats, standard_error, documents: 1_000_000 };
    let cases = [
        (0.015, 0.001, Band::Inside),
        (-0.015, 0.001, Band::Inside),
        (0.015, 0.003, Band::Across),
        (-0.015, 0.003, Band::Across),
        (0.03, 0.001, Band::Outside),
        (-0.03, 0.001, Band::Outside),
        (0.02, 0.0, Band::Outside),
        (-0.02, 0.0, Band::Outside),
        (0.0, 1.0, Band::Across),
    ];
    for (nats, error, band) in cases {
        assert_eq!(of(nats, error).band(), band, "{nats} ± {error}");
    }
    let sure = of(-0.015, 0.001);
    assert_eq!(
        words::difference(&sure),
        "0.0150 nats, 0.0130 to 0.0170 over 1,000,000 documents: inside 0.02 nats"
    );
    let unsure = Estimate { documents: 24, ..of(0.001, 0.01) };
    assert_eq!(
        words::difference(&unsure),
        "0.0010 nats, −0.0197 to 0.0217 over 24 documents: other documents may decide otherwise about 0.02 nats"
    );
    let perplexity = Estimate { nats: 20_f64.ln(), standard_error: 0.05, documents: 24 };
    let [low, high] = [-1.0, 1.0].map(|side: f64| 20.0 * (side * quantile(24) * 0.05).exp());
    assert_eq!(
        words::uncertainty(&perplexity),
        format!("{low:.4} to {high:.4}, standard error 1.0000, over 24 documents")
    );
}
