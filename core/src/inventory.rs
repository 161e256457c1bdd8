//! What an artifact holds, matched with what its config.json asks for.

mod earlier;

use std::collections::HashSet;

use crate::container::{Artifact, ContainerKind};
use crate::format::layouts::{self, Coded, Count};
use crate::format::{self, Form, Grouping, Layout};
use crate::model::{
    Architecture, CodedConfig, Config, ExpectedTensor, Manifest, Presence, Quantization, Role, Transformers,
    check_generation,
};
use crate::tensor::{BlockType, Dtype};
use crate::{Error, ErrorKind, Result, memory};

/// Bytes that a tensor and a member take here and in the report.
const TENSOR_BYTES: u64 = 1 << 10;
const MEMBER_BYTES: u64 = 512;

/// The head's name, and those of the embedding.
const HEAD: &str = "lm_head.weight";
const EMBEDDINGS: [&str; 2] = ["model.embed_tokens.weight", "model.language_model.embed_tokens.weight"];
/// What stands in front of a nested decoder's names behind `model.`; transformers does not look for them without that.
const NESTED: &str = "language_model.";

/// One weight of the artifact.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// Name in the model, without the suffixes of packed parts.
    pub name: String,
    /// What the model's architecture says about it; `None` for a weight that it does not know.
    pub expected: Option<ExpectedTensor>,
    /// How it is stored.
    pub stored: Stored,
    /// Which tensors hold it.
    pub form: Form,
}

/// How a weight is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// Sign planes and rescue rows.
    Bitpacked(Layout),
    /// Codes and scales of another writer's format.
    Coded(Coded),
    /// One tensor of floating-point values, or something that the model does not know.
    Plain {
        /// Element type.
        dtype: Dtype,
        /// Dimensions as stored.
        shape: Vec<u64>,
    },
    /// Packed parts whose shapes do not fit the architecture or each other.
    Misfit {
        /// Bits that the parts take.
        bits: u64,
    },
}

impl Stored {
    /// Dimensions of the weight, outermost first; `None` for parts that do not fit.
    pub fn shape(&self) -> Option<Vec<u64>> {
        match self {
            Self::Bitpacked(layout) => Some(vec![layout.rows(), layout.cols()]),
            Self::Coded(coded) => Some(vec![coded.rows(), coded.cols()]),
            Self::Plain { shape, .. } => Some(shape.clone()),
            Self::Misfit { .. } => None,
        }
    }

    /// Logical parameters, the product of the dimensions; 0 for parts that do not fit.
    pub fn parameters(&self) -> u64 {
        match self {
            Self::Bitpacked(layout) => layout.parameters(),
            Self::Coded(coded) => coded.parameters(),
            Self::Plain { shape, .. } => shape.iter().product(),
            Self::Misfit { .. } => 0,
        }
    }

    /// Those of them that are kept as 4-bit codes in rescue rows.
    pub fn rescue_parameters(&self) -> u64 {
        match self {
            Self::Bitpacked(layout) => layout.rescue_parameters(),
            Self::Coded(_) | Self::Plain { .. } | Self::Misfit { .. } => 0,
        }
    }

    /// Bits of all tensors that hold the weight.
    pub fn bits(&self) -> u64 {
        match self {
            Self::Bitpacked(layout) => layout.bits().total(),
            Self::Coded(coded) => coded.stored_bits(),
            Self::Plain { dtype, .. } => dtype.bits(self.parameters()),
            Self::Misfit { bits } => *bits,
        }
    }

    /// Those of them that are signs of binary parameters; each additive basis counts again.
    pub fn sign_bits(&self) -> u64 {
        match self {
            Self::Bitpacked(layout) => layout.bits().sign,
            Self::Plain { dtype: Dtype::Block(BlockType::Q1_0), .. } => self.parameters(),
            Self::Coded(coded) if coded.bits() == 1 => coded.code_bits(),
            Self::Coded(_) | Self::Plain { .. } | Self::Misfit { .. } => 0,
        }
    }
}

/// An artifact matched with its configuration.
#[derive(Debug, Clone)]
pub struct Inventory<'a> {
    /// The artifact's structure.
    pub artifact: &'a Artifact,
    /// config.json, when there is one.
    pub config: Option<Config>,
    /// What the architecture consists of, when it is known.
    pub manifest: Option<Manifest>,
    /// Every weight once, in storage order.
    pub weights: Vec<Weight>,
    /// Bits of tensors that repeat a weight.
    pub surplus_bits: u64,
    /// Names of required weights that are not stored.
    pub missing: Vec<String>,
    /// Names of stored weights that the architecture does not know.
    pub unknown: Vec<String>,
    /// Names of tensors of a dense checkpoint that belong to its vision tower or its head for
    /// multi-token prediction; the text decoder does without them.
    pub ignored: Vec<String>,
    /// Names of weights that are stored more than once.
    pub doubled: Vec<String>,
    /// Weights whose stored shape is not the architecture's.
    pub misshapen: Vec<Error>,
    /// Why the tensors can't be matched with an architecture, if they can't.
    pub opaque: Option<String>,
    /// The tensors that hold the embedding and the head of a dense model which says that they are one:
    /// transformers 5 ties them only if their values agree.
    pub tied_pair: Option<[usize; 2]>,
    /// A weight of the architecture that is stored as other things than numbers of a known type.
    not_numbers: Option<String>,
}

impl<'a> Inventory<'a> {
    /// Matches an artifact with its config.json, as the transformers of the validator does.
    ///
    /// # Errors
    /// No config.json in a folder or archive, a config.json that can't be read, a packed part of
    /// the wrong data type.
    pub fn of(artifact: &'a Artifact) -> Result<Self> {
        Self::of_version(artifact, Transformers::default())
    }

    /// The same as this version of transformers does.
    ///
    /// # Errors
    /// Those of [`Self::of`].
    pub fn of_version(artifact: &'a Artifact, transformers: Transformers) -> Result<Self> {
        let (tensors, members) = (artifact.tensors.len() as u64, artifact.members.len() as u64);
        memory::require(tensors * TENSOR_BYTES + members * MEMBER_BYTES, "the weights and the report")?;
        let config = match &artifact.config {
            Some(bytes) => Some(Config::parse_for(bytes, transformers)?),
            None if artifact.kind == ContainerKind::Safetensors => None,
            None => Some(Config::parse_for(artifact.expect_config()?, transformers)?),
        };
        let mut config = config;
        if let (Some(config), Some(layout)) = (&mut config, &artifact.layout) {
            config.quantization = Quantization::Coded(CodedConfig::new(layout.clone()));
        }
        let manifest = config.as_ref().and_then(|config| Manifest::new(config.architecture()));
        // The packer's loader leaves the file alone; what other code does is not known.
        if let (Some(config), Some(_), Some(text)) = (&mut config, &manifest, &artifact.generation)
            && config.model_code.is_none()
        {
            check_generation(text, &mut config.loading);
        }
        let packed = config.as_ref().and_then(Config::bitpacked);
        let grouping = match config.as_ref().and_then(Config::coded) {
            Some(coded) => layouts::group(&artifact.tensors, &coded.scheme),
            None => format::group(&artifact.tensors, packed.as_ref()),
        };
        let surplus_bits = surplus_bits(artifact, &grouping);
        let mut inventory = Self {
            artifact,
            config,
            manifest,
            weights: Vec::with_capacity(grouping.weights.len()),
            surplus_bits,
            missing: Vec::new(),
            unknown: Vec::new(),
            ignored: Vec::new(),
            doubled: grouping.doubled.iter().map(|d| d.name.clone()).collect(),
            misshapen: Vec::new(),
            opaque: None,
            tied_pair: None,
            not_numbers: None,
        };
        inventory.match_weights(grouping)?;
        if transformers == Transformers::V4 {
            inventory.check_earlier();
        }
        inventory.tied_pair = inventory.find_tied_pair();
        inventory.opaque = inventory.find_opacity();
        Ok(inventory)
    }

    /// The same where the stored head is not the embedding, though config.json says so: transformers 5 then keeps both.
    pub fn untied(&self) -> Self {
        let mut untied = self.clone();
        let is_head = |tensor: &ExpectedTensor| tensor.presence == Presence::TiedCopy;
        untied.manifest.iter_mut().for_each(Manifest::untie);
        for expected in untied.weights.iter_mut().filter_map(|weight| weight.expected.as_mut()) {
            if is_head(expected) {
                expected.presence = Presence::Required;
            }
        }
        untied
    }

    /// None for transformers 4.57, which drops the head whatever it holds.
    fn find_tied_pair(&self) -> Option<[usize; 2]> {
        let is_compared = |config: &&Config| {
            config.quantization == Quantization::None && config.transformers == Transformers::V5
        };
        let config = self.config.as_ref().filter(is_compared)?;
        let Architecture::Decoder(decoder) = config.architecture() else { return None };
        let stored = |role| {
            let of_role = |weight: &&Weight| weight.expected.as_ref().is_some_and(|e| e.role == role);
            match self.weights.iter().find(of_role)?.form {
                Form::Plain { index } => Some(index),
                Form::Bitpacked { .. } | Form::Coded { .. } => None,
            }
        };
        decoder.tied.then_some([stored(Role::Embedding)?, stored(Role::Head)?])
    }

    /// Logical parameters that the validator would count, when the architecture is known.
    pub fn parameters(&self) -> Option<u64> {
        let all = self.logical_parameters()?;
        // Packed tensors may be counted as what they are, or not at all.
        let packed =
            self.coded().fold(all, |all, coded| all.saturating_sub(coded.parameters()) + coded.counted());
        Some(packed.saturating_sub(self.biases_of_buffers()))
    }

    /// Elements of the biases beside packed modules of which nothing is counted: they are buffers, too.
    fn biases_of_buffers(&self) -> u64 {
        let is_counted = |config: &CodedConfig| config.scheme.count != Count::Nothing;
        if self.config.as_ref().and_then(Config::coded).is_none_or(is_counted) {
            return 0;
        }
        self.biases_of_linear().filter_map(|bias| bias.expected.as_ref()).map(ExpectedTensor::elements).sum()
    }

    /// The biases of linear layers, which are packed in a coded model unless config.json names exceptions.
    fn biases_of_linear(&self) -> impl Iterator<Item = &Weight> {
        let is_bias = |weight: &&Weight| weight.expected.is_some() && weight.name.ends_with("_proj.bias");
        self.weights.iter().filter(is_bias)
    }

    /// A bias that transformers multiplies by its module's scale, which is modelled nowhere here.
    ///
    /// # Errors
    /// There is one.
    pub fn expect_no_scaled_bias(&self) -> Result<()> {
        let scales = |config: &CodedConfig| config.scheme.scales_biases;
        let bias = self.biases_of_linear().next();
        match bias.filter(|_| self.config.as_ref().and_then(Config::coded).is_some_and(scales)) {
            None => Ok(()),
            Some(bias) => Err(Error::new(
                ErrorKind::Unsupported,
                "transformers multiplies the bias of an `autobitlinear` layer by the scale of its weight",
            )
            .within(&bias.name)
            .expected_found("linear layers without biases", "one with a bias")),
        }
    }

    /// Parameters of the architecture, when it is known.
    pub fn logical_parameters(&self) -> Option<u64> {
        self.opaque.is_none().then(|| self.manifest.as_ref().map(Manifest::parameter_count)).flatten()
    }

    /// Parameters of those weights that are not stored in binary form and for which `is_two_valued` is set.
    pub fn two_valued(&self, is_two_valued: &[bool]) -> u64 {
        let of_two = self.weights.iter().zip(is_two_valued).filter(|(_, two_valued)| **two_valued);
        let counts =
            |weight: &Weight| weight.expected.as_ref().is_some_and(|e| e.presence == Presence::Required);
        of_two.filter(|(weight, _)| counts(weight)).map(|(weight, _)| weight.stored.parameters()).sum()
    }

    /// The weights in another writer's format whose parameters count.
    pub fn coded(&self) -> impl Iterator<Item = &Coded> {
        self.weights.iter().filter_map(|weight| match (&weight.stored, &weight.expected) {
            (Stored::Coded(coded), Some(expected)) if expected.presence == Presence::Required => Some(coded),
            _ => None,
        })
    }

    /// The declared quantization method: `bitpack`, another one's name, or `None` for dense weights.
    pub fn quant_method(&self) -> Option<&str> {
        match &self.config.as_ref()?.quantization {
            Quantization::None => None,
            Quantization::Bitpack(_) => Some("bitpack"),
            Quantization::Gguf => Some("gguf"),
            Quantization::Coded(config) => Some(&config.scheme.name),
            Quantization::Unknown { method } => Some(method),
        }
    }

    /// Files of program code, which transformers runs when it loads the model.
    pub fn code_files(&self) -> impl Iterator<Item = &str> {
        self.artifact.members.iter().map(|m| m.name.as_str()).filter(|name| name.ends_with(".py"))
    }

    fn match_weights(&mut self, grouping: Grouping) -> Result<()> {
        let mut seen = HashSet::new();
        let is_dense = self.config.as_ref().and_then(Config::bitpacked).is_none();
        let quantization = self.config.as_ref().map(|config| &config.quantization);
        let is_plain = quantization == Some(&Quantization::None);
        // What transformers' `AutoModel` writes: the decoder without its head, its names without `model.`.
        let is_base = is_plain && !grouping.weights.iter().any(|weight| weight.name.starts_with("model."));
        let is_stored = |name: &str| grouping.weights.iter().any(|weight| weight.name == name);
        let is_v5 = self.config.as_ref().is_some_and(|config| config.transformers == Transformers::V5);
        let head_is_embedding = is_plain
            && is_v5
            && is_stored(HEAD)
            && !EMBEDDINGS.iter().any(|name| is_stored(name))
            && !(is_base && is_stored(&EMBEDDINGS[0]["model.".len()..]));
        for weight in grouping.weights {
            let manifest = self.manifest.as_ref();
            let find = |name: &str| manifest.and_then(|manifest| manifest.get(name)).cloned();
            let mut expected = find(&weight.name);
            if expected.is_none() && is_base && !weight.name.starts_with(NESTED) {
                expected = find(&format!("model.{}", weight.name));
            }
            if head_is_embedding && expected.as_ref().is_some_and(|e| e.presence == Presence::TiedCopy) {
                expected = find(EMBEDDINGS[0]);
            }
            match &expected {
                // Under its own name and under the nested one.
                Some(expected) if !seen.insert(expected.name.clone()) => {
                    self.doubled.push(weight.name.clone());
                }
                Some(_) => {}
                None if is_dense && manifest.is_some_and(|m| m.is_beside_decoder(&weight.name)) => {
                    self.ignored.push(weight.name.clone());
                }
                None => self.unknown.push(weight.name.clone()),
            }
            let stored = self.stored(&weight.name, &weight.form, expected.as_ref())?;
            self.weights.push(Weight { name: weight.name, expected, stored, form: weight.form });
        }
        let required = self.manifest.iter().flat_map(|m| m.tensors());
        let missing = required.filter(|t| t.presence == Presence::Required && !seen.contains(&t.name));
        self.missing = missing.map(|t| t.name.clone()).collect();
        Ok(())
    }

    /// How one weight is stored; a shape that does not fit is noted, not an error.
    fn stored(&mut self, name: &str, form: &Form, expected: Option<&ExpectedTensor>) -> Result<Stored> {
        match form {
            Form::Plain { index } => {
                let tensor = &self.artifact.tensors[*index];
                if let Some(expected) = expected {
                    if !is_number(tensor.dtype) {
                        self.not_numbers
                            .get_or_insert_with(|| format!("{name} is stored as {}", tensor.dtype.name()));
                    } else if tensor.shape != expected.shape
                        && !self.is_turned(&tensor.shape, &expected.shape)
                    {
                        self.misshapen.push(wrong_shape(name, &expected.shape, &tensor.shape));
                    }
                }
                Ok(Stored::Plain { dtype: tensor.dtype, shape: tensor.shape.clone() })
            }
            Form::Coded { pieces } => {
                let config = self.config.as_ref().and_then(Config::coded);
                let (Some(config), Some(matrix)) = (config, expected.and_then(ExpectedTensor::matrix)) else {
                    return Ok(Stored::Misfit { bits: self.bits_of(form) });
                };
                let tensors = &self.artifact.tensors;
                match Coded::derive(tensors, pieces, &config.scheme, config.declared(name), matrix) {
                    Ok(coded) => Ok(Stored::Coded(coded)),
                    Err(error) => {
                        self.misshapen.push(error);
                        Ok(Stored::Misfit { bits: self.bits_of(form) })
                    }
                }
            }
            Form::Bitpacked { parts } => {
                let bits = self.bits_of(form);
                let packed = self.config.as_ref().and_then(Config::bitpacked);
                let (Some(config), Some(matrix)) = (packed, expected.and_then(ExpectedTensor::matrix)) else {
                    return Ok(Stored::Misfit { bits });
                };
                match Layout::derive(&self.artifact.tensors, parts, &config, matrix) {
                    Ok(layout) => Ok(Stored::Bitpacked(layout)),
                    Err(error) if error.kind == ErrorKind::WrongDtype => Err(error),
                    Err(error) => {
                        self.misshapen.push(error);
                        Ok(Stored::Misfit { bits })
                    }
                }
            }
        }
    }

    /// Whether this is MLX's order of a convolution's dimensions, which leaves its bytes as they are.
    fn is_turned(&self, found: &[u64], expected: &[u64]) -> bool {
        let is_mlx = self.config.as_ref().and_then(Config::coded).is_some_and(|coded| coded.scheme.is_mlx);
        matches!((found, expected), (&[a, b, 1], &[c, 1, d]) if is_mlx && [a, b] == [c, d])
    }

    /// Bits of the tensors that hold a weight.
    fn bits_of(&self, form: &Form) -> u64 {
        form.tensors().iter().map(|&index| 8 * self.artifact.tensors[index].bytes).sum()
    }

    /// Custom code may store tensors under any name and shape, so nothing can be said about them.
    fn find_opacity(&self) -> Option<String> {
        let config = self.config.as_ref()?;
        if let Quantization::Unknown { method } = &config.quantization {
            return Some(format!(
                "config.json declares the quantization method `{method}`, which is not known here"
            ));
        }
        if self.manifest.is_none() {
            return Some(format!("the model type `{}` is not known here", config.model_type));
        }
        let is_coded = |weight: &Weight| matches!(weight.form, Form::Coded { .. });
        if let Some(coded) = config.coded().filter(|_| !self.weights.iter().any(is_coded)) {
            let name = &coded.scheme.name;
            return Some(format!("no weight is stored in the way of `{name}` that is known here"));
        }
        let mismatched = !self.missing.is_empty() || !self.unknown.is_empty() || self.not_numbers.is_some();
        if config.bitpacked().is_none() && mismatched && self.code_files().next().is_some() {
            return Some(
                "the artifact brings its own code, and its tensors are not the architecture's".into(),
            );
        }
        self.not_numbers.as_ref().map(|what| format!("{what}, which is not read as numbers here"))
    }
}

fn surplus_bits(artifact: &Artifact, grouping: &Grouping) -> u64 {
    let surplus = grouping.doubled.iter().flat_map(|d| &d.surplus);
    surplus.map(|&index| 8 * artifact.tensors[index].bytes).sum()
}

/// Whether a weight that is not packed can be of this type.
fn is_number(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64 | Dtype::Block(_))
}

fn wrong_shape(name: &str, expected: &[u64], found: &[u64]) -> Error {
    Error::new(ErrorKind::WrongShape, "a weight has the wrong shape")
        .within(name)
        .expected_found(format!("{expected:?}"), format!("{found:?}"))
}
