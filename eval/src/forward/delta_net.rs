//! Gated DeltaNet as a token mixer: projections, causal convolution, gates, delta rule, gated norm.

use super::{Projection, Shape};
use crate::backend::{Backend, BackendError, DeltaRule};

/// What is added to the sum of squares of a query or key; a constant of the architecture.
const QUERY_KEY_EPS: f32 = 1e-6;

/// The weights of one gated DeltaNet layer, on the device.
#[allow(missing_docs, reason = "the fields carry the names of the checkpoint's tensors")]
pub struct DeltaNetLayer<B: Backend> {
    pub in_proj_qkv: Projection<B>,
    pub in_proj_z: Projection<B>,
    pub in_proj_a: Projection<B>,
    pub in_proj_b: Projection<B>,
    /// `[taps, channels]`.
    pub conv: B::Vector,
    /// `-e^A_log`, `[value heads]`.
    pub rate: B::Vector,
    /// `[value heads]`.
    pub dt_bias: B::Vector,
    /// `[channels of a value head]`.
    pub norm: B::Vector,
    pub out_proj: Projection<B>,
}

/// The activations of a gated DeltaNet layer.
pub(super) struct Scratch<B: Backend> {
    projected: B::Buffer,
    mixed: B::Buffer,
    z: B::Buffer,
    a: B::Buffer,
    b: B::Buffer,
    heads: B::Buffer,
}

impl<B: Backend> Scratch<B> {
    pub(super) fn new(b: &mut B, shape: DeltaRule, tokens: usize) -> Result<Self, BackendError> {
        Ok(Self {
            projected: b.buffer(tokens, shape.mixed_width())?,
            mixed: b.buffer(tokens, shape.mixed_width())?,
            z: b.buffer(tokens, shape.value_width())?,
            a: b.buffer(tokens, shape.value_heads)?,
            b: b.buffer(tokens, shape.value_heads)?,
            heads: b.buffer(tokens, shape.value_width())?,
        })
    }
}

impl<B: Backend> DeltaNetLayer<B> {
    /// `out = delta_net(normed)`.
    pub(super) fn apply(
        &self,
        backend: &mut B,
        (shape, rule): (&Shape, DeltaRule),
        batch: &B::Batch,
        normed: &B::Buffer,
        s: &mut Scratch<B>,
        out: &mut B::Buffer,
    ) -> Result<(), BackendError> {
        self.in_proj_qkv.apply(backend, normed, &mut s.projected)?;
        self.in_proj_z.apply(backend, normed, &mut s.z)?;
        self.in_proj_a.apply(backend, normed, &mut s.a)?;
        self.in_proj_b.apply(backend, normed, &mut s.b)?;
        backend.causal_conv(&s.projected, &self.conv, batch, &mut s.mixed)?;
        backend.l2_norm(&mut s.mixed, 2 * rule.key_heads, rule.key_dim, QUERY_KEY_EPS)?;
        backend.decay_gates(&mut s.a, &mut s.b, &self.rate, &self.dt_bias)?;
        backend.delta_rule(&s.mixed, &s.a, &s.b, batch, rule, &mut s.heads)?;
        backend.gated_norm(&mut s.heads, &self.norm, shape.rms_norm_eps, &s.z)?;
        shape.round(backend, &mut s.heads)?;
        self.out_proj.apply(backend, &s.heads, out)
    }
}
