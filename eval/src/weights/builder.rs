//! Collects the weights of a model by their roles.

use std::borrow::Cow;
use std::collections::HashMap;

use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::{Decoder, ExpectedTensor, LayerPart, LayerType, Role};
use bitgauge_core::plan::{Convention, convention, decoder};
use bitgauge_core::{Error, ErrorKind, Matrix, Result};

use super::{LoadError, rounds_inputs};
use crate::backend::{Attention, Backend, BackendError, DeltaRule};
use crate::forward::{AttentionLayer, DeltaNetLayer, Layer, Mixer, Model, Projection, Shape};

/// A model whose weights come one by one, in any order.
pub struct ModelBuilder<'a, B: Backend> {
    decoder: &'a Decoder,
    convention: Convention,
    rounds_inputs: bool,
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
            output_gate: decoder.output_gate(),
            rounds_inputs: false,
            delta_rule: decoder.delta_net.map(|sizes| DeltaRule {
                key_heads: sizes.key_heads as usize,
                value_heads: sizes.value_heads as usize,
                key_dim: sizes.key_dim as usize,
                value_dim: sizes.value_dim as usize,
                interleaved: false,
            }),
        }
    }
}

impl<'a, B: Backend> ModelBuilder<'a, B> {
    /// The model of an artifact, without weights.
    ///
    /// # Errors
    /// An artifact without a known architecture, or with missing or misshapen weights.
    pub fn of(inventory: &'a Inventory<'_>) -> std::result::Result<Self, LoadError> {
        let rounds_inputs = rounds_inputs(inventory)?;
        Ok(Self { rounds_inputs, ..Self::new(decoder(inventory)?, convention(inventory)) })
    }

    /// A model without weights.
    pub fn new(decoder: &'a Decoder, convention: Convention) -> Self {
        let layer = |_| LayerBuilder { matrices: HashMap::new(), vectors: HashMap::new() };
        let layers = decoder.layers.iter().map(layer).collect();
        Self {
            decoder,
            convention,
            rounds_inputs: false,
            embedding: None,
            head: None,
            final_norm: None,
            layers,
        }
    }

    /// Takes one weight to the device. A tensor that is not 2-D comes as a matrix of any shape.
    ///
    /// # Errors
    /// A vector that is not finite; a device that runs out of memory.
    pub fn put(
        &mut self,
        backend: &mut B,
        expected: &ExpectedTensor,
        matrix: Matrix,
    ) -> std::result::Result<(), LoadError> {
        self.place(backend, expected, Cow::Owned(matrix))
    }

    /// The same of a weight that other devices take, too.
    ///
    /// # Errors
    /// Those of [`ModelBuilder::put`].
    pub fn put_shared(
        &mut self,
        backend: &mut B,
        expected: &ExpectedTensor,
        matrix: &Matrix,
    ) -> std::result::Result<(), LoadError> {
        self.place(backend, expected, Cow::Borrowed(matrix))
    }

    /// Takes a matrix that is on the device.
    pub fn put_uploaded(&mut self, role: Role, matrix: B::Matrix) {
        match role {
            Role::Embedding => self.embedding = Some(matrix),
            Role::Head => self.head = Some(matrix),
            // A vector, which no caller has as a matrix.
            Role::FinalNorm => {}
            Role::Layer { layer, part } => {
                self.layers[layer as usize].matrices.insert(part, matrix);
            }
        }
    }

    fn place(
        &mut self,
        backend: &mut B,
        expected: &ExpectedTensor,
        matrix: Cow<'_, Matrix>,
    ) -> std::result::Result<(), LoadError> {
        match expected.role {
            role if expected.matrix().is_some() => self.put_uploaded(role, upload(backend, matrix)?),
            Role::Embedding | Role::Head => {
                return Err(Error::new(ErrorKind::WrongShape, "the embedding or the head is no matrix")
                    .within(&expected.name)
                    .into());
            }
            Role::FinalNorm => {
                let mut values = finite(expected, &matrix)?;
                self.uncentre(&mut values);
                self.final_norm = Some(backend.upload_vector(&values)?);
            }
            Role::Layer { layer, part } => {
                let values = self.layer_vector(part, expected, finite(expected, &matrix)?);
                if part == LayerPart::DecayLog && values.iter().any(|rate| *rate > 0.0) {
                    return Err(growing(expected).into());
                }
                self.layers[layer as usize].vectors.insert(part, backend.upload_vector(&values)?);
            }
        }
        Ok(())
    }

    /// The values of a layer's vector as the forward pass takes them.
    fn layer_vector(&self, part: LayerPart, expected: &ExpectedTensor, mut values: Vec<f32>) -> Vec<f32> {
        match part {
            LayerPart::InputNorm | LayerPart::PostAttentionNorm | LayerPart::QNorm | LayerPart::KNorm => {
                self.uncentre(&mut values);
                if matches!(part, LayerPart::QNorm | LayerPart::KNorm) {
                    let rotary = &self.decoder.rotary;
                    let turned = values.iter_mut().take(rotary.channels as usize);
                    turned.for_each(|value| *value *= rotary.attention_factor() as f32);
                }
                values
            }
            LayerPart::DecayLog if self.convention == Convention::LlamaCpp => values,
            LayerPart::DecayLog => values.into_iter().map(|log| -log.exp()).collect(),
            LayerPart::Convolution => {
                let taps = expected.shape.last().map_or(1, |&taps| taps as usize);
                let tap = |j: usize| values.iter().skip(j).step_by(taps).copied();
                (0..taps).flat_map(tap).collect()
            }
            _ => values,
        }
    }

    /// Undoes norms that a checkpoint stores as their difference from 1.
    fn uncentre(&self, values: &mut [f32]) {
        if self.decoder.family.defaults().centred_norms && self.convention == Convention::Checkpoint {
            values.iter_mut().for_each(|value| *value += 1.0);
        }
    }

    /// The complete model.
    ///
    /// # Errors
    /// A weight that did not come; a device that runs out of memory.
    pub fn finish(self, backend: &mut B) -> Result<Model<B>, LoadError> {
        let layers = self.layers.into_iter().zip(&self.decoder.layers);
        let mut shape = Shape::from(self.decoder);
        shape.rounds_inputs = self.rounds_inputs;
        if let Some(rule) = &mut shape.delta_rule {
            rule.interleaved = self.convention == Convention::LlamaCpp;
        }
        Ok(Model {
            shape,
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
            LayerType::LinearAttention => Mixer::DeltaNet(DeltaNetLayer {
                in_proj_qkv: self.unbiased(Part::MixedProj)?,
                in_proj_z: self.unbiased(Part::ZProj)?,
                in_proj_a: self.unbiased(Part::DecayProj)?,
                in_proj_b: self.unbiased(Part::BetaProj)?,
                conv: self.vector(Part::Convolution)?,
                rate: self.vector(Part::DecayLog)?,
                dt_bias: self.vector(Part::DecayBias)?,
                norm: self.vector(Part::DeltaNorm)?,
                out_proj: self.unbiased(Part::DeltaOut)?,
            }),
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

    fn unbiased(&mut self, weight: LayerPart) -> Result<Projection<B>> {
        Ok(Projection { weight: self.matrices.remove(&weight).ok_or_else(absent)?, bias: None })
    }

    fn vector(&mut self, part: LayerPart) -> Result<B::Vector> {
        self.vectors.remove(&part).ok_or_else(absent)
    }
}

fn upload<B: Backend>(
    backend: &mut B,
    matrix: Cow<'_, Matrix>,
) -> std::result::Result<B::Matrix, BackendError> {
    match matrix {
        Cow::Owned(matrix) => backend.upload_matrix(matrix),
        Cow::Borrowed(matrix) => backend.upload_shared(matrix),
    }
}

/// The values of a vector. One that is not finite would make everything after it so, or be lost in a
/// kernel that clamps it.
fn finite(expected: &ExpectedTensor, matrix: &Matrix) -> std::result::Result<Vec<f32>, LoadError> {
    let values = matrix.to_f32();
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(i) => Err(LoadError::NotFinite(
            Error::new(ErrorKind::BadValue, "a weight is not a finite number")
                .within(&expected.name)
                .expected_found("finite numbers", format!("{} at index {i}", values[i])),
        )),
    }
}

/// A rate above 0, which only a GGUF file can hold.
fn growing(expected: &ExpectedTensor) -> Error {
    Error::new(ErrorKind::BadValue, "a decay rate is above 0, so the state would grow")
        .within(&expected.name)
        .expected_found("-e^A_log, below 0", "a positive number")
}

/// The inventory has been checked for missing weights, so this happens only if it was not.
fn absent() -> Error {
    Error::new(ErrorKind::Missing, "a weight of the model was not loaded")
}
