//! Softmax attention as a token mixer: projections, norms of queries and keys, rotary embedding, gate.

use super::{Projection, Shape};
use crate::backend::{Attention, Backend, BackendError};

/// The weights of one attention layer, on the device.
#[allow(missing_docs, reason = "the fields carry the names of the checkpoint's tensors")]
pub struct AttentionLayer<B: Backend> {
    /// With an output gate, each head's gate lies behind its query.
    pub q_proj: Projection<B>,
    pub k_proj: Projection<B>,
    pub v_proj: Projection<B>,
    pub o_proj: Projection<B>,
    /// Norms of each query and key head, in families that have them.
    pub q_norm: Option<B::Vector>,
    pub k_norm: Option<B::Vector>,
}

/// The activations of an attention layer.
pub(super) struct Scratch<B: Backend> {
    /// Queries with gates, and the gates alone, in families whose attention has them.
    gated: Option<[B::Buffer; 2]>,
    q: B::Buffer,
    k: B::Buffer,
    v: B::Buffer,
    mixed: B::Buffer,
}

impl<B: Backend> Scratch<B> {
    pub(super) fn new(b: &mut B, shape: &Shape, tokens: usize) -> Result<Self, BackendError> {
        let Attention { heads, kv_heads, head_dim } = shape.attention;
        let (q, kv) = (heads * head_dim, kv_heads * head_dim);
        let gated =
            if shape.output_gate { Some([b.buffer(tokens, 2 * q)?, b.buffer(tokens, q)?]) } else { None };
        Ok(Self {
            gated,
            q: b.buffer(tokens, q)?,
            k: b.buffer(tokens, kv)?,
            v: b.buffer(tokens, kv)?,
            mixed: b.buffer(tokens, q)?,
        })
    }
}

impl<B: Backend> AttentionLayer<B> {
    /// `out = attention(normed)`.
    pub(super) fn apply(
        &self,
        b: &mut B,
        shape: &Shape,
        (batch, frequencies): (&B::Batch, &B::Vector),
        normed: &B::Buffer,
        s: &mut Scratch<B>,
        out: &mut B::Buffer,
    ) -> Result<(), BackendError> {
        let head_dim = shape.attention.head_dim;
        match &mut s.gated {
            Some([both, gate]) => {
                self.q_proj.apply(b, normed, both)?;
                b.split_heads(both, head_dim, &mut s.q, gate)?;
            }
            None => self.q_proj.apply(b, normed, &mut s.q)?,
        }
        self.k_proj.apply(b, normed, &mut s.k)?;
        self.v_proj.apply(b, normed, &mut s.v)?;
        for (x, norm) in [(&mut s.q, &self.q_norm), (&mut s.k, &self.k_norm)] {
            if let Some(norm) = norm {
                b.head_norm(x, norm, shape.rms_norm_eps)?;
            }
            b.rotary(x, batch, frequencies, head_dim)?;
        }
        b.attention(&s.q, &s.k, &s.v, batch, shape.attention, &mut s.mixed)?;
        if let Some([_, gate]) = &s.gated {
            b.sigmoid_gate(&mut s.mixed, gate)?;
        }
        shape.round(b, &mut s.mixed)?;
        self.o_proj.apply(b, &s.mixed, out)
    }
}
