//! A model of two layers, small enough to count its bits by hand.

use bitgauge_core::container::{Artifact, Root, Window, fetch_and_open};
use bitgauge_core::contract::Rules;
use bitgauge_core::format::LOADER;
use bitgauge_core::inspect;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::report::Report;
use bitgauge_core::scan::Scan;
use half::f16;
use properties::write::safetensors;
use serde_json::{Value, json};

/// Parameters of the model: 700 each of the embedding and the head, the final norm's 70, and two layers
/// of 10,446.
pub const PARAMETERS: u64 = 22_362;

/// A tensor as a safetensors file has it.
#[derive(Clone)]
struct Tensor {
    name: String,
    dtype: &'static str,
    shape: Vec<u64>,
    bytes: Vec<u8>,
}

/// A model that is being put together.
#[derive(Clone)]
pub struct Model {
    pub config: Value,
    tensors: Vec<Tensor>,
    pub files: Vec<(String, Vec<u8>)>,
}

impl Model {
    /// All weights as F16: vocabulary 10, width 70, MLP 33, two heads of 8 channels, one for keys.
    pub fn dense() -> Self {
        let config = json!({
            "model_type": "qwen3", "vocab_size": 10, "hidden_size": 70, "intermediate_size": 33,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
            "rms_norm_eps": 1e-6, "rope_theta": 10_000.0, "tie_word_embeddings": false,
        });
        let mut model = Self { config, tensors: Vec::new(), files: Vec::new() };
        for name in ["model.embed_tokens.weight", "lm_head.weight"] {
            model.add(name, "F16", &[10, 70]);
        }
        model.add("model.norm.weight", "F16", &[70]);
        for layer in 0..2 {
            let shapes: [(&str, &[u64]); 11] = [
                ("input_layernorm", &[70]),
                ("self_attn.q_proj", &[16, 70]),
                ("self_attn.k_proj", &[8, 70]),
                ("self_attn.v_proj", &[8, 70]),
                ("self_attn.o_proj", &[70, 16]),
                ("self_attn.q_norm", &[8]),
                ("self_attn.k_norm", &[8]),
                ("post_attention_layernorm", &[70]),
                ("mlp.gate_proj", &[33, 70]),
                ("mlp.up_proj", &[33, 70]),
                ("mlp.down_proj", &[70, 33]),
            ];
            for (name, shape) in shapes {
                model.add(&format!("model.layers.{layer}.{name}.weight"), "F16", shape);
            }
        }
        model
    }

    /// The same under `quant_method: bitpack`, with the code that unpacks it; nothing is packed yet.
    pub fn bitpack() -> Self {
        let mut model = Self::dense();
        model.config["quantization_config"] = json!({
            "quant_method": "bitpack", "format_version": 1, "scale_group_size": 0, "rescue_group_size": 128,
        });
        model.config["auto_map"] = json!({"AutoModelForCausalLM": "modeling_bitpack.BitpackForCausalLM"});
        model.file("modeling_bitpack.py", LOADER.as_bytes())
    }

    /// Adds a tensor of zeros.
    pub fn add(&mut self, name: &str, dtype: &'static str, shape: &[u64]) {
        let width = match dtype {
            "U8" => 1,
            "F16" | "BF16" => 2,
            _ => 4,
        };
        self.add_bytes(name, dtype, shape, shape.iter().product::<u64>() as usize * width);
    }

    /// Adds a tensor of this many zero bytes.
    pub fn add_bytes(&mut self, name: &str, dtype: &'static str, shape: &[u64], bytes: usize) {
        let bytes = vec![0; bytes];
        self.tensors.push(Tensor { name: name.to_owned(), dtype, shape: shape.to_vec(), bytes });
    }

    /// Stores every weight in this type.
    pub fn in_type(mut self, dtype: &'static str) -> Self {
        for Tensor { name, shape, .. } in std::mem::take(&mut self.tensors) {
            self.add(&name, dtype, &shape);
        }
        self
    }

    pub fn with(mut self, name: &str, dtype: &'static str, shape: &[u64]) -> Self {
        self.add(name, dtype, shape);
        self
    }

    /// Leaves a tensor out.
    pub fn without(mut self, name: &str) -> Self {
        let count = self.tensors.len();
        self.tensors.retain(|tensor| tensor.name != name);
        assert_eq!(self.tensors.len(), count - 1, "{name}");
        self
    }

    /// Adds a file beside config.json.
    pub fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        self.files.push((name.to_owned(), bytes.to_vec()));
        self
    }

    /// Packs a weight `[rows, cols]`: its last `rescued` rows as codes, the others in `bases` sign planes.
    /// The sign of column c of row m in basis b is plus where 3 divides b + m + c, and the row's scale is
    /// 0.25 where b + m is even, else 0.75.
    pub fn pack(mut self, name: &str, bases: u64, rescued: u64) -> Self {
        let at = self.tensors.iter().position(|tensor| tensor.name == name).expect("the weight");
        let [rows, cols] = self.tensors[at].shape[..] else { panic!("{name} is no matrix") };
        self = self.without(name);
        let binary = rows - rescued;
        if binary > 0 {
            let row_bytes = 4 * cols.div_ceil(32);
            let (mut signs, mut scales) = (Vec::new(), Vec::new());
            for (b, m) in (0..bases).flat_map(|b| (0..binary).map(move |m| (b, m))) {
                let mut row = vec![0; row_bytes as usize];
                (0..cols).filter(|c| (b + m + c) % 3 == 0).for_each(|c| row[c as usize / 8] |= 1 << (c % 8));
                signs.extend(row);
                let scale = if (b + m) % 2 == 0 { 0.25 } else { 0.75 };
                scales.extend(f16::from_f64(scale).to_le_bytes());
            }
            self.part(name, "sign", "U8", &[bases, binary, row_bytes], signs);
            self.part(name, "scale", "F16", &[bases, binary, 1], scales);
        }
        if rescued > 0 {
            let numbers = (binary..rows).flat_map(|row| (row as u32).to_le_bytes()).collect();
            let groups = cols.div_ceil(128);
            let ones = (0..rescued * groups).flat_map(|_| f16::ONE.to_le_bytes()).collect();
            let codes = vec![0; (rescued * cols.div_ceil(2)) as usize];
            self.part(name, "rescue_rows", "U32", &[rescued], numbers);
            self.part(name, "rescue_code", "U8", &[rescued, cols.div_ceil(2)], codes);
            self.part(name, "rescue_scale", "F16", &[rescued, groups], ones);
        }
        self
    }

    fn part(&mut self, weight: &str, part: &str, dtype: &'static str, shape: &[u64], bytes: Vec<u8>) {
        self.tensors.push(Tensor { name: format!("{weight}.{part}"), dtype, shape: shape.to_vec(), bytes });
    }

    /// The bytes of its model.safetensors.
    pub fn safetensors(&self) -> Vec<u8> {
        let mut header = serde_json::Map::new();
        let mut data = Vec::new();
        for tensor in &self.tensors {
            let begin = data.len();
            data.extend_from_slice(&tensor.bytes);
            let offsets = [begin, data.len()];
            let entry = json!({"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": offsets});
            assert!(header.insert(tensor.name.clone(), entry).is_none(), "{} twice", tensor.name);
        }
        safetensors(&Value::Object(header).to_string(), &data)
    }

    /// Every file of its folder.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![
            ("config.json".to_owned(), self.config.to_string().into_bytes()),
            ("model.safetensors".to_owned(), self.safetensors()),
        ];
        files.extend(self.files.clone());
        files
    }

    /// The whole report, its payload read.
    pub fn report(&self) -> Report {
        report(&self.files(), Root::Folder)
    }
}

/// Opens files as a folder, or the one file that they are.
pub fn open(files: &[(String, Vec<u8>)], root: Root) -> bitgauge_core::Result<Artifact> {
    let lengths = files.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect();
    fetch_and_open(&mut Window::new(lengths), root, |need| {
        let (start, len) = (need.offset as usize, need.len as usize);
        Ok(files[need.file].1[start..start + len].to_vec())
    })
}

/// Opens, scans and judges.
pub fn report(files: &[(String, Vec<u8>)], root: Root) -> Report {
    let artifact = open(files, root).expect("a sound artifact");
    let inventory = Inventory::of(&artifact).expect("a sound config.json");
    let mut scan = Scan::new(&inventory);
    for (index, (_, bytes)) in files.iter().enumerate() {
        scan.begin_file(index).expect("a file");
        scan.push(bytes).expect("sound payload");
    }
    inspect::report("model", &inventory, Rules::Binary, Some(&scan.finish().expect("a sound artifact")))
}
