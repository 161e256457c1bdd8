//! Collects the weights of a model by their roles.

use std::collections::HashMap;

use bitgauge_core::model::{Decoder, ExpectedTensor, LayerPart, LayerType, Role};
use bitgauge_core::{Error, ErrorKind, Matrix, Result};

use super::LoadError;
use crate::backend::{Attention, Backend, BackendError};
use crate::forward::{AttentionLayer, Layer, Mixer, Model, Projection, Shape};

/// A model whose weights come one by one, in any order.
pub(crate) struct ModelBuilder<'a, B: Backend> {
    decoder: &'a Decoder,
    embedding: Option<B::Matrix>,
    head: Option<B::Matrix>,
    final_norm: Option<B::Vector>,
    layers: Vec<LayerBuilder<B>>,
}

/// The weights of one layer so far.
struct LayerBuilder<B: Backend> {
    matrices: HashMap<LayerPart, B::Matrix>,
    vectors: HashMap<LayerPart, B::Vector>,
}

impl From<&Decoder> for Shape {
    /// The parser's caps keep every size far below `u32::MAX`.
    fn from(decoder: &Decoder) -> Self {
        Self {
            vocab_size: decoder.vocabulary as usize,
            hidden_size: decoder.hidden as usize,
            intermediate_size: decoder.intermediate as usize,
            rms_norm_eps: decoder.rms_norm_eps as f32,
            attention: Attention {
                heads: decoder.heads as usize,
                kv_heads: decoder.kv_heads as usize,
                head_dim: decoder.head_dim as usize,
            },
        }
    }
}

impl<'a, B: Backend> ModelBuilder<'a, B> {
    /// A model without weights.
    pub(crate) fn new(decoder: &'a Decoder) -> Self {
        let layer = |_| LayerBuilder { matrices: HashMap::new(), vectors: HashMap::new() };
        let layers = decoder.layers.iter().map(layer).collect();
        Self { decoder, embedding: None, head: None, final_norm: None, layers }
    }

    /// Takes one weight to the device. A tensor that is not 2-D comes as a matrix of any shape.
    pub(crate) fn put(
        &mut self,
        backend: &mut B,
        expected: &ExpectedTensor,
        matrix: Matrix,
    ) -> Result<(), BackendError> {
        match expected.role {
            Role::Embedding => self.embedding = Some(backend.upload_matrix(matrix)?),
            Role::Head => self.head = Some(backend.upload_matrix(matrix)?),
            Role::FinalNorm => self.final_norm = Some(backend.upload_vector(&matrix.to_f32())?),
            Role::Layer { layer, part } => {
                let layer = &mut self.layers[layer as usize];
                if expected.matrix().is_some() {
                    layer.matrices.insert(part, backend.upload_matrix(matrix)?);
                } else {
                    layer.vectors.insert(part, backend.upload_vector(&matrix.to_f32())?);
                }
            }
        }
        Ok(())
    }

    /// The complete model.
    pub(crate) fn finish(self, backend: &mut B) -> Result<Model<B>, LoadError> {
        let layers = self.layers.into_iter().zip(&self.decoder.layers);
        Ok(Model {
            shape: Shape::from(self.decoder),
            embedding: self.embedding.ok_or_else(absent)?,
            layers: layers.map(|(layer, layer_type)| layer.finish(*layer_type)).collect::<Result<_>>()?,
            final_norm: self.final_norm.ok_or_else(absent)?,
            head: self.head,
            frequencies: backend.upload_vector(&self.decoder.rotary.frequencies())?,
        })
    }
}

impl<B: Backend> LayerBuilder<B> {
    fn finish(mut self, layer_type: LayerType) -> Result<Layer<B>> {
        use LayerPart as Part;
        let mixer = match layer_type {
            LayerType::FullAttention => Mixer::Attention(AttentionLayer {
                q_proj: self.projection(Part::QProj, Part::QBias)?,
                k_proj: self.projection(Part::KProj, Part::KBias)?,
                v_proj: self.projection(Part::VProj, Part::VBias)?,
                o_proj: self.projection(Part::OProj, Part::OBias)?,
                q_norm: self.vectors.remove(&Part::QNorm),
                k_norm: self.vectors.remove(&Part::KNorm),
            }),
            LayerType::LinearAttention => {
                return Err(Error::new(ErrorKind::Unsupported, "gated DeltaNet can't be evaluated yet"));
            }
        };
        Ok(Layer {
            input_norm: self.vector(Part::InputNorm)?,
            mixer,
            post_norm: self.vector(Part::PostAttentionNorm)?,
            gate_proj: self.projection(Part::GateProj, Part::GateBias)?,
            up_proj: self.projection(Part::UpProj, Part::UpBias)?,
            down_proj: self.projection(Part::DownProj, Part::DownBias)?,
        })
    }

    fn projection(&mut self, weight: LayerPart, bias: LayerPart) -> Result<Projection<B>> {
        let weight = self.matrices.remove(&weight).ok_or_else(absent)?;
        Ok(Projection { weight, bias: self.vectors.remove(&bias) })
    }

    fn vector(&mut self, part: LayerPart) -> Result<B::Vector> {
        self.vectors.remove(&part).ok_or_else(absent)
    }
}

/// The inventory has been checked for missing weights, so this happens only if it was not.
fn absent() -> Error {
    Error::new(ErrorKind::Missing, "a weight of the model was not loaded")
}
