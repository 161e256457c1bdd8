//! Writes a safetensors file whose sizes are all known before its data.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use bitgauge_core::Dtype;
use serde_json::json;

/// A tensor that the file will hold.
#[derive(Debug, Clone)]
pub(crate) struct TensorSpec {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<u64>,
}

impl TensorSpec {
    fn bytes(&self) -> u64 {
        self.shape.iter().product::<u64>() * self.dtype.bytes()
    }
}

/// A safetensors file whose header is written and whose tensors may come in any order.
///
/// In the file they lie by element size, largest first, then by name. So each one is aligned to
/// its elements although the format allows no gaps, and the order does not depend on the source.
pub(crate) struct Writer {
    file: File,
    /// Where each tensor starts in the file, and its bytes.
    places: HashMap<String, (u64, u64)>,
}

impl Writer {
    pub(crate) fn create(path: &Path, mut tensors: Vec<TensorSpec>) -> io::Result<Self> {
        tensors.sort_by(|a, b| b.dtype.bytes().cmp(&a.dtype.bytes()).then_with(|| a.name.cmp(&b.name)));
        let mut header = r#"{"__metadata__":{"format":"pt"}"#.to_owned();
        let mut end = 0;
        let mut offsets = Vec::with_capacity(tensors.len());
        for tensor in &tensors {
            let start = end;
            end += tensor.bytes();
            offsets.push((start, tensor.bytes()));
            let (name, dtype, shape) = (json!(tensor.name), tensor.dtype.name(), &tensor.shape);
            let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
            header.push_str(&format!(",{name}:{entry}"));
        }
        header.push('}');
        // Spaces after the JSON align the data to 8 bytes, as the reference writer does.
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        let mut file = File::create(path)?;
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        let data = 8 + header.len() as u64;
        file.set_len(data + end)?;
        let places = tensors.into_iter().zip(offsets);
        let places = places.map(|(tensor, (start, bytes))| (tensor.name, (data + start, bytes))).collect();
        Ok(Self { file, places })
    }

    /// Writes one tensor. Each may be written once.
    pub(crate) fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        match self.places.remove(name) {
            Some((start, wanted)) if wanted == bytes.len() as u64 => {
                self.file.seek(SeekFrom::Start(start))?;
                self.file.write_all(bytes)
            }
            planned => Err(io::Error::other(format!(
                "{name}: {} bytes do not fit the plan ({planned:?})",
                bytes.len()
            ))),
        }
    }

    /// Ends the file once every tensor is written.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.places.keys().min() {
            None => self.file.sync_all(),
            Some(name) => Err(io::Error::other(format!("{name} was planned and not written"))),
        }
    }
}
