//! From tensor names to weights.

use bitgauge_core::Dtype;
use bitgauge_core::container::TensorEntry;
use bitgauge_core::format::{Doubled, Form, Grouping, group, layouts};
use bitgauge_core::model::QuantConfig;

const CONFIG: QuantConfig = QuantConfig { scale_group: 128 };

fn named(names: &[&str]) -> Vec<TensorEntry> {
    let entry = |name: &&str| TensorEntry {
        name: (*name).to_owned(),
        dtype: Dtype::U8,
        shape: vec![1],
        member: 0,
        offset: 0,
        bytes: 1,
    };
    names.iter().map(entry).collect()
}

/// `name: index` for a plain weight, `name: [indices of the parts]` for a packed one.
fn shown(grouping: &Grouping) -> Vec<String> {
    let form = |form: &Form| match form {
        Form::Plain { index } => index.to_string(),
        Form::Bitpacked { parts } => {
            format!("{:?}", parts.iter().filter_map(|(_, i)| *i).collect::<Vec<_>>())
        }
        Form::Coded { pieces } => format!("{:?}", pieces.0),
    };
    grouping.weights.iter().map(|weight| format!("{}: {}", weight.name, form(&weight.form))).collect()
}

#[test]
fn tensors_beside_a_module_find_each_other() {
    let names = ["a.g_idx", "a.scales", "norm.weight", "b.scales", "a.qweight", "a.weight", "c.qweight"];
    let grouping = layouts::group(&named(&names), &layouts::schemes::GPTQ);
    // Codes without scales, and scales without codes, stand for themselves.
    assert_eq!(
        shown(&grouping),
        [
            "a.weight: [(Codes, 4), (Scales, 1), (GroupOfInput, 0)]",
            "norm.weight: 2",
            "b.scales: 3",
            "c.qweight: 6"
        ]
    );
    assert_eq!((&*grouping.doubled[0].name, &*grouping.doubled[0].surplus), ("a.weight", &[5][..]));
    let names = ["language_model.a.weight", "language_model.a.scales", "language_model.norm.weight"];
    let grouping = layouts::group(&named(&names), &layouts::schemes::MLX);
    assert_eq!(shown(&grouping), ["a.weight: [(Codes, 0), (Scales, 1)]", "norm.weight: 2"]);
}

#[test]
fn parts_find_each_other() {
    let tensors = named(&["a.weight.scale", "norm.weight", "a.weight.sign", "b.weight.rescue_code"]);
    let grouping = group(&tensors, Some(&CONFIG));
    // The parts are shown in the order sign, scale, ... whatever the order in the file.
    assert_eq!(shown(&grouping), ["a.weight: [2, 0]", "norm.weight: 1", "b.weight: [3]"]);
    assert!(grouping.doubled.is_empty());
}

#[test]
fn names_mean_nothing_in_a_dense_model() {
    let grouping = group(&named(&["a.weight.sign", "a.weight"]), None);
    assert_eq!(shown(&grouping), ["a.weight.sign: 0", "a.weight: 1"]);
}

#[test]
fn only_weights_have_parts() {
    let grouping = group(&named(&["a.sign", "sign", "a.weight.signs", "weight.sign"]), Some(&CONFIG));
    assert_eq!(shown(&grouping), ["a.sign: 0", "sign: 1", "a.weight.signs: 2", "weight.sign: 3"]);
}

#[test]
fn a_weight_stored_twice_is_reported() {
    let doubled = |names: &[&str]| {
        let grouping = group(&named(names), Some(&CONFIG));
        (shown(&grouping), grouping.doubled)
    };
    let report = |name: &str, surplus: &[usize]| vec![Doubled { name: name.into(), surplus: surplus.into() }];
    let (weights, found) = doubled(&["a.weight.sign", "a.weight", "a.weight.scale"]);
    assert_eq!((weights, found), (vec!["a.weight: [0, 2]".into()], report("a.weight", &[1])));
    let (weights, found) = doubled(&["a.weight", "a.weight.sign", "a.weight.scale"]);
    assert_eq!((weights, found), (vec!["a.weight: 0".into()], report("a.weight", &[1, 2])));
    let (weights, found) = doubled(&["a.weight", "b.weight", "a.weight"]);
    assert_eq!(
        (weights, found),
        (vec!["a.weight: 0".into(), "b.weight: 1".into()], report("a.weight", &[2]))
    );
    let (weights, found) = doubled(&["a.weight.sign", "a.weight.sign"]);
    assert_eq!((weights, found), (vec!["a.weight: [0]".into()], report("a.weight", &[1])));
}
