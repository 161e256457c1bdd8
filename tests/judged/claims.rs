//! What a report claims, held against a copy of its file: three answers, and none confirms what was not measured.

use bitgauge_core::container::ContainerKind;
use bitgauge_core::contract::Rules;
use bitgauge_core::report::compare::{Check, Figure, Finding, Line, figures};
use bitgauge_core::report::link::{Detail, decode, encode};
use bitgauge_core::report::{Evaluation, Outcome, Report, TensorSummary, Verdict};
use conformance::demo;
use properties::seeds;

/// The demo's report, as if its maker had measured this perplexity.
fn claim(heldout_ppl: f64) -> Report {
    let evaluation = Evaluation { heldout_ppl, ..seeds::reports::evaluation() };
    Report { evaluation: Some(evaluation), ..demo::report() }
}

fn not_measured(check: &Check) -> Vec<&str> {
    check.not_measured.iter().map(|(what, _)| what.as_str()).collect()
}

#[test]
fn a_claimed_perplexity_is_never_confirmed() {
    let copy = demo::report();
    for claimed in [998.84, 5.0] {
        let check = Check::of(&claim(claimed), &copy);
        assert_eq!((check.same_bytes, check.differing.as_slice()), (Some(true), [].as_slice()));
        assert!(
            check.not_measured.contains(&("held-out perplexity".to_owned(), Figure::Measured(claimed))),
            "{check:?}"
        );
        let answers = check.answers();
        let outcomes: Vec<_> = answers.iter().map(|answer| answer.outcome).collect();
        assert_eq!(outcomes, [Outcome::Pass, Outcome::Pass, Outcome::NotRun]);
        let figures = format!("{} figures agree", check.agreeing);
        assert_eq!([&answers[0].answer, &answers[1].answer], ["Same bytes", &figures]);
        assert_eq!(answers[1].particulars, "");
        assert_eq!(answers[2].answer, "Claimed, not measured here");
        let wanted =
            format!("held-out perplexity {claimed:.4}, mean loss in nats 2.9870, scored tokens 12,264");
        assert!(answers[2].particulars.starts_with(&wanted), "{}", answers[2].particulars);
    }
    // Nothing else is claimed than what was measured.
    let answers = Check::of(&copy, &copy).answers();
    assert_eq!(answers.len(), 2);
}

#[test]
fn whatever_is_changed_in_a_report_is_named() {
    type Change = fn(&mut Report);
    let changes: [(&str, Change); 24] = [
        ("size", |r| r.artifact.size_bytes += 1),
        ("limits", |r| r.pack = Rules::Ternary),
        ("verdict", |r| r.verdict = Verdict::NotEligible),
        ("verdict", |r| r.verdict = Verdict::Inconclusive),
        ("container", |r| r.artifact.kind = ContainerKind::Tar),
        ("model type", |r| r.model.as_mut().expect("a model").model_type = "llama".into()),
        ("quantization method", |r| r.model.as_mut().expect("a model").quant_method = Some("gptq".into())),
        ("parameters", |r| r.model.as_mut().expect("a model").parameters = Some(1)),
        ("loads as a model", |r| r.gates[1].outcome = Outcome::Fail),
        ("loads as a model", |r| r.gates[1].outcome = Outcome::NotRun),
        ("parameter count", |r| r.gates[5].got = Some(1)),
        ("limit of: size under the reference budget", |r| r.gates[0].wanted = Some(1 << 40)),
        ("limit of: non-binary fraction", |r| r.gates[7].margin = Some(1_000_000)),
        ("bits per parameter", |r| r.accounting.bits_per_parameter = Some(1.0)),
        ("binary parameters", |r| r.accounting.binary_parameters += 1),
        ("parameters in rescue rows", |r| r.accounting.rescue_parameters -= 1),
        ("unpacked parameters", |r| r.accounting.unpacked_parameters = 0),
        ("saved by compression", |r| r.accounting.saved_by_compression_bits += 8),
        ("scales", |r| r.accounting.buckets[2].bits += 8),
        ("layers", |r| r.layers[2].bits -= 8),
        ("layers", |r| r.layers[2].values.as_mut().expect("values").plus += 1),
        ("files", |r| r.artifact.members[0].sha256 = Some("ab".repeat(32))),
        ("weights", |r| r.weights[3].form = "1-bit".into()),
        ("required weights", |r| r.manifest.as_mut().expect("a manifest").expected += 1),
    ];
    let copy = demo::report();
    let sound = Check::of(&copy, &copy);
    for (what, change) in changes {
        let mut claim = copy.clone();
        change(&mut claim);
        assert_ne!(claim, copy, "{what}");
        let check = Check::of(&claim, &copy);
        assert_eq!(check.differing, [what]);
        assert_eq!(check.same_bytes, Some(true), "{what}");
        let [bytes, figures] = &check.answers()[..] else { panic!("{what}: {:?}", check.answers()) };
        assert_eq!((bytes.outcome, figures.outcome), (Outcome::Pass, Outcome::Fail), "{what}");
        let limit = u64::from(what.starts_with("limit of"));
        assert_eq!(figures.answer, format!("1 of {} figures differs", sound.agreeing + limit), "{what}");
        assert_eq!(figures.particulars, what);
    }
    let mut other = copy.clone();
    other.artifact.sha256 = Some("ab".repeat(32));
    let check = Check::of(&other, &copy);
    assert_eq!((check.same_bytes, check.agreeing, check.differing.len()), (Some(false), sound.agreeing, 0));
    assert_eq!(check.answers()[0].outcome, Outcome::Fail);
}

#[test]
fn what_the_copy_was_not_judged_by_is_not_confirmed() {
    let claim = demo::report();
    let mut copy = claim.clone();
    copy.artifact.sha256 = None;
    copy.artifact.members.iter_mut().for_each(|member| member.sha256 = None);
    copy.gates[4].outcome = Outcome::NotRun;
    copy.verdict = Verdict::Inconclusive;
    copy.layers.iter_mut().for_each(|layer| layer.values = None);
    let check = Check::of(&claim, &copy);
    assert_eq!((check.same_bytes, check.differing.len()), (None, 0));
    assert_eq!(not_measured(&check), ["SHA-256", "verdict", "codes and scales are valid", "values by layer"]);
    assert_eq!(check.answers()[0].outcome, Outcome::NotRun);
    // The other way round nothing more is claimed than was measured.
    assert_eq!(not_measured(&Check::of(&copy, &claim)), Vec::<&str>::new());
    let tensor = TensorSummary { name: "w".into(), sha256: "ab".repeat(32), ..TensorSummary::default() };
    let hashed = Report { tensors: Some(vec![tensor.clone()]), ..claim.clone() };
    assert_eq!(not_measured(&Check::of(&hashed, &claim)), ["hashes of tensors"]);
    let other = TensorSummary { sha256: "cd".repeat(32), ..tensor };
    let rehashed = Report { tensors: Some(vec![other]), ..claim };
    assert_eq!(Check::of(&hashed, &rehashed).differing, ["hashes of tensors"]);
}

#[test]
fn a_folder_is_its_files_and_sizes_tell_what_hashes_do_not() {
    let mut folder = demo::report();
    folder.artifact.kind = ContainerKind::Folder;
    folder.artifact.sha256 = None;
    assert_eq!(Check::of(&folder, &folder).same_bytes, Some(true));
    let mut other = folder.clone();
    other.artifact.members[1].sha256 = Some("ab".repeat(32));
    assert_eq!(Check::of(&other, &folder).same_bytes, Some(false));
    other.artifact.members[1].sha256 = None;
    assert_eq!(Check::of(&other, &folder).same_bytes, None);
    other.artifact.size_bytes += 1;
    assert_eq!(Check::of(&other, &folder).same_bytes, Some(false));
    // Of archives their files are not all.
    let mut archive = demo::report();
    archive.artifact.sha256 = None;
    assert_eq!(Check::of(&archive, &archive).same_bytes, None);
}

#[test]
fn a_link_claims_no_more_than_it_carries() {
    let claim = claim(5.0);
    let link = decode(&encode(&claim, Detail::Full)).expect("a sound link").expect("a report");
    let check = Check::of(&link, &demo::report());
    assert_eq!((check.same_bytes, check.differing.len()), (Some(true), 0), "{check:?}");
    assert!(not_measured(&check).contains(&"held-out perplexity"));
}

#[test]
fn hash_size_and_perplexity_come_first() {
    let lines = figures(&claim(5.0), &demo::report());
    let first: Vec<_> = lines.iter().take(3).map(|line| line.what.as_str()).collect();
    assert_eq!(first, ["SHA-256", "size", "held-out perplexity"]);
    let line = |left: Option<u64>, right: Option<u64>| {
        let figure = |count| Figure::Count(count, "");
        Line { what: "w".into(), left: left.map(figure), right: right.map(figure) }.finding()
    };
    assert_eq!(
        [line(Some(1), Some(1)), line(Some(1), Some(2)), line(Some(1), None), line(None, Some(1))],
        [Finding::Agrees, Finding::Differs, Finding::NotMeasured, Finding::NotClaimed]
    );
}
