//! Whole models in each writer's format: the dense model of the same values evaluates alike, and the verdict counts what
//! the validator would.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bitgauge_core::container::Artifact;
use bitgauge_core::contract::Rules;
use bitgauge_core::inspect;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::{Config, Manifest, Presence, Role};
use bitgauge_core::report::{Gate, Outcome, Report};
use bitgauge_core::scan::{Findings, Scan};
use bitgauge_core::{ErrorKind, Result};
use bitgauge_eval::{Backend, EvaluateOptions, Task, evaluate};
use conformance::dense::{Tensors, f32_tensor, write_model};
use conformance::{Device, compare, fixtures, on_device, open_model};
use fastrand::Rng;
use native_eval::Source;
use pollster::block_on;
use serde_json::{Value, json};

use crate::writer::{Way, write};

/// Bound on the mean loss, in nats.
const MEAN_LOSS: f64 = 1e-5;

/// Every way, at every number of bits.
pub fn ways() -> Vec<Way> {
    let mut ways = Vec::from([1, 2, 3, 4, 5, 6, 8].map(|bits| Way::Mlx(bits, 32)));
    ways.extend([Way::Mlx(1, 128), Way::Mxfp4, Way::Mxfp8, Way::Nvfp4, Way::Metal(4)]);
    ways.extend([2, 3, 4, 8].map(|bits| Way::Gptq(bits, true)));
    ways.extend([Way::Gptq(4, false), Way::Awq, Way::BitNet(true), Way::BitNet(false)]);
    ways.extend([1, 2, 3, 4, 8].map(|bits| Way::CompressedTensors(bits, false)));
    ways.extend([
        Way::CompressedTensors(4, true),
        Way::Nf4(false),
        Way::Nf4(true),
        Way::Int8,
        Way::Torchao,
        Way::Fp8,
    ]);
    ways
}

pub fn config() -> Value {
    json!({
        "model_type": "qwen3", "vocab_size": 160, "hidden_size": 128, "intermediate_size": 384,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64,
        "rms_norm_eps": 1e-6, "rope_theta": 10_000.0, "tie_word_embeddings": false,
    })
}

/// Parameters that the validator would count, and the matrices that are packed.
pub struct Written {
    counted: u64,
}

/// Writes a random model in this way to `packed`, and the model of its values to `dense`. `change` may change a value.
pub fn write_pair(
    way: Way,
    packed: &Path,
    dense: &Path,
    change: impl Fn(&str, usize, f32) -> f32,
) -> Written {
    write_pair_of(&config(), way, packed, dense, change)
}

/// The same of a model with this config.json.
pub fn write_pair_of(
    config: &Value,
    way: Way,
    packed: &Path,
    dense: &Path,
    change: impl Fn(&str, usize, f32) -> f32,
) -> Written {
    let mut random = Rng::with_seed(9);
    let text = config.to_string();
    let parsed = Config::parse(text.as_bytes()).expect("a sound config.json");
    let manifest = Manifest::new(parsed.architecture()).expect("a known family");
    let (mut stored, mut plain): (Tensors, Tensors) = (BTreeMap::new(), BTreeMap::new());
    let mut counted = 0;
    for tensor in manifest.tensors().iter().filter(|tensor| tensor.presence == Presence::Required) {
        let shape: Vec<usize> = tensor.shape.iter().map(|side| *side as usize).collect();
        let is_packed = shape.len() == 2 && (way.packs_all() || matches!(tensor.role, Role::Layer { .. }));
        let values = if is_packed {
            let sides = [shape[0], shape[1]];
            let (tensors, values) = write(way, sides, &mut random);
            let module = tensor.name.strip_suffix(".weight").expect("a weight");
            for (suffix, dtype, shape, bytes) in tensors {
                let prefix = if config["model_type"] == "qwen3_5_text" { "language_model." } else { "" };
                stored.insert(format!("{prefix}{module}.{suffix}"), (dtype, shape, bytes));
            }
            counted += way.counted(sides) as u64;
            values
        } else {
            let scale = if shape.len() == 2 { 0.1 } else { 1.0 };
            let values: Vec<f32> = (0..tensor.elements()).map(|_| scale * (random.f32() + 0.5)).collect();
            let (name, sides, kept) = match config["model_type"].as_str() {
                Some("qwen3_5_text") => as_mlx_keeps(&tensor.name, &shape, &values),
                _ => (tensor.name.clone(), shape.clone(), values.clone()),
            };
            stored.insert(name, f32_tensor(&sides, &kept));
            let is_buffer = tensor.name.ends_with("_proj.bias") && way.counted([8, 8]) == 0;
            counted += if is_buffer { 0 } else { tensor.elements() };
            values
        };
        let values: Vec<f32> =
            values.iter().enumerate().map(|(at, v)| change(&tensor.name, at, *v)).collect();
        plain.insert(tensor.name.clone(), f32_tensor(&shape, &values));
    }
    write_model(dense, &config.to_string(), &plain).expect("a dense model");
    let mut config = config.clone();
    config["quantization_config"] = way.config();
    write_model(packed, &config.to_string(), &stored).expect("a packed model");
    Written { counted }
}

/// A vector or convolution of Qwen3.5 in mlx-lm's conventions: norms whole, the convolution's single channel last.
fn as_mlx_keeps(name: &str, shape: &[usize], values: &[f32]) -> (String, Vec<usize>, Vec<f32>) {
    let is_centred = name.ends_with("norm.weight") && !name.contains("linear_attn");
    let values = values.iter().map(|value| if is_centred { value + 1.0 } else { *value }).collect();
    let shape = if let [channels, 1, taps] = *shape { vec![channels, taps, 1] } else { shape.to_vec() };
    (format!("language_model.{name}"), shape, values)
}

pub fn same(_: &str, _: usize, value: f32) -> f32 {
    value
}

/// Mean loss of the model at `path` on fixed random documents.
pub struct MeanLoss<'a>(pub &'a Path);

impl Task for MeanLoss<'_> {
    type Output = Result<f32, String>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let model = open_model(backend, self.0)?;
        let mut random = Rng::with_seed(2026);
        let mut id = || random.u32(..model.shape.vocab_size as u32);
        let documents: Vec<Vec<u32>> = [40, 3, 17].map(|n| (0..n).map(|_| id()).collect()).into();
        let evaluation =
            block_on(evaluate(backend, &model, &documents, &EvaluateOptions::default(), &mut |_, _| {}));
        evaluation.map(|e| e.cross_entropy_nats as f32).map_err(|e| e.to_string())
    }
}

fn agrees(device: Device, one: &Path, other: &Path) -> Result<f64, String> {
    let (one, other) = (on_device(device, MeanLoss(one))?, on_device(device, MeanLoss(other))?);
    compare("mean loss", &[one], &[other], MEAN_LOSS).map(|comparison| comparison.worst)
}

#[test]
fn a_packed_model_evaluates_like_the_dense_model_of_its_values() {
    for way in ways() {
        if let Way::BitNet(_) = way {
            continue;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [packed, dense, other] = ["packed", "dense", "other"].map(|name| folder.path().join(name));
        write_pair(way, &packed, &dense, same);
        agrees(Device::Cpu, &packed, &dense).unwrap_or_else(|why| panic!("{way:?}: {why}"));
        // One row of one matrix with the opposite sign.
        let is_changed = |name: &str, at: usize| name == "model.layers.1.mlp.down_proj.weight" && at < 384;
        write_pair(way, &packed, &other, |name, at, value| if is_changed(name, at) { -value } else { value });
        assert!(agrees(Device::Cpu, &packed, &other).is_err(), "{way:?}: a changed row went unnoticed");
    }
}

#[test]
fn signs_and_codes_evaluate_alike_on_a_gpu() {
    for way in [Way::Mlx(1, 128), Way::Mlx(1, 32), Way::Gptq(3, true)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [packed, dense] = ["packed", "dense"].map(|name| folder.path().join(name));
        write_pair(way, &packed, &dense, same);
        agrees(Device::Gpu, &packed, &dense).unwrap_or_else(|why| panic!("{way:?}: {why}"));
    }
}

/// Qwen3.5 under MLX's names, with its norms and convolutions.
#[test]
fn a_hybrid_model_of_mlx_evaluates_like_the_checkpoint() {
    let text = fs::read_to_string(fixtures().join("models/qwen3_5_text/config.json")).expect("a config.json");
    let config: Value = serde_json::from_str(&text).expect("JSON");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [packed, dense] = ["packed", "dense"].map(|name| folder.path().join(name));
    let written = write_pair_of(&config, Way::Mlx(1, 32), &packed, &dense, same);
    let report = report(&packed);
    assert_eq!(gate(&report, "parameter_count").got, Some(written.counted));
    for id in ["tensors", "shapes"] {
        assert_eq!(gate(&report, id).outcome, Outcome::Pass, "{:?}", gate(&report, id).details);
    }
    agrees(Device::Cpu, &packed, &dense).expect("the same loss");
    let is_norm = |name: &str| name == "model.layers.1.input_layernorm.weight";
    let change = |name: &str, _: usize, value: f32| if is_norm(name) { value + 1.0 } else { value };
    write_pair_of(&config, Way::Mlx(1, 32), &packed, &dense, change);
    assert!(agrees(Device::Cpu, &packed, &dense).is_err(), "a norm that is whole in both went unnoticed");
}

/// Layers that round their inputs are another model than the dense one, the same in f32 and in f64.
#[test]
fn bitnet_rounds_its_inputs() {
    for way in [Way::BitNet(true), Way::BitNet(false)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [packed, dense] = ["packed", "dense"].map(|name| folder.path().join(name));
        write_pair(way, &packed, &dense, same);
        let of = |device| on_device(device, MeanLoss(&packed)).expect("a loss");
        // A value half way between two whole numbers may go either way.
        compare("mean loss", &[of(Device::Cpu)], &[of(Device::Reference)], 1e-3).expect("the same loss");
        assert!(agrees(Device::Cpu, &packed, &dense).is_err(), "{way:?}: rounding went unnoticed");
    }
}

/// The report of a model whose values were read.
pub fn full_report(path: &Path) -> Report {
    let artifact = open(path);
    let inventory = Inventory::of(&artifact).expect("an inventory");
    let findings = scanned(path, &inventory).expect("sound bytes");
    inspect::report("model", &inventory, Rules::Binary, Some(&findings))
}

/// What a pass over all bytes finds.
pub fn scanned(path: &Path, inventory: &Inventory<'_>) -> Result<Findings> {
    let mut source = Source::open(path)?;
    let mut scan = Scan::new(inventory);
    for file in 0..source.file_count() {
        scan.begin_file(file)?;
        source.stream_file(file, &mut |bytes| scan.push(bytes))?;
    }
    scan.finish()
}

pub fn open(path: &Path) -> Artifact {
    Source::open(path).expect("a model").artifact().clone()
}

pub fn report(path: &Path) -> Report {
    let artifact = open(path);
    inspect::report("model", &Inventory::of(&artifact).expect("an inventory"), Rules::Binary, None)
}

pub fn gate<'r>(report: &'r Report, id: &str) -> &'r Gate {
    report.gates.iter().find(|gate| gate.id == id).expect(id)
}

/// Settings of text generation, as Qwen publishes them.
const SETTINGS: &str = r#"{"bos_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643],
    "pad_token_id": 151643, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "transformers_version": "4.51.0"}"#;

#[test]
fn headers_say_what_the_validator_would_count() {
    for way in ways() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [packed, dense] = ["packed", "dense"].map(|name| folder.path().join(name));
        let written = write_pair(way, &packed, &dense, same);
        // Every writer takes it along from the model that it packs.
        fs::write(packed.join("generation_config.json"), SETTINGS).expect("a file");
        let report = report(&packed);
        let counted = gate(&report, "parameter_count").got;
        assert_eq!(counted, Some(written.counted), "{way:?}");
        let loads = match way {
            Way::CompressedTensors(_, true) => Outcome::Fail,
            Way::Metal(_) => Outcome::NotRun,
            way if way.packs_all() => Outcome::Fail,
            _ => Outcome::Pass,
        };
        let loadable = gate(&report, "loadable");
        assert_eq!(loadable.outcome, loads, "{way:?}: {:?}", loadable.details);
        for id in ["tensors", "shapes"] {
            assert_eq!(gate(&report, id).outcome, Outcome::Pass, "{way:?}: {:?}", gate(&report, id).details);
        }
        let total: u64 = report.accounting.buckets.iter().map(|entry| entry.bits).sum();
        assert_eq!(total, report.accounting.total_bits, "{way:?}");
    }
}

/// Config.json and tensors that contradict each other are no codes of another width.
#[test]
fn a_contradiction_between_config_and_tensors_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [packed, dense] = ["packed", "dense"].map(|name| folder.path().join(name));
    for (way, field, value) in [
        (Way::Mlx(4, 32), "bits", json!(2)),
        (Way::Mlx(4, 32), "group_size", json!(64)),
        (Way::Gptq(4, true), "bits", json!(8)),
    ] {
        write_pair(way, &packed, &dense, same);
        let mut config = config();
        config["quantization_config"] = way.config();
        config["quantization_config"][field] = value;
        fs::write(packed.join("config.json"), config.to_string()).expect("room");
        assert_eq!(gate(&report(&packed), "shapes").outcome, Outcome::Fail, "{way:?} {field}");
        // What config.json leaves open the shapes say.
        config["quantization_config"][field] = Value::Null;
        fs::write(packed.join("config.json"), config.to_string()).expect("room");
        assert_eq!(gate(&report(&packed), "shapes").outcome, Outcome::Pass, "{way:?} {field} is null");
        agrees(Device::Cpu, &packed, &dense).unwrap_or_else(|why| panic!("{way:?}: {why}"));
    }
    // A module with settings of its own.
    write_pair(Way::Mlx(4, 32), &packed, &dense, same);
    let mut config = config();
    config["quantization_config"] = json!({
        "bits": 4, "group_size": 32, "mode": "affine", "model.layers.0.mlp.up_proj": {"bits": 8, "group_size": 32},
    });
    fs::write(packed.join("config.json"), config.to_string()).expect("room");
    let report = report(&packed);
    let shapes = gate(&report, "shapes");
    assert_eq!((shapes.outcome, shapes.got), (Outcome::Fail, Some(1)), "{:?}", shapes.details);
    assert!(shapes.details[0].starts_with("model.layers.0.mlp.up_proj.weight"), "{:?}", shapes.details);
}

/// What `eval` refuses is no "codes and scales are valid" of `inspect`.
#[test]
fn a_scale_that_is_not_finite_is_found_in_the_pass() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [packed, dense] = ["packed", "dense"].map(|name| folder.path().join(name));
    for (way, ending) in [
        (Way::Mlx(4, 32), ".scales"),
        (Way::Mlx(1, 128), ".biases"),
        (Way::Gptq(4, true), ".scales"),
        (Way::Mxfp4, ".scales"),
        (Way::Nvfp4, ".scales"),
        (Way::Fp8, "model.norm.weight"),
        (Way::Fp8, "mlp.up_proj.weight"),
        (Way::Fp8, "embed_tokens.weight"),
    ] {
        write_pair(way, &packed, &dense, same);
        let artifact = open(&packed);
        let inventory = Inventory::of(&artifact).expect("an inventory");
        scanned(&packed, &inventory).unwrap_or_else(|why| panic!("{way:?}: {why}"));
        let named = artifact.tensors.iter().find(|tensor| tensor.name.ends_with(ending)).expect(ending);
        let file = packed.join(&artifact.members[named.member].name);
        let mut bytes = fs::read(&file).expect("weights");
        // The second element, all bits set.
        let width = named.dtype.bytes() as usize;
        bytes[named.offset as usize + width..][..width].fill(0xff);
        fs::write(&file, bytes).expect("room");
        let error = scanned(&packed, &inventory).expect_err(ending);
        assert_eq!((error.kind, error.offset), (ErrorKind::BadValue, Some(width as u64)), "{way:?}: {error}");
        assert!(error.place.ends_with(&named.name), "{way:?}: {error}");
    }
}

/// hqq keeps its weights in a pickle, which nobody opens.
#[test]
fn hqq_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fault = |config: &Value| {
        fs::write(folder.path().join("config.json"), config.to_string()).expect("room");
        let report = report(folder.path());
        let loadable = gate(&report, "loadable");
        assert_eq!(loadable.outcome, Outcome::Fail);
        loadable.details.join("; ")
    };
    assert!(!fault(&config()).contains("hqq"));
    fs::write(folder.path().join("qmodel.pt"), b"no pickle").expect("room");
    assert!(fault(&config()).contains("qmodel.pt is a pickle of hqq"), "{}", fault(&config()));
    let mut named = config();
    named["quantization_config"] = json!({"quant_method": "hqq"});
    assert!(fault(&named).contains("can't load the weights of hqq"), "{}", fault(&named));
}

/// A whole folder that mlx-lm wrote, by its headers and its values.
#[test]
fn a_folder_of_mlx_is_judged_and_read() {
    let folder = fixtures().join("packings/mlx1-folder");
    let report = report(&folder);
    assert_eq!(gate(&report, "parameter_count").got, Some(1_377_792));
    let loadable = gate(&report, "loadable");
    assert_eq!(loadable.outcome, Outcome::Fail);
    assert!(loadable.details[0].contains("quant_method"), "{:?}", loadable.details);
}
