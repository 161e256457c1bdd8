//! Builds artifacts in memory, whole and broken.

use std::io::{Cursor, Write};

use bitgauge_core::container::{Artifact, Root, Window, fetch_and_open};
use bitgauge_core::{Error, ErrorKind, Result};
use properties::write::{bzip2, gzip, xz};
pub use properties::write::{safetensors, tar};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// Opens `bytes` as a file of this name, fetching exactly what is asked for.
pub fn open_file(name: &str, bytes: &[u8]) -> Result<Artifact> {
    open(&[(name, bytes)], Root::File)
}

/// Opens these files as a folder.
pub fn open_folder(files: &[(&str, &[u8])]) -> Result<Artifact> {
    open(files, Root::Folder)
}

fn open(files: &[(&str, &[u8])], root: Root) -> Result<Artifact> {
    let mut window =
        Window::new(files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.len() as u64)).collect());
    fetch_and_open(&mut window, root, |need| {
        let (start, len) = (need.offset as usize, need.len as usize);
        Ok(files[need.file].1[start..start + len].to_vec())
    })
}

/// Asserts the kind, and that the error says what, where, what was expected and what was found.
#[track_caller]
pub fn assert_fault<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, what: &str) -> Error {
    let error = result.expect_err("a faulty artifact was accepted");
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.what.contains(what), "not {what:?}: {error}");
    for (field, text) in [("place", &error.place), ("expected", &error.expected), ("found", &error.found)] {
        assert!(!text.is_empty(), "{field} is empty: {error}");
    }
    error
}

/// Bytes that are neither zeros nor luck.
pub fn bytes(random: &mut fastrand::Rng, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes
}

/// `len` bytes of this seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    bytes(&mut fastrand::Rng::with_seed(seed), len)
}

/// A valid file of two tensors, `a` U8 [3] and `b` F16 [2, 1], 7 bytes of data.
pub fn two_tensors() -> Vec<u8> {
    let header = r#"{"b":{"dtype":"F16","shape":[2,1],"data_offsets":[3,7]},"__metadata__":{"format":"pt"},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#;
    safetensors(header, &noise(1, 7))
}

/// A valid file of one U8 tensor of this name and these bytes.
pub fn one_tensor(name: &str, data: &[u8]) -> Vec<u8> {
    let len = data.len();
    safetensors(&format!(r#"{{"{name}":{{"dtype":"U8","shape":[{len}],"data_offsets":[0,{len}]}}}}"#), data)
}

/// How the zip writer is to store a member.
#[derive(Debug, Clone, Copy)]
pub enum Store {
    Plain,
    Deflated,
    /// Stored with 64-bit lengths in both headers.
    Plain64,
}

/// An archive by the `zip` crate.
pub fn zip(members: &[(&str, &[u8], Store)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes, store) in members {
        let method = match store {
            Store::Deflated => CompressionMethod::Deflated,
            Store::Plain | Store::Plain64 => CompressionMethod::Stored,
        };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .large_file(matches!(store, Store::Plain64))
            .unix_permissions(0o644);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The model that most cases break: config.json deflated, two tensors stored.
pub fn model_zip() -> Vec<u8> {
    zip(&[
        ("config.json", br#"{"model_type": "qwen3", "model_type_again": "qwen3"}"#, Store::Deflated),
        ("model.safetensors", &two_tensors(), Store::Plain),
    ])
}

/// A zip's headers, found by their signatures (the test data holds none by chance).
pub fn headers(zip: &[u8], signature: &[u8; 4]) -> Vec<usize> {
    (0..zip.len() - 3).filter(|at| zip[*at..].starts_with(signature)).collect()
}

pub const LOCAL: &[u8; 4] = b"PK\x03\x04";
pub const CENTRAL: &[u8; 4] = b"PK\x01\x02";
pub const END: &[u8; 4] = b"PK\x05\x06";

/// `bytes` with those at `at` replaced.
pub fn patched(bytes: &[u8], patches: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, new) in patches {
        bytes[*at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

/// A model of the same files as a tar; its architecture is not known.
pub fn model_tar() -> Vec<u8> {
    tar(&[
        ("config.json", br#"{"model_type": "other", "model_type_again": "other"}"#),
        ("model.safetensors", &two_tensors()),
    ])
}

/// How to compress a tar.
#[derive(Debug, Clone, Copy)]
pub enum Pack {
    Gzip,
    Bzip2,
    Xz,
}

impl Pack {
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Bzip2, Self::Xz];

    /// `bytes` as a whole file.
    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => gzip(bytes),
            Self::Bzip2 => bzip2(bytes, 1),
            Self::Xz => xz(bytes),
        }
    }
}
