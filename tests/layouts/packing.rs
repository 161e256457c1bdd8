//! `pack` of models in other writers' formats: the artifact of the dense model of their values, byte by byte; and the same
//! losses where matrices hold few values.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bitgauge_core::format::{self, Form, Parts};
use bitgauge_core::inventory::{Inventory, Stored};
use bitgauge_core::report::Outcome;
use conformance::{Device, compare, fixtures, on_device};
use native_eval::{Calibration, Fit, PackMix, PackSettings, PackSummary, Source, pack};
use serde_json::Value;

use crate::models::{MeanLoss, gate, report, same, ways, write_pair, write_pair_of};
use crate::writer::Way;

/// Bound on mean losses of the same values, in nats.
const MEAN_LOSS: f64 = 1e-6;

pub fn packed(from: &Path, to: &Path, calibration: Calibration) -> PackSummary {
    let mix = PackMix::Uniform { scale_group: 128, rescue_fraction: 0.1, bases: 1 };
    let settings = PackSettings { mix, fit: Fit::LeastSquares, calibration, force: true };
    let mut source = Source::open(from).expect("a model");
    let summary = pack(&mut source, to, &settings, &mut |_, _, _| {});
    summary.unwrap_or_else(|why| panic!("{}: {why}", from.display()))
}

fn weights(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("model.safetensors")).expect("weights")
}

/// Every packed matrix's values.
pub fn values(folder: &Path) -> BTreeMap<String, Vec<f32>> {
    let mut source = Source::open(folder).expect("a packed model");
    let artifact = source.artifact().clone();
    let inventory = Inventory::of(&artifact).expect("an inventory");
    let mut all = BTreeMap::new();
    for weight in &inventory.weights {
        let (Form::Bitpacked { parts }, Stored::Bitpacked(layout)) = (&weight.form, &weight.stored) else {
            continue;
        };
        let bytes = parts
            .map(|index| index.map(|index| source.read_tensor(&artifact.tensors[index]).expect("bytes")));
        let mut slices: Parts<&[u8]> = Parts::default();
        for (part, bytes) in bytes.iter() {
            slices[part] = bytes.as_deref().unwrap_or_default();
        }
        let matrix = format::decode(&weight.name, layout, &slices).expect("sound parts");
        all.insert(weight.name.clone(), bitgauge_core::Matrix::Bitpacked(matrix).to_f32());
    }
    all
}

/// Whatever way a model is stored in, `pack` sees its values, and the outcome loads.
#[test]
fn every_format_packs_like_the_dense_model_of_its_values() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [coded, dense, other, one, two] =
        ["coded", "dense", "other", "one", "two"].map(|name| folder.path().join(name));
    let negated = |name: &str, at: usize, value: f32| {
        let is_changed = name == "model.layers.1.mlp.down_proj.weight" && at < 384;
        if is_changed { -value } else { value }
    };
    for (number, way) in ways().into_iter().enumerate() {
        [&coded, &dense, &other].into_iter().for_each(|folder| drop(fs::remove_dir_all(folder)));
        write_pair(way, &coded, &dense, same);
        // The model is run for its moments in some.
        let calibration = if number % 9 == 0 { Calibration::RandomTokens } else { Calibration::None };
        packed(&coded, &one, calibration.clone());
        packed(&dense, &two, calibration.clone());
        assert!(weights(&one) == weights(&two), "{way:?}");
        for id in ["loadable", "tensors", "shapes", "payload"] {
            let gate = gate(&report(&one), id).clone();
            assert!(
                matches!(gate.outcome, Outcome::Pass | Outcome::NotRun),
                "{way:?}: {id} {:?}",
                gate.details
            );
        }
        write_pair(way, &coded, &other, negated);
        packed(&other, &two, calibration);
        assert!(weights(&one) != weights(&two), "{way:?}: a changed row went unnoticed");
    }
}

/// Matrices of two and of three values are kept: the same values, and the same losses where all are such.
#[test]
fn few_values_are_kept_as_they_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [coded, dense, out] = ["coded", "dense", "out"].map(|name| folder.path().join(name));
    // The matrices of a layer, and the embedding and the head.
    let (layers, all) = (14, 16);
    for (way, exact) in [
        (Way::Mlx(1, 128), all),
        (Way::Mlx(1, 32), all),
        (Way::CompressedTensors(1, false), layers),
        (Way::BitNet(true), layers),
        (Way::BitNet(false), layers),
        (Way::Mlx(4, 32), 0),
    ] {
        [&coded, &dense].into_iter().for_each(|folder| drop(fs::remove_dir_all(folder)));
        write_pair(way, &coded, &dense, same);
        let summary = packed(&coded, &out, Calibration::None);
        assert_eq!((summary.exact, summary.rounded), (exact, 0), "{way:?}");
        let wanted = dense_values(&dense);
        let kept = values(&out).into_iter().filter(|(name, values)| wanted[name] == *values).count();
        assert_eq!(kept as u64, exact, "{way:?}");
        if exact == all {
            let loss = |path| on_device(Device::Cpu, MeanLoss(path)).expect("a loss");
            compare("mean loss", &[loss(&out)], &[loss(&coded)], MEAN_LOSS)
                .unwrap_or_else(|why| panic!("{way:?}: {why}"));
            flip_a_sign(&out);
            let changed = compare("mean loss", &[loss(&out)], &[loss(&coded)], MEAN_LOSS);
            assert!(changed.is_err(), "{way:?}: flipped signs went unnoticed");
        }
    }
}

pub fn dense_values(folder: &Path) -> BTreeMap<String, Vec<f32>> {
    let mut source = Source::open(folder).expect("a dense model");
    let artifact = source.artifact().clone();
    let read = |tensor: &bitgauge_core::container::TensorEntry| {
        let bytes = source.read_tensor(tensor).expect("bytes");
        (
            tensor.name.clone(),
            format::decode_values(&tensor.name, tensor.dtype, &bytes).expect("values").to_f32(),
        )
    };
    artifact.tensors.iter().map(read).collect()
}

/// Inverts the signs of a row of a matrix.
fn flip_a_sign(folder: &Path) {
    let artifact = Source::open(folder).expect("a packed model").artifact().clone();
    let sign =
        artifact.tensors.iter().find(|tensor| tensor.name.ends_with("o_proj.weight.sign")).expect("signs");
    let file = folder.join("model.safetensors");
    let mut bytes = fs::read(&file).expect("weights");
    bytes[sign.offset as usize..][..16].iter_mut().for_each(|byte| *byte = !*byte);
    fs::write(&file, bytes).expect("room");
}

/// Norms that MLX keeps whole go back to what a checkpoint has.
#[test]
fn a_hybrid_model_of_mlx_packs_to_the_checkpoint_form() {
    let text = fs::read_to_string(fixtures().join("models/qwen3_5_text/config.json")).expect("a config.json");
    let config: Value = serde_json::from_str(&text).expect("JSON");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [coded, dense, out] = ["coded", "dense", "out"].map(|name| folder.path().join(name));
    write_pair_of(&config, Way::Mlx(1, 32), &coded, &dense, same);
    let summary = packed(&coded, &out, Calibration::RandomTokens);
    assert_eq!((summary.exact, summary.packed), (summary.packed, summary.exact));
    assert_eq!(summary.scale_group, 32);
    let loss = |path| on_device(Device::Cpu, MeanLoss(path)).expect("a loss");
    compare("mean loss", &[loss(&out)], &[loss(&dense)], MEAN_LOSS).expect("the same loss");
    // What is packed already is taken over.
    let again = folder.path().join("again");
    let summary = packed(&out, &again, Calibration::RandomTokens);
    assert_eq!(summary.exact, summary.packed);
    assert!(weights(&again) == weights(&out));
}
