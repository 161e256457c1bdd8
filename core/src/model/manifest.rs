//! The tensors that a model must consist of.

use std::collections::HashMap;

use super::arch::{Architecture, Qwen3};
use crate::limits;

/// What a tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// `[vocabulary, hidden]`, one row per token id.
    Embedding,
    /// `[vocabulary, hidden]`, the output head.
    Head,
    /// `[hidden]`, the norm before the head.
    FinalNorm,
    /// A tensor of one decoder layer.
    Layer {
        /// Which layer, from 0.
        layer: u32,
        /// What it is for there.
        part: LayerPart,
    },
}

/// What a tensor of a decoder layer is for. `H` is the hidden size, `I` the MLP width, `d` the
/// channels of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerPart {
    /// `[H]`, the norm before attention.
    InputNorm,
    /// `[H]`, the norm before the MLP.
    PostAttentionNorm,
    /// `[heads * d, H]`.
    QProj,
    /// `[kv_heads * d, H]`.
    KProj,
    /// `[kv_heads * d, H]`.
    VProj,
    /// `[H, heads * d]`.
    OProj,
    /// `[heads * d]`, in models with `attention_bias`.
    QBias,
    /// `[kv_heads * d]`, in models with `attention_bias`.
    KBias,
    /// `[kv_heads * d]`, in models with `attention_bias`.
    VBias,
    /// `[H]`, in models with `attention_bias`.
    OBias,
    /// `[d]`, applied to each query head.
    QNorm,
    /// `[d]`, applied to each key head.
    KNorm,
    /// `[I, H]`, the gate of the MLP.
    GateProj,
    /// `[I, H]`.
    UpProj,
    /// `[H, I]`.
    DownProj,
}

/// Whether a tensor has to be in the artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It must be stored, and its parameters count.
    Required,
    /// A tied model's head: it may be stored (some published models do), is not used, and its
    /// parameters are those of the embedding.
    TiedCopy,
}

/// One tensor that a model may or must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedTensor {
    /// Its name in the artifact, before packing: `model.norm.weight`.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
    /// What it is for.
    pub role: Role,
    /// Whether it has to be there.
    pub presence: Presence,
}

impl ExpectedTensor {
    /// Number of parameters. [`limits`] keeps the product within u64.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// `[rows, cols]` of a 2-D weight, which is what can be packed.
    pub fn matrix(&self) -> Option<[u64; 2]> {
        self.shape.as_slice().try_into().ok()
    }
}

/// Every tensor of a model of a known family, in the order of the forward pass.
#[derive(Debug, Clone)]
pub struct Manifest {
    tensors: Vec<ExpectedTensor>,
    by_name: HashMap<String, usize>,
}

// The largest model that the caps allow has a parameter count that fits u64 (7 matrices a layer,
// embedding and head, each at most MODEL_DIMENSION squared), so the counts below can't overflow.
const _: () = {
    let matrices = 8 * limits::LAYERS_COUNT as u128 + 2;
    let matrix = limits::MODEL_DIMENSION as u128 * limits::MODEL_DIMENSION as u128;
    assert!(matrices * matrix <= u64::MAX as u128);
};

impl Manifest {
    /// The tensors of `architecture`, or `None` for a family that is not known.
    pub fn new(architecture: &Architecture) -> Option<Self> {
        let tensors = match architecture {
            Architecture::Qwen3(model) => qwen3(model),
            Architecture::Unknown { .. } => return None,
        };
        let by_name = tensors.iter().enumerate().map(|(i, tensor)| (tensor.name.clone(), i)).collect();
        Some(Self { tensors, by_name })
    }

    /// All tensors, in the order of the forward pass.
    pub fn tensors(&self) -> &[ExpectedTensor] {
        &self.tensors
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&ExpectedTensor> {
        self.by_name.get(name).map(|&i| &self.tensors[i])
    }

    /// Distinct registered parameters: a tied head counts once, with the embedding.
    pub fn parameter_count(&self) -> u64 {
        let required = self.tensors.iter().filter(|tensor| tensor.presence == Presence::Required);
        required.map(ExpectedTensor::elements).sum()
    }
}

fn qwen3(model: &Qwen3) -> Vec<ExpectedTensor> {
    let tensor = |name: &str, shape: &[u64], role| ExpectedTensor {
        name: name.to_owned(),
        shape: shape.to_vec(),
        role,
        presence: Presence::Required,
    };
    let matrix = [model.vocabulary, model.hidden];
    let mut tensors = vec![tensor("model.embed_tokens.weight", &matrix, Role::Embedding)];
    for layer in 0..model.layers as u32 {
        tensors.extend(qwen3_layer(model).into_iter().map(|(suffix, part, shape)| {
            tensor(&format!("model.layers.{layer}.{suffix}"), &shape, Role::Layer { layer, part })
        }));
    }
    tensors.push(tensor("model.norm.weight", &[model.hidden], Role::FinalNorm));
    let mut head = tensor("lm_head.weight", &matrix, Role::Head);
    if model.tied {
        head.presence = Presence::TiedCopy;
    }
    tensors.push(head);
    tensors
}

/// Name without `model.layers.N.`, role and shape of each tensor of one layer.
fn qwen3_layer(model: &Qwen3) -> Vec<(&'static str, LayerPart, Vec<u64>)> {
    let (hidden, wide, d) = (model.hidden, model.intermediate, model.head_dim);
    let (q, kv) = (model.query_width(), model.kv_width());
    let mut tensors = vec![
        ("input_layernorm.weight", LayerPart::InputNorm, vec![hidden]),
        ("self_attn.q_proj.weight", LayerPart::QProj, vec![q, hidden]),
        ("self_attn.k_proj.weight", LayerPart::KProj, vec![kv, hidden]),
        ("self_attn.v_proj.weight", LayerPart::VProj, vec![kv, hidden]),
        ("self_attn.q_norm.weight", LayerPart::QNorm, vec![d]),
        ("self_attn.k_norm.weight", LayerPart::KNorm, vec![d]),
        ("self_attn.o_proj.weight", LayerPart::OProj, vec![hidden, q]),
        ("post_attention_layernorm.weight", LayerPart::PostAttentionNorm, vec![hidden]),
        ("mlp.gate_proj.weight", LayerPart::GateProj, vec![wide, hidden]),
        ("mlp.up_proj.weight", LayerPart::UpProj, vec![wide, hidden]),
        ("mlp.down_proj.weight", LayerPart::DownProj, vec![hidden, wide]),
    ];
    if model.attention_bias {
        tensors.extend([
            ("self_attn.q_proj.bias", LayerPart::QBias, vec![q]),
            ("self_attn.k_proj.bias", LayerPart::KBias, vec![kv]),
            ("self_attn.v_proj.bias", LayerPart::VBias, vec![kv]),
            ("self_attn.o_proj.bias", LayerPart::OBias, vec![hidden]),
        ]);
    }
    tensors
}
