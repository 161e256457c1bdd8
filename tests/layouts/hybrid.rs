//! Qwen3.5 as mlx-lm itself writes it (`mlx_qwen3_5.py`): the values and the loss of mlx-lm, and those of the checkpoint.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bitgauge_core::format::{self, Form, layouts};
use bitgauge_core::inventory::{Inventory, Stored};
use bitgauge_core::report::Outcome;
use bitgauge_core::scan::{Digest, Sha256, hex};
use bitgauge_eval::{Backend, EvaluateOptions, Task, evaluate};
use conformance::dense::{Tensors, f32_tensor, write_model};
use conformance::{Device, compare, copy_folder, fixtures, on_device, open_model};
use native_eval::{Calibration, Source};
use pollster::block_on;
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::Value;

use crate::models::{gate, report};
use crate::packing::packed;

/// The samples, and whether all of their matrices are of plus and minus one number.
const SAMPLES: [(&str, bool); 2] = [("mlx-qwen3_5-1bit", true), ("mlx-qwen3_5-mixed", false)];
/// Bounds on mean losses in nats: of the library, and of the same values in another form.
const LIBRARY: f64 = 1e-3;
const SAME: f64 = 1e-5;

/// Mean loss of the model at the path on these documents.
struct LossOf<'a>(&'a Path, &'a [Vec<u32>]);

impl Task for LossOf<'_> {
    type Output = Result<f32, String>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let model = open_model(backend, self.0)?;
        let evaluation =
            block_on(evaluate(backend, &model, self.1, &EvaluateOptions::default(), &mut |_, _| {}));
        evaluation.map(|e| e.cross_entropy_nats as f32).map_err(|e| e.to_string())
    }
}

/// What the library made of a sample.
struct Expected {
    documents: Vec<Vec<u32>>,
    library: f32,
    transformers: f32,
    values: BTreeMap<String, String>,
}

impl Expected {
    fn of(sample: &Path) -> Self {
        let text = fs::read_to_string(sample.join("expected.json")).expect("expected.json");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let from = |name: &str| json[name].clone();
        Self {
            documents: serde_json::from_value(from("documents")).expect("token ids"),
            library: json["mlx_lm_nats"].as_f64().expect("a loss") as f32,
            transformers: json["transformers_nats"].as_f64().expect("a loss") as f32,
            values: serde_json::from_value(from("values")).expect("hashes"),
        }
    }

    fn loss(&self, path: &Path) -> f32 {
        on_device(Device::Cpu, LossOf(path, &self.documents)).expect("a loss")
    }
}

/// Every weight's shape in the checkpoint, and its values as they are stored.
fn weights(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut source = Source::open(path).expect("a model");
    let artifact = source.artifact().clone();
    let inventory = Inventory::of(&artifact).expect("an inventory");
    let mut all = BTreeMap::new();
    for weight in &inventory.weights {
        let expected = weight.expected.as_ref().expect("a weight of the decoder");
        let values = match (&weight.form, &weight.stored) {
            (Form::Coded { pieces }, Stored::Coded(coded)) => {
                let tensors: Vec<_> = pieces.0.iter().map(|at| (at.0, &artifact.tensors[at.1])).collect();
                let bytes: Vec<_> =
                    tensors.iter().map(|(_, tensor)| source.read_tensor(tensor).expect("bytes")).collect();
                let stored = tensors.iter().zip(&bytes);
                let stored = stored.map(|((piece, tensor), bytes)| layouts::Bytes {
                    piece: *piece,
                    dtype: tensor.dtype,
                    bytes,
                });
                layouts::decode(&weight.name, coded, &stored.collect::<Vec<_>>()).expect("a matrix").to_f32()
            }
            (Form::Plain { index }, _) => {
                let tensor = &artifact.tensors[*index];
                let bytes = source.read_tensor(tensor).expect("bytes");
                format::decode_values(&tensor.name, tensor.dtype, &bytes).expect("values").to_f32()
            }
            other => panic!("{}: {other:?}", weight.name),
        };
        let shape = expected.shape.iter().map(|side| *side as usize).collect();
        all.insert(expected.name.clone(), (shape, values));
    }
    all
}

fn hash(values: &[f32]) -> String {
    let mut hash = Sha256::new();
    values.iter().for_each(|value| hash.update((value + 0.0).to_le_bytes()));
    hex(hash)[..16].to_owned()
}

/// Writes the checkpoint of a sample's values: norms as their difference from 1, but for those of the delta rule.
fn write_checkpoint(sample: &Path, to: &Path, is_centred: impl Fn(&str) -> bool) {
    let text = fs::read_to_string(sample.join("config.json")).expect("config.json");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    let fields = config.as_object_mut().expect("an object");
    for field in ["quantization", "quantization_config"] {
        fields.remove(field).expect("MLX's settings");
    }
    let tensors: Tensors = weights(sample)
        .into_iter()
        .map(|(name, (shape, mut values))| {
            if is_centred(&name) {
                values.iter_mut().for_each(|value| *value -= 1.0);
            }
            let name = match name.strip_prefix("model.") {
                Some(rest) => format!("model.language_model.{rest}"),
                None => name,
            };
            (name, f32_tensor(&shape, &values))
        })
        .collect();
    write_model(to, &config.to_string(), &tensors).expect("a dense model");
}

fn is_centred(name: &str) -> bool {
    name.ends_with("norm.weight") && !name.ends_with("linear_attn.norm.weight")
}

#[test]
fn values_and_loss_are_those_of_mlx_lm() {
    for (name, _) in SAMPLES {
        let sample = fixtures().join("packings").join(name);
        let expected = Expected::of(&sample);
        let hashes = |path: &Path| -> BTreeMap<String, String> {
            weights(path).into_iter().map(|(name, (_, values))| (name, hash(&values))).collect()
        };
        assert_eq!(hashes(&sample), expected.values, "{name}");
        let loss = expected.loss(&sample);
        compare("mean loss", &[loss], &[expected.library], LIBRARY)
            .unwrap_or_else(|why| panic!("{name}: {why}"));

        // One byte of codes in the first layer: other values, and another loss.
        let changed = copy_folder(&sample);
        let artifact = Source::open(&sample).expect("a model").artifact().clone();
        let module = "language_model.model.layers.0.linear_attn.in_proj_qkv.weight";
        let codes = artifact.tensors.iter().find(|tensor| tensor.name == module).expect("codes");
        let file = changed.path().join("model.safetensors");
        let mut bytes = fs::read(&file).expect("weights");
        bytes[codes.offset as usize..][..codes.bytes as usize].iter_mut().for_each(|byte| *byte = !*byte);
        fs::write(&file, bytes).expect("room");
        let differ =
            hashes(changed.path()).iter().filter(|(name, hash)| expected.values[*name] != **hash).count();
        assert_eq!(differ, 1, "{name}: changed codes");
        let loss = expected.loss(changed.path());
        assert!(
            compare("mean loss", &[loss], &[expected.library], LIBRARY).is_err(),
            "{name}: changed codes went unnoticed"
        );
    }
}

#[test]
fn it_evaluates_like_the_checkpoint_of_its_values() {
    for (name, _) in SAMPLES {
        let sample = fixtures().join("packings").join(name);
        let expected = Expected::of(&sample);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [dense, whole] = ["dense", "whole"].map(|name| folder.path().join(name));
        write_checkpoint(&sample, &dense, is_centred);
        let loss = expected.loss(&dense);
        for (of, wanted) in [("the sample", expected.loss(&sample)), ("transformers", expected.transformers)]
        {
            compare("mean loss", &[loss], &[wanted], SAME)
                .unwrap_or_else(|why| panic!("{name}, {of}: {why}"));
        }
        // A checkpoint with one norm that is stored whole is another model.
        write_checkpoint(&sample, &whole, |name| is_centred(name) && name != "model.norm.weight");
        let other = expected.loss(&whole);
        assert!(
            compare("mean loss", &[other], &[expected.transformers], LIBRARY).is_err(),
            "{name}: a norm that is whole in both went unnoticed"
        );
    }
}

#[test]
fn it_is_said_not_to_load_and_packs_to_what_does() {
    for (name, is_binary) in SAMPLES {
        let sample = fixtures().join("packings").join(name);
        let expected = Expected::of(&sample);
        let of_sample = report(&sample);
        assert_eq!(gate(&of_sample, "loadable").outcome, Outcome::Fail, "{name}");
        for id in ["tensors", "shapes"] {
            assert_eq!(gate(&of_sample, id).outcome, Outcome::Pass, "{:?}", gate(&of_sample, id).details);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("out");
        let summary = packed(&sample, &out, Calibration::None);
        assert_eq!(
            summary.exact == summary.packed,
            is_binary,
            "{name}: {} of {}",
            summary.exact,
            summary.packed
        );
        let of_out = report(&out);
        for id in ["loadable", "tensors", "shapes"] {
            assert_eq!(gate(&of_out, id).outcome, Outcome::Pass, "{:?}", gate(&of_out, id).details);
        }
        assert_eq!(gate(&of_out, "parameter_count").got, gate(&of_sample, "parameter_count").got, "{name}");
        // What is packed with an error has another loss.
        let kept = compare("mean loss", &[expected.loss(&out)], &[expected.transformers], SAME);
        assert_eq!(kept.is_ok(), is_binary, "{name}: {kept:?}");
    }
}

/// mlx-vlm keeps the vision tower, whose names no checkpoint has.
#[test]
fn a_vision_tower_of_mlx_is_passed_over() {
    let sample = fixtures().join("packings/mlx-qwen3_5-1bit");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [seeing, out, alone] = ["seeing", "out", "alone"].map(|name| folder.path().join(name));
    for (prefix, passes) in [("vision_tower.", true), ("vision_tower_", false)] {
        let bytes = fs::read(sample.join("model.safetensors")).expect("weights");
        let stored = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let tensor = |(name, view): (String, TensorView<'_>)| {
            (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        };
        let mut tensors: Tensors = stored.tensors().into_iter().map(tensor).collect();
        tensors.insert(format!("{prefix}blocks.0.attn.qkv.weight"), f32_tensor(&[96, 32], &[0.5; 96 * 32]));
        tensors
            .insert(format!("{prefix}patch_embed.proj.weight"), f32_tensor(&[32, 2, 2, 2, 3], &[0.5; 768]));
        let config = fs::read_to_string(sample.join("config.json")).expect("config.json");
        let _ = fs::remove_dir_all(&seeing);
        write_model(&seeing, &config, &tensors).expect("room");
        let report = report(&seeing);
        let outcome = if passes { Outcome::Pass } else { Outcome::Fail };
        assert_eq!(gate(&report, "tensors").outcome, outcome, "{prefix}");
        assert_eq!(
            report.notes.iter().any(|note| note.contains("vision tower")),
            passes,
            "{:?}",
            report.notes
        );
        if passes {
            packed(&seeing, &out, Calibration::None);
            packed(&sample, &alone, Calibration::None);
            let weights = |folder: &Path| fs::read(folder.join("model.safetensors")).expect("weights");
            assert!(weights(&out) == weights(&alone), "the tower is packed");
        }
    }
}
