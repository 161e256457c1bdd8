//! When two layers, and two lists of weights or tensors, count as the same.

use bitgauge_core::report::compare::{Figure, figures, layers, tensors, weights};
use bitgauge_core::report::{LayerSummary, Report, TensorSummary, ValueSummary, Verdict};
use conformance::demo;

fn values() -> ValueSummary {
    ValueSummary {
        signs: 64,
        plus: 30,
        scales: 8,
        scale_mean: 0.5,
        scale_min: 0.25,
        scale_max: 0.75,
        octaves: Vec::new(),
    }
}

/// A report of one layer.
fn report(layer: LayerSummary) -> Report {
    Report { layers: vec![layer], ..Report::default() }
}

fn layer(values: Option<ValueSummary>) -> LayerSummary {
    LayerSummary { layer: Some(3), parameters: 64, rescue_parameters: 16, bits: 100, values }
}

/// Whether the layer after a change is another one than before it.
fn differs(change: impl Fn(&mut LayerSummary)) -> bool {
    let (left, mut right) = (layer(Some(values())), layer(Some(values())));
    change(&mut right);
    let (left, right) = (report(left), report(right));
    let (found, mirrored) = (layers(&left, &right), layers(&right, &left));
    assert_eq!(found.len(), mirrored.len());
    !found.is_empty()
}

#[test]
fn layers_differ_in_any_figure_that_both_have() {
    assert!(!differs(|_| ()));
    assert!(differs(|layer| layer.parameters += 1));
    assert!(differs(|layer| layer.rescue_parameters += 1));
    assert!(differs(|layer| layer.bits += 1));
    let of_values =
        |change: fn(&mut ValueSummary)| differs(|layer| change(layer.values.as_mut().expect("values")));
    assert!(of_values(|values| values.signs += 1));
    assert!(of_values(|values| values.plus += 1));
    assert!(of_values(|values| values.scales += 1));
    assert!(of_values(|values| values.scale_min /= 2.0));
    assert!(of_values(|values| values.scale_max *= 2.0));
    assert!(of_values(|values| values.scale_mean *= 1.001));
    // A link rounds the mean to an f16, so what that can't tell apart is the same.
    assert!(!of_values(|values| values.scale_mean *= 1.0001));
    // One report was made without reading the weights.
    assert!(!differs(|layer| layer.values = None));
    assert!(differs(|layer| {
        layer.values = None;
        layer.bits += 1;
    }));
    // Other layers altogether: each is in one report only.
    let (left, mut right) = (report(layer(None)), report(layer(None)));
    right.layers[0].layer = None;
    assert_eq!(layers(&left, &right), [[None, Some(&right.layers[0])], [Some(&left.layers[0]), None]]);
    assert!(layers(&left, &Report::default()).is_empty() && layers(&Report::default(), &left).is_empty());
}

#[test]
fn figures_of_one_report_and_of_two() {
    let left = demo::report();
    let lines = figures(&left, &left);
    assert!(lines.iter().all(|line| line.agrees() == Some(true)));
    let count = |what: &str| {
        let line = lines.iter().find(|line| line.what == what).expect(what);
        line.left.clone().expect("both have it")
    };
    assert_eq!(count("size"), Figure::Count(2_495_494, "bytes"));
    assert_eq!(count("parameters"), Figure::Count(15_342_976, ""));
    assert_eq!(count("limits"), Figure::Text("binary".into()));
    assert_eq!(count("verdict"), Figure::Verdict(Verdict::Eligible));
    assert_eq!(count("model type"), Figure::Text("qwen3".into()));
    assert!(matches!(count("SHA-256"), Figure::Text(hash) if hash.starts_with("dc9ea2d9")));
    assert!(lines.iter().all(|line| line.what != "sign padding"), "a bucket that neither uses");

    let mut right = left.clone();
    right.artifact.size_bytes += 1;
    right.model = None;
    right.artifact.sha256 = None;
    let lines = figures(&left, &right);
    let agrees = |what: &str| lines.iter().find(|line| line.what == what).expect(what).agrees();
    assert_eq!((agrees("size"), agrees("verdict")), (Some(false), Some(true)));
    assert_eq!((agrees("parameters"), agrees("model type"), agrees("SHA-256")), (None, None, None));

    // A bucket that one of the two uses has a line.
    let mut padded = left.clone();
    padded.accounting.buckets[1].bits = 8;
    for (a, b) in [(&left, &padded), (&padded, &left)] {
        let lines = figures(a, b);
        let line = lines.iter().find(|line| line.what == "sign padding").expect("a line");
        assert_eq!(line.agrees(), Some(false));
    }
}

#[test]
fn tensors_differ_in_anything() {
    let tensor = |name: &str| TensorSummary {
        name: name.into(),
        dtype: "F16".into(),
        shape: vec![2, 3],
        bytes: 12,
        sha256: "ab".repeat(32),
    };
    let of = |tensors: Vec<TensorSummary>| Report { tensors: Some(tensors), ..Report::default() };
    let left = of(vec![tensor("c"), tensor("a"), tensor("b")]);
    assert_eq!(tensors(&left, &left), Some(Vec::new()));
    assert_eq!(tensors(&left, &Report::default()), None);
    assert_eq!(weights(&left, &left), None, "neither lists its weights");
    let changes: [fn(&mut TensorSummary); 4] = [
        |tensor| tensor.dtype = "BF16".into(),
        |tensor| tensor.shape = vec![3, 2],
        |tensor| tensor.bytes = 13,
        |tensor| tensor.sha256 = "cd".repeat(32),
    ];
    for change in changes {
        let mut other = tensor("a");
        change(&mut other);
        let right = of(vec![tensor("a"), other.clone(), tensor("b")][1..].to_vec());
        let found = tensors(&left, &right).expect("both list theirs");
        assert_eq!(found, [[Some(&tensor("c")), None], [Some(&tensor("a")), Some(&other)]]);
        let mirrored = tensors(&right, &left).expect("both list theirs");
        assert_eq!(mirrored, [[Some(&other), Some(&tensor("a"))], [None, Some(&tensor("c"))]]);
    }
}
