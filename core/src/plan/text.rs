//! A plan as JSON text, and back.

use serde_json::Value;

use super::{CompressedRange, CompressionFormat, Convention, Plan, PlannedFile, PlannedTensor};
use crate::format::{Form, Layout, Parts};
use crate::inventory::{Stored, Weight};
use crate::json::{self, FromJson, fields};
use crate::model::{
    Decoder, DeltaNet, ExpectedTensor, Family, LayerPart, LayerType, Llama3Scaling, Presence, Role, Rotary,
    RotaryScaling, YarnScaling,
};
use crate::tensor::{BlockType, Dtype};
use crate::{Error, ErrorKind, Result};

const FAMILIES: [(&str, Family); 3] =
    [("qwen3", Family::Qwen3), ("qwen3_5", Family::Qwen35), ("llama", Family::Llama)];

const CONVENTIONS: [(&str, Convention); 3] =
    [("checkpoint", Convention::Checkpoint), ("mlx", Convention::Mlx), ("llama.cpp", Convention::LlamaCpp)];

const FORMATS: [(&str, CompressionFormat); 2] =
    [("deflate", CompressionFormat::Deflate), ("gzip", CompressionFormat::Gzip)];

const LAYER_TYPES: [(&str, LayerType); 2] =
    [("attention", LayerType::FullAttention), ("delta", LayerType::LinearAttention)];

const PARTS: [(&str, LayerPart); 27] = [
    ("input-norm", LayerPart::InputNorm),
    ("post-attention-norm", LayerPart::PostAttentionNorm),
    ("q", LayerPart::QProj),
    ("k", LayerPart::KProj),
    ("v", LayerPart::VProj),
    ("o", LayerPart::OProj),
    ("q-bias", LayerPart::QBias),
    ("k-bias", LayerPart::KBias),
    ("v-bias", LayerPart::VBias),
    ("o-bias", LayerPart::OBias),
    ("q-norm", LayerPart::QNorm),
    ("k-norm", LayerPart::KNorm),
    ("mixed", LayerPart::MixedProj),
    ("z", LayerPart::ZProj),
    ("beta", LayerPart::BetaProj),
    ("decay", LayerPart::DecayProj),
    ("convolution", LayerPart::Convolution),
    ("decay-log", LayerPart::DecayLog),
    ("decay-bias", LayerPart::DecayBias),
    ("delta-norm", LayerPart::DeltaNorm),
    ("delta-out", LayerPart::DeltaOut),
    ("gate", LayerPart::GateProj),
    ("up", LayerPart::UpProj),
    ("down", LayerPart::DownProj),
    ("gate-bias", LayerPart::GateBias),
    ("up-bias", LayerPart::UpBias),
    ("down-bias", LayerPart::DownBias),
];

const OF_MODEL: [(&str, Role); 3] =
    [("embedding", Role::Embedding), ("head", Role::Head), ("final-norm", Role::FinalNorm)];

fields! {
    /// A plan in JSON. Where something is one of several, it is a name of a table above.
    struct PlanText {
        family: String,
        convention: String,
        sizes: Sizes,
        layers: Vec<String>,
        rotary: RotaryText,
        delta_net: Option<DeltaNetText>,
        files: Vec<FileText>,
        tensors: Vec<TensorText>,
        weights: Vec<WeightText>,
    }
}

fields! {
    struct Sizes {
        hidden: u64,
        intermediate: u64,
        heads: u64,
        kv_heads: u64,
        head_dim: u64,
        vocabulary: u64,
        attention_bias: bool,
        mlp_bias: bool,
        tied: bool,
        rms_norm_eps: f64,
        max_positions: Option<u64>,
    }
}

fields! {
    struct RotaryText {
        theta: f64,
        channels: u64,
        scaling: Option<String>,
        numbers: Vec<f64>,
    }
}

fields! {
    struct DeltaNetText {
        key_heads: u64,
        value_heads: u64,
        key_dim: u64,
        value_dim: u64,
        taps: u64,
    }
}

fields! {
    struct FileText {
        file: u64,
        /// How some of its bytes are compressed; none of a file that holds tensors as they are.
        format: Option<String>,
        /// Offset and number of these bytes, and the number of those that they unpack to.
        range: Vec<u64>,
    }
}

fields! {
    struct TensorText {
        name: String,
        file: u64,
        offset: u64,
        bytes: u64,
    }
}

fields! {
    struct WeightText {
        name: String,
        role: String,
        /// None of those that belong to no layer.
        layer: Option<u32>,
        shape: Vec<u64>,
        /// The type of a dense weight's elements; none of a packed one.
        dtype: Option<String>,
        /// Dimensions as stored; of a packed weight its rows, columns, bases, rescue rows and columns of a scale.
        stored: Vec<u64>,
        /// The numbers of its tensors; of a packed weight those of its five parts.
        tensors: Vec<Option<u64>>,
    }
}

/// The name of a value of a table.
fn name<T: PartialEq>(table: &[(&str, T)], value: &T) -> String {
    table.iter().find(|(_, of)| of == value).map_or_else(String::new, |(name, _)| (*name).to_owned())
}

/// The value of this name.
fn named<T: Copy>(table: &[(&str, T)], wanted: &str) -> Result<T> {
    let found = table.iter().find(|(name, _)| *name == wanted);
    found.map(|(_, value)| *value).ok_or_else(|| unreadable(wanted))
}

fn unreadable(found: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, "the plan of the model can't be read")
        .expected_found("a plan of this version of the page", found)
        .hint("reload the page")
}

impl Plan {
    /// The plan as text.
    pub fn to_json(&self) -> String {
        // Of texts and numbers, so that writing it can't fail.
        serde_json::to_string(&PlanText::from(self)).unwrap_or_default()
    }

    /// The plan that [`Plan::to_json`] wrote.
    ///
    /// # Errors
    /// Another text.
    pub fn from_json(text: &str) -> Result<Self> {
        let value: Value = json::parse(text.as_bytes()).map_err(unreadable)?;
        PlanText::from_json(value).map_err(unreadable)?.read()
    }
}

impl From<&Plan> for PlanText {
    fn from(plan: &Plan) -> Self {
        let Plan { decoder, convention, files, tensors, weights } = plan;
        Self {
            family: name(&FAMILIES, &decoder.family),
            convention: name(&CONVENTIONS, convention),
            sizes: Sizes {
                hidden: decoder.hidden,
                intermediate: decoder.intermediate,
                heads: decoder.heads,
                kv_heads: decoder.kv_heads,
                head_dim: decoder.head_dim,
                vocabulary: decoder.vocabulary,
                attention_bias: decoder.attention_bias,
                mlp_bias: decoder.mlp_bias,
                tied: decoder.tied,
                rms_norm_eps: decoder.rms_norm_eps,
                max_positions: decoder.max_positions,
            },
            layers: decoder.layers.iter().map(|layer| name(&LAYER_TYPES, layer)).collect(),
            rotary: (&decoder.rotary).into(),
            delta_net: decoder.delta_net.map(|sizes| DeltaNetText {
                key_heads: sizes.key_heads,
                value_heads: sizes.value_heads,
                key_dim: sizes.key_dim,
                value_dim: sizes.value_dim,
                taps: sizes.taps,
            }),
            files: files.iter().map(FileText::from).collect(),
            tensors: tensors.iter().map(TensorText::from).collect(),
            weights: weights.iter().filter_map(WeightText::of).collect(),
        }
    }
}

impl From<&PlannedFile> for FileText {
    fn from(planned: &PlannedFile) -> Self {
        let range = planned.compressed.as_ref();
        Self {
            file: planned.file as u64,
            format: range.map(|range| name(&FORMATS, &range.format)),
            range: range.map_or_else(Vec::new, |r| vec![r.offset, r.stored_bytes, r.bytes]),
        }
    }
}

impl FileText {
    fn read(self) -> Result<PlannedFile> {
        let compressed = match (self.format, &self.range[..]) {
            (None, []) => None,
            (Some(format), &[offset, stored_bytes, bytes]) => {
                Some(CompressedRange { format: named(&FORMATS, &format)?, offset, stored_bytes, bytes })
            }
            (format, _) => return Err(unreadable(format.unwrap_or_default())),
        };
        Ok(PlannedFile { file: self.file as usize, compressed })
    }
}

impl From<&PlannedTensor> for TensorText {
    fn from(tensor: &PlannedTensor) -> Self {
        let PlannedTensor { name, file, offset, bytes } = tensor;
        Self { name: name.clone(), file: *file as u64, offset: *offset, bytes: *bytes }
    }
}

impl From<&Rotary> for RotaryText {
    fn from(rotary: &Rotary) -> Self {
        let (scaling, numbers) = match &rotary.scaling {
            None => (None, Vec::new()),
            Some(RotaryScaling::Llama3(s)) => {
                (Some("llama3"), vec![s.factor, s.low, s.high, s.original_positions])
            }
            Some(RotaryScaling::Linear(factor)) => (Some("linear"), vec![*factor]),
            Some(RotaryScaling::Yarn(s)) => (Some("yarn"), vec![s.factor, s.attention_factor, s.low, s.high]),
            Some(RotaryScaling::Divided(by)) => {
                (Some("divided"), by.iter().copied().map(f64::from).collect())
            }
        };
        Self { theta: rotary.theta, channels: rotary.channels, scaling: scaling.map(str::to_owned), numbers }
    }
}

impl WeightText {
    /// None of a weight that no plan holds.
    fn of(weight: &Weight) -> Option<Self> {
        let expected = weight.expected.as_ref()?;
        let (role, layer) = match expected.role {
            Role::Layer { layer, part } => (name(&PARTS, &part), Some(layer)),
            other => (name(&OF_MODEL, &other), None),
        };
        let number = |index: usize| index as u64;
        let (dtype, stored, tensors) = match (&weight.stored, &weight.form) {
            (Stored::Plain { dtype, shape }, Form::Plain { index }) => {
                (Some(dtype.name().to_owned()), shape.clone(), vec![Some(number(*index))])
            }
            (Stored::Bitpacked(layout), Form::Bitpacked { parts }) => {
                let sizes =
                    [layout.rows(), layout.cols(), layout.bases(), layout.rescued(), layout.scale_group()];
                (None, sizes.into(), parts.iter().map(|(_, index)| index.map(number)).collect())
            }
            _ => return None,
        };
        let shape = expected.shape.clone();
        Some(Self { name: weight.name.clone(), role, layer, shape, dtype, stored, tensors })
    }

    fn read(self, tensors: usize, layers: usize) -> Result<Weight> {
        let role = match self.layer {
            None => named(&OF_MODEL, &self.role)?,
            Some(layer) if (layer as usize) < layers => {
                Role::Layer { layer, part: named(&PARTS, &self.role)? }
            }
            Some(layer) => return Err(unreadable(format!("layer {layer}"))),
        };
        let index = |number: Option<u64>| match number {
            Some(number) if number >= tensors as u64 => Err(unreadable(format!("tensor {number}"))),
            number => Ok(number.map(|number| number as usize)),
        };
        let indices = self.tensors.into_iter().map(index).collect::<Result<Vec<_>>>()?;
        let (stored, form) = match (self.dtype, &self.stored[..], &indices[..]) {
            (Some(dtype), _, &[Some(index)]) => {
                let (dtype, shape) = (read_dtype(&dtype)?, self.stored);
                (Stored::Plain { dtype, shape }, Form::Plain { index })
            }
            (None, &[rows, cols, bases, rescued, scale_group], &[a, b, c, d, e]) => {
                let layout = Layout::new(rows, cols, bases, rescued, scale_group)?;
                (Stored::Bitpacked(layout), Form::Bitpacked { parts: Parts::new([a, b, c, d, e]) })
            }
            _ => return Err(unreadable(self.name)),
        };
        let expected =
            ExpectedTensor { name: self.name.clone(), shape: self.shape, role, presence: Presence::Required };
        Ok(Weight { name: self.name, expected: Some(expected), stored, form })
    }
}

fn read_dtype(name: &str) -> Result<Dtype> {
    let block = || BlockType::all().find(|block| block.name() == name).map(Dtype::Block);
    Dtype::from_name(name).or_else(block).ok_or_else(|| unreadable(name))
}

impl RotaryText {
    fn read(self) -> Result<Rotary> {
        let scaling = match (self.scaling.as_deref(), &self.numbers[..]) {
            (None, _) => None,
            (Some("llama3"), &[factor, low, high, original_positions]) => {
                Some(RotaryScaling::Llama3(Llama3Scaling { factor, low, high, original_positions }))
            }
            (Some("linear"), &[factor]) => Some(RotaryScaling::Linear(factor)),
            (Some("yarn"), &[factor, attention_factor, low, high]) => {
                Some(RotaryScaling::Yarn(YarnScaling { factor, attention_factor, low, high }))
            }
            // Each was an f32.
            (Some("divided"), by) => Some(RotaryScaling::Divided(by.iter().map(|&by| by as f32).collect())),
            (Some(other), _) => return Err(unreadable(other)),
        };
        Ok(Rotary { theta: self.theta, channels: self.channels, scaling })
    }
}

impl PlanText {
    fn read(self) -> Result<Plan> {
        let layers =
            self.layers.iter().map(|layer| named(&LAYER_TYPES, layer)).collect::<Result<Vec<_>>>()?;
        let (count, sizes) = (layers.len(), self.sizes);
        let decoder = Decoder {
            family: named(&FAMILIES, &self.family)?,
            hidden: sizes.hidden,
            intermediate: sizes.intermediate,
            layers,
            heads: sizes.heads,
            kv_heads: sizes.kv_heads,
            head_dim: sizes.head_dim,
            vocabulary: sizes.vocabulary,
            attention_bias: sizes.attention_bias,
            mlp_bias: sizes.mlp_bias,
            tied: sizes.tied,
            rms_norm_eps: sizes.rms_norm_eps,
            rotary: self.rotary.read()?,
            max_positions: sizes.max_positions,
            not_evaluated: None,
            delta_net: self.delta_net.map(|sizes| DeltaNet {
                key_heads: sizes.key_heads,
                value_heads: sizes.value_heads,
                key_dim: sizes.key_dim,
                value_dim: sizes.value_dim,
                taps: sizes.taps,
            }),
        };
        let convention = named(&CONVENTIONS, &self.convention)?;
        let files = self.files.into_iter().map(FileText::read).collect::<Result<Vec<_>>>()?;
        let tensors = self.tensors.into_iter().map(|TensorText { name, file, offset, bytes }| {
            if file >= files.len() as u64 {
                return Err(unreadable(format!("file {file}")));
            }
            Ok(PlannedTensor { name, file: file as usize, offset, bytes })
        });
        let tensors = tensors.collect::<Result<Vec<_>>>()?;
        let weights = self.weights.into_iter().map(|weight| weight.read(tensors.len(), count));
        let weights = weights.collect::<Result<_>>()?;
        Ok(Plan { decoder, convention, files, tensors, weights })
    }
}

#[cfg(test)]
mod tests;
