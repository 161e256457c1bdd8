//! From bytes to named members and tensors: folder, zip, tar, bare safetensors, GGUF.
//!
//! Sans-IO. [`open`] asks [`Window`] for byte ranges of numbered files; ranges that are not there
//! yet stop it with [`Pause::Need`], the caller feeds them and calls it again. The same code
//! therefore serves a seekable file, HTTP range requests and a browser's `File`. Where the caller
//! can simply read, [`fetch_and_open`] does the asking and feeding. A compressed tar has no ranges: there
//! [`Pause::Unpack`] says to push all of the file through [`TarStream`].

mod compressed;
mod deflate;
mod gguf;
mod index;
mod json;
mod member;
mod model;
pub(crate) mod names;
mod open;
mod safetensors;
mod tar;
mod window;
mod zip;

pub use compressed::{Compressor, TarStream, Unpacker};
pub use deflate::{Inflater, Progress};
pub use gguf::{Metadata as GgufMetadata, ShardName};
pub use model::find_model_dir;
pub use open::{Root, fetch_and_open, open};
pub use window::{Need, Pause, READ_AHEAD_BYTES, Window};

use serde::Serialize;

use crate::format::layouts::Scheme;
use crate::json::{fields, names};
use crate::tensor::Dtype;
use crate::{Error, ErrorKind, Result};

names! {
    /// What kind of thing the artifact is. Links hold the place of each, so new ones are appended.
    #[allow(missing_docs, reason = "the names say it")]
    pub enum ContainerKind {
        #[default]
        Folder = "folder",
        Zip = "zip",
        Safetensors = "safetensors",
        Gguf = "gguf",
        Tar = "tar",
        /// A proxy's artifact, which holds no model.
        Json = "json",
    }
}

/// Number of a file as the caller listed it.
pub type FileId = usize;

/// How a member's bytes are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Compression {
    Stored,
    Deflated,
    Bzip2,
    Lzma,
}

/// One file of the artifact: of the folder, or a member of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Path inside the artifact, `/`-separated.
    pub name: String,
    /// The file that holds the bytes: the member's own in a folder, the archive otherwise.
    pub file: FileId,
    /// Offset of the first (compressed) byte in that file, or in the tar that it unpacks to.
    pub offset: u64,
    /// Bytes that the member takes in that file.
    pub stored_bytes: u64,
    /// Bytes after decompression.
    pub bytes: u64,
    /// How the bytes are stored.
    pub compression: Compression,
    /// CRC-32 recorded by the archive.
    pub crc32: Option<u32>,
    /// What it begins with, if it is a file of tensors of the model.
    pub header: Option<MemberHeader>,
    /// For a hard link in a tar, the index of the member whose bytes these are.
    pub hard_link: Option<usize>,
}

/// The header of a safetensors or GGUF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberHeader {
    /// Bytes of a safetensors header, its 8-byte length included; of a GGUF file all that is not tensors.
    pub bytes: u64,
    /// The `__metadata__` of a safetensors header in its order, what is over the caps left out; none if it has none.
    pub metadata: Option<Vec<MetadataEntry>>,
}

fields! {
    /// A key of a safetensors file's metadata.
    #[derive(Eq)]
    #[allow(missing_docs, reason = "the names say it")]
    pub struct MetadataEntry {
        pub key: String,
        pub value: String,
    }
}

/// How a tar is compressed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compressed {
    /// By what.
    pub compressor: Compressor,
    /// Length of the tar itself.
    pub unpacked_bytes: u64,
}

/// One tensor of a safetensors member, or of a GGUF file under its name in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorEntry {
    /// Its name in the header.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
    /// Index into [`Artifact::members`].
    pub member: usize,
    /// Offset of the first byte in the member's uncompressed bytes.
    pub offset: u64,
    /// Length in bytes; equals the shape's product times the element size.
    pub bytes: u64,
}

/// The structure of an artifact, without its payload.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Folder, zip, tar, bare safetensors or GGUF.
    pub kind: ContainerKind,
    /// For a compressed tar, how it is compressed. Its members lie in the tar that it unpacks to.
    pub compressed: Option<Compressed>,
    /// What the validator counts: the archive's length, or the sum of a folder's files.
    pub size_bytes: u64,
    /// Every file, in storage order.
    pub members: Vec<Member>,
    /// Folder inside the artifact that holds config.json (`""` for the root), or `None` when
    /// there is no config.json.
    pub model_dir: Option<String>,
    /// The bytes of config.json; for GGUF, what its metadata says in that form.
    pub config: Option<Vec<u8>>,
    /// The bytes of generation_config.json; none of one that is too long.
    pub generation: Option<Vec<u8>>,
    /// What a GGUF file, or the first of a set, says beside its tensors.
    pub gguf: Option<GgufMetadata>,
    /// Every tensor of every safetensors member that belongs to the model, in storage order
    /// (by member, then offset).
    pub tensors: Vec<TensorEntry>,
    /// The bytes of the index that names the files of weights, where it counts.
    pub index: Option<Vec<u8>>,
    /// What keeps transformers' own loader from taking the shards that the index names, a sentence each.
    pub index_faults: Vec<String>,
    /// How its weights lie in tensors, where whoever opened it says so, whatever config.json says.
    pub layout: Option<std::sync::Arc<Scheme>>,
}

impl Artifact {
    /// The bytes of config.json.
    ///
    /// # Errors
    /// There is none; says where it was looked for.
    pub fn expect_config(&self) -> Result<&[u8]> {
        self.config.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Missing, "there is no config.json")
                .within("config.json")
                .expected_found(
                    "a config.json beside the weights",
                    format!("{} other files", self.members.len()),
                )
                .hint("give the whole model folder, or a zip or tar of it")
        })
    }

    /// The member called `name` in the folder of config.json (in the root when there is none).
    pub fn find_beside_config(&self, name: &str) -> Option<usize> {
        let folder = self.model_dir.as_deref().unwrap_or_default();
        self.members.iter().position(|m| names::folder(&m.name) == folder && names::base(&m.name) == name)
    }
}
