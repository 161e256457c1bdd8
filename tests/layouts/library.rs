//! `pack --as`: forms that transformers loads by itself, held against another writer's bytes, and against dense models.

use std::fs;
use std::path::Path;

use bitgauge_core::ErrorKind;
use bitgauge_core::contract::Rules;
use bitgauge_core::report::Outcome;
use conformance::{Device, compare, on_device};
use half::f16;
use native_eval::{LibraryForm, PackSummary, Source, pack_for_library, pack_smallest_for_library};
use serde_json::{Value, json};

use crate::models::{MeanLoss, config, full_report, gate, same, write_pair, write_pair_of};
use crate::packing::{dense_values, packed, values};
use crate::writer::Way;

/// A model of which the embedding and the head are a small part.
fn wide() -> Value {
    let mut config = config();
    (config["vocab_size"], config["intermediate_size"]) = (json!(32), json!(768));
    config
}

fn pack_as(from: &Path, to: &Path, form: LibraryForm, rules: Rules) -> bitgauge_core::Result<PackSummary> {
    let mut source = Source::open(from).expect("a model");
    pack_for_library(&mut source, to, (form, rules), true, &mut |_, _, _| {})
}

fn loss(path: &Path) -> f32 {
    on_device(Device::Cpu, MeanLoss(path)).expect("a loss")
}

/// Three values are kept: the losses are those of the model that the format's own description wrote, whose inputs are rounded.
#[test]
fn codes_are_those_of_another_writer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [coded, dense, other] = ["coded", "dense", "other"].map(|name| folder.path().join(name));
    let negated = |name: &str, at: usize, value: f32| {
        let is_changed = name == "model.layers.1.mlp.down_proj.weight" && at < 768;
        if is_changed { -value } else { value }
    };
    write_pair_of(&wide(), Way::BitNet(true), &coded, &dense, same);
    let out = folder.path().join("out.zip");
    let summary = pack_as(&dense, &out, LibraryForm::BitnetF32, Rules::Ternary).expect("room");
    assert_eq!((summary.packed, summary.exact, summary.rounded), (14, 14, 0));
    assert!(!summary.notes.iter().any(|note| note.contains("became signs")), "{:?}", summary.notes);
    assert!(summary.bytes < summary.budget_bytes.expect("a budget"));
    compare("mean loss", &[loss(&out)], &[loss(&coded)], 1e-7).expect("the same model");
    assert!(compare("mean loss", &[loss(&out)], &[loss(&dense)], 1e-6).is_err(), "rounding went unnoticed");
    let report = full_report(&out);
    for id in ["loadable", "tensors", "shapes", "payload"] {
        assert_eq!(gate(&report, id).outcome, Outcome::Pass, "{id} {:?}", gate(&report, id).details);
    }

    write_pair_of(&wide(), Way::BitNet(true), &coded, &other, negated);
    let changed = folder.path().join("changed.zip");
    pack_as(&other, &changed, LibraryForm::BitnetF32, Rules::Ternary).expect("room");
    assert!(
        compare("mean loss", &[loss(&changed)], &[loss(&out)], 1e-7).is_err(),
        "a changed row went unnoticed"
    );
}

/// A scale that F16 does not hold is rounded to it, and that is said.
#[test]
fn scales_beyond_f16_are_said_to_be_rounded() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [coded, dense] = ["coded", "dense"].map(|name| folder.path().join(name));
    let scaled = |name: &str, _: usize, value: f32| if name.contains(".1.") { value * 1.1 } else { value };
    write_pair_of(&wide(), Way::BitNet(true), &coded, &dense, scaled);
    let is_rounded = |values: &Vec<f32>| values.iter().any(|value| f16::from_f32(*value).to_f32() != *value);
    let of_layers = dense_values(&dense).into_iter().filter(|(name, _)| name.contains("_proj"));
    let rounded = of_layers.filter(|(_, values)| is_rounded(values)).count() as u64;
    assert_eq!(rounded, 7, "those of the second layer");
    for (form, wanted) in
        [(LibraryForm::Bitnet, rounded), (LibraryForm::Dense, rounded), (LibraryForm::BitnetF32, 0)]
    {
        let out = folder.path().join(format!("{form:?}.tar.xz"));
        let summary = pack_as(&dense, &out, form, Rules::Ternary).expect("room");
        assert_eq!(summary.rounded, wanted, "{form:?}");
    }
}

/// Weights of many values become their signs times the mean magnitude of their matrix.
#[test]
fn many_values_become_signs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [coded, dense, again] = ["coded", "dense", "again"].map(|name| folder.path().join(name));
    let out = folder.path().join("out.zip");
    write_pair_of(&wide(), Way::Mlx(4, 32), &coded, &dense, same);
    let summary = pack_as(&dense, &out, LibraryForm::Bitnet, Rules::Binary).expect("room");
    assert_eq!((summary.packed, summary.exact), (14, 0));
    assert!(summary.notes[0].starts_with("14 weights became signs"), "{:?}", summary.notes);
    assert_eq!(full_report(&out).verdict, bitgauge_core::report::Verdict::Eligible);

    packed(&out, &again, native_eval::Calibration::None);
    let (found, wanted) = (values(&again), dense_values(&dense));
    let name = "model.layers.1.mlp.down_proj.weight";
    let mean = wanted[name].iter().map(|value| value.abs()).sum::<f32>() / wanted[name].len() as f32;
    let is_near = |found: f32, wanted: f32| (found - wanted).abs() <= 2e-3 * mean;
    let signs = |value: &f32| if *value >= 0.0 { mean } else { -mean };
    assert!(wanted[name].iter().zip(&found[name]).all(|(wanted, found)| is_near(*found, signs(wanted))));
    assert!(!wanted[name].iter().zip(&found[name]).all(|(wanted, found)| is_near(*found, -signs(wanted))));
}

/// Plain numbers are compressed to little more than a bit each, by xz alone.
#[test]
fn plain_numbers_of_two_values_are_compressed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [coded, dense, out] = ["coded", "dense", "out"].map(|name| folder.path().join(name));
    write_pair_of(&wide(), Way::Mlx(1, 128), &coded, &dense, same);
    let mut source = Source::open(&dense).expect("a model");
    let what = (LibraryForm::Dense, Rules::Ternary);
    let (path, summary) =
        pack_smallest_for_library(&mut source, &out, what, true, &mut |_, _, _| {}).expect("room");
    assert!(path.ends_with("out.tar.xz"), "{path:?}");
    assert!(!folder.path().join("out.zip").exists());
    assert!(summary.bits_per_parameter < 1.6, "{}", summary.bits_per_parameter);
    compare("mean loss", &[loss(&path)], &[loss(&coded)], 1e-6).expect("the same model");
}

/// What can't come under the budget is refused at once, and nothing is left behind.
#[test]
fn an_embedding_that_is_too_large_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [coded, dense] = ["coded", "dense"].map(|name| folder.path().join(name));
    write_pair(Way::Mlx(4, 32), &coded, &dense, same);
    for (form, rules) in [(LibraryForm::Bitnet, Rules::Binary), (LibraryForm::BitnetF32, Rules::Binary)] {
        let error = pack_as(&dense, &folder.path().join("out.zip"), form, rules).expect_err("too large");
        assert_eq!(error.kind, ErrorKind::TooLarge);
        assert!(
            error.found.ends_with("at least")
                && error.hint.as_ref().is_some_and(|hint| hint.contains("without --as")),
            "{error}"
        );
    }
    // A folder has no compression: that is seen once it is written.
    let error = pack_as(&dense, &folder.path().join("out"), LibraryForm::Bitnet, Rules::Ternary);
    assert_eq!(error.expect_err("too large").kind, ErrorKind::TooLarge);
    let left: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
