//! The benchmark: random packed weights in the shape of a published model, random documents, the
//! loss at every position. Or one product with weights by itself.

mod artifact;
mod matmul;
#[cfg(test)]
mod shared_queue;

use std::path::{Path, PathBuf};
use std::time::Instant;

use bitgauge_core::format::Layout;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::{
    Decoder, DeltaNet, ExpectedTensor, Family, LayerType, Manifest, Presence, Role, Rotary,
};
use bitgauge_core::plan::Convention;
use bitgauge_core::{Bitpacked, Dense, Error, Matrix, Values};
use bitgauge_eval::weights::{LoadError, ModelBuilder};
use bitgauge_eval::{Backend, BackendError, EvaluateOptions, KernelTime, Model, Shape, evaluate};

use crate::load::load_timed;
use half::f16;
use pollster::block_on;

pub use matmul::{MatmulOptions, MatmulResult, run_matmul};

/// Columns that share a scale.
const SCALE_GROUP: u64 = 128;
/// Scales lie between these, log-uniform around 0.02.
const SCALES: [f32; 2] = [0.01, 0.04];

/// What to run.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// The shape's name for people.
    pub name: String,
    /// The model.
    pub model: Decoder,
    /// Documents, each of `tokens` random ids.
    pub documents: usize,
    /// Tokens of each document.
    pub tokens: usize,
    /// Tokens that go through the model together; the backend's preference when `None`.
    pub tokens_in_flight: Option<usize>,
    /// An artifact to load the weights from; it is written if it does not exist. Without one they are
    /// made in memory.
    pub artifact: Option<PathBuf>,
}

impl BenchOptions {
    /// Names and sizes of the published dense Qwen3 models: hidden, MLP width, layers, query
    /// heads, tied.
    const QWEN3: [(&str, [u64; 4], bool); 4] = [
        ("qwen3-0.6b", [1024, 3072, 28, 16], true),
        ("qwen3-1.7b", [2048, 6144, 28, 16], true),
        ("qwen3-4b", [2560, 9728, 36, 32], true),
        ("qwen3-8b", [4096, 12288, 36, 32], false),
    ];
    const QWEN36_27B: &str = "qwen3.6-27b";

    /// Sixteen documents of 512 tokens through the model published as `name`.
    ///
    /// # Errors
    /// An unknown name; the message lists those that are known.
    pub fn published(name: &str) -> Result<Self, String> {
        let found = Self::QWEN3.into_iter().find(|(known, ..)| *known == name);
        let model = match found {
            Some((_, sizes, tied)) => qwen3(sizes, tied),
            None if name == Self::QWEN36_27B => qwen36_27b(),
            None => {
                let known = Self::QWEN3.map(|(name, ..)| name).join(", ");
                return Err(format!(
                    "there is no shape called {name}; known shapes: {known}, {}",
                    Self::QWEN36_27B
                ));
            }
        };
        Ok(Self {
            name: name.into(),
            model,
            documents: 16,
            tokens: 512,
            tokens_in_flight: None,
            artifact: None,
        })
    }

    /// Cuts the model to its first `layers` layers.
    pub fn cut(&mut self, layers: usize) {
        self.model.layers.truncate(layers);
    }

    /// The model with random weights, on a device.
    pub(crate) fn random_model<B: Backend>(
        &self,
        b: &mut B,
        random: &mut Random,
    ) -> Result<Model<B>, BackendError> {
        let shape = Shape::from(&self.model);
        b.prepare(shape.attention, shape.delta_rule)?;
        let mut builder = ModelBuilder::new(&self.model, Convention::Checkpoint);
        for tensor in Manifest::of(&self.model).tensors() {
            if tensor.presence != Presence::TiedCopy {
                let weight = random_weight(tensor, random).map_err(LoadError::Artifact).map_err(failed)?;
                builder.put(b, tensor, weight).map_err(failed)?;
            }
        }
        builder.finish(b).map_err(failed)
    }

    /// Floating-point operations of the whole job, a multiply-add counted as two: the products
    /// with weights, attention's scores and mixes over the causal half, and the delta rule as its
    /// recurrence states it (7 per element of the state).
    pub fn flop(&self) -> f64 {
        let model = &self.model;
        let manifest = Manifest::of(model);
        // A table lookup is no product; the head of a tied model is one all the same.
        let matrices =
            manifest.tensors().iter().filter(|t| t.role != Role::Embedding && t.matrix().is_some());
        let products = 2.0 * matrices.map(ExpectedTensor::elements).sum::<u64>() as f64;
        let attention = 4.0 * model.query_width() as f64 * (self.tokens as f64 + 1.0) / 2.0;
        let delta_rule =
            model.delta_net.map_or(0.0, |sizes| 7.0 * (sizes.value_width() * sizes.key_dim) as f64);
        let mixers = model.layers.iter().map(|layer_type| match layer_type {
            LayerType::FullAttention => attention,
            LayerType::LinearAttention => delta_rule,
        });
        (products + mixers.sum::<f64>()) * (self.documents * self.tokens) as f64
    }
}

/// A dense Qwen3; all published ones have 8 key/value heads of 128 channels and 151,936 vocabulary rows.
fn qwen3([hidden, intermediate, layers, heads]: [u64; 4], tied: bool) -> Decoder {
    Decoder {
        family: Family::Qwen3,
        hidden,
        intermediate,
        layers: vec![LayerType::FullAttention; layers as usize],
        heads,
        kv_heads: 8,
        head_dim: 128,
        vocabulary: 151_936,
        attention_bias: false,
        mlp_bias: false,
        tied,
        rms_norm_eps: 1e-6,
        rotary: Rotary { theta: 1e6, channels: 128, scaling: None },
        max_positions: None,
        not_evaluated: None,
        delta_net: None,
    }
}

/// The text decoder of Qwen3.6-27B.
fn qwen36_27b() -> Decoder {
    use LayerType::{FullAttention, LinearAttention};
    let period = [LinearAttention, LinearAttention, LinearAttention, FullAttention];
    Decoder {
        family: Family::Qwen35,
        layers: period.repeat(16),
        kv_heads: 4,
        head_dim: 256,
        vocabulary: 248_320,
        rotary: Rotary { theta: 1e7, channels: 64, scaling: None },
        delta_net: Some(DeltaNet { key_heads: 16, value_heads: 48, key_dim: 128, value_dim: 128, taps: 4 }),
        ..qwen3([5120, 17_408, 64, 24], false)
    }
}

/// What a benchmark measured.
#[derive(Debug, Clone, serde::Serialize)]
pub struct BenchResult {
    /// The shape's name.
    pub shape: String,
    /// Layers that ran.
    pub layers: usize,
    /// What it ran on.
    pub device: String,
    /// What products with weights were computed in.
    pub precision: String,
    /// Documents.
    pub documents: usize,
    /// Tokens of each document.
    pub tokens: usize,
    /// How long loading took, where there is an artifact.
    pub load: Option<LoadResult>,
    /// Wall-clock time from token ids to losses; making and uploading weights and compiling kernels is not in
    /// it.
    pub seconds: f64,
    /// Tokens per second.
    pub tokens_per_second: f64,
    /// Work done, in GFLOP ([`BenchOptions::flop`]).
    pub gflop: f64,
    /// GFLOP per second.
    pub gflop_per_second: f64,
    /// The device's multiply-add peak in GFLOP/s: the better of a measurement right before and
    /// one right after. `None` where the backend can't measure it.
    pub peak_gflop_per_second: Option<f64>,
    /// `gflop_per_second / peak_gflop_per_second`.
    pub share_of_peak: Option<f64>,
    /// Most memory that the process ever had resident, in bytes. `None` where the system does not
    /// say.
    pub peak_resident_bytes: Option<u64>,
    /// Most memory of the device that was taken at once, in bytes. `None` where it has none of its own.
    pub device_bytes: Option<u64>,
    /// The time of each kernel, where it was measured.
    pub kernels: Vec<KernelTime>,
    /// Mean loss in nats: about `ln vocabulary`, for the weights are random.
    pub mean_loss_nats: f64,
}

/// How long loading took.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LoadResult {
    /// Wall-clock time from opening the artifact to weights on the device.
    pub seconds: f64,
    /// What was waited after that until the kernels were compiled: on the first run, until the driver has them
    /// in its cache.
    pub kernels_seconds: f64,
    /// Where the time went, in seconds; parts overlap.
    pub parts: Vec<(String, f64)>,
}

/// Runs the benchmark. `progress` is told `(done, total)` in token-layers.
///
/// # Errors
/// A device failure, or a loss that is not finite.
pub fn run<B: Backend>(
    options: &BenchOptions,
    backend: &mut B,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<BenchResult, BackendError> {
    let mut random = Random::new();
    let (model, load) = match &options.artifact {
        None => (options.random_model(backend, &mut random)?, None),
        Some(path) => {
            let (model, load) = load_model(options, backend, path).map_err(failed)?;
            (model, Some(load))
        }
    };
    backend.ready()?;
    let id = |random: &mut Random| random.bits() % options.model.vocabulary as u32;
    let documents: Vec<Vec<u32>> =
        (0..options.documents).map(|_| (0..options.tokens).map(|_| id(&mut random)).collect()).collect();
    let settings = EvaluateOptions {
        max_tokens: options.tokens,
        tokens_in_flight: options.tokens_in_flight,
        ..EvaluateOptions::default()
    };

    backend.kernel_times()?;
    let before = backend.peak_flop_per_second();
    let evaluation = block_on(evaluate(backend, &model, &documents, &settings, progress))?;
    let peak = before.map(|before| before.max(backend.peak_flop_per_second().unwrap_or(before)));

    let flop_per_second = options.flop() / evaluation.seconds;
    Ok(BenchResult {
        shape: options.name.clone(),
        layers: options.model.layers.len(),
        device: evaluation.device,
        precision: evaluation.precision.into_owned(),
        documents: options.documents,
        tokens: options.tokens,
        load,
        seconds: evaluation.seconds,
        tokens_per_second: evaluation.tokens_per_second,
        gflop: options.flop() / 1e9,
        gflop_per_second: flop_per_second / 1e9,
        peak_gflop_per_second: peak.map(|peak| peak / 1e9),
        share_of_peak: peak.map(|peak| flop_per_second / peak),
        peak_resident_bytes: peak_resident_bytes(),
        device_bytes: backend.device_bytes(),
        kernels: backend.kernel_times()?,
        mean_loss_nats: evaluation.cross_entropy_nats,
    })
}

fn failed(error: LoadError) -> BackendError {
    match error {
        LoadError::Backend(error) => error,
        LoadError::Artifact(error) | LoadError::NotFinite(error) => error.into(),
    }
}

/// The model in an artifact, and how long loading took.
fn load_model<B: Backend>(
    options: &BenchOptions,
    b: &mut B,
    path: &Path,
) -> Result<(Model<B>, LoadResult), LoadError> {
    drop(artifact::open(options, path)?);
    let start = Instant::now();
    let source = artifact::open(options, path)?;
    let artifact = source.artifact().clone();
    let inventory = Inventory::of(&artifact)?;
    let opening = start.elapsed().as_secs_f64();
    let (model, times) = load_timed(b, &source, &inventory, &mut |_| {})?;
    // What is read back comes after all uploads.
    let probe = b.buffer(1, 1)?;
    block_on(b.read(&probe))?;
    let seconds = start.elapsed().as_secs_f64();
    b.ready()?;
    let kernels_seconds = start.elapsed().as_secs_f64() - seconds;
    let mut parts = vec![
        ("opening".to_owned(), opening),
        ("reading, all threads".to_owned(), times.reading),
        ("decoding, all threads".to_owned(), times.decoding),
        ("waiting for weights".to_owned(), times.idle),
        ("uploading".to_owned(), times.uploading),
    ];
    parts.extend(b.preparation());
    Ok((model, LoadResult { seconds, kernels_seconds, parts }))
}

fn random_weight(tensor: &ExpectedTensor, random: &mut Random) -> Result<Matrix, Error> {
    match tensor.matrix() {
        Some([rows, cols]) => random.matrix(rows, cols),
        None => Ok(random.vector(tensor.elements() as usize)),
    }
}

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn bits(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    /// Uniform in `[0, 1)`.
    fn unit(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / (1 << 24) as f32
    }

    fn scale(&mut self) -> f32 {
        let [low, high] = SCALES;
        low * (high / low).powf(self.unit())
    }

    /// What suits norms, and does no harm as a bias or a decay.
    fn vector(&mut self, n: usize) -> Matrix {
        let values = (0..n).map(|_| 0.9 + 0.2 * self.unit()).collect();
        Matrix::Dense(Dense { rows: 1, cols: n, values: Values::F32(values) })
    }

    /// Random signs `[rows, cols]`; every size of the published shapes is a multiple of 128.
    fn matrix(&mut self, rows: u64, cols: u64) -> Result<Matrix, Error> {
        let mut packed = Bitpacked::zeroed(Layout::new(rows, cols, 1, 0, SCALE_GROUP)?);
        packed.sign.fill_with(|| self.bits());
        packed.scale.fill_with(|| f16::from_f32(self.scale()));
        Ok(Matrix::Bitpacked(packed))
    }
}

/// `VmHWM` of this process, where the system is Linux.
fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::open_cpu;

    #[test]
    fn work_is_counted_as_published() {
        let options = BenchOptions::published("qwen3-0.6b").unwrap();
        assert!((options.flop() / 1e12 - 10.25).abs() < 0.01, "{}", options.flop());
        assert!(BenchOptions::published("qwen4").unwrap_err().contains("qwen3-8b"));
    }

    #[test]
    fn a_small_run_measures_a_loss_of_random_guessing() {
        let mut options = BenchOptions::published("qwen3-0.6b").unwrap();
        options.model.vocabulary = 4096;
        options.cut(2);
        (options.documents, options.tokens) = (2, 33);
        let mut steps = Vec::new();
        let mut backend = open_cpu(None).unwrap();
        let result = run(&options, &mut backend, &mut |done, total| steps.push((done, total))).unwrap();
        let guessing = 4096f64.ln();
        assert!((guessing..guessing + 1.0).contains(&result.mean_loss_nats), "{result:?}");
        assert_eq!(steps, [(66, 132), (132, 132)]);
        assert!(result.seconds > 0.0 && result.peak_gflop_per_second.unwrap() > 0.1, "{result:?}");
    }
}
