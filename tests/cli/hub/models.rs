//! Models of several forms for the hub, made of the demo.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use bitgauge_core::scan::{Digest, Sha256, hex};
use serde_json::{Value, json};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::server::Content;
use crate::artifacts::Artifact;

/// Files beside the weights that are in large file storage on the hub, too.
const WEIGHTS: &str = ".safetensors";

/// A zip whose one tensor is zeros, this many bytes and some more.
pub fn hollow(zeros: u64) -> Content {
    let piece = vec![0u8; 1 << 20];
    let header =
        json!({ "weight": { "dtype": "U8", "shape": [zeros], "data_offsets": [0, zeros] } }).to_string();
    let mut zip = zip::ZipWriter::new(Hollow::default());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    zip.start_file("config.json", options).expect("a member");
    zip.write_all(b"{\"model_type\": \"qwen3\"}").expect("a member");
    zip.start_file("model.safetensors", options).expect("a member");
    zip.write_all(&(header.len() as u64).to_le_bytes()).expect("a header");
    zip.write_all(header.as_bytes()).expect("a header");
    let mut left = zeros;
    while left > 0 {
        let count = left.min(piece.len() as u64);
        zip.write_all(&piece[..count as usize]).expect("zeros");
        left -= count;
    }
    let Hollow { beginning, length, end, .. } = zip.finish().expect("a zip");
    Content::hollow(beginning, length, end)
}

/// A file of which only what stands before and behind a long run of zeros is held.
#[derive(Default)]
struct Hollow {
    beginning: Vec<u8>,
    end: Vec<u8>,
    length: u64,
    position: u64,
}

impl Write for Hollow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let held = self.beginning.len() as u64;
        let is_short = bytes.len() < 1 << 16;
        if self.position < held {
            let at = self.position as usize;
            self.beginning[at..at + bytes.len()].copy_from_slice(bytes);
        } else if self.position == held && is_short {
            self.beginning.extend_from_slice(bytes);
        } else if is_short {
            self.end.extend_from_slice(bytes);
        }
        self.position += bytes.len() as u64;
        self.length = self.length.max(self.position);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Hollow {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::End(offset) => self.length.saturating_add_signed(offset),
            SeekFrom::Current(offset) => self.position.saturating_add_signed(offset),
        };
        Ok(self.position)
    }
}

/// The demo as a folder whose weights are in this many shards.
pub fn shards(count: usize) -> Artifact {
    let artifact = Artifact::demo_folder(&[]);
    let single = artifact.path.join("model.safetensors");
    let weights = fs::read(&single).expect("the weights");
    fs::remove_file(single).expect("the weights");
    let data = 8 + u64::from_le_bytes(weights[..8].try_into().expect("8 bytes")) as usize;
    let header: BTreeMap<String, Value> = serde_json::from_slice(&weights[8..data]).expect("a header");
    let mut shards: Vec<BTreeMap<&str, (&Value, &[u8])>> = vec![BTreeMap::new(); count];
    for (number, (name, tensor)) in header.iter().filter(|(name, _)| *name != "__metadata__").enumerate() {
        let offset = |i: usize| data + tensor["data_offsets"][i].as_u64().expect("an offset") as usize;
        shards[number % count].insert(name, (tensor, &weights[offset(0)..offset(1)]));
    }
    let mut map = BTreeMap::new();
    for (number, tensors) in shards.iter().enumerate() {
        let file = format!("model-{:05}-of-{count:05}.safetensors", number + 1);
        let (mut fields, mut bytes) = (BTreeMap::new(), Vec::new());
        for (name, (tensor, data)) in tensors {
            let ends = [bytes.len(), bytes.len() + data.len()];
            fields.insert(
                *name,
                json!({ "dtype": tensor["dtype"], "shape": tensor["shape"], "data_offsets": ends }),
            );
            bytes.extend_from_slice(data);
            map.insert(*name, file.clone());
        }
        let text = serde_json::to_vec(&fields).expect("JSON");
        let whole = [&(text.len() as u64).to_le_bytes(), &text[..], &bytes].concat();
        fs::write(artifact.path.join(file), whole).expect("a shard");
    }
    let index = json!({ "metadata": {}, "weight_map": map });
    fs::write(artifact.path.join("model.safetensors.index.json"), index.to_string()).expect("an index");
    artifact
}

/// A dense checkpoint of the demo's shape: random matrices, norms of one.
pub fn dense() -> Vec<(String, Vec<u8>)> {
    let demo = Artifact::demo_folder(&[]);
    let report = crate::json(&crate::bitgauge(&["--format", "json", "inspect", crate::path(&demo.path)]));
    let mut random = fastrand::Rng::with_seed(1);
    let (mut fields, mut data) = (BTreeMap::new(), Vec::new());
    for weight in report["weights"].as_array().expect("weights") {
        let shape: Vec<u64> = serde_json::from_value(weight["shape"].clone()).expect("a shape");
        let begin = data.len();
        for _ in 0..shape.iter().product() {
            let value = if shape.len() == 1 { 1.0 } else { 0.04 * (random.f32() - 0.5) };
            // The upper half of an f32 is a bf16.
            data.extend_from_slice(&value.to_bits().to_le_bytes()[2..]);
        }
        let name = weight["name"].as_str().expect("a name");
        fields.insert(name, json!({ "dtype": "BF16", "shape": shape, "data_offsets": [begin, data.len()] }));
    }
    let header = serde_json::to_vec(&fields).expect("JSON");
    let weights = [&(header.len() as u64).to_le_bytes(), &header[..], &data].concat();
    let file = |name: &str| fs::read(demo.path.join(name)).expect("a file");
    let mut config: Value = serde_json::from_slice(&file("config.json")).expect("JSON");
    for field in ["auto_map", "quantization_config"] {
        config.as_object_mut().expect("an object").remove(field);
    }
    vec![
        ("config.json".to_owned(), config.to_string().into_bytes()),
        ("generation_config.json".to_owned(), b"{}".to_vec()),
        ("model.safetensors".to_owned(), weights),
        ("tokenizer.json".to_owned(), file("tokenizer.json")),
    ]
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new().chain_update(bytes))
}

/// The files of a folder as the hub has them.
pub fn contents(folder: &Path) -> Vec<(String, Content)> {
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        let bytes = fs::read(entry.path()).expect("a file");
        let content = if name.ends_with(WEIGHTS) { Content::large(bytes) } else { Content::small(bytes) };
        (name, content)
    };
    fs::read_dir(folder).expect("a folder").map(file).collect()
}

/// One of the files with a space more at its end.
pub fn flipped(files: &[(String, Content)]) -> (String, Content) {
    let (name, content) = files.iter().find(|(name, _)| name == "config.json").expect("config.json");
    (name.clone(), content.with(b" "))
}
