//! The benchmark: random packed weights in the shape of a published model, random documents, the
//! loss at every position. Or one product with weights by itself.

mod matmul;

use bitgauge_core::{Matrix, Packed};
use half::f16;

use crate::backend::{Backend, BackendError, KernelTime};
use crate::evaluate::{EvaluateOptions, evaluate};
use crate::forward::{Layer, Model, Shape, rotary_frequencies};

pub use matmul::{MatmulOptions, MatmulResult, run_matmul};

/// Columns that share a scale.
const SCALE_GROUP: usize = 128;
/// Scales lie between these, log-uniform around 0.02.
const SCALES: [f32; 2] = [0.01, 0.04];

/// What to run.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// The shape's name for people.
    pub name: String,
    /// Sizes of the model.
    pub shape: Shape,
    /// Whether the embedding serves as the head.
    pub tied: bool,
    /// Documents, each of `tokens` random ids.
    pub documents: usize,
    /// Tokens of each document.
    pub tokens: usize,
    /// Tokens that go through the model together; the backend's preference when `None`.
    pub tokens_in_flight: Option<usize>,
}

impl BenchOptions {
    /// Names and sizes of the published dense Qwen3 models: hidden, MLP width, layers, query
    /// heads, tied. All have 8 key/value heads of 128 channels and 151,936 vocabulary rows.
    const PUBLISHED: [(&str, [usize; 4], bool); 4] = [
        ("qwen3-0.6b", [1024, 3072, 28, 16], true),
        ("qwen3-1.7b", [2048, 6144, 28, 16], true),
        ("qwen3-4b", [2560, 9728, 36, 32], true),
        ("qwen3-8b", [4096, 12288, 36, 32], false),
    ];

    /// Sixteen documents of 512 tokens through the model published as `name`.
    ///
    /// # Errors
    /// An unknown name; the message lists those that are known.
    pub fn published(name: &str) -> Result<Self, String> {
        let known = Self::PUBLISHED.map(|(name, ..)| name).join(", ");
        let found = Self::PUBLISHED.into_iter().find(|(known, ..)| *known == name);
        let (name, [hidden_size, intermediate_size, layers, heads], tied) =
            found.ok_or_else(|| format!("there is no shape called {name}; known shapes: {known}"))?;
        let shape = Shape {
            vocab_size: 151_936,
            hidden_size,
            intermediate_size,
            layers,
            heads,
            kv_heads: 8,
            head_dim: 128,
            rms_norm_eps: 1e-6,
            rope_theta: 1e6,
        };
        Ok(Self { name: name.into(), shape, tied, documents: 16, tokens: 512, tokens_in_flight: None })
    }

    /// Floating-point operations of the whole job, a multiply-add counted as two: the products
    /// with weights, and attention's scores and mixes over the causal half.
    pub fn flop(&self) -> f64 {
        let s = &self.shape;
        let (q, kv) = (s.heads * s.head_dim, s.kv_heads * s.head_dim);
        let layer = s.hidden_size * (2 * q + 2 * kv + 3 * s.intermediate_size);
        let weights = (s.layers * layer + s.vocab_size * s.hidden_size) as f64;
        let keys = (self.tokens as f64 + 1.0) / 2.0;
        let attention = (s.layers * 2 * q) as f64 * keys;
        2.0 * (weights + attention) * (self.documents * self.tokens) as f64
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
    pub precision: &'static str,
    /// Documents.
    pub documents: usize,
    /// Tokens of each document.
    pub tokens: usize,
    /// Wall-clock time from token ids to losses; making and uploading weights is not in it.
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
    /// Mean loss in nats: about `ln vocab_size`, for the weights are random.
    pub mean_loss_nats: f64,
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
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let model = random_model(options, backend, &mut random)?;
    let id = |random: &mut Random| random.bits() % options.shape.vocab_size as u32;
    let documents: Vec<Vec<u32>> =
        (0..options.documents).map(|_| (0..options.tokens).map(|_| id(&mut random)).collect()).collect();
    let settings = EvaluateOptions {
        max_tokens: options.tokens,
        tokens_in_flight: options.tokens_in_flight,
        ..EvaluateOptions::default()
    };

    backend.kernel_times()?;
    let before = backend.peak_flop_per_second();
    let evaluation = evaluate(backend, &model, &documents, &settings, progress)?;
    let peak = before.map(|before| before.max(backend.peak_flop_per_second().unwrap_or(before)));

    let flop_per_second = options.flop() / evaluation.seconds;
    Ok(BenchResult {
        shape: options.name.clone(),
        layers: options.shape.layers,
        device: evaluation.device,
        precision: evaluation.precision,
        documents: options.documents,
        tokens: options.tokens,
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

fn random_model<B: Backend>(
    options: &BenchOptions,
    b: &mut B,
    random: &mut Random,
) -> Result<Model<B>, BackendError> {
    let s = &options.shape;
    let (h, q, kv) = (s.hidden_size, s.heads * s.head_dim, s.kv_heads * s.head_dim);
    let layer = |b: &mut B, random: &mut Random| -> Result<Layer<B>, BackendError> {
        Ok(Layer {
            input_norm: b.upload_vector(&random.norm_weights(h))?,
            q_proj: b.upload_matrix(random.matrix(q, h))?,
            k_proj: b.upload_matrix(random.matrix(kv, h))?,
            v_proj: b.upload_matrix(random.matrix(kv, h))?,
            o_proj: b.upload_matrix(random.matrix(h, q))?,
            q_bias: None,
            k_bias: None,
            v_bias: None,
            o_bias: None,
            q_norm: b.upload_vector(&random.norm_weights(s.head_dim))?,
            k_norm: b.upload_vector(&random.norm_weights(s.head_dim))?,
            post_norm: b.upload_vector(&random.norm_weights(h))?,
            gate_proj: b.upload_matrix(random.matrix(s.intermediate_size, h))?,
            up_proj: b.upload_matrix(random.matrix(s.intermediate_size, h))?,
            down_proj: b.upload_matrix(random.matrix(h, s.intermediate_size))?,
        })
    };
    let embedding = b.upload_matrix(random.matrix(s.vocab_size, h))?;
    let head = if options.tied { None } else { Some(b.upload_matrix(random.matrix(s.vocab_size, h))?) };
    Ok(Model {
        shape: s.clone(),
        embedding,
        layers: (0..s.layers).map(|_| layer(b, random)).collect::<Result<_, _>>()?,
        final_norm: b.upload_vector(&random.norm_weights(h))?,
        head,
        frequencies: b.upload_vector(&rotary_frequencies(s.rope_theta, s.head_dim))?,
    })
}

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016).
struct Random(u64);

impl Random {
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

    fn norm_weights(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| 0.9 + 0.2 * self.unit()).collect()
    }

    /// Random signs `[rows, cols]`; every size of the published shapes is a multiple of 128.
    fn matrix(&mut self, rows: usize, cols: usize) -> Matrix {
        let groups = cols.div_ceil(SCALE_GROUP);
        Matrix::Packed(Packed {
            rows,
            cols,
            bases: 1,
            scale_group: SCALE_GROUP,
            sign: (0..rows * cols.div_ceil(32)).map(|_| self.bits()).collect(),
            scale: (0..rows * groups).map(|_| f16::from_f32(self.scale())).collect(),
            rescue_rows: Vec::new(),
            rescue_code: Vec::new(),
            rescue_scale: Vec::new(),
        })
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
    use crate::CpuBackend;

    #[test]
    fn work_is_counted_as_published() {
        let options = BenchOptions::published("qwen3-0.6b").unwrap();
        assert!((options.flop() / 1e12 - 10.25).abs() < 0.01, "{}", options.flop());
        assert!(BenchOptions::published("qwen4").unwrap_err().contains("qwen3-8b"));
    }

    #[test]
    fn a_small_run_measures_a_loss_of_random_guessing() {
        let mut options = BenchOptions::published("qwen3-0.6b").unwrap();
        options.shape = Shape { vocab_size: 4096, layers: 2, ..options.shape };
        (options.documents, options.tokens) = (2, 33);
        let mut steps = Vec::new();
        let mut backend = CpuBackend::new(None);
        let result = run(&options, &mut backend, &mut |done, total| steps.push((done, total))).unwrap();
        let guessing = 4096f64.ln();
        assert!((guessing..guessing + 1.0).contains(&result.mean_loss_nats), "{result:?}");
        assert_eq!(steps, [(66, 132), (132, 132)]);
        assert!(result.seconds > 0.0 && result.peak_gflop_per_second.unwrap() > 0.1, "{result:?}");
    }
}
