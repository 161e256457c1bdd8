//! Golden models: logits, hidden states of every stage and losses against transformers' own.
//!
//! `BITGAUGE_MODEL_GOLDENS` points the suite at another folder of the same schema.

mod delta_rule;
mod flip;
mod half;
mod half_twin;
mod noise;
mod random;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use bitgauge_eval::{Backend, Batch, Model, NO_TARGET, Observer, Stage, Task};
use conformance::{Device, Tally, compare, golden_models, on_device, open_model};
use flip::{Caught, Copy};
use noise::{Bound, Noise};
use pollster::block_on;
use safetensors::SafeTensors;

/// Absolute bound on logits and hidden states.
const VALUES: f64 = 1e-3;
/// Absolute bound on the mean loss of a run, in nats.
const MEAN_LOSS: f64 = 1e-4;

/// How far a loss in f32 may be off, in units of what rounding factors to f16 does to it. f32 rounds to 2^-13 of
/// that, a few times, and recorded losses have units in the last place of 5e-7. Measured: 0.01 at most.
const EXACT: Bound = Bound { floor: 1e-5, noise: 1.0, all: 0.25, each: 0.25 };

fn main() -> ExitCode {
    let mut tally = Tally::default();
    for folder in golden_models() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(model_type) = unsupported(&folder) {
            tally.skip(&name, &format!("model type {model_type}"));
            continue;
        }
        for device in Device::WITH_REFERENCE {
            for sequence in sequences(&folder) {
                let case = Case { folder: &folder, sequence };
                tally.case(&format!("{name} {sequence} {device:?}"), on_device(device, case));
            }
        }
        flipped_weights(&mut tally, &folder, &name);
        half::cases(&mut tally, &folder, &name);
    }
    random::cases(&mut tally);
    delta_rule::cases(&mut tally);
    tally.finish()
}

/// The sequence lengths that a golden has.
fn sequences(folder: &Path) -> impl Iterator<Item = &'static str> {
    ["s33", "s130"]
        .into_iter()
        .filter(|sequence| *sequence == "s33" || Golden::read(folder, sequence).is_ok())
}

/// Holds the losses of a model on every device against the recorded ones, token by token, and flips weights of
/// each of its matrices.
fn flipped_weights(tally: &mut Tally, folder: &Path, name: &str) {
    let prepared = Copy::of(folder).and_then(|copy| Ok((copy, Noise::measure(folder, "s33", false)?)));
    let prepared = prepared.as_ref().map_err(Clone::clone);
    let flips = prepared.clone().and_then(|(copy, noise)| Ok((copy, noise, copy.flips(noise, EXACT)?)));
    for device in Device::WITH_REFERENCE {
        let result = flips
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|(copy, noise, flips)| on_device(device, Caught { copy, flips, noise, bound: EXACT }));
        tally.case(&format!("{name} flipped weights {device:?}"), result);
    }
}

/// The model type, when this version does not evaluate it.
fn unsupported(folder: &Path) -> Option<String> {
    let config = fs::read_to_string(folder.join("config.json")).ok()?;
    let config: serde_json::Value = serde_json::from_str(&config).ok()?;
    let model_type = config["model_type"].as_str()?;
    let known = ["qwen3", "qwen3_5", "qwen3_5_text", "llama"];
    (!known.contains(&model_type)).then(|| model_type.to_owned())
}

/// One model, one sequence length, one device.
struct Case<'a> {
    folder: &'a Path,
    sequence: &'a str,
}

impl Task for Case<'_> {
    type Output = Result<String, String>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let golden = Golden::read(self.folder, self.sequence)?;
        let model = open_model(backend, self.folder)?;
        let mut worst = 0.0_f64;
        // Once without the padding, and once with the pad tokens fed like any others.
        for padded in [false, true] {
            let run = Run::new(&golden, padded);
            worst = worst.max(run.check_values(backend, &model)?);
            worst = worst.max(run.check_losses(backend, &model)?);
        }
        Ok(format!("worst {worst:.1e}"))
    }
}

/// The recorded inputs and outputs of one sequence length.
struct Golden {
    bytes: Vec<u8>,
    sequence: String,
    ids: Vec<i32>,
    rows: usize,
    length: usize,
    row_lengths: Vec<usize>,
    /// Positions whose values are recorded.
    kept: Vec<usize>,
}

impl Golden {
    fn read(folder: &Path, sequence: &str) -> Result<Self, String> {
        let bytes = fs::read(folder.join("golden.safetensors")).map_err(|e| e.to_string())?;
        let mut golden = Self {
            bytes,
            sequence: sequence.to_owned(),
            ids: Vec::new(),
            rows: 0,
            length: 0,
            row_lengths: Vec::new(),
            kept: Vec::new(),
        };
        let (shape, ids) = golden.integers("input_ids")?;
        let (_, mask) = golden.integers("attention_mask")?;
        (golden.rows, golden.length, golden.ids) = (shape[0], shape[1], ids);
        let row = |row: &[i32]| row.iter().filter(|&&m| m == 1).count();
        golden.row_lengths = mask.chunks(golden.length).map(row).collect();
        golden.kept = match golden.integers("kept_positions") {
            Ok((_, kept)) => kept.into_iter().map(|p| p as usize).collect(),
            Err(_) => (0..golden.length).collect(),
        };
        Ok(golden)
    }

    fn tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<[u8; 4]>), String> {
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|e| e.to_string())?;
        let name = format!("{}.{name}", self.sequence);
        let tensor = tensors.tensor(&name).map_err(|e| format!("{name}: {e}"))?;
        let words = tensor.data().chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
        Ok((tensor.shape().to_vec(), words.collect()))
    }

    fn integers(&self, name: &str) -> Result<(Vec<usize>, Vec<i32>), String> {
        let (shape, words) = self.tensor(name)?;
        Ok((shape, words.into_iter().map(i32::from_le_bytes).collect()))
    }

    fn floats(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), String> {
        let (shape, words) = self.tensor(name)?;
        Ok((shape, words.into_iter().map(f32::from_le_bytes).collect()))
    }
}

/// A golden's rows as one batch.
struct Run<'a> {
    golden: &'a Golden,
    batch: Batch,
    /// First token of each row in the batch.
    starts: Vec<usize>,
}

/// The activations of every stage.
#[derive(Default)]
struct Seen(Vec<(Stage, Vec<f32>)>);

impl Observer for Seen {
    fn reached(&mut self, _: Stage) -> bool {
        true
    }

    fn see(&mut self, stage: Stage, values: Vec<f32>) {
        self.0.push((stage, values));
    }
}

impl<'a> Run<'a> {
    fn new(golden: &'a Golden, padded: bool) -> Self {
        let (mut batch, mut starts) = (Batch::default(), Vec::new());
        for row in 0..golden.rows {
            let length = if padded { golden.length } else { golden.row_lengths[row] };
            let ids: Vec<u32> =
                golden.ids[row * golden.length..][..length].iter().map(|&id| id as u32).collect();
            starts.push(batch.tokens());
            batch.push(&ids);
        }
        Self { golden, batch, starts }
    }

    /// Hidden states of every recorded stage, then logits. Gives the largest difference.
    fn check_values<B: Backend>(&self, backend: &mut B, model: &Model<B>) -> Result<f64, String> {
        let mut seen = Seen::default();
        let logits = block_on(model.logits(backend, &self.batch, &mut seen)).map_err(|e| e.to_string())?;
        let short = self.golden.kept.len() < self.golden.length;
        let mut worst = self.check(if short { "logits_kept" } else { "logits" }, 0, &logits)?;
        for (stage, values) in &seen.0 {
            worst = worst.max(match *stage {
                Stage::Layer(i) => {
                    self.check(if short { "layer_out_kept" } else { "layer_out" }, i, values)?
                }
                Stage::Embedding if !short => self.check("embed", 0, values)?,
                Stage::FinalNorm if !short => self.check("final_norm", 0, values)?,
                Stage::Mixer(i) if !short => self.check_mixer(i, values)?,
                _ => 0.0,
            });
        }
        Ok(worst)
    }

    /// Holds `values` `[T, width]` against plane `plane` of a recorded `[planes, rows, kept, width]`.
    fn check(&self, name: &str, plane: usize, values: &[f32]) -> Result<f64, String> {
        let (shape, recorded) = self.golden.floats(name)?;
        let width = shape[shape.len() - 1];
        let kept = &self.golden.kept;
        let plane = &recorded[plane * self.golden.rows * kept.len() * width..];
        let (mut got, mut want) = (Vec::new(), Vec::new());
        for row in 0..self.golden.rows {
            for (k, &position) in kept.iter().enumerate().filter(|(_, p)| **p < self.golden.row_lengths[row])
            {
                got.extend_from_slice(&values[(self.starts[row] + position) * width..][..width]);
                want.extend_from_slice(&plane[(row * kept.len() + k) * width..][..width]);
            }
        }
        Ok(compare(name, &got, &want, VALUES)?.worst)
    }

    /// The attention's output, which is recorded for row 0 only.
    fn check_mixer(&self, layer: usize, values: &[f32]) -> Result<f64, String> {
        let (shape, recorded) = self.golden.floats("mixer_out_row0")?;
        let size = self.golden.row_lengths[0] * shape[2];
        let want = &recorded[layer * shape[1] * shape[2]..][..size];
        Ok(compare(&format!("mixer {layer}"), &values[..size], want, VALUES)?.worst)
    }

    /// Losses token by token, and their mean. Gives the largest difference.
    fn check_losses<B: Backend>(&self, backend: &mut B, model: &Model<B>) -> Result<f64, String> {
        let [got, want] = self.losses(backend, model)?;
        let worst = compare("nll", &got, &want, VALUES)?.worst;
        compare("mean loss", &[mean(&got)], &[mean(&want)], MEAN_LOSS)?;
        Ok(worst)
    }

    /// Losses of the real tokens, and what they should be.
    fn losses<B: Backend>(&self, backend: &mut B, model: &Model<B>) -> Result<[Vec<f32>; 2], String> {
        let losses = block_on(model.losses(backend, &self.batch, &mut ())).map_err(|e| e.to_string())?;
        for (loss, target) in losses.iter().zip(&self.batch.targets) {
            if *target == NO_TARGET && *loss != 0.0 {
                return Err(format!("a row without a target has the loss {loss}"));
            }
        }
        let (_, recorded) = self.golden.floats("nll")?;
        let (mut got, mut want) = (Vec::new(), Vec::new());
        for (row, &length) in self.golden.row_lengths.iter().enumerate() {
            got.extend_from_slice(&losses[self.starts[row]..][..length - 1]);
            want.extend_from_slice(&recorded[row * (self.golden.length - 1)..][..length - 1]);
        }
        Ok([got, want])
    }
}

fn mean(x: &[f32]) -> f32 {
    (x.iter().map(|&x| f64::from(x)).sum::<f64>() / x.len() as f64) as f32
}
