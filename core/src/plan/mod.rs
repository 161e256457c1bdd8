//! What loading a model takes, apart from the artifact's structure: sizes, and where the bytes of each weight lie. A browser's
//! worker that measures gets it as text from the one that judges, so that it does without the parsers.

mod text;

use crate::container::{Compression, Compressor};
use crate::format::{Form, Parts};
use crate::inventory::{Inventory, Weight};
use crate::model::{Architecture, Decoder, ExpectedTensor, LayerPart, Presence, Quantization, Role};
use crate::{Error, ErrorKind, Result};

/// In what form the values of norms, decays and heads come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// As transformers stores them.
    Checkpoint,
    /// As MLX does: norms whole.
    Mlx,
    /// As llama.cpp does: norms whole, decays as rates, value heads by turns of the key heads.
    LlamaCpp,
}

/// A model, and where its weights lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its sizes.
    pub decoder: Decoder,
    /// Whose conventions the stored values follow.
    pub convention: Convention,
    /// What the tensors lie in.
    pub files: Vec<PlannedFile>,
    /// What [`Weight::form`] counts.
    pub tensors: Vec<PlannedTensor>,
    /// The weights of the forward pass, each dense, bitpacked or in ggml's blocks, in storage order.
    pub weights: Vec<Weight>,
}

/// Where a tensor lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTensor {
    /// Its name in the artifact.
    pub name: String,
    /// The number of the planned file.
    pub file: usize,
    /// Offset of its first byte there.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// A file in which tensors lie: one of the artifact's, or what a part of one unpacks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// The number of the file, as the artifact was opened.
    pub file: usize,
    /// Which of its bytes are unpacked first; none of a file that holds tensors as they are.
    pub compressed: Option<CompressedRange>,
}

/// Compressed bytes of a file. The pass that judged has unpacked and checked them, but not where only headers were read, of a
/// file on another host: whoever unpacks them holds them to `bytes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressedRange {
    /// How they are compressed.
    pub format: CompressionFormat,
    /// Offset of the first one.
    pub offset: u64,
    /// How many there are.
    pub stored_bytes: u64,
    /// How many bytes they unpack to.
    pub bytes: u64,
}

/// The compressions that browsers unpack by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionFormat {
    /// A raw deflate stream, as zip stores it.
    Deflate,
    /// A gzip file.
    Gzip,
}

impl Plan {
    /// How to load the model of an artifact.
    ///
    /// # Errors
    /// An artifact without a known architecture, or with missing or misshapen weights; one that is compressed with
    /// something that browsers don't unpack, or in another writer's format.
    pub fn of(inventory: &Inventory) -> Result<Self> {
        let decoder = decoder(inventory)?.clone();
        let mut plan = Self {
            decoder,
            convention: convention(inventory),
            files: Vec::new(),
            tensors: Vec::new(),
            weights: Vec::new(),
        };
        for (weight, _) in wanted(inventory) {
            let form = match &weight.form {
                Form::Plain { index } => Form::Plain { index: plan.add(inventory, *index)? },
                Form::Bitpacked { parts: indices } => {
                    let mut parts = Parts::default();
                    for (part, index) in indices.iter() {
                        parts[part] = index.map(|index| plan.add(inventory, index)).transpose()?;
                    }
                    Form::Bitpacked { parts }
                }
                Form::Coded { .. } => return Err(coded(inventory)),
            };
            plan.weights.push(Weight { form, ..weight.clone() });
        }
        Ok(plan)
    }

    /// Adds a tensor of the artifact; gives its number here.
    fn add(&mut self, inventory: &Inventory, index: usize) -> Result<usize> {
        let tensor = &inventory.artifact.tensors[index];
        let (file, offset) = place(inventory, tensor.member)?;
        let number = self.files.iter().position(|known| *known == file).unwrap_or(self.files.len());
        if number == self.files.len() {
            self.files.push(file);
        }
        self.tensors.push(PlannedTensor {
            name: tensor.name.clone(),
            file: number,
            offset: offset + tensor.offset,
            bytes: tensor.bytes,
        });
        Ok(self.tensors.len() - 1)
    }

    /// Bytes of all weights as they are stored.
    pub fn stored_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes).sum()
    }
}

/// What a member's bytes lie in, unpacked, and at which offset.
fn place(inventory: &Inventory, member: usize) -> Result<(PlannedFile, u64)> {
    let artifact = inventory.artifact;
    let member = &artifact.members[member];
    let range = match (artifact.compressed, member.compression) {
        (None, Compression::Stored) => {
            return Ok((PlannedFile { file: member.file, compressed: None }, member.offset));
        }
        (None, Compression::Deflated) => CompressedRange {
            format: CompressionFormat::Deflate,
            offset: member.offset,
            stored_bytes: member.stored_bytes,
            bytes: member.bytes,
        },
        (Some(tar), Compression::Stored) if tar.compressor == Compressor::Gzip => CompressedRange {
            format: CompressionFormat::Gzip,
            offset: 0,
            stored_bytes: artifact.size_bytes,
            bytes: tar.unpacked_bytes,
        },
        (Some(tar), _) => return Err(compressed(tar.compressor.name())),
        (None, _) => return Err(compressed("a member with another compression").within(&member.name)),
    };
    let offset = if artifact.compressed.is_some() { member.offset } else { 0 };
    Ok((PlannedFile { file: member.file, compressed: Some(range) }, offset))
}

/// What to say of weights that browsers do not unpack.
pub fn compressed(found: &str) -> Error {
    Error::new(ErrorKind::Unsupported, "a browser does not unpack this compression for measuring")
        .expected_found("a folder, a GGUF or safetensors file, a tar, a tar.gz or a zip", found)
        .hint("`bitgauge eval` measures it; or unpack it and open the folder here")
}

fn coded(inventory: &Inventory) -> Error {
    Error::new(ErrorKind::Unsupported, "a browser does not measure weights in this format")
        .expected_found(
            "dense, bitpack or GGUF weights",
            inventory.quant_method().unwrap_or("another format"),
        )
        .hint("`bitgauge eval` measures it")
}

/// The weights that the forward pass needs, in storage order.
pub fn wanted<'a>(inventory: &'a Inventory<'_>) -> Vec<(&'a Weight, &'a ExpectedTensor)> {
    let expected = |weight: &'a Weight| {
        let expected = weight.expected.as_ref()?;
        (expected.presence != Presence::TiedCopy).then_some((weight, expected))
    };
    inventory.weights.iter().filter_map(expected).collect()
}

/// The model of an artifact.
///
/// # Errors
/// Why it can't be evaluated.
pub fn decoder<'a>(inventory: &'a Inventory) -> Result<&'a Decoder> {
    let unsupported = |why: String| {
        Error::new(ErrorKind::Unsupported, "the artifact holds no model that bitgauge can evaluate")
            .expected_found("dense or bitpack weights of a known architecture", why)
            .hint("`bitgauge inspect` shows what can be judged without evaluating it")
    };
    if let Some(why) = &inventory.opaque {
        return Err(unsupported(why.clone()));
    }
    if let Some(error) = inventory.misshapen.first() {
        return Err(error.clone());
    }
    if let Some(name) = inventory.missing.first() {
        return Err(Error::new(ErrorKind::Missing, "a weight is missing")
            .expected_found(name, format!("{} weights missing", inventory.missing.len())));
    }
    match inventory.config.as_ref().map(|config| config.architecture()) {
        Some(Architecture::Decoder(decoder)) => match &decoder.not_evaluated {
            None => Ok(decoder),
            Some(why) => Err(unsupported(why.clone())),
        },
        _ => Err(unsupported("no config.json".into())),
    }
}

/// Whose conventions the stored values follow.
pub fn convention(inventory: &Inventory) -> Convention {
    match inventory.config.as_ref().map(|config| &config.quantization) {
        Some(Quantization::Gguf) => Convention::LlamaCpp,
        Some(Quantization::Coded(config)) if config.scheme.is_mlx => Convention::Mlx,
        _ => Convention::Checkpoint,
    }
}

/// Rows of a head whose halves llama.cpp has shuffled into each other, for the tensors that it does so to:
/// llama's queries and keys.
pub fn turned_heads(decoder: &Decoder, convention: Convention, role: Role) -> Option<usize> {
    use LayerPart::{KBias, KProj, QBias, QProj};
    let Role::Layer { part: QProj | QBias | KProj | KBias, .. } = role else { return None };
    let is_turned = decoder.family.defaults().gguf_pairs_channels && convention == Convention::LlamaCpp;
    is_turned.then_some(decoder.head_dim as usize)
}
