//! A packed model evaluates like the dense model of its dequantized weights, on every backend, for
//! every layout. Both models go through files on disk, as a user's would.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bitgauge_core::Matrix;
use bitgauge_core::format::{self, Form, Part, Parts};
use bitgauge_core::inventory::{Inventory, Stored};
use bitgauge_core::model::{Config, Manifest};
use conformance::{Device, Tally, compare, fixtures, on_device, open_model};
use native_eval::{
    Backend, Calibration, EvaluateOptions, Fit, PackMix, PackSettings, Source, Task, evaluate, pack,
};
use safetensors::tensor::{Dtype, TensorView};

/// Bound on the mean loss, in nats.
const MEAN_LOSS: f64 = 1e-5;

fn main() -> ExitCode {
    let mut tally = Tally::default();
    let random = tempfile::tempdir().expect("a temporary folder");
    let wide = random.path().join("wide");
    write_wide(&fixtures().join("models/qwen3_untied"), &wide).expect("a random model");
    let golden = |name: &str| fixtures().join("models").join(name);
    let models = ["qwen3_tied", "qwen3_untied", "llama", "qwen3_5_full"].map(golden);
    for model in models.into_iter().chain([wide]) {
        for settings in every_setting() {
            let model_name = model.file_name().unwrap_or_default().to_string_lossy();
            let name =
                format!("{model_name} {:?} {:?} {:?}", settings.mix, settings.fit, settings.calibration);
            let folder = tempfile::tempdir().expect("a temporary folder");
            match Pair::make(&model, folder.path(), &settings) {
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
                let mix = PackMix::Uniform { scale_group, rescue_fraction, bases };
                // Plain rounding, refined bases, and outputs that err least.
                let fits = if bases > 1 { vec![Fit::LeastSquares, Fit::Mean] } else { vec![Fit::Mean] };
                let calibration = Calibration::None;
                for fit in fits {
                    all.push(PackSettings { mix, fit, calibration: calibration.clone(), force: false });
                }
                let (fit, calibration) = (Fit::LeastSquares, Calibration::RandomTokens);
                all.push(PackSettings { mix, fit, calibration, force: false });
            }
        }
    }
    all
}

/// A random model whose matrices have several scale groups a row, the last one cut short: the golden
/// models are narrower than one group.
fn write_wide(like: &Path, to: &Path) -> Result<(), String> {
    let config = fs::read_to_string(like.join("config.json")).map_err(|e| e.to_string())?;
    let mut config: serde_json::Value = serde_json::from_str(&config).map_err(|e| e.to_string())?;
    config["hidden_size"] = 272.into();
    config["intermediate_size"] = 331.into();
    config["num_hidden_layers"] = 2.into();
    let bytes = config.to_string();
    let manifest = Config::parse(bytes.as_bytes()).map_err(|e| e.to_string())?;
    let manifest = Manifest::new(manifest.architecture()).ok_or("no manifest")?;
    let mut random = Random(7);
    let weights = manifest.tensors().iter().map(|tensor| {
        let width = if tensor.shape.len() == 2 { tensor.shape[1] as f32 } else { 1.0 };
        let centre = if tensor.shape.len() == 2 { 0.0 } else { 1.0 };
        let value = |_| centre + (random.uniform() - 0.5) * 2.0 / width.sqrt();
        let shape = tensor.shape.iter().map(|&d| d as usize).collect();
        (tensor.name.clone(), (shape, (0..tensor.elements()).map(value).collect()))
    });
    write_dense_config(bytes.as_bytes(), to, &weights.collect())
}

/// A linear congruential generator (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// Between 0 and 1.
    fn uniform(&mut self) -> f32 {
        self.next() as f32 / (1_u32 << 31) as f32
    }
}

/// A packed model, the dense model of its dequantized weights, and that with a sign or a word of signs flipped.
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
        pack(&mut source, &pair.packed, settings, &mut |_, _, _| {}).map_err(|e| e.to_string())?;
        let mut weights = dequantize(&pair.packed)?;
        write_dense(model, &pair.dense, &weights)?;
        let is_wanted = |(name, _): &(&String, &mut (Vec<usize>, Vec<f32>))| {
            name.ends_with(".layers.0.mlp.down_proj.weight")
        };
        let (_, (_, first)) = weights.iter_mut().find(is_wanted).ok_or("no down_proj")?;
        // A single weight, but where more than rounding chose it: one of a refined sum may be nearly 0, one of a row
        // whose errors are carried may be what its inputs need least. There it is a word of signs.
        let flipped = if settings.fit == Fit::Mean { 1 } else { 32 };
        first.iter_mut().take(flipped).for_each(|value| *value = -*value);
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
                    Ok(_) => Err("flipped signs went unnoticed".to_owned()),
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
        let mut random = Random(2026);
        let mut id = || random.next() % model.shape.vocab_size as u32;
        let documents: Vec<Vec<u32>> = [40, 1, 65, 7].map(|n| (0..n).map(|_| id()).collect()).into();
        let evaluation = evaluate(backend, &model, &documents, &EvaluateOptions::default(), &mut |_, _| {});
        evaluation.map(|e| e.cross_entropy_nats as f32).map_err(|e| e.to_string())
    }
}

/// Weights by name: shape and values.
type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Every weight of a packed model, dequantized.
fn dequantize(path: &Path) -> Result<Weights, String> {
    let mut source = Source::open(path).map_err(|e| e.to_string())?;
    let artifact = source.artifact().clone();
    let inventory = Inventory::of(&artifact).map_err(|e| e.to_string())?;
    let mut weights = BTreeMap::new();
    for weight in &inventory.weights {
        let shape = weight.expected.as_ref().ok_or("an unknown weight")?.shape.iter().map(|&d| d as usize);
        let mut read = |index: usize| source.read_tensor(&artifact.tensors[index]).map_err(|e| e.to_string());
        let values = match (&weight.form, &weight.stored) {
            (Form::Bitpacked { parts }, Stored::Bitpacked(layout)) => {
                let mut bytes = Parts::<Vec<u8>>::default();
                for (part, index) in parts.iter() {
                    if let Some(index) = index {
                        bytes[part] = read(*index)?;
                    }
                }
                let slices = Parts::new(Part::ALL.map(|part| bytes[part].as_slice()));
                Matrix::Bitpacked(format::decode(&weight.name, layout, &slices).map_err(|e| e.to_string())?)
                    .to_f32()
            }
            (Form::Plain { index }, Stored::Plain { dtype, .. }) => {
                format::decode_values(&weight.name, *dtype, &read(*index)?)
                    .map_err(|e| e.to_string())?
                    .to_f32()
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
    let config = fs::read(model.join("config.json")).map_err(|e| e.to_string())?;
    write_dense_config(&config, to, weights)
}

fn write_dense_config(config: &[u8], to: &Path, weights: &Weights) -> Result<(), String> {
    fs::create_dir(to).map_err(|e| e.to_string())?;
    fs::write(to.join("config.json"), config).map_err(|e| e.to_string())?;
    let bytes: BTreeMap<_, Vec<u8>> =
        weights.iter().map(|(name, (_, values))| (name, bytemuck::cast_slice(values).to_vec())).collect();
    let views = weights.iter().map(|(name, (shape, _))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), &bytes[name]);
        view.map(|view| (name.clone(), view)).map_err(|e| e.to_string())
    });
    let views: Vec<_> = views.collect::<Result<_, String>>()?;
    safetensors::serialize_to_file(views, None, &to.join("model.safetensors")).map_err(|e| e.to_string())
}
