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

/// Bytes of a whole file with these tensors, header included.
pub(super) fn file_bytes(mut tensors: Vec<TensorSpec>) -> u64 {
    sort(&mut tensors);
    8 + header(&tensors).len() as u64 + tensors.iter().map(TensorSpec::bytes).sum::<u64>()
}

/// Element size, largest first, then name.
fn sort(tensors: &mut [TensorSpec]) {
    tensors.sort_by(|a, b| b.dtype.bytes().cmp(&a.dtype.bytes()).then_with(|| a.name.cmp(&b.name)));
}

/// The JSON header of tensors in their order in the file.
fn header(tensors: &[TensorSpec]) -> String {
    let mut header = r#"{"__metadata__":{"format":"pt"}"#.to_owned();
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += tensor.bytes();
        let (name, dtype, shape) = (json!(tensor.name), tensor.dtype.name(), &tensor.shape);
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
        header.push_str(&format!(",{name}:{entry}"));
    }
    header.push('}');
    // Spaces after the JSON align the data to 8 bytes, as the reference writer does.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    header
}

/// A safetensors file whose header is written and whose tensors may come in any order and in pieces.
///
/// In the file they lie by element size, largest first, then by name. So each one is aligned to
/// its elements although the format allows no gaps, and the order does not depend on the source.
pub(crate) struct Writer {
    file: File,
    places: HashMap<String, Place>,
}

/// Where a tensor lies in the file.
struct Place {
    start: u64,
    bytes: u64,
    /// Bytes that are still to be written.
    missing: u64,
}

impl Writer {
    /// Begins a file.
    pub(crate) fn create(path: &Path, tensors: Vec<TensorSpec>) -> io::Result<Self> {
        Self::open(File::create(path)?, tensors)
    }

    /// Goes on with a file that was begun for the same tensors. Those that are in it already are to be skipped.
    pub(crate) fn resume(path: &Path, tensors: Vec<TensorSpec>) -> io::Result<Self> {
        Self::open(File::options().write(true).open(path)?, tensors)
    }

    fn open(mut file: File, mut tensors: Vec<TensorSpec>) -> io::Result<Self> {
        sort(&mut tensors);
        let header = header(&tensors);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        let mut end = 8 + header.len() as u64;
        let mut places = HashMap::new();
        for tensor in tensors {
            let bytes = tensor.bytes();
            places.insert(tensor.name, Place { start: end, bytes, missing: bytes });
            end += bytes;
        }
        file.set_len(end)?;
        Ok(Self { file, places })
    }

    /// Writes a piece of a tensor, `offset` bytes from its start. Each byte may be written once.
    pub(crate) fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let len = bytes.len() as u64;
        match self.places.get_mut(name) {
            Some(place) if place.missing >= len && offset + len <= place.bytes => {
                place.missing -= len;
                self.file.seek(SeekFrom::Start(place.start + offset))?;
                self.file.write_all(bytes)
            }
            _ => Err(io::Error::other(format!("{name}: {len} bytes at {offset} do not fit the plan"))),
        }
    }

    /// Takes a tensor as written, if the file has it.
    pub(super) fn skip(&mut self, name: &str) {
        if let Some(place) = self.places.get_mut(name) {
            place.missing = 0;
        }
    }

    /// Waits until all that was written is on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Ends the file once every tensor is written.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.places.iter().filter(|(_, place)| place.missing > 0).map(|(name, _)| name).min() {
            None => self.file.sync_all(),
            Some(name) => Err(io::Error::other(format!("{name} was planned and not written"))),
        }
    }
}
