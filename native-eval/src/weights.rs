//! From an artifact to a model on a device, one weight at a time.

use bitgauge_core::codec::{self, Form, Part};
use bitgauge_core::inventory::{Inventory, Stored, Weight};
use bitgauge_core::model::{Architecture, LayerPart, Presence, Qwen3, Role};
use bitgauge_core::{Dense, Error, ErrorKind, Matrix};

use crate::backend::{Backend, BackendError};
use crate::forward::{Layer, Model, Shape, rotary_frequencies};
use crate::source::Source;

/// Why a model could not be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The artifact is faulty or holds no model that can be evaluated.
    Artifact(Error),
    /// The device refused.
    Backend(BackendError),
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Artifact(error) => error.fmt(f),
            Self::Backend(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Artifact(error)
    }
}

impl From<BackendError> for LoadError {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

/// Loads every weight that the forward pass needs, in storage order, so that the artifact is read
/// once from front to back. `progress` is told the stored bytes of each weight done.
///
/// # Errors
/// An artifact without a known architecture, with missing or misshapen weights or invalid payload;
/// a device that runs out of memory.
pub fn load<B: Backend>(
    backend: &mut B,
    source: &mut Source,
    inventory: &Inventory,
    progress: &mut dyn FnMut(u64),
) -> Result<Model<B>, LoadError> {
    let shape = shape(inventory)?;
    let mut parts = ModelParts::<B>::new(&shape);
    for weight in &inventory.weights {
        let Some(expected) = &weight.expected else { continue };
        if expected.presence == Presence::TiedCopy {
            continue;
        }
        let matrix = read(source, inventory, weight)?;
        parts.put(backend, expected.role, matrix)?;
        progress(stored_bytes(inventory, weight));
    }
    parts.finish(backend, shape)
}

/// The sizes of the model, or why it can't be evaluated.
fn shape(inventory: &Inventory) -> Result<Shape, Error> {
    let unsupported = |why: String| {
        Error::new(ErrorKind::Unsupported, "the artifact holds no model that bitgauge can evaluate")
            .expected("dense or bitpack weights of a known architecture", why)
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
            .expected(name, format!("{} weights missing", inventory.missing.len())));
    }
    match inventory.config.as_ref().map(|config| config.architecture()) {
        Some(Architecture::Qwen3(qwen3)) => Ok(Shape::from(qwen3)),
        _ => Err(unsupported("no config.json".into())),
    }
}

impl From<&Qwen3> for Shape {
    /// The parser's caps keep every size far below `u32::MAX`.
    fn from(config: &Qwen3) -> Self {
        Self {
            vocab_size: config.vocabulary as usize,
            hidden_size: config.hidden as usize,
            intermediate_size: config.intermediate as usize,
            layers: config.layers as usize,
            heads: config.heads as usize,
            kv_heads: config.kv_heads as usize,
            head_dim: config.head_dim as usize,
            rms_norm_eps: config.rms_norm_eps as f32,
            rope_theta: config.rope_theta as f32,
        }
    }
}

/// Reads and decodes one weight. A vector comes as a matrix of one row.
fn read(source: &mut Source, inventory: &Inventory, weight: &Weight) -> Result<Matrix, Error> {
    let tensors = &inventory.artifact.tensors;
    match (&weight.form, &weight.stored) {
        (Form::Packed { parts }, Stored::Packed(layout)) => {
            let mut bytes: codec::Parts<Vec<u8>> = codec::Parts::default();
            let mut stored: Vec<_> =
                parts.iter().filter_map(|(part, index)| Some((part, (*index)?))).collect();
            stored.sort_by_key(|&(_, index)| index);
            for (part, index) in stored {
                bytes[part] = source.read_tensor(&tensors[index])?;
            }
            let slices = Part::ALL.map(|part| bytes[part].as_slice());
            codec::decode(&weight.name, layout, &codec::Parts::new(slices)).map(Matrix::Packed)
        }
        (Form::Plain { index }, Stored::Plain { dtype, shape }) => {
            let tensor = &tensors[*index];
            let values = codec::decode_values(&tensor.name, *dtype, &source.read_tensor(tensor)?)?;
            let cols = shape.last().copied().unwrap_or(1).max(1) as usize;
            Ok(Matrix::Dense(Dense { rows: values.len() / cols, cols, values }))
        }
        _ => Err(Error::new(ErrorKind::WrongShape, "the stored parts do not fit the architecture")
            .within(&weight.name)),
    }
}

fn stored_bytes(inventory: &Inventory, weight: &Weight) -> u64 {
    let tensors = &inventory.artifact.tensors;
    match &weight.form {
        Form::Plain { index } => tensors[*index].bytes,
        Form::Packed { parts } => parts.iter().filter_map(|(_, i)| *i).map(|i| tensors[i].bytes).sum(),
    }
}

/// Weights collected so far.
struct ModelParts<B: Backend> {
    embedding: Option<B::Matrix>,
    head: Option<B::Matrix>,
    final_norm: Option<B::Vector>,
    layers: Vec<LayerParts<B>>,
}

/// Weights of one layer collected so far.
struct LayerParts<B: Backend> {
    matrices: [Option<B::Matrix>; 7],
    norms: [Option<B::Vector>; 4],
    biases: [Option<B::Vector>; 4],
}

impl<B: Backend> ModelParts<B> {
    fn new(shape: &Shape) -> Self {
        let layer = || LayerParts {
            matrices: [const { None }; 7],
            norms: [const { None }; 4],
            biases: [const { None }; 4],
        };
        Self {
            embedding: None,
            head: None,
            final_norm: None,
            layers: std::iter::repeat_with(layer).take(shape.layers).collect(),
        }
    }

    fn put(&mut self, backend: &mut B, role: Role, matrix: Matrix) -> Result<(), BackendError> {
        match role {
            Role::Embedding => self.embedding = Some(backend.upload_matrix(matrix)?),
            Role::Head => self.head = Some(backend.upload_matrix(matrix)?),
            Role::FinalNorm => self.final_norm = Some(backend.upload_vector(&matrix.to_f32())?),
            Role::Layer { layer, part } => {
                let layer = &mut self.layers[layer as usize];
                match place(part) {
                    Place::Matrix(i) => layer.matrices[i] = Some(backend.upload_matrix(matrix)?),
                    Place::Norm(i) => layer.norms[i] = Some(backend.upload_vector(&matrix.to_f32())?),
                    Place::Bias(i) => layer.biases[i] = Some(backend.upload_vector(&matrix.to_f32())?),
                }
            }
        }
        Ok(())
    }

    fn finish(self, backend: &mut B, shape: Shape) -> Result<Model<B>, LoadError> {
        let frequencies = rotary_frequencies(shape.rope_theta, shape.head_dim);
        Ok(Model {
            embedding: present(self.embedding)?,
            layers: self.layers.into_iter().map(LayerParts::finish).collect::<Result<_, _>>()?,
            final_norm: present(self.final_norm)?,
            head: self.head,
            frequencies: backend.upload_vector(&frequencies)?,
            shape,
        })
    }
}

impl<B: Backend> LayerParts<B> {
    fn finish(self) -> Result<Layer<B>, Error> {
        let [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj] = self.matrices;
        let [input_norm, q_norm, k_norm, post_norm] = self.norms;
        let [q_bias, k_bias, v_bias, o_bias] = self.biases;
        Ok(Layer {
            input_norm: present(input_norm)?,
            q_proj: present(q_proj)?,
            k_proj: present(k_proj)?,
            v_proj: present(v_proj)?,
            o_proj: present(o_proj)?,
            q_bias,
            k_bias,
            v_bias,
            o_bias,
            q_norm: present(q_norm)?,
            k_norm: present(k_norm)?,
            post_norm: present(post_norm)?,
            gate_proj: present(gate_proj)?,
            up_proj: present(up_proj)?,
            down_proj: present(down_proj)?,
        })
    }
}

enum Place {
    Matrix(usize),
    Norm(usize),
    Bias(usize),
}

/// Where a layer's weight goes, in the order in which [`LayerParts::finish`] takes them out.
fn place(part: LayerPart) -> Place {
    match part {
        LayerPart::QProj => Place::Matrix(0),
        LayerPart::KProj => Place::Matrix(1),
        LayerPart::VProj => Place::Matrix(2),
        LayerPart::OProj => Place::Matrix(3),
        LayerPart::GateProj => Place::Matrix(4),
        LayerPart::UpProj => Place::Matrix(5),
        LayerPart::DownProj => Place::Matrix(6),
        LayerPart::InputNorm => Place::Norm(0),
        LayerPart::QNorm => Place::Norm(1),
        LayerPart::KNorm => Place::Norm(2),
        LayerPart::PostAttentionNorm => Place::Norm(3),
        LayerPart::QBias => Place::Bias(0),
        LayerPart::KBias => Place::Bias(1),
        LayerPart::VBias => Place::Bias(2),
        LayerPart::OBias => Place::Bias(3),
    }
}

/// The inventory has been checked for missing weights, so this fails only if it was not.
fn present<T>(weight: Option<T>) -> Result<T, Error> {
    weight.ok_or_else(|| Error::new(ErrorKind::Missing, "a weight of the model was not loaded"))
}
