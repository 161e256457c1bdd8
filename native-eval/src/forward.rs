//! The forward pass of Qwen3 over any [`Backend`]: token ids in, loss per token out.
//!
//! Source of the mathematics: the published `Qwen3ForCausalLM`. Pre-norm residual blocks of
//! grouped-query attention (RMS norm on each query and key head, then rotary) and SwiGLU.

use crate::backend::{Attention, Backend, BackendError, NO_TARGET};

/// Sizes and constants of a dense Qwen3 decoder.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields carry the names of config.json")]
pub struct Shape {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub rms_norm_eps: f32,
    pub rope_theta: f32,
}

/// The weights of one decoder layer, on the device.
#[allow(missing_docs, reason = "the fields carry the names of the checkpoint's tensors")]
pub struct Layer<B: Backend> {
    pub input_norm: B::Vector,
    pub q_proj: B::Matrix,
    pub k_proj: B::Matrix,
    pub v_proj: B::Matrix,
    pub o_proj: B::Matrix,
    pub q_bias: Option<B::Vector>,
    pub k_bias: Option<B::Vector>,
    pub v_bias: Option<B::Vector>,
    pub o_bias: Option<B::Vector>,
    pub q_norm: B::Vector,
    pub k_norm: B::Vector,
    pub post_norm: B::Vector,
    pub gate_proj: B::Matrix,
    pub up_proj: B::Matrix,
    pub down_proj: B::Matrix,
}

/// A whole model on the device.
pub struct Model<B: Backend> {
    /// Sizes and constants.
    pub shape: Shape,
    /// `[vocabulary, hidden]`.
    pub embedding: B::Matrix,
    /// The decoder layers, first to last.
    pub layers: Vec<Layer<B>>,
    /// `[hidden]`.
    pub final_norm: B::Vector,
    /// `[vocabulary, hidden]`; `None` when the embedding serves as the head.
    pub head: Option<B::Matrix>,
    /// Rotary frequencies in radians per position, `[head_dim / 2]`.
    pub frequencies: B::Vector,
}

/// `theta^(-2i / head_dim)` for `i < head_dim / 2`, in f32 as the reference computes them.
pub fn rotary_frequencies(theta: f32, head_dim: usize) -> Vec<f32> {
    (0..head_dim / 2).map(|i| 1.0 / theta.powf((2 * i) as f32 / head_dim as f32)).collect()
}

/// Documents laid end to end, without padding.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    /// Token ids, `[T]`.
    pub ids: Vec<u32>,
    /// Index of each token within its own document, `[T]`.
    pub positions: Vec<u32>,
    /// The id that follows each token, [`NO_TARGET`] at the end of a document, `[T]`.
    pub targets: Vec<u32>,
}

impl Batch {
    /// Appends one document.
    pub fn push(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.positions.extend(0..ids.len() as u32);
        self.targets.extend(ids.iter().skip(1));
        self.targets.extend((!ids.is_empty()).then_some(NO_TARGET));
    }

    /// Tokens T.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }
}

/// A point of the forward pass at which an observer may look at the activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The embedded tokens, `[T, hidden]`.
    Embedding,
    /// Output of a layer's attention before it joins the residual stream, `[T, hidden]`.
    Mixer(usize),
    /// The residual stream after a layer, `[T, hidden]`.
    Layer(usize),
    /// After the final norm, `[T, hidden]`.
    FinalNorm,
}

/// Called at each [`Stage`] with the buffer that holds it. Reading the buffer waits for the device.
pub type Observer<'a, B> =
    &'a mut dyn FnMut(Stage, &mut B, &<B as Backend>::Buffer) -> Result<(), BackendError>;

impl<B: Backend> Model<B> {
    /// Loss of each token's successor in nats, `[T]`; 0 where there is none.
    pub fn losses(
        &self,
        backend: &mut B,
        batch: &Batch,
        observer: Observer<B>,
    ) -> Result<Vec<f32>, BackendError> {
        let normed = self.hidden_states(backend, batch, observer)?;
        let targets = backend.upload_indices(&batch.targets)?;
        backend.head_loss(&normed, self.head.as_ref().unwrap_or(&self.embedding), &targets)
    }

    /// Logits of every token, `[T, vocabulary]`. For comparing small models; evaluation never
    /// materialises them.
    pub fn logits(
        &self,
        backend: &mut B,
        batch: &Batch,
        observer: Observer<B>,
    ) -> Result<Vec<f32>, BackendError> {
        let normed = self.hidden_states(backend, batch, observer)?;
        let mut logits = backend.buffer(batch.tokens(), self.shape.vocab_size)?;
        backend.matmul(&normed, self.head.as_ref().unwrap_or(&self.embedding), &mut logits)?;
        backend.read(&logits)
    }

    /// The residual stream after the final norm, `[T, hidden]`.
    fn hidden_states(
        &self,
        b: &mut B,
        batch: &Batch,
        observer: Observer<B>,
    ) -> Result<B::Buffer, BackendError> {
        let shape = &self.shape;
        let ids = b.upload_indices(&batch.ids)?;
        let positions = b.upload_indices(&batch.positions)?;
        let mut scratch = Scratch::new(b, shape, batch.tokens())?;
        let mut h = b.buffer(batch.tokens(), shape.hidden_size)?;
        b.embed(&self.embedding, &ids, &mut h)?;
        observer(Stage::Embedding, b, &h)?;
        for (i, layer) in self.layers.iter().enumerate() {
            b.rms_norm(&h, &layer.input_norm, shape.rms_norm_eps, &mut scratch.normed)?;
            self.attention(b, layer, &positions, &mut scratch)?;
            observer(Stage::Mixer(i), b, &scratch.out)?;
            b.add(&mut h, &scratch.out)?;
            b.rms_norm(&h, &layer.post_norm, shape.rms_norm_eps, &mut scratch.normed)?;
            mlp(b, layer, &mut scratch)?;
            b.add(&mut h, &scratch.out)?;
            observer(Stage::Layer(i), b, &h)?;
        }
        b.rms_norm(&h, &self.final_norm, shape.rms_norm_eps, &mut scratch.normed)?;
        observer(Stage::FinalNorm, b, &scratch.normed)?;
        Ok(scratch.normed)
    }

    /// `out = attention(normed)`.
    fn attention(
        &self,
        b: &mut B,
        layer: &Layer<B>,
        positions: &B::Indices,
        s: &mut Scratch<B>,
    ) -> Result<(), BackendError> {
        let shape = &self.shape;
        project(b, &s.normed, &layer.q_proj, layer.q_bias.as_ref(), &mut s.q)?;
        project(b, &s.normed, &layer.k_proj, layer.k_bias.as_ref(), &mut s.k)?;
        project(b, &s.normed, &layer.v_proj, layer.v_bias.as_ref(), &mut s.v)?;
        b.head_norm(&mut s.q, &layer.q_norm, shape.rms_norm_eps)?;
        b.head_norm(&mut s.k, &layer.k_norm, shape.rms_norm_eps)?;
        b.rotary(&mut s.q, positions, &self.frequencies, shape.head_dim)?;
        b.rotary(&mut s.k, positions, &self.frequencies, shape.head_dim)?;
        let heads = Attention { heads: shape.heads, kv_heads: shape.kv_heads, head_dim: shape.head_dim };
        b.attention(&s.q, &s.k, &s.v, positions, heads, &mut s.mixed)?;
        project(b, &s.mixed, &layer.o_proj, layer.o_bias.as_ref(), &mut s.out)
    }
}

/// `out = x · wᵀ + bias`.
fn project<B: Backend>(
    b: &mut B,
    x: &B::Buffer,
    w: &B::Matrix,
    bias: Option<&B::Vector>,
    out: &mut B::Buffer,
) -> Result<(), BackendError> {
    b.matmul(x, w, out)?;
    bias.map_or(Ok(()), |bias| b.bias(out, bias))
}

/// `out = down(silu(gate(normed)) ∘ up(normed))`.
fn mlp<B: Backend>(b: &mut B, layer: &Layer<B>, s: &mut Scratch<B>) -> Result<(), BackendError> {
    b.matmul(&s.normed, &layer.gate_proj, &mut s.gate)?;
    b.matmul(&s.normed, &layer.up_proj, &mut s.up)?;
    b.swiglu(&mut s.gate, &s.up)?;
    b.matmul(&s.gate, &layer.down_proj, &mut s.out)
}

/// The activations of one layer, reused by all of them.
struct Scratch<B: Backend> {
    normed: B::Buffer,
    q: B::Buffer,
    k: B::Buffer,
    v: B::Buffer,
    mixed: B::Buffer,
    gate: B::Buffer,
    up: B::Buffer,
    out: B::Buffer,
}

impl<B: Backend> Scratch<B> {
    fn new(b: &mut B, shape: &Shape, tokens: usize) -> Result<Self, BackendError> {
        let (q, kv) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
        Ok(Self {
            normed: b.buffer(tokens, shape.hidden_size)?,
            q: b.buffer(tokens, q)?,
            k: b.buffer(tokens, kv)?,
            v: b.buffer(tokens, kv)?,
            mixed: b.buffer(tokens, q)?,
            gate: b.buffer(tokens, shape.intermediate_size)?,
            up: b.buffer(tokens, shape.intermediate_size)?,
            out: b.buffer(tokens, shape.hidden_size)?,
        })
    }
}
