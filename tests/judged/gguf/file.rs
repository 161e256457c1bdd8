//! A GGUF file, put together key by key.

use bitgauge_core::Result;
use bitgauge_core::container::Artifact;
use serde_json::Value;

use super::open_bytes;

/// A value of the metadata: ggml's number of its type, and its bytes.
#[derive(Clone)]
pub struct Typed(pub u32, pub Vec<u8>);

pub fn number(value: u32) -> Typed {
    Typed(4, value.to_le_bytes().to_vec())
}

pub fn float(value: f32) -> Typed {
    Typed(6, value.to_le_bytes().to_vec())
}

pub fn flag(value: u8) -> Typed {
    Typed(7, vec![value])
}

pub fn counted(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

pub fn text(value: &str) -> Typed {
    Typed(8, counted(value))
}

pub fn array(kind: u32, count: usize, elements: &[u8]) -> Typed {
    Typed(9, [&kind.to_le_bytes()[..], &(count as u64).to_le_bytes(), elements].concat())
}

pub fn texts(values: &[&str]) -> Typed {
    array(8, values.len(), &values.iter().flat_map(|value| counted(value)).collect::<Vec<u8>>())
}

/// A tensor: its name, dimensions (innermost first, as the file has them), ggml's number of its type, its offset.
pub type Info = (String, Vec<u64>, u32, u64);

/// A file that is being put together.
#[derive(Clone)]
pub struct File {
    pub keys: Vec<(String, Typed)>,
    pub infos: Vec<Info>,
    pub alignment: usize,
    /// Bytes of the tensors' data.
    pub data: usize,
}

impl File {
    /// A qwen35 of four layers, and one that predicts a further token, as far as its metadata go.
    pub fn hybrid() -> Self {
        let mut file = Self { keys: Vec::new(), infos: Vec::new(), alignment: 32, data: 0 };
        file.set("general.architecture", text("qwen35"));
        let numbers = [
            ("block_count", 5),
            ("nextn_predict_layers", 1),
            ("embedding_length", 768),
            ("feed_forward_length", 1_000),
            ("attention.head_count", 6),
            ("attention.head_count_kv", 2),
            ("rope.dimension_count", 32),
            ("context_length", 4_096),
            ("ssm.time_step_rank", 8),
            ("ssm.inner_size", 1_024),
            ("ssm.group_count", 2),
            ("ssm.state_size", 64),
            ("ssm.conv_kernel", 3),
            ("full_attention_interval", 2),
        ];
        numbers.into_iter().for_each(|(key, value)| file.set(&format!("qwen35.{key}"), number(value)));
        file.set("qwen35.attention.layer_norm_rms_epsilon", float(1e-6));
        file.set("qwen35.rope.freq_base", float(1e7));
        file.add("token_embd.weight", &[768, 10], 1, 768 * 10 * 2);
        file
    }

    /// The same model without DeltaNet.
    pub fn plain() -> Self {
        let mut file = Self::hybrid();
        for (key, _) in &mut file.keys {
            *key = key.replace("qwen35", "qwen3");
        }
        file.set("general.architecture", text("qwen3"));
        file.set("qwen3.rope.dimension_count", number(128));
        file
    }

    /// Gives a key this value.
    pub fn set(&mut self, key: &str, value: Typed) {
        self.keys.retain(|(name, _)| name != key);
        self.keys.push((key.to_owned(), value));
    }

    pub fn with(mut self, key: &str, value: Typed) -> Self {
        self.set(key, value);
        self
    }

    pub fn without(mut self, key: &str) -> Self {
        let count = self.keys.len();
        self.keys.retain(|(name, _)| name != key);
        assert_eq!(self.keys.len(), count - 1, "{key}");
        self
    }

    /// Adds a tensor behind the others.
    pub fn add(&mut self, name: &str, dims: &[u64], kind: u32, bytes: usize) {
        let offset = self.data.next_multiple_of(self.alignment);
        self.infos.push((name.to_owned(), dims.to_vec(), kind, offset as u64));
        self.data = offset + bytes;
    }

    /// All in front of the tensors' data, without padding.
    pub fn header(&self) -> Vec<u8> {
        let mut out = [&b"GGUF"[..], &3_u32.to_le_bytes()].concat();
        out.extend((self.infos.len() as u64).to_le_bytes());
        out.extend((self.keys.len() as u64).to_le_bytes());
        for (key, Typed(kind, value)) in &self.keys {
            out.extend([&counted(key)[..], &kind.to_le_bytes(), value].concat());
        }
        for (name, dims, kind, offset) in &self.infos {
            out.extend(counted(name));
            out.extend((dims.len() as u32).to_le_bytes());
            dims.iter().for_each(|dim| out.extend(dim.to_le_bytes()));
            out.extend(kind.to_le_bytes());
            out.extend(offset.to_le_bytes());
        }
        out
    }

    /// The file, without padding behind the last tensor.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.header();
        out.resize(out.len().next_multiple_of(self.alignment) + self.data, 0);
        out
    }

    pub fn open(&self) -> Result<Artifact> {
        open_bytes(self.bytes())
    }

    pub fn config(&self) -> Result<Value> {
        let config = self.open()?.config.expect("a GGUF file has one");
        Ok(serde_json::from_slice(&config).expect("it is JSON"))
    }

    /// Its tokenizer.json.
    pub fn tokenizer(&self) -> Value {
        let artifact = self.open().expect("a sound file");
        let json = artifact.gguf.expect("metadata").tokenizer().expect("a tokenizer").expect("a known one");
        serde_json::from_slice(&json).expect("it is JSON")
    }
}
