//! The wgpu backend: the kernels of `bitgauge-shaders` on Vulkan, Metal or Direct3D 12.
//!
//! Operations are recorded and submitted in batches. Whatever exceeds the device's limits is split
//! by rows: weights when they are uploaded, activations when they are bound.

mod adapters;
mod attention;
mod batch;
mod causal_conv;
mod check;
mod chunk_tiles;
mod coop;
mod delta_rule;
mod delta_rule_coop;
mod device;
mod handle;
mod linear;
mod memory;
mod open;
mod products;
mod recorder;
mod rows;
#[cfg_attr(target_arch = "wasm32", path = "web/scopes.rs")]
mod scopes;
mod signal;
mod timing;
#[cfg_attr(target_arch = "wasm32", path = "web/uploads.rs")]
mod uploads;
mod weights;

pub use adapters::{AdapterChoice, AdapterClass, AdapterInfo, adapters};
pub use batch::GpuBatch;
pub use check::{Check, Sample, checks};
pub use memory::GpuBuffer;
pub use open::devices_opened;
pub use products::Precision;
pub use rows::RowOperand;
pub use weights::GpuMatrix;

use bitgauge_core::{Error, ErrorKind, Matrix};
use bitgauge_shaders::Kernel;
use bitgauge_shaders::kernels::{
    add, bias, decay_gates, gated_norm, head_norm, l2_norm, rms_norm, round_rows, sigmoid_gate, split_heads,
    swiglu,
};

use crate::backend::{
    Attention, Backend, DeltaRule, KernelTime, Result, WeightForms, whole_heads, wrong_shape,
};
use crate::batch::Batch;
use coop::Tiles;
use device::Device;
use handle::DeviceBuffer;
use memory::{Pool, over_limit};
use products::Products;
use recorder::{BufferRange, Recorder};
use rows::Angles;
use rows::RowOperand::{Rows, Vector};
use scopes::Throttle;
use timing::Timing;

/// Tokens in flight where memory allows.
const PREFERRED_TOKENS: u64 = 8_192;
/// Largest binding: byte offsets in a kernel stay below 2^31 whatever the driver claims.
const MAX_BINDING_BYTES: u64 = (1 << 31) - 256;
/// Smallest binding limit that can be asked for.
const MIN_BINDING_BYTES: u64 = 1_024;

/// How to run.
#[derive(Debug, Clone, Default)]
pub struct GpuOptions {
    /// Most bytes of a buffer that a kernel may see at once; the adapter's own limit if absent or
    /// higher. For tests of the splitting.
    pub max_binding_bytes: Option<u64>,
    /// What products with weights are computed in.
    pub precision: Precision,
    /// Whether to measure the time of every kernel, which keeps them from overlapping.
    pub timed: bool,
    /// For tests: a fault to put into one kernel, to see that it is noticed.
    pub patch: Option<ShaderPatch>,
}

/// Replaces a piece of a kernel's text, which must occur exactly once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShaderPatch {
    /// The kernel, with its codec.
    pub kernel: Kernel,
    /// What is replaced.
    pub from: &'static str,
    /// What replaces it.
    pub to: &'static str,
}

impl ShaderPatch {
    fn apply(&self, source: &str) -> Result<String> {
        match source.matches(self.from).count() {
            1 => Ok(source.replace(self.from, self.to)),
            count => Err(Error::new(ErrorKind::BadValue, "a shader's text can't be replaced")
                .within(self.kernel.label())
                .expected_found(format!("`{}` once", self.from), format!("it occurs {count} times"))
                .into()),
        }
    }
}

/// A backend on one GPU (or on a software driver such as llvmpipe).
pub struct GpuBackend {
    device: Device,
    recorder: Recorder,
    pool: Pool,
    tiles: Option<Tiles>,
    angles: Option<Angles>,
    limit: u64,
    throttle: Throttle,
}

/// A short f32 vector on the device.
#[derive(Debug)]
pub struct GpuVector {
    values: Vec<f32>,
    stored: DeviceBuffer,
}

impl GpuVector {
    fn range(&self) -> BufferRange<'_> {
        self.stored.range()
    }
}

impl GpuBackend {
    /// Opens an adapter. Fails where there is none, or where its driver refuses.
    pub fn new(choice: &AdapterChoice, options: GpuOptions) -> Result<Self> {
        Self::on(Device::open(choice, options.precision)?, options)
    }

    /// Opens the adapter that the system takes for the fastest, without waiting on this thread: in a browser, where one can't
    /// be chosen. `name` is what to call it, where wgpu is not told.
    ///
    /// # Errors
    /// There is none, or its driver refuses.
    pub async fn request(name: &str, options: GpuOptions) -> Result<Self> {
        Self::on(Device::request(name, options.precision).await?, options)
    }

    fn on(device: Device, options: GpuOptions) -> Result<Self> {
        let limit = options.max_binding_bytes.unwrap_or(u64::MAX);
        if limit < MIN_BINDING_BYTES {
            return Err(Error::new(ErrorKind::BadValue, "the binding limit is too low")
                .expected_found(format!("{MIN_BINDING_BYTES} or more bytes"), limit)
                .into());
        }
        let limit = limit.min(device.handle.info.max_binding_bytes).min(MAX_BINDING_BYTES);
        let recorder = Recorder::new(&device, options.patch, options.timed)?;
        Ok(Self {
            device,
            recorder,
            pool: Pool::default(),
            tiles: None,
            angles: None,
            limit,
            throttle: Throttle::new(),
        })
    }

    /// The adapter that runs.
    pub fn adapter(&self) -> &AdapterInfo {
        &self.device.handle.info
    }

    /// Bytes of device memory in buffers: weights, activations in use, and buffers kept for reuse.
    pub fn allocated_bytes(&self) -> u64 {
        self.device.handle.allocated_bytes()
    }

    fn upload_words(&mut self, what: &str, bytes: &[u8]) -> Result<DeviceBuffer> {
        let len = bytes.len() as u64;
        if len > self.limit {
            return Err(over_limit(what, len, self.limit));
        }
        self.device.upload(bytes, wgpu::BufferUsages::STORAGE)
    }
}

impl Backend for GpuBackend {
    type Buffer = GpuBuffer;
    type Matrix = GpuMatrix;
    type Vector = GpuVector;
    type Batch = GpuBatch;

    fn describe(&self) -> String {
        self.device.handle.info.to_string()
    }

    fn precision(&self) -> &'static str {
        self.device.products.name()
    }

    fn kernel_times(&mut self) -> Result<Vec<KernelTime>> {
        self.recorder.flush(&mut self.device)?;
        Ok(self.recorder.timing.as_mut().map(Timing::take).unwrap_or_default())
    }

    fn device_bytes(&self) -> Option<u64> {
        Some(self.device.handle.most_allocated_bytes())
    }

    fn runtime_name(&self) -> String {
        format!("gpu: {}", self.device.handle.info.name)
    }

    /// 8,192, or what fits a gigabyte of activations (four and a half where the device has memory of its own)
    /// and the longest buffer.
    fn preferred_tokens(&self, hidden: usize, intermediate: usize) -> usize {
        let (hidden, intermediate) = (hidden as u64, intermediate as u64);
        let budget: u64 =
            if self.device.handle.info.class == AdapterClass::Discrete { 9 << 29 } else { 1 << 30 };
        // What a token of Qwen3.6-27B takes, f16 copies included; others take less.
        let all = 4 * (14 * hidden + 4 * intermediate);
        let longest = 4 * hidden.max(intermediate);
        let fitting = (budget / all.max(1)).min(self.device.handle.info.max_buffer_bytes / longest.max(1));
        (fitting.min(PREFERRED_TOKENS) / 64 * 64).max(64) as usize
    }

    fn prepare(&mut self, attention: Attention, delta_rule: Option<DeltaRule>) -> Result<()> {
        let plain = [
            self.attention_kernel(attention),
            Kernel::HeadNorm,
            Kernel::RmsNorm,
            Kernel::Rotary,
            Kernel::Swiglu,
            Kernel::Add,
            Kernel::HeadLoss,
        ];
        let delta_net = delta_rule.map(|shape| {
            let around = [
                Kernel::SplitHeads,
                Kernel::SigmoidGate,
                Kernel::CausalConv,
                Kernel::L2Norm,
                Kernel::DecayGates,
                Kernel::GatedNorm,
            ];
            self.delta_rule_kernels(shape).into_iter().chain(around)
        });
        let tiles = (self.device.products == Products::Cooperative).then_some(Kernel::ChunkTiles);
        let kernels: Vec<_> = plain.into_iter().chain(tiles).chain(delta_net.into_iter().flatten()).collect();
        self.recorder.prepare(&self.device, kernels)
    }

    fn ready(&mut self) -> Result<()> {
        self.device.finish_uploads();
        self.recorder.finish(&self.device)
    }

    fn preparation(&self) -> Vec<(String, f64)> {
        let [copying, waiting] = self.device.upload_times();
        let mut parts = vec![
            ("copying into staging buffers".to_owned(), copying),
            ("waiting for the device to empty one".to_owned(), waiting),
        ];
        for (kernel, [seconds, done]) in self.recorder.building_times() {
            parts.push((format!("compiling {}, done after {done:.2} s", kernel.label()), seconds));
        }
        parts
    }

    fn upload_matrix(&mut self, matrix: Matrix) -> Result<GpuMatrix> {
        self.upload_shared(&matrix)
    }

    fn upload_shared(&mut self, matrix: &Matrix) -> Result<GpuMatrix> {
        weights::upload(&mut self.device, &mut self.recorder, matrix, self.limit)
    }

    fn weight_forms(&self) -> WeightForms {
        WeightForms { rounded: self.device.products != Products::F32, blocks: true }
    }

    fn upload_vector(&mut self, values: &[f32]) -> Result<GpuVector> {
        // Kernels read whole quads.
        let mut quads = values.to_vec();
        quads.resize(values.len().next_multiple_of(4), 0.0);
        let stored = self.upload_words("a vector", bytemuck::cast_slice(&quads))?;
        Ok(GpuVector { values: values.to_vec(), stored })
    }

    fn upload_batch(&mut self, batch: &Batch) -> Result<GpuBatch> {
        self.run_upload_batch(batch)
    }

    fn buffer(&mut self, rows: usize, cols: usize) -> Result<GpuBuffer> {
        self.pool.take(&self.device.handle, rows, cols)
    }

    fn embed(&mut self, table: &GpuMatrix, batch: &GpuBatch, out: &mut GpuBuffer) -> Result<()> {
        self.run_embed(table, batch, out)
    }

    fn rms_norm(&mut self, x: &GpuBuffer, weight: &GpuVector, eps: f32, out: &mut GpuBuffer) -> Result<()> {
        x.expect("rms_norm: input", x.rows, weight.values.len())?;
        out.expect("rms_norm: output", x.rows, x.cols)?;
        self.run_rows(&rms_norm::call(x.row(), eps), &[Rows(x), Vector(weight), Rows(out)])
    }

    fn round_rows(&mut self, x: &mut GpuBuffer) -> Result<()> {
        self.run_rows(&round_rows::call(x.row()), &[Rows(x)])
    }

    fn head_norm(&mut self, x: &mut GpuBuffer, weight: &GpuVector, eps: f32) -> Result<()> {
        let head_dim = weight.values.len();
        whole_heads("head_norm: input", x.cols, head_dim)?;
        self.run_rows(&head_norm::call(x.row(), head_dim as u32, eps), &[Rows(x), Vector(weight)])
    }

    fn matmul(&mut self, x: &GpuBuffer, w: &GpuMatrix, out: &mut GpuBuffer) -> Result<()> {
        self.run_matmul(x, w, out)
    }

    fn rotary(
        &mut self,
        x: &mut GpuBuffer,
        batch: &GpuBatch,
        frequencies: &GpuVector,
        head_dim: usize,
    ) -> Result<()> {
        self.run_rotary(x, batch, frequencies, head_dim)
    }

    fn attention(
        &mut self,
        q: &GpuBuffer,
        k: &GpuBuffer,
        v: &GpuBuffer,
        batch: &GpuBatch,
        shape: Attention,
        out: &mut GpuBuffer,
    ) -> Result<()> {
        self.run_attention((q, k, v), batch, shape, out)
    }

    fn swiglu(&mut self, gate: &mut GpuBuffer, up: &GpuBuffer) -> Result<()> {
        up.expect("swiglu: up", gate.rows, gate.cols)?;
        self.run_rows(&swiglu::call(gate.row()), &[Rows(gate), Rows(up)])
    }

    fn add(&mut self, residual: &mut GpuBuffer, x: &GpuBuffer) -> Result<()> {
        x.expect("add: input", residual.rows, residual.cols)?;
        self.run_rows(&add::call(residual.row()), &[Rows(residual), Rows(x)])
    }

    fn bias(&mut self, x: &mut GpuBuffer, bias: &GpuVector) -> Result<()> {
        x.expect("bias: input", x.rows, bias.values.len())?;
        self.run_rows(&bias::call(x.row()), &[Rows(x), Vector(bias)])
    }

    fn split_heads(
        &mut self,
        x: &GpuBuffer,
        head_dim: usize,
        first: &mut GpuBuffer,
        second: &mut GpuBuffer,
    ) -> Result<()> {
        let heads = whole_heads("split_heads: input", x.cols, 2 * head_dim)?;
        first.expect("split_heads: first", x.rows, heads * head_dim)?;
        second.expect("split_heads: second", x.rows, heads * head_dim)?;
        let call = split_heads::call(x.row(), first.row(), head_dim as u32);
        self.run_rows(&call, &[Rows(x), Rows(first), Rows(second)])
    }

    fn sigmoid_gate(&mut self, x: &mut GpuBuffer, gate: &GpuBuffer) -> Result<()> {
        gate.expect("sigmoid_gate: gate", x.rows, x.cols)?;
        self.run_rows(&sigmoid_gate::call(x.row()), &[Rows(x), Rows(gate)])
    }

    fn causal_conv(
        &mut self,
        x: &GpuBuffer,
        weight: &GpuVector,
        batch: &GpuBatch,
        out: &mut GpuBuffer,
    ) -> Result<()> {
        self.run_causal_conv(x, weight, batch, out)
    }

    fn l2_norm(&mut self, x: &mut GpuBuffer, heads: usize, head_dim: usize, eps: f32) -> Result<()> {
        if heads * head_dim > x.cols {
            let expected = format!("{heads} heads of {head_dim} channels");
            return Err(wrong_shape("l2_norm: input", expected, format!("{} channels", x.cols)));
        }
        self.run_rows(&l2_norm::call(x.row(), heads as u32, head_dim as u32, eps), &[Rows(x)])
    }

    fn decay_gates(
        &mut self,
        a: &mut GpuBuffer,
        b: &mut GpuBuffer,
        rate: &GpuVector,
        bias: &GpuVector,
    ) -> Result<()> {
        a.expect("decay_gates: a", a.rows, rate.values.len())?;
        a.expect("decay_gates: a", a.rows, bias.values.len())?;
        b.expect("decay_gates: b", a.rows, a.cols)?;
        self.run_rows(&decay_gates::call(a.row()), &[Rows(a), Rows(b), Vector(rate), Vector(bias)])
    }

    fn delta_rule(
        &mut self,
        mixed: &GpuBuffer,
        decay: &GpuBuffer,
        beta: &GpuBuffer,
        batch: &GpuBatch,
        shape: DeltaRule,
        out: &mut GpuBuffer,
    ) -> Result<()> {
        self.run_delta_rule(mixed, (decay, beta), batch, shape, out)
    }

    fn gated_norm(
        &mut self,
        x: &mut GpuBuffer,
        weight: &GpuVector,
        eps: f32,
        gate: &GpuBuffer,
    ) -> Result<()> {
        let head_dim = weight.values.len();
        whole_heads("gated_norm: input", x.cols, head_dim)?;
        gate.expect("gated_norm: gate", x.rows, x.cols)?;
        let call = gated_norm::call(x.row(), head_dim as u32, eps);
        self.run_rows(&call, &[Rows(x), Vector(weight), Rows(gate)])
    }

    async fn head_loss(&mut self, x: &GpuBuffer, head: &GpuMatrix, batch: &GpuBatch) -> Result<Vec<f32>> {
        self.run_head_loss(x, head, batch).await
    }

    async fn read(&mut self, x: &GpuBuffer) -> Result<Vec<f32>> {
        self.recorder.flush(&mut self.device)?;
        let bytes = self.device.download(&x.stored, x.rows as u64 * x.row_bytes()).await?;
        let mut values = Vec::with_capacity(x.rows * x.cols);
        for row in bytes.chunks_exact(x.row_bytes().max(1) as usize) {
            values.extend(
                row.chunks_exact(4).take(x.cols).map(|v| f32::from_ne_bytes([v[0], v[1], v[2], v[3]])),
            );
        }
        Ok(values)
    }

    async fn breathe(&mut self) -> Result<()> {
        self.throttle.breathe(self.device.handle.open()).await;
        self.device.handle.check()
    }
}
