//! The forward pass over any [`Backend`]: token ids in, loss per token out.
//!
//! Source of the mathematics: transformers' published `Qwen3ForCausalLM`, `Qwen3_5ForCausalLM` and
//! `LlamaForCausalLM`.
//! Pre-norm residual blocks of a token mixer and SwiGLU; what a family lacks is absent from its weights.

mod attention;
mod delta_net;

pub use attention::AttentionLayer;
pub use delta_net::DeltaNetLayer;

use bitgauge_core::{Error, ErrorKind};

use crate::backend::{Attention, Backend, BackendError, DeltaRule};
use crate::batch::Batch;

/// Sizes and constants of a decoder.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields carry the names of config.json")]
pub struct Shape {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub rms_norm_eps: f32,
    /// Heads of the attention layers.
    pub attention: Attention,
    /// Whether attention's output is gated.
    pub output_gate: bool,
    /// Heads of the gated DeltaNet layers, in models that have any.
    pub delta_rule: Option<DeltaRule>,
    /// Whether the layers' products take their inputs rounded to 8 bits, as BitNet's do.
    pub rounds_inputs: bool,
}

impl Shape {
    /// Rounds the inputs of a product, in models that do.
    fn round<B: Backend>(&self, b: &mut B, x: &mut B::Buffer) -> Result<(), BackendError> {
        if self.rounds_inputs { b.round_rows(x) } else { Ok(()) }
    }
}

/// The weights of one decoder layer, on the device.
#[allow(missing_docs, reason = "the fields carry the names of the checkpoint's tensors")]
pub struct Layer<B: Backend> {
    pub input_norm: B::Vector,
    pub mixer: Mixer<B>,
    pub post_norm: B::Vector,
    pub gate_proj: Projection<B>,
    pub up_proj: Projection<B>,
    pub down_proj: Projection<B>,
}

/// What mixes the tokens in a layer.
pub enum Mixer<B: Backend> {
    /// Softmax attention.
    Attention(AttentionLayer<B>),
    /// Gated DeltaNet.
    DeltaNet(DeltaNetLayer<B>),
}

/// `x · wᵀ`, plus a bias in models that have one.
pub struct Projection<B: Backend> {
    /// `[N, K]`.
    pub weight: B::Matrix,
    /// `[N]`.
    pub bias: Option<B::Vector>,
}

impl<B: Backend> Projection<B> {
    /// `out = x · wᵀ + bias`.
    fn apply(&self, b: &mut B, x: &B::Buffer, out: &mut B::Buffer) -> Result<(), BackendError> {
        b.matmul(x, &self.weight, out)?;
        self.bias.as_ref().map_or(Ok(()), |bias| b.bias(out, bias))
    }
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
    /// Rotary frequencies in radians per position, one for each pair of channels that turns.
    pub frequencies: B::Vector,
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

/// Follows the forward pass. `()` looks at nothing, a closure is told the stages.
pub trait Observer {
    /// Is told that a stage was reached, and gives whether it wants to see the activations there: reading them waits for
    /// the device.
    fn reached(&mut self, stage: Stage) -> bool;
    /// Is shown what it wanted to see, row-major.
    fn see(&mut self, _stage: Stage, _values: Vec<f32>) {}
}

impl Observer for () {
    fn reached(&mut self, _: Stage) -> bool {
        false
    }
}

impl<F: FnMut(Stage)> Observer for F {
    fn reached(&mut self, stage: Stage) -> bool {
        self(stage);
        false
    }
}

/// Lets the observer follow.
async fn observe<B: Backend>(
    b: &mut B,
    observer: &mut dyn Observer,
    stage: Stage,
    x: &B::Buffer,
) -> Result<(), BackendError> {
    if observer.reached(stage) {
        observer.see(stage, b.read(x).await?);
    }
    Ok(())
}

impl<B: Backend> Model<B> {
    /// Loss of each token's successor in nats, `[T]`; 0 where there is none.
    ///
    /// # Errors
    /// A device failure, or a batch that does not fit the model.
    pub async fn losses(
        &self,
        backend: &mut B,
        batch: &Batch,
        observer: &mut dyn Observer,
    ) -> Result<Vec<f32>, BackendError> {
        let uploaded = backend.upload_batch(batch)?;
        let normed = self.hidden_states(backend, batch.tokens(), &uploaded, observer).await?;
        backend.head_loss(&normed, self.head.as_ref().unwrap_or(&self.embedding), &uploaded).await
    }

    /// Logits of every token, `[T, vocabulary]`. For comparing small models; evaluation never
    /// materialises them.
    ///
    /// # Errors
    /// Those of [`Model::losses`].
    pub async fn logits(
        &self,
        backend: &mut B,
        batch: &Batch,
        observer: &mut dyn Observer,
    ) -> Result<Vec<f32>, BackendError> {
        let uploaded = backend.upload_batch(batch)?;
        let normed = self.hidden_states(backend, batch.tokens(), &uploaded, observer).await?;
        let mut logits = backend.buffer(batch.tokens(), self.shape.vocab_size)?;
        backend.matmul(&normed, self.head.as_ref().unwrap_or(&self.embedding), &mut logits)?;
        backend.read(&logits).await
    }

    /// The residual stream after the final norm, `[T, hidden]`.
    async fn hidden_states(
        &self,
        b: &mut B,
        tokens: usize,
        batch: &B::Batch,
        observer: &mut dyn Observer,
    ) -> Result<B::Buffer, BackendError> {
        let shape = &self.shape;
        let mut scratch = Scratch::new(b, self, tokens)?;
        let mut h = b.buffer(tokens, shape.hidden_size)?;
        b.embed(&self.embedding, batch, &mut h)?;
        observe(b, observer, Stage::Embedding, &h).await?;
        for (i, layer) in self.layers.iter().enumerate() {
            let Scratch { normed, out, mlp, mixers } = &mut scratch;
            b.rms_norm(&h, &layer.input_norm, shape.rms_norm_eps, normed)?;
            shape.round(b, normed)?;
            mixers.apply(b, &layer.mixer, shape, (batch, &self.frequencies), normed, out)?;
            observe(b, observer, Stage::Mixer(i), out).await?;
            b.add(&mut h, out)?;
            b.rms_norm(&h, &layer.post_norm, shape.rms_norm_eps, normed)?;
            shape.round(b, normed)?;
            layer.mlp(b, shape, normed, mlp, out)?;
            b.add(&mut h, out)?;
            observe(b, observer, Stage::Layer(i), &h).await?;
            b.breathe().await?;
        }
        b.rms_norm(&h, &self.final_norm, shape.rms_norm_eps, &mut scratch.normed)?;
        observe(b, observer, Stage::FinalNorm, &scratch.normed).await?;
        Ok(scratch.normed)
    }
}

impl<B: Backend> Layer<B> {
    /// `out = down(silu(gate(normed)) ∘ up(normed))`.
    fn mlp(
        &self,
        b: &mut B,
        shape: &Shape,
        normed: &B::Buffer,
        [gate, up]: &mut [B::Buffer; 2],
        out: &mut B::Buffer,
    ) -> Result<(), BackendError> {
        self.gate_proj.apply(b, normed, gate)?;
        self.up_proj.apply(b, normed, up)?;
        b.swiglu(gate, up)?;
        shape.round(b, gate)?;
        self.down_proj.apply(b, gate, out)
    }
}

/// The activations of one layer, reused by all of them.
struct Scratch<B: Backend> {
    normed: B::Buffer,
    out: B::Buffer,
    mlp: [B::Buffer; 2],
    mixers: Mixers<B>,
}

impl<B: Backend> Scratch<B> {
    fn new(b: &mut B, model: &Model<B>, tokens: usize) -> Result<Self, BackendError> {
        let shape = &model.shape;
        Ok(Self {
            normed: b.buffer(tokens, shape.hidden_size)?,
            out: b.buffer(tokens, shape.hidden_size)?,
            mlp: [b.buffer(tokens, shape.intermediate_size)?, b.buffer(tokens, shape.intermediate_size)?],
            mixers: Mixers { tokens, attention: None, delta_net: None },
        })
    }
}

/// The activations of the kind of mixer that ran last, made when its kind comes up: two kinds share memory.
struct Mixers<B: Backend> {
    tokens: usize,
    attention: Option<attention::Scratch<B>>,
    delta_net: Option<delta_net::Scratch<B>>,
}

impl<B: Backend> Mixers<B> {
    /// `out = mixer(normed)`.
    fn apply(
        &mut self,
        b: &mut B,
        mixer: &Mixer<B>,
        shape: &Shape,
        (batch, frequencies): (&B::Batch, &B::Vector),
        normed: &B::Buffer,
        out: &mut B::Buffer,
    ) -> Result<(), BackendError> {
        match mixer {
            Mixer::Attention(mixer) => {
                self.delta_net = None;
                let scratch = match &mut self.attention {
                    Some(scratch) => scratch,
                    empty => empty.insert(attention::Scratch::new(b, shape, self.tokens)?),
                };
                mixer.apply(b, shape, (batch, frequencies), normed, scratch, out)
            }
            Mixer::DeltaNet(mixer) => {
                let rule = shape.delta_rule.ok_or_else(|| {
                    Error::new(ErrorKind::Missing, "a DeltaNet layer in a model without its sizes")
                })?;
                self.attention = None;
                let scratch = match &mut self.delta_net {
                    Some(scratch) => scratch,
                    empty => empty.insert(delta_net::Scratch::new(b, rule, self.tokens)?),
                };
                mixer.apply(b, (shape, rule), batch, normed, scratch, out)
            }
        }
    }
}
