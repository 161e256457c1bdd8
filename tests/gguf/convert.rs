//! From a model folder to a GGUF file in llama.cpp's conventions, written from their description.

use std::fs;
use std::path::Path;

use bitgauge_core::format::{self, Form, Part};
use bitgauge_core::inventory::{Inventory, Stored};
use bitgauge_core::model::{Architecture, Config, Decoder, Family, Rotary};
use conformance::dense::write_random_model;
use conformance::{GgmlType, GgufFile, Meta};
use native_eval::Source;

/// How matrices are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    F32,
    Q1_0,
}

/// A convention that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Norms without the 1 that they are stored about.
    CentredNorms,
    /// The logarithm of the decay rate in place of the rate.
    LogDecay,
    /// Value heads in the checkpoint's order.
    OrderedHeads,
    /// Queries and keys in the checkpoint's order of channels.
    UnturnedHeads,
    /// No tensor of what the rotary frequencies are divided by.
    PlainFrequencies,
}

type Result<T> = std::result::Result<T, String>;

/// Writes the model at `from` as a GGUF file.
pub fn convert(from: &Path, to: &Path, target: Target, fault: Option<Fault>) -> Result<()> {
    convert_with(from, to, target, fault, &mut |_| Ok(None))
}

/// What is stored in place of a matrix of these rows and columns; nothing where its own values are.
pub type Replace<'a> = &'a mut dyn FnMut([u64; 2]) -> Result<Option<(GgmlType, Vec<u8>)>>;

/// The same, with other values in some matrices.
pub fn convert_with(
    from: &Path,
    to: &Path,
    target: Target,
    fault: Option<Fault>,
    replace: Replace,
) -> Result<()> {
    let mut source = Source::open(from).map_err(|e| e.to_string())?;
    let artifact = source.artifact().clone();
    let inventory = Inventory::of(&artifact).map_err(|e| e.to_string())?;
    let Some(Architecture::Decoder(decoder)) = inventory.config.as_ref().map(Config::architecture) else {
        return Err("no decoder".into());
    };
    let mut file = GgufFile::default();
    metadata(&mut file, decoder);
    if decoder.rotary.scaling.is_some() && fault != Some(Fault::PlainFrequencies) {
        let plain = Rotary { scaling: None, ..decoder.rotary.clone() }.frequencies();
        let scaled = decoder.rotary.frequencies();
        let divisors = plain.iter().zip(&scaled).flat_map(|(plain, scaled)| (plain / scaled).to_le_bytes());
        file.tensor("rope_freqs.weight", &[plain.len() as u64], GgmlType::F32, divisors.collect());
    }
    for weight in &inventory.weights {
        let Some(expected) = &weight.expected else { continue };
        let name = gguf_name(&expected.name, decoder.family);
        let mut read = |index: usize| source.read_tensor(&artifact.tensors[index]).map_err(|e| e.to_string());
        match (&weight.form, &weight.stored) {
            (Form::Bitpacked { parts }, Stored::Bitpacked(layout)) if target == Target::Q1_0 => {
                let part = |part: Part| parts[part].ok_or("a part is missing".to_owned());
                let (sign, scale) = (read(part(Part::Sign)?)?, read(part(Part::Scale)?)?);
                let blocks = scale.chunks_exact(2).zip(sign.chunks_exact(16));
                let bytes = blocks.flat_map(|(scale, sign)| [scale, sign].concat()).collect();
                file.tensor(&name, &[layout.rows(), layout.cols()], GgmlType::Q1_0, bytes);
            }
            (Form::Plain { index }, Stored::Plain { dtype, shape }) => {
                if let [rows, cols] = shape[..]
                    && let Some((kind, bytes)) = replace([rows, cols])?
                {
                    file.tensor(&name, shape, kind, bytes);
                    continue;
                }
                let values = format::decode_values(&weight.name, *dtype, &read(*index)?);
                let values = values.map_err(|e| e.to_string())?.to_f32();
                let shape: Vec<u64> =
                    shape.iter().copied().filter(|dim| shape.len() < 3 || *dim != 1).collect();
                let values = stored(&expected.name, decoder, &shape, values, fault);
                let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                file.tensor(&name, &shape, GgmlType::F32, bytes);
            }
            _ => return Err(format!("{} can't be converted", weight.name)),
        }
    }
    fs::write(to, file.bytes()).map_err(|e| e.to_string())
}

/// The keys that describe a model.
pub fn metadata(file: &mut GgufFile, model: &Decoder) {
    let architecture = match model.family {
        Family::Qwen3 => "qwen3",
        Family::Qwen35 => "qwen35",
        Family::Llama => "llama",
    };
    file.key("general.architecture", Meta::Text(architecture.into()));
    let mut numbers = vec![
        ("block_count", model.layers.len() as u64),
        ("embedding_length", model.hidden),
        ("feed_forward_length", model.intermediate),
        ("attention.head_count", model.heads),
        ("attention.head_count_kv", model.kv_heads),
        ("attention.key_length", model.head_dim),
        ("attention.value_length", model.head_dim),
        ("rope.dimension_count", model.rotary.channels),
    ];
    if let Some(sizes) = model.delta_net {
        numbers.extend([
            ("ssm.conv_kernel", sizes.taps),
            ("ssm.state_size", sizes.key_dim),
            ("ssm.group_count", sizes.key_heads),
            ("ssm.time_step_rank", sizes.value_heads),
            ("ssm.inner_size", sizes.value_width()),
            ("full_attention_interval", 4),
        ]);
    }
    for (key, value) in numbers {
        file.key(&format!("{architecture}.{key}"), Meta::U32(value as u32));
    }
    let float = |x: f64| Meta::F32(x as f32);
    file.key(&format!("{architecture}.attention.layer_norm_rms_epsilon"), float(model.rms_norm_eps));
    file.key(&format!("{architecture}.rope.freq_base"), float(model.rotary.theta));
}

/// The name of a checkpoint's tensor in a GGUF file.
pub fn gguf_name(name: &str, family: Family) -> String {
    let plain = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers", "blk"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("input_layernorm", "attn_norm"),
        ("linear_attn.in_proj_qkv", "attn_qkv"),
        ("linear_attn.in_proj_z", "attn_gate"),
        ("linear_attn.in_proj_b", "ssm_beta"),
        ("linear_attn.in_proj_a", "ssm_alpha"),
        ("linear_attn.conv1d", "ssm_conv1d"),
        ("linear_attn.A_log", "ssm_a"),
        ("linear_attn.dt_bias", "ssm_dt.bias"),
        ("linear_attn.norm", "ssm_norm"),
        ("linear_attn.out_proj", "ssm_out"),
    ];
    let norm = if family == Family::Qwen35 { "post_attention_norm" } else { "ffn_norm" };
    let name = name.replace("post_attention_layernorm", norm);
    plain.iter().fold(name, |name, (from, to)| name.replace(from, to))
}

/// The values as llama.cpp stores them.
fn stored(
    name: &str,
    model: &Decoder,
    shape: &[u64],
    mut values: Vec<f32>,
    fault: Option<Fault>,
) -> Vec<f32> {
    let cols = if shape.len() == 2 { shape[1] as usize } else { 1 };
    if model.family == Family::Llama {
        let turned = name.contains("q_proj") || name.contains("k_proj");
        if turned && fault != Some(Fault::UnturnedHeads) {
            let half = model.head_dim as usize / 2;
            // A head's rows i and i + d / 2 become neighbours.
            return permuted(&values, cols, |row| {
                let (head, within) = (row / (2 * half), row % (2 * half));
                head * 2 * half + within % 2 * half + within / 2
            });
        }
    }
    let Some(sizes) = model.delta_net else { return values };
    if name.ends_with("norm.weight") && !name.contains("linear_attn") && fault != Some(Fault::CentredNorms) {
        values.iter_mut().for_each(|value| *value += 1.0);
    }
    if name.ends_with("A_log") && fault != Some(Fault::LogDecay) {
        values.iter_mut().for_each(|value| *value = -value.exp());
    }
    if fault == Some(Fault::OrderedHeads) {
        return values;
    }
    let (key_heads, each) = (sizes.key_heads as usize, (sizes.value_heads / sizes.key_heads) as usize);
    let (dv, keys) = (sizes.value_dim as usize, 2 * sizes.key_width() as usize);
    // Heads go by turns of the key heads: place k + j * key_heads holds value head k * each + j.
    let head = |place: usize| place % key_heads * each + place / key_heads;
    let channel = |i: usize| head(i / dv) * dv + i % dv;
    let last = name.rsplit("linear_attn.").next().unwrap_or_default();
    match last {
        "in_proj_qkv.weight" | "conv1d.weight" => {
            permuted(&values, cols, |row| if row < keys { row } else { keys + channel(row - keys) })
        }
        "in_proj_z.weight" => permuted(&values, cols, channel),
        "in_proj_a.weight" | "in_proj_b.weight" | "A_log" | "dt_bias" => permuted(&values, cols, head),
        "out_proj.weight" => {
            let row = |row: &[f32]| (0..cols).map(|i| row[channel(i)]).collect::<Vec<_>>();
            values.chunks_exact(cols).flat_map(row).collect()
        }
        _ => values,
    }
}

/// Rows of `cols` values in another order: row i is the old row `from(i)`.
fn permuted(values: &[f32], cols: usize, from: impl Fn(usize) -> usize) -> Vec<f32> {
    (0..values.len() / cols).flat_map(|row| values[from(row) * cols..][..cols].to_vec()).collect()
}

/// A random model of some layers, whose matrices have rows of whole blocks.
pub fn write_wide(like: &Path, to: &Path, layers: u64) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(9);
    let sizes = [("hidden_size", 256), ("intermediate_size", 512), ("num_hidden_layers", layers)];
    write_random_model(like, to, &sizes, |_, tensor| {
        let value = random.f32() - 0.5;
        if tensor.matrix().is_some() { 0.2 * value } else { 1.0 + value }
    })?;
    Ok(())
}
