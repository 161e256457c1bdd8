//! Weights that are stored as wider numbers and hold two values all the same.

use std::collections::BTreeMap;
use std::path::Path;

use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::{Config, Manifest, Presence};
use bitgauge_core::report::Outcome;
use bitgauge_core::scan::Findings;
use bitgauge_core::{ErrorKind, Result};
use conformance::dense::{Tensors, write_model};
use half::f16;
use safetensors::tensor::Dtype;
use serde_json::json;

use crate::models::{config, full_report, gate, open, report, scanned as scan};

/// A matrix among the layers, 384 x 128.
const MATRIX: &str = "model.layers.1.mlp.up_proj.weight";
/// Parameters of the vectors, which are never binary: the norms of two layers and the last one.
const VECTORS: u64 = 2 * (2 * 128 + 2 * 64) + 128;

/// Writes a dense F16 model of plus and minus one number in each row; `third` is put into [`MATRIX`].
fn write_dense(to: &Path, third: Option<f32>) {
    let text = config().to_string();
    let manifest = Manifest::new(Config::parse(text.as_bytes()).expect("a config.json").architecture())
        .expect("a family");
    let mut tensors: Tensors = BTreeMap::new();
    for tensor in manifest.tensors().iter().filter(|tensor| tensor.presence == Presence::Required) {
        let cols = *tensor.shape.last().expect("a side");
        let value = |at: u64| {
            let size = 0.01 + (at / cols % 7) as f32 / 64.0;
            match third {
                Some(third) if tensor.name == MATRIX && at == 300 => third,
                _ if ((at * 2_654_435_761) >> 9) & 1 == 1 => size,
                _ => -size,
            }
        };
        let is_matrix = tensor.shape.len() == 2;
        let value = |at: u64| if is_matrix { value(at) } else { 1.0 + at as f32 / 64.0 };
        let bytes = (0..tensor.elements()).flat_map(|at| f16::from_f32(value(at)).to_le_bytes()).collect();
        let shape = tensor.shape.iter().map(|side| *side as usize).collect();
        tensors.insert(tensor.name.clone(), (Dtype::F16, shape, bytes));
    }
    write_model(to, &text, &tensors).expect("a model");
}

fn scanned(path: &Path) -> Result<Findings> {
    let artifact = open(path);
    scan(path, &Inventory::of(&artifact)?)
}

#[test]
fn dense_weights_of_two_values_count_as_binary() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let count = |third| {
        write_dense(folder.path(), third);
        let report = full_report(folder.path());
        let gate = gate(&report, "non_binary");
        (gate.outcome, gate.got.expect("a figure"), gate.details.join("; "))
    };
    let (outcome, got, details) = count(None);
    assert_eq!((outcome, got), (Outcome::Pass, VECTORS), "{details}");
    assert!(details.contains("hold two values"), "{details}");
    // One other value makes a matrix what it is stored as.
    let (outcome, got, _) = count(Some(0.5));
    assert_eq!((outcome, got), (Outcome::Fail, VECTORS + 384 * 128));
    // A number that is none is a fault of the file, not a third value.
    for third in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        write_dense(folder.path(), Some(third));
        let error = scanned(folder.path()).expect_err("a fault");
        assert_eq!((error.kind, error.offset), (ErrorKind::BadValue, Some(2 * 300)), "{error}");
        assert!(error.place.ends_with(MATRIX), "{error}");
    }
    // Nobody knows before the weights are read.
    write_dense(folder.path(), None);
    assert_eq!(gate(&report(folder.path()), "non_binary").outcome, Outcome::NotRun);
}

#[test]
fn ternary_codes_count_as_binary_where_only_two_are_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (codes, outcome) in [([0, 2, 2, 0], Outcome::Pass), ([0, 2, 1, 0], Outcome::Fail)] {
        let mut config = config();
        let text = config.to_string();
        let parsed = Config::parse(text.as_bytes()).expect("a config.json");
        let manifest = Manifest::new(parsed.architecture()).expect("a family");
        let mut tensors: Tensors = BTreeMap::new();
        for tensor in manifest.tensors() {
            let shape: Vec<usize> = tensor.shape.iter().map(|side| *side as usize).collect();
            let is_linear = shape.len() == 2 && tensor.name.contains("layers");
            if is_linear {
                let byte = codes.iter().rev().fold(0, |byte, code| byte << 2 | code);
                let sides = vec![shape[0] / 4, shape[1]];
                tensors.insert(tensor.name.clone(), (Dtype::U8, sides, vec![byte; shape[0] / 4 * shape[1]]));
                let scale = 0.125_f32.to_le_bytes().to_vec();
                tensors.insert(format!("{}_scale", tensor.name), (Dtype::F32, vec![1], scale));
            } else {
                let elements: usize = shape.iter().product();
                let bytes = (0..elements).flat_map(|at| (at as f32 / 64.0).to_le_bytes()).collect();
                tensors.insert(tensor.name.clone(), (Dtype::F32, shape, bytes));
            }
        }
        config["quantization_config"] = json!({"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"});
        write_model(folder.path(), &config.to_string(), &tensors).expect("a model");
        let report = full_report(folder.path());
        let gate = gate(&report, "non_binary");
        assert_eq!(
            gate.outcome, outcome,
            "{codes:?}: {:?} of {:?}, {:?}",
            gate.got, gate.wanted, gate.details
        );
        assert!(
            report.notes.iter().any(|note| note.contains("As F32 a forward pass works")),
            "{:?}",
            report.notes
        );
    }
}
