//! Writes a zip64 of Qwen3.6-27B's shape whose weights are holes in the file: `large PATH`.
//!
//! Some 4.4 GB long, it takes few blocks on a disk that knows sparse files. It is a valid artifact,
//! only not a useful one: all signs minus, every scale 1, one row in eleven a rescue row of zeros. The
//! members lie in the order of their names, the tokenizer after the weights, as most zip tools write them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;

use bitgauge_core::format::{LOADER, LOADER_FILE, Layout, Part};
use bitgauge_core::model::{Architecture, Config, Manifest, Presence};
use serde_json::json;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

const CONFIG: &[u8] = include_bytes!("../fixtures/qwen3.6-27b.config.json");
/// One row in so many is a rescue row.
const RESCUED: u64 = 11;
const ONE_F16: [u8; 2] = [0x00, 0x3c];
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
const TOKENIZER_BYTES: usize = 3 << 20;

fn main() -> io::Result<()> {
    let path: PathBuf = std::env::args_os().nth(1).expect("usage: large PATH").into();
    let tensors = tensors();
    let mut archive = ZipWriter::new(Sparse(File::create(path)?));
    let small = SimpleFileOptions::default().last_modified_time(DateTime::DEFAULT);
    let small = small.compression_method(CompressionMethod::Stored);
    archive.start_file("config.json", small)?;
    archive.write_all(CONFIG)?;
    archive.start_file("model.safetensors", small.large_file(true))?;
    archive.write_all(&header(&tensors))?;
    tensors.iter().try_for_each(|tensor| tensor.write(&mut archive))?;
    archive.start_file(LOADER_FILE, small)?;
    archive.write_all(LOADER.as_bytes())?;
    archive.start_file("tokenizer.json", small)?;
    archive.write_all(&vec![b' '; TOKENIZER_BYTES])?;
    archive.start_file("tokenizer_config.json", small)?;
    archive.write_all(b"{}")?;
    archive.finish()?;
    Ok(())
}

/// One tensor of the safetensors file.
struct Tensor {
    name: String,
    dtype: &'static str,
    shape: Vec<u64>,
    bytes: u64,
    fill: Fill,
}

/// What a tensor's bytes are.
enum Fill {
    Zeros,
    Ones,
    RowNumbers,
}

fn tensors() -> Vec<Tensor> {
    let config = Config::parse(CONFIG).expect("the fixture is a config.json");
    let Architecture::Decoder(model) = config.architecture() else { panic!("an unknown architecture") };
    let manifest = Manifest::of(model);
    let stored = manifest.tensors().iter().filter(|tensor| tensor.presence == Presence::Required);
    stored
        .flat_map(|tensor| match tensor.matrix() {
            Some(shape) => packed(&tensor.name, shape),
            None => vec![Tensor {
                name: tensor.name.clone(),
                dtype: "BF16",
                shape: tensor.shape.clone(),
                bytes: 2 * tensor.elements(),
                fill: Fill::Zeros,
            }],
        })
        .collect()
}

/// The parts of a packed weight.
fn packed(name: &str, [rows, cols]: [u64; 2]) -> Vec<Tensor> {
    let layout = Layout::new(rows, cols, 1, rows / RESCUED, 0).expect("a layout");
    let parts = Part::ALL.into_iter().filter(|part| layout.has(*part));
    let tensor = |part: Part| Tensor {
        name: format!("{name}.{}", part.suffix()),
        dtype: part.dtype().name(),
        shape: layout.shape(part),
        bytes: layout.part_bytes(part),
        fill: match part {
            Part::Sign | Part::RescueCode => Fill::Zeros,
            Part::Scale | Part::RescueScale => Fill::Ones,
            Part::RescueRows => Fill::RowNumbers,
        },
    };
    parts.map(tensor).collect()
}

/// The file's header, the length in front of it included.
fn header(tensors: &[Tensor]) -> Vec<u8> {
    let mut offset = 0;
    let mut entries = BTreeMap::new();
    for tensor in tensors {
        let end = offset + tensor.bytes;
        let entry = json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, end] });
        entries.insert(&tensor.name, entry);
        offset = end;
    }
    let mut text = serde_json::to_vec(&entries).expect("JSON");
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes(), text.as_slice()].concat()
}

impl Tensor {
    fn write(&self, sink: &mut impl Write) -> io::Result<()> {
        match self.fill {
            Fill::Ones => sink.write_all(&ONE_F16.repeat(self.bytes as usize / 2)),
            Fill::RowNumbers => {
                (0..self.bytes as u32 / 4).try_for_each(|row| sink.write_all(&row.to_le_bytes()))
            }
            Fill::Zeros => {
                let mut left = self.bytes as usize;
                while left > 0 {
                    let piece = left.min(ZEROS.len());
                    sink.write_all(&ZEROS[..piece])?;
                    left -= piece;
                }
                Ok(())
            }
        }
    }
}

/// A file in which long runs of zeros become holes.
struct Sparse(File);

impl Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes != ZEROS {
            return self.0.write(bytes);
        }
        self.0.seek(SeekFrom::Current(bytes.len() as i64))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}
