//! Cuts packing off at every point that the caller hears of, and goes on.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use bitgauge_core::ErrorKind;
use bitgauge_core::contract::Rules;
use half::bf16;

use super::quantize::Fit;
use super::tests::{CONFIG, Model, tensors, uniform, write_model};
use super::{Calibration, PackMix, PackSettings, pack};
use crate::source::Source;

fn settings() -> [PackSettings; 2] {
    let calibration = Calibration::Documents(vec![vec![1, 2, 3, 4]]);
    let mix = PackMix::Budget { pack: Rules::Ternary, scale_group: None };
    [
        PackSettings { calibration: calibration.clone(), ..uniform(128, 0.2, 2) },
        PackSettings { mix, fit: Fit::LeastSquares, calibration, force: false },
    ]
}

/// Packs to `out` and is cut off at the `last`th report of progress, as by a signal: nothing of the packer runs
/// after that. Returns whether it was.
fn is_cut_off(model: &Model, out: &str, settings: &PackSettings, last: usize) -> bool {
    let mut source = Source::open(&model.path("source")).unwrap();
    let mut reports = 0;
    let mut tell = |_, _, _| {
        reports += 1;
        assert!(reports != last, "cut off");
    };
    let packing = AssertUnwindSafe(|| pack(&mut source, &model.path(out), settings, &mut tell).map(drop));
    catch_unwind(packing).map_or(true, |finished| {
        finished.unwrap();
        false
    })
}

fn work(model: &Model, out: &str) -> PathBuf {
    model.path(&format!(".{out}.bitgauge-pack"))
}

/// A model whose tokenizer leaves room in its budget.
fn model() -> Model {
    let model = Model::new();
    let config = CONFIG.replace("\"vocab_size\": 40", "\"vocab_size\": 4000");
    let mut tensors = tensors();
    for (_, shape, values) in &mut tensors {
        if shape[0] == 40 {
            shape[0] = 4000;
            let more = (0..4000 * 66).map(|i| bf16::from_f32((i * 7919 % 1009) as f32 / 1009.0 - 0.5));
            *values = more.collect();
        }
    }
    fs::remove_dir_all(model.path("source")).unwrap();
    write_model(&model.path("source"), &config, &tensors, 100);
    model
}

#[test]
fn a_pack_that_is_cut_off_goes_on() {
    for (settings, [whole, cut]) in
        settings().iter().zip([["whole.zip", "cut.zip"], ["whole.tar", "cut.tar"]])
    {
        let model = model();
        assert!(!is_cut_off(&model, whole, settings, usize::MAX));
        let whole = fs::read(model.path(whole)).unwrap();
        let mut cuts = 0;
        while is_cut_off(&model, cut, settings, cuts + 1) {
            cuts += 1;
            assert!(work(&model, cut).is_dir() && !model.path(cut).exists());
            assert!(!is_cut_off(&model, cut, settings, usize::MAX), "cut at {cuts}");
            assert!(fs::read(model.path(cut)).unwrap() == whole, "cut at {cuts}");
            assert!(!work(&model, cut).exists());
            fs::remove_file(model.path(cut)).unwrap();
        }
        assert!(cuts > 20, "{cuts}");
    }
}

/// What is done is not done again: a change to it stays.
#[test]
fn what_is_done_is_taken_over() {
    let (model, [settings, _]) = (model(), settings());
    assert!(!is_cut_off(&model, "whole.zip", &settings, usize::MAX));
    let whole = fs::read(model.path("whole.zip")).unwrap();
    let change = |cut: usize, changed: &str, at: &dyn Fn(&[u8]) -> usize, flip: u8| {
        assert!(is_cut_off(&model, "cut.zip", &settings, cut));
        let file = work(&model, "cut.zip").join(changed);
        let mut bytes = fs::read(&file).unwrap();
        let at = at(&bytes);
        bytes[at] ^= flip;
        fs::write(&file, bytes).unwrap();
        assert!(!is_cut_off(&model, "cut.zip", &settings, usize::MAX));
        assert!(fs::read(model.path("cut.zip")).unwrap() != whole, "{changed}");
        fs::remove_file(model.path("cut.zip")).unwrap();
    };
    // The first tensor of the file belongs to the first of the source, which is written by then.
    let first_data = |bytes: &[u8]| 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    change(16, "model/model.safetensors", &first_data, 1);
    // The first row's error becomes enormous, or tiny if it was rescued.
    change(6, "survey/0.f32", &|_| 3, 0x40);
    // The first moment of the first layer's inputs.
    change(6, "moments/0.f32", &|_| 3, 0x40);
}

#[test]
fn work_of_something_else_is_refused() {
    let (model, [settings, _]) = (model(), settings());
    assert!(is_cut_off(&model, "out.zip", &settings, 12));
    let refused = |settings: &PackSettings, what: &str| {
        let error = model.pack("out.zip", settings).unwrap_err();
        assert_eq!((error.kind, error.found.as_str()), (ErrorKind::Io, what), "{error}");
        assert!(error.hint.is_some() && work(&model, "out.zip").is_dir());
    };
    refused(&uniform(128, 0.2, 1), "other options");
    refused(&PackSettings { calibration: Calibration::RandomTokens, ..settings.clone() }, "other options");
    let weights = model.path("source/model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    let mut other = bytes.clone();
    let last = other.len() - 1;
    other[last] ^= 1;
    fs::write(&weights, other).unwrap();
    refused(&settings, "another model");
    fs::write(&weights, bytes).unwrap();
    // Forcing replaces the target, not the work.
    model.pack("out.zip", &PackSettings { force: true, ..settings }).unwrap();
    assert_eq!(model.listing(), ["out.zip", "source"]);
}

/// A change where nothing is compared: what was done before it is not taken over.
#[test]
fn work_of_a_model_that_was_written_to_begins_anew() {
    let (model, [settings, _]) = (model(), settings());
    let weights = model.path("source/model.safetensors");
    assert!(is_cut_off(&model, "out.zip", &settings, 16));
    let mut bytes = fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    // The signs of rows of the embedding, which is written by then, and of the head, which lies in front of it.
    for start in [middle, middle - 4000 * 66 * 2] {
        bytes[start..][..2000].iter_mut().for_each(|byte| *byte ^= 0x80);
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(&weights, bytes).unwrap();
    assert!(!is_cut_off(&model, "out.zip", &settings, usize::MAX));
    assert!(!is_cut_off(&model, "anew.zip", &settings, usize::MAX));
    assert!(fs::read(model.path("out.zip")).unwrap() == fs::read(model.path("anew.zip")).unwrap());
}
