//! A packed model evaluates like the dense model of its dequantized weights, on every backend, for
//! every layout. Both models go through files on disk, as a user's would.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bitgauge_core::Matrix;
use bitgauge_core::format::{self, Form, Part, Parts};
use bitgauge_core::inventory::{Inventory, Stored};
use bitgauge_eval::{Backend, EvaluateOptions, Task, evaluate};
use conformance::dense::{f32_tensor, write_model, write_random_model};
use conformance::{Device, Tally, compare, fixtures, on_device, open_model};
use native_eval::{Calibration, Fit, PackMix, PackSettings, Source, pack};
use pollster::block_on;

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
    let mut random = fastrand::Rng::with_seed(7);
    let sizes = [("hidden_size", 272), ("intermediate_size", 331), ("num_hidden_layers", 2)];
    write_random_model(like, to, &sizes, |_, tensor| {
        let value = 2.0 * random.f32() - 1.0;
        if tensor.shape.len() == 2 { value / (tensor.shape[1] as f32).sqrt() } else { 1.0 + value }
    })?;
    Ok(())
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
        let mut random = fastrand::Rng::with_seed(2026);
        let mut id = || random.u32(..model.shape.vocab_size as u32);
        let documents: Vec<Vec<u32>> = [40, 1, 65, 7].map(|n| (0..n).map(|_| id()).collect()).into();
        let evaluation =
            block_on(evaluate(backend, &model, &documents, &EvaluateOptions::default(), &mut |_, _| {}));
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
fn write_dense(model: &Path, to: &Path, weights: &Weights) -> Result<(), String> {
    let config = fs::read_to_string(model.join("config.json")).map_err(|e| e.to_string())?;
    let tensors = weights.iter().map(|(name, (shape, values))| (name.clone(), f32_tensor(shape, values)));
    write_model(to, &config, &tensors.collect())
}
