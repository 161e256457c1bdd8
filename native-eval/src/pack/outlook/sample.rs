//! A small dense model, packed to see how long that takes.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use bitgauge_core::{Dtype, Result};
use serde_json::json;

use super::failed;
use crate::pack::safetensors::{TensorSpec, Writer};
use crate::pack::{Calibration, PackSettings, pack};
use crate::source::Source;

/// Sizes of the model: whole blocks of columns, and small enough for a second or two.
const HIDDEN: u64 = 512;
const INTERMEDIATE: u64 = 1536;
const HEAD_DIM: u64 = 64;
const HEADS: u64 = 8;
const KV_HEADS: u64 = 4;
const VOCABULARY: u64 = 512;

/// How long packing takes on this machine with these settings, for each parameter.
pub(super) fn seconds_per_parameter(settings: &PackSettings) -> Result<f64> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let model = folder.path().join("model");
    let parameters = write(&model).map_err(failed)?;
    let mut settings = settings.clone();
    if let Calibration::Documents(documents) = &mut settings.calibration {
        documents.iter_mut().flatten().for_each(|token| *token %= VOCABULARY as u32);
    }
    let begin = Instant::now();
    pack(&mut Source::open(&model)?, &folder.path().join("out.zip"), &settings, &mut |_, _, _| {})?;
    Ok(begin.elapsed().as_secs_f64() / parameters as f64)
}

/// Writes the model, one layer of Qwen3 with random weights. Gives its parameters.
fn write(folder: &Path) -> io::Result<u64> {
    fs::create_dir(folder)?;
    let config = json!({
        "model_type": "qwen3", "hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE, "num_hidden_layers": 1,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM,
        "vocab_size": VOCABULARY, "tie_word_embeddings": true, "rms_norm_eps": 1e-6, "rope_theta": 10_000.0,
        "hidden_act": "silu",
    });
    fs::write(folder.join("config.json"), config.to_string())?;
    let tensors = tensors();
    let parameters = tensors.iter().map(|tensor| tensor.shape.iter().product::<u64>()).sum();
    let mut writer = Writer::create(&folder.join("model.safetensors"), tensors.clone())?;
    let mut state = 1_u64;
    for tensor in tensors {
        let values = (0..tensor.shape.iter().product::<u64>()).flat_map(|_| random(&mut state).to_le_bytes());
        writer.write(&tensor.name, 0, &values.collect::<Vec<u8>>())?;
    }
    writer.finish()?;
    Ok(parameters)
}

fn tensors() -> Vec<TensorSpec> {
    let tensor = |name: &str, shape: &[u64]| TensorSpec {
        name: name.to_owned(),
        dtype: Dtype::F32,
        shape: shape.to_vec(),
    };
    let layer = |name: &str, shape: &[u64]| tensor(&format!("model.layers.0.{name}.weight"), shape);
    vec![
        tensor("model.embed_tokens.weight", &[VOCABULARY, HIDDEN]),
        tensor("model.norm.weight", &[HIDDEN]),
        layer("input_layernorm", &[HIDDEN]),
        layer("post_attention_layernorm", &[HIDDEN]),
        layer("self_attn.q_proj", &[HEADS * HEAD_DIM, HIDDEN]),
        layer("self_attn.k_proj", &[KV_HEADS * HEAD_DIM, HIDDEN]),
        layer("self_attn.v_proj", &[KV_HEADS * HEAD_DIM, HIDDEN]),
        layer("self_attn.o_proj", &[HIDDEN, HEADS * HEAD_DIM]),
        layer("self_attn.q_norm", &[HEAD_DIM]),
        layer("self_attn.k_norm", &[HEAD_DIM]),
        layer("mlp.gate_proj", &[INTERMEDIATE, HIDDEN]),
        layer("mlp.up_proj", &[INTERMEDIATE, HIDDEN]),
        layer("mlp.down_proj", &[HIDDEN, INTERMEDIATE]),
    ]
}

/// The next of some numbers around 0, by xorshift64.
fn random(state: &mut u64) -> f32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 40) as f32 / (1 << 24) as f32 - 0.5
}
