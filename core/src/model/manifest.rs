//! The tensors that a model must consist of.

use std::collections::HashMap;

use super::arch::{Architecture, Decoder, DeltaNet, LayerType};
use super::family::Family;
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
    /// `[heads * d, H]`; where attention's output is gated `[heads * 2 d, H]`, a head's gate behind
    /// its query.
    QProj,
    /// `[kv_heads * d, H]`.
    KProj,
    /// `[kv_heads * d, H]`.
    VProj,
    /// `[H, heads * d]`.
    OProj,
    /// As long as `QProj` has rows, in models with `attention_bias`.
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
    /// `[2 K + V, H]` of gated DeltaNet, with K the width of all key heads and V that of all value
    /// heads: queries, keys and values.
    MixedProj,
    /// `[V, H]` of gated DeltaNet: the gate of its output.
    ZProj,
    /// `[value heads, H]` of gated DeltaNet: how much each head writes.
    BetaProj,
    /// `[value heads, H]` of gated DeltaNet: how much each head forgets.
    DecayProj,
    /// `[2 K + V, 1, taps]`, the causal convolution of gated DeltaNet.
    Convolution,
    /// `[value heads]`, the logarithm of each head's decay rate.
    DecayLog,
    /// `[value heads]`, added to `DecayProj`'s output.
    DecayBias,
    /// `[channels of a value head]`, the gated norm of DeltaNet's output.
    DeltaNorm,
    /// `[H, V]` of gated DeltaNet.
    DeltaOut,
    /// `[I, H]`, the gate of the MLP.
    GateProj,
    /// `[I, H]`.
    UpProj,
    /// `[H, I]`.
    DownProj,
    /// `[I]`, in models with `mlp_bias`.
    GateBias,
    /// `[I]`, in models with `mlp_bias`.
    UpBias,
    /// `[H]`, in models with `mlp_bias`.
    DownBias,
}

/// Whether a tensor has to be in the artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It must be stored, and its parameters count.
    Required,
    /// A tied model's head: it may be stored (some published models do), and its parameters are those of the embedding.
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

/// Names of a multimodal checkpoint's decoder begin with the first where the decoder's own begin with
/// the second.
const NESTED: [&str; 2] = ["model.language_model.", "model."];
/// Beginnings of the names of what a qwen3_5 checkpoint holds beside the text decoder: the vision
/// tower, as transformers and as MLX name it, and the head for multi-token prediction.
const BESIDE_DECODER: [&str; 3] = ["model.visual.", "mtp.", "vision_tower."];

/// Every tensor of a model of a known family, in the order of the forward pass.
#[derive(Debug, Clone)]
pub struct Manifest {
    tensors: Vec<ExpectedTensor>,
    by_name: HashMap<String, usize>,
    family: Family,
}

// The largest model that the caps allow has a parameter count that fits u64 (at most 9 matrices a
// layer, embedding and head, each at most MODEL_DIMENSION squared), so the counts below can't overflow.
const _: () = {
    let matrices = 10 * limits::LAYERS_COUNT as u128 + 2;
    let matrix = limits::MODEL_DIMENSION as u128 * limits::MODEL_DIMENSION as u128;
    assert!(matrices * matrix <= u64::MAX as u128);
};

impl Manifest {
    /// The tensors of `architecture`, or `None` for a family that is not known.
    pub fn new(architecture: &Architecture) -> Option<Self> {
        match architecture {
            Architecture::Decoder(model) => Some(Self::of(model)),
            Architecture::Unknown { .. } => None,
        }
    }

    /// The tensors of a decoder.
    pub fn of(model: &Decoder) -> Self {
        let tensors = decoder(model);
        let by_name = tensors.iter().enumerate().map(|(i, tensor)| (tensor.name.clone(), i)).collect();
        Self { tensors, by_name, family: model.family }
    }

    /// All tensors, in the order of the forward pass.
    pub fn tensors(&self) -> &[ExpectedTensor] {
        &self.tensors
    }

    /// The tensor called `name`. In qwen3_5 the decoder's names may begin with
    /// `model.language_model.` instead of `model.`, as they do in checkpoints with vision.
    pub fn get(&self, name: &str) -> Option<&ExpectedTensor> {
        let find = |name: &str| self.by_name.get(name).map(|&i| &self.tensors[i]);
        let [nested, own] = NESTED;
        match name.strip_prefix(nested).filter(|_| self.family.defaults().nested) {
            Some(rest) => find(&format!("{own}{rest}")),
            None => find(name),
        }
    }

    /// The head becomes a matrix of its own.
    pub(crate) fn untie(&mut self) {
        self.tensors.iter_mut().for_each(|tensor| tensor.presence = Presence::Required);
    }

    /// Whether a tensor of this name belongs to what a checkpoint may hold beside the text decoder.
    pub fn is_beside_decoder(&self, name: &str) -> bool {
        self.family.defaults().nested && BESIDE_DECODER.into_iter().any(|start| name.starts_with(start))
    }

    /// Distinct registered parameters: a tied head counts once, with the embedding.
    pub fn parameter_count(&self) -> u64 {
        let required = self.tensors.iter().filter(|tensor| tensor.presence == Presence::Required);
        required.map(ExpectedTensor::elements).sum()
    }
}

/// Name without `model.layers.N.`, role and shape of one tensor of a layer.
type LayerTensor = (&'static str, LayerPart, Vec<u64>);

fn decoder(model: &Decoder) -> Vec<ExpectedTensor> {
    let tensor = |name: &str, shape: &[u64], role| ExpectedTensor {
        name: name.to_owned(),
        shape: shape.to_vec(),
        role,
        presence: Presence::Required,
    };
    let matrix = [model.vocabulary, model.hidden];
    let mut tensors = vec![tensor("model.embed_tokens.weight", &matrix, Role::Embedding)];
    for (layer, layer_type) in (0..).zip(&model.layers) {
        tensors.extend(decoder_layer(model, *layer_type).into_iter().map(|(suffix, part, shape)| {
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

fn decoder_layer(model: &Decoder, layer_type: LayerType) -> Vec<LayerTensor> {
    let hidden = model.hidden;
    let mut tensors = vec![("input_layernorm.weight", LayerPart::InputNorm, vec![hidden])];
    match (layer_type, &model.delta_net) {
        (LayerType::LinearAttention, Some(sizes)) => tensors.extend(delta_net(hidden, sizes)),
        _ => tensors.extend(attention(model)),
    }
    tensors.push(("post_attention_layernorm.weight", LayerPart::PostAttentionNorm, vec![hidden]));
    tensors.extend(mlp(model));
    tensors
}

fn attention(model: &Decoder) -> Vec<LayerTensor> {
    let (hidden, d) = (model.hidden, model.head_dim);
    let (mixed, kv) = (model.query_width(), model.kv_width());
    let q = if model.output_gate() { 2 * mixed } else { mixed };
    let mut tensors = vec![
        ("self_attn.q_proj.weight", LayerPart::QProj, vec![q, hidden]),
        ("self_attn.k_proj.weight", LayerPart::KProj, vec![kv, hidden]),
        ("self_attn.v_proj.weight", LayerPart::VProj, vec![kv, hidden]),
    ];
    if model.family.defaults().query_key_norm {
        tensors.extend([
            ("self_attn.q_norm.weight", LayerPart::QNorm, vec![d]),
            ("self_attn.k_norm.weight", LayerPart::KNorm, vec![d]),
        ]);
    }
    tensors.push(("self_attn.o_proj.weight", LayerPart::OProj, vec![hidden, mixed]));
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

fn delta_net(hidden: u64, sizes: &DeltaNet) -> [LayerTensor; 9] {
    let (heads, values, mixed) = (sizes.value_heads, sizes.value_width(), sizes.mixed_width());
    [
        ("linear_attn.in_proj_qkv.weight", LayerPart::MixedProj, vec![mixed, hidden]),
        ("linear_attn.in_proj_z.weight", LayerPart::ZProj, vec![values, hidden]),
        ("linear_attn.in_proj_b.weight", LayerPart::BetaProj, vec![heads, hidden]),
        ("linear_attn.in_proj_a.weight", LayerPart::DecayProj, vec![heads, hidden]),
        ("linear_attn.conv1d.weight", LayerPart::Convolution, vec![mixed, 1, sizes.taps]),
        ("linear_attn.A_log", LayerPart::DecayLog, vec![heads]),
        ("linear_attn.dt_bias", LayerPart::DecayBias, vec![heads]),
        ("linear_attn.norm.weight", LayerPart::DeltaNorm, vec![sizes.value_dim]),
        ("linear_attn.out_proj.weight", LayerPart::DeltaOut, vec![hidden, values]),
    ]
}

fn mlp(model: &Decoder) -> Vec<LayerTensor> {
    let (hidden, wide) = (model.hidden, model.intermediate);
    let mut tensors = vec![
        ("mlp.gate_proj.weight", LayerPart::GateProj, vec![wide, hidden]),
        ("mlp.up_proj.weight", LayerPart::UpProj, vec![wide, hidden]),
        ("mlp.down_proj.weight", LayerPart::DownProj, vec![hidden, wide]),
    ];
    if model.mlp_bias {
        tensors.extend([
            ("mlp.gate_proj.bias", LayerPart::GateBias, vec![wide]),
            ("mlp.up_proj.bias", LayerPart::UpBias, vec![wide]),
            ("mlp.down_proj.bias", LayerPart::DownBias, vec![hidden]),
        ]);
    }
    tensors
}
