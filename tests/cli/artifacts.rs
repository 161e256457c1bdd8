//! Variations of the demo artifact on disk.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use bitgauge_core::container::Compressor;
use serde_json::Value;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const DEMO: &[u8] = include_bytes!("../../demo/model.zip");

/// A change to the demo artifact before it is written.
pub enum Change {
    /// Adds a file of these bytes.
    AddFile(&'static str, Vec<u8>),
    /// Leaves a file out.
    RemoveFile(&'static str),
    /// Sets a field of config.json.
    Config(&'static str, Value),
    /// Sets a field of config.json's quantization_config.
    Quantization(&'static str, Value),
    /// Renames a tensor; both names have the same length.
    RenameTensor(&'static str, &'static str),
    /// Gives the first tensor whose name ends like this another data type of the same width.
    Dtype(&'static str, &'static str),
    /// Overwrites bytes at an offset of the first tensor whose name ends like this.
    Payload(&'static str, usize, Vec<u8>),
    /// Inverts the bits of one byte of the first tensor whose name ends like this.
    Invert(&'static str, usize),
}

/// An artifact in a temporary folder of its own.
pub struct Artifact {
    folder: TempDir,
    /// Where it is.
    pub path: PathBuf,
}

impl Artifact {
    /// The demo as a zip, changed. Its JSON files are deflated, as they are in the original.
    pub fn demo(changes: &[Change]) -> Self {
        Self::zip(changes, |name| {
            if name.ends_with(".json") { CompressionMethod::Deflated } else { CompressionMethod::Stored }
        })
    }

    /// The demo as a zip of deflated members.
    pub fn demo_deflated() -> Self {
        Self::zip(&[], |_| CompressionMethod::Deflated)
    }

    /// The demo as a tar, changed, with names as `tar -C folder .` writes them.
    pub fn demo_tar(changes: &[Change]) -> Self {
        Self::at("model.tar").write(&tar(changes))
    }

    /// The demo as a compressed tar.
    pub fn demo_compressed_tar(compressor: Compressor) -> Self {
        let tar = tar(&[]);
        match compressor {
            Compressor::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                writer.write_all(&tar).expect("a gzip file");
                Self::at("model.tar.gz").write(&writer.finish().expect("a gzip file"))
            }
            Compressor::Bzip2 => {
                let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
                writer.write_all(&tar).expect("a bzip2 file");
                Self::at("model.tar.bz2").write(&writer.finish().expect("a bzip2 file"))
            }
            Compressor::Xz => {
                let options = lzma_rust2::XzOptions::with_preset(6);
                let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("an xz file");
                writer.write_all(&tar).expect("an xz file");
                Self::at("model.tar.xz").write(&writer.finish().expect("an xz file"))
            }
            Compressor::Lzma => {
                let options = lzma_rust2::LzmaOptions::with_preset(6);
                let writer = lzma_rust2::LzmaWriter::new_use_header(Vec::new(), &options, None);
                let mut writer = writer.expect("an .lzma file");
                writer.write_all(&tar).expect("an .lzma file");
                Self::at("model.tar.lzma").write(&writer.finish().expect("an .lzma file"))
            }
        }
    }

    /// The demo as a folder, changed.
    pub fn demo_folder(changes: &[Change]) -> Self {
        let artifact = Self::at("model");
        fs::create_dir(&artifact.path).expect("a folder");
        for (name, bytes) in files(changes) {
            fs::write(artifact.path.join(name), bytes).expect("a file");
        }
        artifact
    }

    /// A path without anything there.
    pub fn absent() -> Self {
        Self::at("absent.zip")
    }

    fn at(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        Self { folder, path }
    }

    fn write(self, bytes: &[u8]) -> Self {
        fs::write(&self.path, bytes).expect("a file");
        self
    }

    fn zip(changes: &[Change], method: impl Fn(&str) -> CompressionMethod) -> Self {
        let artifact = Self::at("model.zip");
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files(changes) {
            let options = SimpleFileOptions::default().compression_method(method(&name));
            zip.start_file(name, options).expect("a member");
            zip.write_all(&bytes).expect("a member");
        }
        fs::write(&artifact.path, zip.finish().expect("a zip").into_inner()).expect("a file");
        artifact
    }

    /// Without its last `bytes` bytes.
    pub fn cut(self, bytes: usize) -> Self {
        let whole = fs::read(&self.path).expect("the artifact");
        fs::write(&self.path, &whole[..whole.len() - bytes]).expect("a file");
        self
    }

    /// With one bit of the byte at `offset` flipped.
    pub fn flip(self, offset: usize) -> Self {
        let mut whole = fs::read(&self.path).expect("the artifact");
        whole[offset] ^= 1;
        fs::write(&self.path, whole).expect("a file");
        self
    }

    /// Bytes on disk, all files of a folder together.
    pub fn size_bytes(&self) -> u64 {
        let size = |path: &Path| fs::metadata(path).expect("a file").len();
        if self.path.is_dir() {
            fs::read_dir(&self.path).expect("a folder").map(|e| size(&e.expect("an entry").path())).sum()
        } else {
            size(&self.path)
        }
    }

    /// Writes a file beside the artifact.
    pub fn beside(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    }
}

fn tar(changes: &[Change]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files(changes) {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("./{name}"), &bytes[..]).expect("a member");
    }
    builder.into_inner().expect("a tar")
}

/// The demo's files after the changes.
fn files(changes: &[Change]) -> Vec<(String, Vec<u8>)> {
    let mut zip = ZipArchive::new(Cursor::new(DEMO)).expect("the demo");
    let mut files = Vec::new();
    for index in 0..zip.len() {
        let mut member = zip.by_index(index).expect("a member");
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).expect("a member");
        let name = member.name().expect("a UTF-8 name").into_owned();
        files.push((name, bytes));
    }
    for change in changes {
        apply(&mut files, change);
    }
    files
}

fn apply(files: &mut Vec<(String, Vec<u8>)>, change: &Change) {
    match change {
        Change::AddFile(name, bytes) => files.push(((*name).to_owned(), bytes.clone())),
        Change::RemoveFile(name) => files.retain(|(file, _)| file != name),
        Change::Config(field, value) => edit_json(file(files, "config.json"), |config| {
            config[*field] = value.clone();
        }),
        Change::Quantization(field, value) => edit_json(file(files, "config.json"), |config| {
            config["quantization_config"][*field] = value.clone();
        }),
        Change::RenameTensor(from, to) => edit_header(file(files, "model.safetensors"), |header| {
            let tensor = header.remove(*from).expect("the tensor");
            header.insert((*to).to_owned(), tensor);
        }),
        Change::Dtype(ending, dtype) => edit_header(file(files, "model.safetensors"), |header| {
            let (_, tensor) = header.iter_mut().find(|(name, _)| name.ends_with(ending)).expect("a tensor");
            tensor["dtype"] = Value::from(*dtype);
        }),
        Change::Payload(ending, at, bytes) => {
            payload(file(files, "model.safetensors"), ending)[*at..][..bytes.len()].copy_from_slice(bytes);
        }
        Change::Invert(ending, at) => payload(file(files, "model.safetensors"), ending)[*at] ^= 0xff,
    }
}

/// The bytes from the first tensor on whose name ends like this.
fn payload<'a>(weights: &'a mut [u8], ending: &str) -> &'a mut [u8] {
    let (header, data) = header(weights);
    let (_, tensor) = header.iter().find(|(name, _)| name.ends_with(ending)).expect("a tensor");
    let start = tensor["data_offsets"][0].as_u64().expect("an offset") as usize;
    &mut weights[data + start..]
}

fn file<'a>(files: &'a mut [(String, Vec<u8>)], name: &str) -> &'a mut Vec<u8> {
    &mut files.iter_mut().find(|(file, _)| file == name).expect("the file").1
}

fn edit_json(bytes: &mut Vec<u8>, edit: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(bytes).expect("JSON");
    edit(&mut value);
    *bytes = serde_json::to_vec(&value).expect("JSON");
}

type Header = serde_json::Map<String, Value>;

/// The header of a safetensors file and where its data begins.
fn header(bytes: &[u8]) -> (Header, usize) {
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    (serde_json::from_slice(&bytes[8..8 + length]).expect("a header"), 8 + length)
}

fn edit_header(bytes: &mut Vec<u8>, edit: impl FnOnce(&mut Header)) {
    let (mut fields, data) = header(bytes);
    edit(&mut fields);
    let mut text = serde_json::to_vec(&fields).expect("a header");
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut whole = (text.len() as u64).to_le_bytes().to_vec();
    whole.extend(text);
    whole.extend(&bytes[data..]);
    *bytes = whole;
}
