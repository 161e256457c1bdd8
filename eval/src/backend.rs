//! The one trait that separates the forward pass from the hardware.
//!
//! Activations are f32 and row-major, one row per token of a [`Batch`]. Token `t` of a document that begins at row
//! `s` may attend to rows `s ..= t`. Operations may be queued; only [`Backend::head_loss`], [`Backend::read`] and
//! [`Backend::breathe`] wait, and they are asynchronous: a browser's tab may not block.

use std::fmt;

use bitgauge_core::{Error, ErrorKind, Matrix};

use crate::batch::Batch;

/// A backend failed: out of memory, device lost, a shape that it can't handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendError(pub Error);

/// Result of what a backend does.
pub type Result<T, E = BackendError> = std::result::Result<T, E>;

impl From<BackendError> for Error {
    fn from(error: BackendError) -> Self {
        error.0
    }
}

impl From<Error> for BackendError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for BackendError {}

/// Operands of an operation that do not fit each other; `operand` names both: `matmul: input`.
pub(crate) fn wrong_shape(
    operand: impl fmt::Display,
    expected: impl fmt::Display,
    found: impl fmt::Display,
) -> BackendError {
    let error = Error::new(ErrorKind::WrongShape, "the operands of an operation do not fit each other");
    error.within(operand).expected_found(expected, found).into()
}

/// Fails unless rows of `cols` channels are whole heads of `head_dim`; gives how many heads.
pub(crate) fn whole_heads(operation: &str, cols: usize, head_dim: usize) -> Result<usize> {
    if head_dim == 0 || !cols.is_multiple_of(head_dim) {
        let expected = format!("rows of whole heads of {head_dim} channels");
        return Err(wrong_shape(operation, expected, format!("{cols} channels")));
    }
    Ok(cols / head_dim)
}

/// Shape of grouped-query attention: query head `j` uses key/value head `j / (heads / kv_heads)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attention {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Channels of one head. The softmax scale is `head_dim^(-1/2)`.
    pub head_dim: usize,
}

impl Attention {
    /// Fails unless query heads share key/value heads in whole groups.
    pub(crate) fn check(self) -> Result<()> {
        let Self { heads, kv_heads, head_dim } = self;
        if kv_heads == 0 || head_dim == 0 || !heads.is_multiple_of(kv_heads) {
            let found = format!("{heads} query heads, {kv_heads} key/value heads of {head_dim} channels");
            return Err(wrong_shape("attention: heads", "a multiple of the key/value heads", found));
        }
        Ok(())
    }
}

/// What one kernel did, over all its dispatches.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct KernelTime {
    /// Its name, with its codec's.
    pub kernel: String,
    /// How often it was dispatched.
    pub dispatches: u64,
    /// Its time on the device.
    pub seconds: f64,
    /// Floating-point operations, about.
    pub flop: f64,
    /// Bytes of activations that it was given to read and write.
    pub bytes: f64,
}

impl KernelTime {
    /// Nothing yet.
    pub fn new(kernel: String) -> Self {
        Self { kernel, dispatches: 0, seconds: 0.0, flop: 0.0, bytes: 0.0 }
    }
}

/// Shape of the gated delta rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeltaRule {
    /// Query and key heads.
    pub key_heads: usize,
    /// Value heads; a multiple of `key_heads`.
    pub value_heads: usize,
    /// Channels of a query or key head. Queries are scaled by `key_dim^(-1/2)`.
    pub key_dim: usize,
    /// Channels of a value head.
    pub value_dim: usize,
    /// Which key head value head `j` uses: `j % key_heads` if set, else
    /// `j / (value_heads / key_heads)`.
    pub interleaved: bool,
}

impl DeltaRule {
    /// Fails unless value heads share key heads in whole groups.
    pub(crate) fn check(self) -> Result<()> {
        let Self { key_heads, value_heads, key_dim, value_dim, .. } = self;
        if [key_heads, value_heads, key_dim, value_dim].contains(&0) || !value_heads.is_multiple_of(key_heads)
        {
            let found = format!(
                "{key_heads} key heads of {key_dim} channels, {value_heads} value heads of {value_dim}"
            );
            return Err(wrong_shape("delta_rule: heads", "a multiple of the key heads", found));
        }
        Ok(())
    }

    /// Channels of all query heads, and of all key heads.
    pub fn key_width(self) -> usize {
        self.key_heads * self.key_dim
    }

    /// Channels of all value heads.
    pub fn value_width(self) -> usize {
        self.value_heads * self.value_dim
    }

    /// Channels of queries, keys and values together.
    pub fn mixed_width(self) -> usize {
        2 * self.key_width() + self.value_width()
    }

    /// The key head that value head `head` uses.
    pub fn key_head(self, head: usize) -> usize {
        if self.interleaved { head % self.key_heads } else { head / (self.value_heads / self.key_heads) }
    }
}

/// In what forms a backend takes weights, or all of several: the default takes what any does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WeightForms {
    /// Products take weights as f16, however they are stored. What f16 does not hold of a weight is then of use only where
    /// rows are looked up.
    pub rounded: bool,
    /// Matrices of ggml's types may come as they are stored, where [`keep_blocks`](bitgauge_core::format::keep_blocks)
    /// takes them.
    pub blocks: bool,
}

impl WeightForms {
    /// What this and the other take.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { rounded: self.rounded && other.rounded, blocks: self.blocks && other.blocks }
    }
}

/// What the forward pass needs of a device. What each operation computes is defined by its twin in
/// `bitgauge_shaders::twins`, to which every backend's kernels are held.
#[allow(
    async_fn_in_trait,
    reason = "whoever calls a device waits for it on that thread: no future is sent to another"
)]
pub trait Backend {
    /// Activations `[rows, cols]`, f32.
    type Buffer;
    /// A weight matrix in its stored form.
    type Matrix;
    /// A short f32 vector: norm weights, rotary frequencies.
    type Vector;
    /// What the operations need to know of a [`Batch`]: ids, positions, targets, documents.
    type Batch;

    /// What runs, for people: `CPU, AVX2 + FMA, 2 threads` or the adapter's name and driver.
    fn describe(&self) -> String;
    /// What products with weights are computed in: `f32` or what it takes instead.
    fn precision(&self) -> &'static str {
        "f32"
    }
    /// The time that each kernel took since the last call, longest first. Empty where that is not
    /// measured.
    fn kernel_times(&mut self) -> Result<Vec<KernelTime>> {
        Ok(Vec::new())
    }
    /// Most bytes of the device's own memory that were taken at once. `None` where it has none.
    fn device_bytes(&self) -> Option<u64> {
        None
    }
    /// What runs, as the validator's reports name devices: `cpu`, or `gpu:` and the adapter's name.
    fn runtime_name(&self) -> String;
    /// Tokens that are best kept in flight together for a model of this hidden and MLP width.
    fn preferred_tokens(&self, hidden: usize, intermediate: usize) -> usize;
    /// Measures now how many FLOP/s the device reaches in multiply-adds alone, with nothing to
    /// load: what a benchmark compares its own rate with. `None` where that is not known.
    fn peak_flop_per_second(&mut self) -> Option<f64> {
        None
    }

    /// Tells what a model will ask for, so that the backend can get ready while weights are read.
    fn prepare(&mut self, _attention: Attention, _delta_rule: Option<DeltaRule>) -> Result<()> {
        Ok(())
    }
    /// Waits until all that [`Backend::prepare`] and the weights so far asked for is there.
    fn ready(&mut self) -> Result<()> {
        Ok(())
    }
    /// What getting ready took, part by part, in seconds: for people. Parts may overlap.
    fn preparation(&self) -> Vec<(String, f64)> {
        Vec::new()
    }
    /// Takes a weight matrix `[N, K]`.
    fn upload_matrix(&mut self, matrix: Matrix) -> Result<Self::Matrix>;
    /// The same of a matrix that other devices take, too.
    fn upload_shared(&mut self, matrix: &Matrix) -> Result<Self::Matrix> {
        self.upload_matrix(matrix.clone())
    }
    /// In what forms it takes weights.
    fn weight_forms(&self) -> WeightForms {
        WeightForms::default()
    }
    /// Takes a vector.
    fn upload_vector(&mut self, values: &[f32]) -> Result<Self::Vector>;
    /// Takes what the operations need to know of a batch.
    fn upload_batch(&mut self, batch: &Batch) -> Result<Self::Batch>;
    /// A buffer `[rows, cols]` with unspecified contents.
    fn buffer(&mut self, rows: usize, cols: usize) -> Result<Self::Buffer>;

    /// `out[t, :] = table[ids[t], :]`. table is `[V, H]`, out is `[T, H]`.
    fn embed(&mut self, table: &Self::Matrix, batch: &Self::Batch, out: &mut Self::Buffer) -> Result<()>;
    /// `out = x / sqrt(mean(x²) + eps) ∘ weight` over each row. x and out are `[T, H]`, weight is `[H]`.
    fn rms_norm(
        &mut self,
        x: &Self::Buffer,
        weight: &Self::Vector,
        eps: f32,
        out: &mut Self::Buffer,
    ) -> Result<()>;
    /// The same in place over each head's channels: x is `[T, heads * d]`, weight is `[d]`.
    fn head_norm(&mut self, x: &mut Self::Buffer, weight: &Self::Vector, eps: f32) -> Result<()>;
    /// `out = x · wᵀ`. x is `[T, K]`, w is `[N, K]`, out is `[T, N]`.
    fn matmul(&mut self, x: &Self::Buffer, w: &Self::Matrix, out: &mut Self::Buffer) -> Result<()>;
    /// Rotates channels `i` and `i + n` of each head by `positions[t] * frequencies[i]` radians, for
    /// `i < n = frequencies.len()`, in place. x is `[T, heads * head_dim]`.
    fn rotary(
        &mut self,
        x: &mut Self::Buffer,
        batch: &Self::Batch,
        frequencies: &Self::Vector,
        head_dim: usize,
    ) -> Result<()>;
    /// Causal softmax attention within each document. q is `[T, heads * d]`, k and v are
    /// `[T, kv_heads * d]`, out is `[T, heads * d]`.
    fn attention(
        &mut self,
        q: &Self::Buffer,
        k: &Self::Buffer,
        v: &Self::Buffer,
        batch: &Self::Batch,
        shape: Attention,
        out: &mut Self::Buffer,
    ) -> Result<()>;
    /// `x = clamp(round(x · a), -128, 127) / a` over each row, in place, with `a = 127 / max(|x|, 1e-5)` and halves rounded to
    /// the even number. x is `[T, H]`.
    fn round_rows(&mut self, x: &mut Self::Buffer) -> Result<()>;
    /// `gate = silu(gate) ∘ up`, in place. Both are `[T, I]`.
    fn swiglu(&mut self, gate: &mut Self::Buffer, up: &Self::Buffer) -> Result<()>;
    /// `residual += x`. Both are `[T, H]`.
    fn add(&mut self, residual: &mut Self::Buffer, x: &Self::Buffer) -> Result<()>;
    /// `x += bias`, on every row. x is `[T, N]`, bias is `[N]`.
    fn bias(&mut self, x: &mut Self::Buffer, bias: &Self::Vector) -> Result<()>;
    /// Cuts each head in two: x is `[T, heads * 2 d]`, first and second are `[T, heads * d]`.
    fn split_heads(
        &mut self,
        x: &Self::Buffer,
        head_dim: usize,
        first: &mut Self::Buffer,
        second: &mut Self::Buffer,
    ) -> Result<()>;
    /// `x = x ∘ σ(gate)`, in place. Both are `[T, N]`.
    fn sigmoid_gate(&mut self, x: &mut Self::Buffer, gate: &Self::Buffer) -> Result<()>;
    /// Depthwise causal convolution within each document, then SiLU:
    /// `out[t, c] = silu(Σ_j weight[j, c] · x[t - taps + 1 + j, c])`. x and out are `[T, C]`, weight is
    /// `[taps, C]`.
    fn causal_conv(
        &mut self,
        x: &Self::Buffer,
        weight: &Self::Vector,
        batch: &Self::Batch,
        out: &mut Self::Buffer,
    ) -> Result<()>;
    /// `x = x / sqrt(Σ x² + eps)` over the channels of each of a row's first `heads` heads, in place.
    /// x is `[T, N]`, N at least `heads * head_dim`.
    fn l2_norm(&mut self, x: &mut Self::Buffer, heads: usize, head_dim: usize, eps: f32) -> Result<()>;
    /// The gates of the delta rule, in place: `a = rate ∘ softplus(a + bias)` and `b = σ(b)`. a and b are
    /// `[T, heads]`, rate and bias are `[heads]`.
    fn decay_gates(
        &mut self,
        a: &mut Self::Buffer,
        b: &mut Self::Buffer,
        rate: &Self::Vector,
        bias: &Self::Vector,
    ) -> Result<()>;
    /// The gated delta rule within each document, from a state of zeros (Yang et al., "Gated Delta
    /// Networks", 2024). mixed is `[T, 2 K + V]`: queries, keys and values; decay (the logarithm of what
    /// is kept) and beta are `[T, value heads]`, out is `[T, V]`.
    fn delta_rule(
        &mut self,
        mixed: &Self::Buffer,
        decay: &Self::Buffer,
        beta: &Self::Buffer,
        batch: &Self::Batch,
        shape: DeltaRule,
        out: &mut Self::Buffer,
    ) -> Result<()>;
    /// RMS norm over each head's channels, then a gate, in place:
    /// `x = x / sqrt(mean(x²) + eps) ∘ weight ∘ silu(gate)`. x and gate are `[T, heads * d]`, weight is `[d]`.
    fn gated_norm(
        &mut self,
        x: &mut Self::Buffer,
        weight: &Self::Vector,
        eps: f32,
        gate: &Self::Buffer,
    ) -> Result<()>;
    /// Per row, `ln Σ_v exp(x · head[v]) - x · head[target]` in nats, and 0 where the target is
    /// [`NO_TARGET`](crate::batch::NO_TARGET). The logits never exist as a whole. x is `[T, H]`, head is `[V, H]`.
    async fn head_loss(
        &mut self,
        x: &Self::Buffer,
        head: &Self::Matrix,
        batch: &Self::Batch,
    ) -> Result<Vec<f32>>;
    /// The buffer's values, row-major.
    async fn read(&mut self, x: &Self::Buffer) -> Result<Vec<f32>>;
    /// Waits while too much is queued: called after each layer and each weight, for devices whose other operations
    /// can't wait.
    async fn breathe(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Work that runs on whichever backend is chosen: a closure that is generic over [`Backend`].
pub trait Task {
    /// What the work gives.
    type Output;

    /// Does the work.
    fn run<B: Backend>(self, backend: &mut B) -> Self::Output;
}
