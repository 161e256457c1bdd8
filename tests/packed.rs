//! A packed model evaluates like the dense model of its dequantized weights, on every backend, for
//! every layout. Both models go through files on disk, as a user's would.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bitgauge_core::Matrix;
use bitgauge_core::codec::{self, Form, Part, Parts};
use bitgauge_core::inventory::{Inventory, Stored};
use conformance::{Device, Tally, compare, fixtures, on_device, open_model};
use native_eval::{Backend, EvaluateOptions, PackSettings, Source, Task, evaluate, pack};
use safetensors::tensor::{Dtype, TensorView};

/// Bound on the mean loss, in nats.
const MEAN_LOSS: f32 = 1e-5;

fn main() -> ExitCode {
    let mut tally = Tally::default();
    for model in ["qwen3_tied", "qwen3_untied"] {
        for settings in every_setting() {
            let name = format!(
                "{model} B={} group={} rescue={}",
                settings.bases, settings.scale_group, settings.rescue_fraction
            );
            let folder = tempfile::tempdir().expect("a temporary folder");
            match Pair::make(&fixtures().join("models").join(model), folder.path(), &settings) {
                Ok(pair) => pair.check(&name, &mut tally),
                Err(why) => tally.case(&name, Err(why)),
            }
        }
    }
    tally.finish()
}

fn every_setting() -> Vec<PackSettings> {
    let mut all = Vec::new();
    for bases in [1, 2] {
        for scale_group in [128, 0] {
            for rescue_fraction in [0.0, 0.2] {
                all.push(PackSettings { scale_group, rescue_fraction, bases, force: false });
            }
        }
    }
    all
}

/// A packed model, the dense model of its dequantized weights, and that with one sign flipped.
struct Pair {
    packed: PathBuf,
    dense: PathBuf,
    flipped: PathBuf,
}

impl Pair {
    fn make(model: &Path, folder: &Path, settings: &PackSettings) -> Result<Self, String> {
        let pair = Self {
            packed: folder.join("packed.zip"),
            dense: folder.join("dense"),
            flipped: folder.join("flipped"),
        };
        let mut source = Source::open(model).map_err(|e| e.to_string())?;
        pack(&mut source, &pair.packed, settings, &mut |_| {}).map_err(|e| e.to_string())?;
        let mut weights = dequantize(&pair.packed)?;
        write_dense(model, &pair.dense, &weights)?;
        // The lowest sign bit of a weight is the sign of its first value.
        let (_, first) = weights.get_mut("model.layers.0.mlp.down_proj.weight").ok_or("no down_proj")?;
        first[0] = -first[0];
        write_dense(model, &pair.flipped, &weights)?;
        Ok(pair)
    }

    fn check(&self, name: &str, tally: &mut Tally) {
        for device in Device::ALL {
            let mean = |path: &Path| on_device(device, MeanLoss { path });
            let result = (|| {
                let (packed, dense) = (mean(&self.packed)?, mean(&self.dense)?);
                let agreed = compare("mean loss", &[packed], &[dense], MEAN_LOSS)?;
                match compare("mean loss", &[packed], &[mean(&self.flipped)?], MEAN_LOSS) {
                    Ok(_) => Err("one flipped sign went unnoticed".to_owned()),
                    Err(_) => Ok(format!("{packed:.5} nats, off by {:.1e}", agreed.worst)),
                }
            })();
            tally.case(&format!("{name} {device:?}"), result);
        }
    }
}

/// Mean loss of the model at `path` on fixed random documents.
struct MeanLoss<'a> {
    path: &'a Path,
}

impl Task for MeanLoss<'_> {
    type Output = Result<f32, String>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let model = open_model(backend, self.path)?;
        // A linear congruential generator (Knuth's MMIX constants).
        let mut state = 2026_u64;
        let mut id = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32 % model.shape.vocab_size as u32
        };
        let documents: Vec<Vec<u32>> = [40, 1, 65, 7].map(|n| (0..n).map(|_| id()).collect()).into();
        let evaluation = evaluate(backend, &model, &documents, &EvaluateOptions::default(), &mut |_, _| {});
        evaluation.map(|e| e.cross_entropy_nats as f32).map_err(|e| e.to_string())
    }
}

/// Every weight of a packed model by name: shape and dequantized values.
fn dequantize(path: &Path) -> Result<BTreeMap<String, (Vec<usize>, Vec<f32>)>, String> {
    let mut source = Source::open(path).map_err(|e| e.to_string())?;
    let artifact = source.artifact().clone();
    let inventory = Inventory::of(&artifact).map_err(|e| e.to_string())?;
    let mut weights = BTreeMap::new();
    for weight in &inventory.weights {
        let shape = weight.expected.as_ref().ok_or("an unknown weight")?.shape.iter().map(|&d| d as usize);
        let mut read = |index: usize| source.read_tensor(&artifact.tensors[index]).map_err(|e| e.to_string());
        let values = match (&weight.form, &weight.stored) {
            (Form::Packed { parts }, Stored::Packed(layout)) => {
                let mut bytes = Parts::<Vec<u8>>::default();
                for (part, index) in parts.iter() {
                    if let Some(index) = index {
                        bytes[part] = read(*index)?;
                    }
                }
                let slices = Parts::new(Part::ALL.map(|part| bytes[part].as_slice()));
                Matrix::Packed(codec::decode(&weight.name, layout, &slices).map_err(|e| e.to_string())?).to_f32()
            }
            (Form::Plain { index }, Stored::Plain { dtype, .. }) => {
                codec::decode_values(&weight.name, *dtype, &read(*index)?).map_err(|e| e.to_string())?.to_f32()
            }
            _ => return Err(format!("{} does not fit", weight.name)),
        };
        weights.insert(weight.name.clone(), (shape.collect(), values));
    }
    Ok(weights)
}

/// Writes a dense F32 model folder with the original's config.json.
fn write_dense(
    model: &Path,
    to: &Path,
    weights: &BTreeMap<String, (Vec<usize>, Vec<f32>)>,
) -> Result<(), String> {
    fs::create_dir(to).map_err(|e| e.to_string())?;
    fs::copy(model.join("config.json"), to.join("config.json")).map_err(|e| e.to_string())?;
    let bytes: BTreeMap<_, Vec<u8>> =
        weights.iter().map(|(name, (_, values))| (name, bytemuck::cast_slice(values).to_vec())).collect();
    let views = weights.iter().map(|(name, (shape, _))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), &bytes[name]);
        view.map(|view| (name.clone(), view)).map_err(|e| e.to_string())
    });
    let views: Vec<_> = views.collect::<Result<_, String>>()?;
    safetensors::serialize_to_file(views, None, &to.join("model.safetensors")).map_err(|e| e.to_string())
}
