//! From llama.cpp's tensor names to those of a checkpoint.

use crate::container::TensorEntry;
use crate::model::Family;

/// Names outside the layers.
const GLOBAL: [(&str, &str); 3] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// Names behind `blk.N.` and behind `model.layers.N.`, in every family.
const LAYER: [(&str, &str); 14] = [
    ("attn_norm.weight", "input_layernorm.weight"),
    ("attn_q.weight", "self_attn.q_proj.weight"),
    ("attn_k.weight", "self_attn.k_proj.weight"),
    ("attn_v.weight", "self_attn.v_proj.weight"),
    ("attn_output.weight", "self_attn.o_proj.weight"),
    ("attn_q.bias", "self_attn.q_proj.bias"),
    ("attn_k.bias", "self_attn.k_proj.bias"),
    ("attn_v.bias", "self_attn.v_proj.bias"),
    ("attn_output.bias", "self_attn.o_proj.bias"),
    ("attn_q_norm.weight", "self_attn.q_norm.weight"),
    ("attn_k_norm.weight", "self_attn.k_norm.weight"),
    ("ffn_gate.weight", "mlp.gate_proj.weight"),
    ("ffn_up.weight", "mlp.up_proj.weight"),
    ("ffn_down.weight", "mlp.down_proj.weight"),
];

/// The norm in front of the MLP in families without DeltaNet.
const PLAIN: [(&str, &str); 1] = [("ffn_norm.weight", "post_attention_layernorm.weight")];

/// Names in families with DeltaNet beside those.
const DELTA_NET: [(&str, &str); 10] = [
    ("post_attention_norm.weight", "post_attention_layernorm.weight"),
    ("attn_qkv.weight", "linear_attn.in_proj_qkv.weight"),
    ("attn_gate.weight", "linear_attn.in_proj_z.weight"),
    ("ssm_beta.weight", "linear_attn.in_proj_b.weight"),
    ("ssm_alpha.weight", "linear_attn.in_proj_a.weight"),
    ("ssm_conv1d.weight", CONVOLUTION),
    ("ssm_a", "linear_attn.A_log"),
    ("ssm_dt.bias", "linear_attn.dt_bias"),
    ("ssm_norm.weight", "linear_attn.norm.weight"),
    ("ssm_out.weight", "linear_attn.out_proj.weight"),
];

const CONVOLUTION: &str = "linear_attn.conv1d.weight";

/// Gives each tensor its name in a checkpoint; one that has none keeps its own, and so will be reported
/// as unknown. Layers from `layers` on predict further tokens.
pub(super) fn translate(
    mut tensors: Vec<TensorEntry>,
    family: Option<Family>,
    layers: u64,
) -> Vec<TensorEntry> {
    let Some(family) = family else { return tensors };
    for tensor in &mut tensors {
        let Some(name) = name(&tensor.name, family, layers) else { continue };
        // A checkpoint has the one input channel of the depthwise convolution as a dimension.
        if let (true, [channels, taps]) = (name.ends_with(CONVOLUTION), &tensor.shape[..]) {
            tensor.shape = vec![*channels, 1, *taps];
        }
        tensor.name = name;
    }
    tensors
}

fn name(name: &str, family: Family, layers: u64) -> Option<String> {
    let find = |table: &[(&str, &'static str)], name: &str| {
        table.iter().find(|(own, _)| *own == name).map(|(_, checkpoint)| *checkpoint)
    };
    let Some((layer, rest)) = name.strip_prefix("blk.").and_then(|name| name.split_once('.')) else {
        return find(&GLOBAL, name).map(str::to_owned);
    };
    let has_delta_net = family.defaults().full_attention_interval.is_some();
    if has_delta_net && layer.parse::<u64>().is_ok_and(|layer| layer >= layers) {
        return Some(format!("mtp.{name}"));
    }
    let more: &[(&str, &'static str)] = if has_delta_net { &DELTA_NET } else { &PLAIN };
    let rest = find(&LAYER, rest).or_else(|| find(more, rest))?;
    Some(format!("model.layers.{layer}.{rest}"))
}
