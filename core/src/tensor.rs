//! Element types, and dense matrices as they are stored.

mod block;

pub use block::BlockType;
use half::{bf16, f16};

/// Element type of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the safetensors names")]
pub enum Dtype {
    Bool,
    U8,
    I8,
    U16,
    I16,
    F16,
    BF16,
    U32,
    I32,
    F32,
    U64,
    I64,
    F64,
    F8E4M3,
    F8E5M2,
    F8E8M0,
    C64,
    F4,
    F6E2M3,
    F6E3M2,
    /// Blocks of values that share scales; in GGUF only.
    Block(BlockType),
}

impl Dtype {
    /// Every data type that a safetensors header may name here, with that name.
    pub const NAMES: [(&'static str, Self); 20] = [
        ("BOOL", Self::Bool),
        ("U8", Self::U8),
        ("I8", Self::I8),
        ("U16", Self::U16),
        ("I16", Self::I16),
        ("F16", Self::F16),
        ("BF16", Self::BF16),
        ("U32", Self::U32),
        ("I32", Self::I32),
        ("F32", Self::F32),
        ("U64", Self::U64),
        ("I64", Self::I64),
        ("F64", Self::F64),
        ("F8_E4M3", Self::F8E4M3),
        ("F8_E5M2", Self::F8E5M2),
        ("F8_E8M0", Self::F8E8M0),
        ("C64", Self::C64),
        ("F4", Self::F4),
        ("F6_E2M3", Self::F6E2M3),
        ("F6_E3M2", Self::F6E3M2),
    ];

    /// The data type that a safetensors header calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(n, _)| *n == name).map(|(_, d)| *d)
    }

    /// The name used in safetensors headers, or by GGUF's tools.
    pub fn name(self) -> &'static str {
        match self {
            Self::Block(block) => block.name(),
            _ => Self::NAMES.iter().find(|(_, d)| *d == self).map_or("?", |(n, _)| n),
        }
    }

    /// Elements that are stored together: 1, except in block formats.
    pub fn block_elements(self) -> u64 {
        match self {
            Self::Block(block) => block.values(),
            Self::F4 => 2,
            Self::F6E2M3 | Self::F6E3M2 => 4,
            _ => 1,
        }
    }

    /// Bits that this many elements take. The last block of a block format counts whole.
    pub fn bits(self, elements: u64) -> u64 {
        8 * self.bytes() * elements.div_ceil(self.block_elements())
    }

    /// Bytes of one element, or of one block.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Block(block) => block.bytes(),
            Self::Bool | Self::U8 | Self::I8 | Self::F8E4M3 | Self::F8E5M2 | Self::F8E8M0 | Self::F4 => 1,
            Self::F6E2M3 | Self::F6E3M2 => 3,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::C64 => 8,
        }
    }
}

/// Elements of a dense tensor as stored; 16-bit ones stay 16 bits wide until they are used.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names are the data types")]
pub enum Values {
    F32(Vec<f32>),
    F16(Vec<f16>),
    BF16(Vec<bf16>),
}

impl Values {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F16(v) => v.len(),
            Self::BF16(v) => v.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes elements `start .. start + out.len()` as f32.
    pub fn read(&self, start: usize, out: &mut [f32]) {
        let end = start + out.len();
        match self {
            Self::F32(v) => out.copy_from_slice(&v[start..end]),
            Self::F16(v) => convert(&v[start..end], out, f16::to_f32),
            Self::BF16(v) => convert(&v[start..end], out, bf16::to_f32),
        }
    }

    /// All elements as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.len()];
        self.read(0, &mut out);
        out
    }
}

fn convert<T: Copy>(from: &[T], to: &mut [f32], f: impl Fn(T) -> f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = f(*from);
    }
}

/// A dense matrix `[rows, cols]`, row-major: `rows` outputs by `cols` inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// Outputs (for an embedding: vocabulary rows).
    pub rows: usize,
    /// Inputs (for an embedding: the hidden size).
    pub cols: usize,
    /// `rows * cols` elements.
    pub values: Values,
}

/// Columns that share one rescue scale.
pub const RESCUE_GROUP: usize = 128;
