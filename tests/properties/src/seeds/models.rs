//! Models of a few weights: dense, packed, in shards, as GGUF.

use bitgauge_core::format::{Layout, Part};
use bitgauge_core::model::{Architecture, Config, Manifest};
use serde_json::{Value, json};

use super::fixtures;
use crate::folder;
use crate::gguf_file::{GgmlType, GgufFile, Meta};
use crate::write;

/// A 1 as an f16.
const ONE_F16: [u8; 2] = 0x3c00_u16.to_le_bytes();

/// A qwen3 of one layer and eight channels.
fn tiny() -> Value {
    json!({
        "model_type": "qwen3", "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "vocab_size": 6,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": true,
    })
}

fn packed() -> Value {
    let mut config = tiny();
    config["quantization_config"] = json!({
        "quant_method": "bitpack", "format_version": 1, "scale_group_size": 128, "rescue_group_size": 128,
    });
    config
}

/// config.json and model.safetensors of a tiny model, dense or packed.
pub fn files(is_packed: bool) -> [(&'static str, Vec<u8>); 2] {
    let config = if is_packed { packed() } else { tiny() }.to_string().into_bytes();
    let weights = weights(&config, is_packed, |_| true);
    [("config.json", config), ("model.safetensors", weights)]
}

/// The weights that `has` says, in one file.
fn weights(config: &[u8], is_packed: bool, has: impl Fn(&str) -> bool) -> Vec<u8> {
    let config = Config::parse(config).expect("a config of ours");
    let Architecture::Decoder(decoder) = config.architecture() else { panic!("no decoder") };
    let mut tensors = Vec::new();
    for tensor in Manifest::of(decoder).tensors().iter().filter(|tensor| has(&tensor.name)) {
        match tensor.matrix().filter(|_| is_packed) {
            Some(_) if tensor.name == "lm_head.weight" => {}
            Some([rows, cols]) => {
                let layout = Layout::new(rows, cols, 1, 1, 128).expect("a layout of ours");
                for part in Part::ALL.into_iter().filter(|part| layout.has(*part)) {
                    let bytes = part_bytes(part, layout.part_bytes(part) as usize);
                    let name = format!("{}.{}", tensor.name, part.suffix().trim_start_matches('.'));
                    tensors.push((name, part.dtype().name(), layout.shape(part), bytes));
                }
            }
            None => {
                let bytes = ONE_F16.repeat(tensor.elements() as usize);
                tensors.push((tensor.name.clone(), "F16", tensor.shape.clone(), bytes));
            }
        }
    }
    file(&tensors)
}

/// Valid values of one part.
fn part_bytes(part: Part, len: usize) -> Vec<u8> {
    match part {
        Part::Scale | Part::RescueScale => ONE_F16.repeat(len / 2),
        Part::RescueCode => vec![0x11; len],
        // Signs of eight columns, padded to 32; the first row.
        _ => vec![0; len],
    }
}

/// Name, type, shape, bytes.
type Tensor = (String, &'static str, Vec<u64>, Vec<u8>);

/// A safetensors file.
fn file(tensors: &[Tensor]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
        data.extend_from_slice(bytes);
    }
    let header = Value::Object(header).to_string();
    write::safetensors(&header, &data)
}

/// Safetensors files, with and without metadata.
pub fn safetensors() -> Vec<Vec<u8>> {
    let tensor = |name: &str, dtype, shape: &[u64], bytes: usize| {
        (name.to_owned(), dtype, shape.to_vec(), vec![7; bytes])
    };
    let with_metadata = {
        let text =
            r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}     "#;
        write::safetensors(text, b"abc")
    };
    vec![
        file(&[]),
        file(&[tensor("a", "U8", &[3], 3), tensor("b", "F16", &[2, 1], 4), tensor("c", "F32", &[], 4)]),
        file(&[
            tensor("x", "BF16", &[0, 4], 0),
            tensor("y.sign", "U32", &[1], 4),
            tensor("z", "F8_E4M3", &[2], 2),
        ]),
        with_metadata,
        weights(packed().to_string().as_bytes(), true, |name| name.contains("norm")),
        weights(packed().to_string().as_bytes(), true, |name| name.contains("k_proj")),
    ]
}

/// config.json of every family.
pub fn configs() -> Vec<Vec<u8>> {
    let mut configs = vec![tiny().to_string().into_bytes(), packed().to_string().into_bytes()];
    for model in ["llama", "llama_rope3_tied", "qwen3_5_full", "qwen3_5_text", "qwen3_tied", "qwen3_untied"] {
        configs.extend(fixtures(&format!("models/{model}"), &["config.json"]));
    }
    configs.push(br#"{"model_type":"other","auto_map":{"AutoModelForCausalLM":"a.B"}}"#.to_vec());
    configs
}

/// Folders: one file of weights, two shards and their index, code.
pub fn folders() -> Vec<Vec<u8>> {
    let whole = |is_packed| {
        let [(_, config), (_, weights)] = files(is_packed);
        folder::input(&[(0, &config), (1, &weights), (5, b"{}"), (6, b"pass")])
    };
    let config = tiny().to_string().into_bytes();
    let is_first = |name: &str| name.contains("norm");
    let shards = [weights(&config, false, is_first), weights(&config, false, |name| !is_first(name))];
    let parsed = Config::parse(&config).expect("a config of ours");
    let manifest = Manifest::new(parsed.architecture()).expect("a manifest");
    let shard = |name: &str| if is_first(name) { folder::NAMES[3] } else { folder::NAMES[4] };
    let map: serde_json::Map<_, _> =
        manifest.tensors().iter().map(|t| (t.name.clone(), Value::from(shard(&t.name)))).collect();
    let index = json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string();
    let small_index = br#"{"weight_map":{"a":"model-00001-of-00002.safetensors"}}"#;
    let small = file(&[("a".to_owned(), "U8", vec![1], vec![1])]);
    vec![
        whole(false),
        whole(true),
        folder::input(&[(0, &config), (2, index.as_bytes()), (3, &shards[0]), (4, &shards[1])]),
        folder::input(&[(0, br#"{"model_type":"other"}"#), (2, small_index), (3, &small)]),
        folder::input(&[(7, br#"{"model_type":"other"}"#), (6, b"")]),
    ]
}

/// GGUF files of a tiny qwen3 and of an unknown architecture.
pub fn ggufs() -> Vec<Vec<u8>> {
    let mut unknown = GgufFile::default();
    unknown.key("general.architecture", Meta::Text("other".into()));
    unknown.tensor("a", &[2, 32], GgmlType::Q8_0, vec![0; 68]);
    vec![unknown.bytes(), qwen3().bytes()]
}

fn qwen3() -> GgufFile {
    let mut file = GgufFile::default();
    let texts = |values: &[&str]| Meta::Texts(values.iter().map(|text| (*text).to_owned()).collect());
    file.key("general.architecture", Meta::Text("qwen3".into()));
    for (key, value) in [
        ("block_count", 1),
        ("embedding_length", 8),
        ("feed_forward_length", 8),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
        ("attention.key_length", 4),
        ("context_length", 64),
    ] {
        file.key(&format!("qwen3.{key}"), Meta::U32(value));
    }
    file.key("qwen3.attention.layer_norm_rms_epsilon", Meta::F32(1e-6))
        .key("tokenizer.ggml.model", Meta::Text("gpt2".into()))
        .key("tokenizer.ggml.pre", Meta::Text("qwen2".into()))
        .key("tokenizer.ggml.tokens", texts(&["a", "b", "ab", "Ġ", "<end>"]))
        .key("tokenizer.ggml.merges", texts(&["a b"]))
        .key("tokenizer.ggml.token_type", Meta::I32s(vec![1, 1, 1, 1, 3]))
        .key("tokenizer.ggml.add_bos_token", Meta::Bool(false));
    let halves = |len: u64| vec![0x11; 2 * len as usize];
    file.tensor("token_embd.weight", &[5, 8], GgmlType::F16, halves(40));
    for (name, rows) in [("attn_q", 8), ("attn_k", 4), ("attn_v", 4), ("attn_output", 8), ("ffn_gate", 8)] {
        file.tensor(&format!("blk.0.{name}.weight"), &[rows, 8], GgmlType::F16, halves(8 * rows));
    }
    for (name, len) in [("attn_norm", 8), ("ffn_norm", 8), ("attn_q_norm", 4), ("attn_k_norm", 4)] {
        let ones = 1.0_f32.to_le_bytes().repeat(len);
        file.tensor(&format!("blk.0.{name}.weight"), &[len as u64], GgmlType::F32, ones);
    }
    file
}
