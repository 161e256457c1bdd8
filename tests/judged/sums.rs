//! Bits and parameters have the same sums, whoever adds them up: the tensors of the header, the weights, the layers and
//! the buckets.

use std::fs;
use std::path::Path;

use bitgauge_core::BlockType;
use bitgauge_core::accounting::Bucket;
use bitgauge_core::container::Root;
use bitgauge_core::contract::Rules;
use bitgauge_core::inspect;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::report::{Report, WeightSummary};
use conformance::GgmlType;

use crate::figures::{bits, gguf, packed};
use crate::model::{Model, open};

/// What bits of tensors are spent on.
const WEIGHT_BUCKETS: [Bucket; 9] = [
    Bucket::SignBits,
    Bucket::SignPadding,
    Bucket::Scales,
    Bucket::RescueCodes,
    Bucket::RescueCodePadding,
    Bucket::RescueScales,
    Bucket::RescueRowNumbers,
    Bucket::Unpacked,
    Bucket::OtherTensors,
];

/// Pairs of sums that must be equal.
fn sums(inventory: &Inventory, report: &Report) -> Vec<(&'static str, u64, u64)> {
    let tensors: u64 = inventory.artifact.tensors.iter().map(|tensor| 8 * tensor.bytes).sum();
    let buckets: u64 = WEIGHT_BUCKETS.iter().map(|&bucket| bits(report, bucket)).sum();
    let all_buckets: u64 = report.accounting.buckets.iter().map(|entry| entry.bits).sum();
    let of_weights = |count: fn(&WeightSummary) -> u64| report.weights.iter().map(count).sum::<u64>();
    // Layers hold the weights that the architecture knows.
    let of_known = |count: fn(&WeightSummary) -> u64| {
        let weights = report.weights.iter().zip(&inventory.weights);
        weights
            .filter(|(_, weight)| weight.expected.is_some())
            .map(|(summary, _)| count(summary))
            .sum::<u64>()
    };
    let accounting = &report.accounting;
    let parameters =
        accounting.binary_parameters + accounting.rescue_parameters + accounting.unpacked_parameters;
    vec![
        ("bits of tensors and weights", tensors, of_weights(|weight| weight.bits) + inventory.surplus_bits),
        ("bits of tensors and buckets", tensors, buckets),
        ("bits of layers and weights", report.layers.iter().map(|l| l.bits).sum(), of_known(|w| w.bits)),
        ("bits of all buckets", all_buckets - accounting.saved_by_compression_bits, accounting.total_bits),
        (
            "parameters of layers and weights",
            report.layers.iter().map(|layer| layer.parameters).sum(),
            of_known(|weight| weight.parameters),
        ),
        ("parameters of weights and buckets", of_known(|weight| weight.parameters), parameters),
        (
            "rescue parameters of layers and weights",
            report.layers.iter().map(|layer| layer.rescue_parameters).sum(),
            of_known(|weight| weight.rescue_parameters),
        ),
        (
            "rescue parameters of weights and buckets",
            of_known(|weight| weight.rescue_parameters),
            accounting.rescue_parameters,
        ),
    ]
}

fn first_difference(inventory: &Inventory, report: &Report) -> Option<&'static str> {
    sums(inventory, report).into_iter().find(|(_, one, other)| one != other).map(|(what, ..)| what)
}

/// Compares the sums of an artifact; one more bit or parameter anywhere must show.
fn holds(case: &str, files: &[(String, Vec<u8>)], root: Root) {
    let artifact = open(files, root).unwrap_or_else(|error| panic!("{case}: {error}"));
    let inventory = Inventory::of(&artifact).unwrap_or_else(|error| panic!("{case}: {error}"));
    let report = inspect::report(case, &inventory, Rules::Binary, None);
    assert_eq!(first_difference(&inventory, &report), None, "{case}: {:?}", sums(&inventory, &report));
    assert!(!report.layers.is_empty() && report.weights.len() > 10, "{case}: a whole model");
    let changed = |what: &str, change: &dyn Fn(&mut Report)| {
        let mut other = report.clone();
        change(&mut other);
        assert!(first_difference(&inventory, &other).is_some(), "{case}: {what} went unnoticed");
    };
    for i in 0..report.layers.len() {
        changed("a layer's bit", &|report| report.layers[i].bits += 1);
        changed("a layer's parameter", &|report| report.layers[i].parameters += 1);
        changed("a layer's rescue parameter", &|report| report.layers[i].rescue_parameters += 1);
    }
    let known = inventory.weights.iter().position(|weight| weight.expected.is_some()).expect("a weight");
    changed("a weight's bit", &|report| report.weights[known].bits += 1);
    changed("a weight's parameter", &|report| report.weights[known].parameters += 1);
    for bucket in WEIGHT_BUCKETS {
        changed(bucket.name(), &|report| report.accounting.buckets[bucket as usize].bits += 1);
    }
    changed("a binary parameter", &|report| report.accounting.binary_parameters += 1);
}

/// All files of a folder.
fn folder(path: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(path).expect("a fixture").map(|entry| entry.expect("a file"));
    let mut files: Vec<_> = entries
        .map(|entry| {
            (entry.file_name().into_string().expect("a name"), fs::read(entry.path()).expect("a file"))
        })
        .filter(|(name, _)| name != "golden.safetensors")
        .collect();
    files.sort();
    files
}

#[test]
fn of_every_type_of_unpacked_weights() {
    for dtype in ["F16", "BF16", "F32"] {
        holds(dtype, &Model::dense().in_type(dtype).files(), Root::Folder);
    }
}

#[test]
fn of_bitpacked_weights() {
    holds("packed", &packed().files(), Root::Folder);
    let name = "model.layers.1.mlp.down_proj.weight";
    for bases in 1..=4 {
        for rescued in [0, 1, 70] {
            let bases = if rescued == 70 { 0 } else { bases };
            let model = Model::bitpack().pack(name, bases, rescued);
            holds(&format!("B {bases}, R {rescued}"), &model.files(), Root::Folder);
        }
    }
}

#[test]
fn of_weights_that_do_not_fit() {
    let scale = "model.layers.0.self_attn.q_proj.weight.scale";
    let misfit = packed().without(scale).with(scale, "F16", &[1, 15, 1]);
    holds("misfit", &misfit.files(), Root::Folder);
    let unknown = packed().with("model.own.weight", "F16", &[2, 2]);
    holds("unknown", &unknown.files(), Root::Folder);
    let doubled = packed().with("model.layers.0.mlp.gate_proj.weight", "F16", &[33, 70]);
    holds("doubled", &doubled.files(), Root::Folder);
}

#[test]
fn of_every_block_format() {
    for block in BlockType::all() {
        let bytes = 256 * 256 / block.values() * block.bytes();
        let file = gguf(GgmlType(block.id()), bytes as usize);
        holds(block.name(), &[("m.gguf".to_owned(), file)], Root::File);
    }
}

#[test]
fn of_every_fixture() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/model.zip");
    holds("demo", &[("model.zip".to_owned(), fs::read(demo).expect("the demo"))], Root::File);
    let models = fs::read_dir(conformance::fixtures().join("models")).expect("the fixtures");
    let models: Vec<_> = models
        .map(|entry| entry.expect("a folder").path())
        .filter(|path| path.join("config.json").exists())
        .collect();
    assert_eq!(models.len(), 6, "{models:?}");
    models.iter().for_each(|path| holds(&path.display().to_string(), &folder(path), Root::Folder));
}
