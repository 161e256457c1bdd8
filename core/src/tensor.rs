//! What a stored weight matrix is. `format` builds these from bytes; the backends multiply by them.

use half::{bf16, f16};

/// Element type of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
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
    #[serde(rename = "F8_E4M3")]
    F8E4M3,
    #[serde(rename = "F8_E5M2")]
    F8E5M2,
    /// Blocks of 128 columns: an f16 scale, then 128 sign bits. In GGUF only, like the two below.
    Q1_0,
    /// Blocks of 32 columns: an f16 scale, then 32 codes of 4 bits.
    Q4_0,
    /// Blocks of 32 columns: an f16 scale, then 32 codes of 8 bits.
    Q8_0,
}

impl Dtype {
    /// Every data type that a safetensors header may name here, with that name.
    pub const NAMES: [(&'static str, Self); 15] = [
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
    ];

    /// The data type that a safetensors header calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(n, _)| *n == name).map(|(_, d)| *d)
    }

    /// The name used in safetensors headers, or by GGUF's tools.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q1_0 => "Q1_0",
            Self::Q4_0 => "Q4_0",
            Self::Q8_0 => "Q8_0",
            _ => Self::NAMES.iter().find(|(_, d)| *d == self).map_or("?", |(n, _)| n),
        }
    }

    /// Elements that are stored together: 1, except in block formats.
    pub fn block_elements(self) -> u64 {
        match self {
            Self::Q1_0 => 128,
            Self::Q4_0 | Self::Q8_0 => 32,
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
            Self::Q1_0 | Self::Q4_0 => 18,
            Self::Q8_0 => 34,
            Self::Bool | Self::U8 | Self::I8 | Self::F8E4M3 | Self::F8E5M2 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
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

/// A packed matrix `[rows, cols]`: `M = rows - R` binary rows of sign planes and `R` rescue rows
/// of 4-bit codes (FORMAT.md). The constructor in `format` guarantees that all lengths agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Bitpacked {
    /// Outputs N.
    pub rows: usize,
    /// Inputs K.
    pub cols: usize,
    /// Additive sign bases B, 1 to 4 (0 when every row is a rescue row).
    pub bases: usize,
    /// Columns per scale; 0 means one scale for a whole row.
    pub scale_group: usize,
    /// Sign planes `[B, M, ceil(K / 32)]`: column c is bit `c % 32` of word `c / 32`, 1 is +.
    pub sign: Vec<u32>,
    /// Scales `[B, M, G]`.
    pub scale: Vec<f16>,
    /// Row numbers of the rescue rows, strictly increasing.
    pub rescue_rows: Vec<u32>,
    /// Rescue codes `[R, ceil(K / 2)]`: column 2j in the low nibble of byte j, two's complement.
    pub rescue_code: Vec<u8>,
    /// Rescue scales `[R, ceil(K / 128)]`.
    pub rescue_scale: Vec<f16>,
}

/// Where the data of one matrix row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowSlot {
    /// Index among the M binary rows.
    Binary(u32),
    /// Index among the R rescue rows.
    Rescue(u32),
}

impl Bitpacked {
    /// Binary rows M.
    pub fn binary_rows(&self) -> usize {
        self.rows - self.rescue_rows.len()
    }

    /// Words of one row of one sign plane.
    pub fn sign_words(&self) -> usize {
        self.cols.div_ceil(32)
    }

    /// Scales G of one row of one basis.
    pub fn scale_groups(&self) -> usize {
        if self.scale_group == 0 { 1 } else { self.cols.div_ceil(self.scale_group) }
    }

    /// Columns per scale, with "a whole row" spelled out.
    pub fn scale_group_cols(&self) -> usize {
        if self.scale_group == 0 { self.cols } else { self.scale_group }
    }

    /// Rescue scales of one rescue row.
    pub fn rescue_groups(&self) -> usize {
        self.cols.div_ceil(RESCUE_GROUP)
    }

    /// For each row, where its data is. One pass; callers keep the result.
    pub fn slots(&self) -> Vec<RowSlot> {
        let mut rescued = self.rescue_rows.iter().peekable();
        let (mut binary, mut rescue) = (0, 0);
        let mut slot = |row: u32| {
            if rescued.next_if_eq(&&row).is_some() {
                rescue += 1;
                RowSlot::Rescue(rescue - 1)
            } else {
                binary += 1;
                RowSlot::Binary(binary - 1)
            }
        };
        (0..self.rows as u32).map(&mut slot).collect()
    }

    /// Writes the dequantized row at `slot` into `out` (`cols` values): the definition of what
    /// the stored bits mean, evaluated in f32 with the bases summed in order.
    pub fn read_row(&self, slot: RowSlot, out: &mut [f32]) {
        match slot {
            RowSlot::Binary(m) => self.read_binary_row(m as usize, out),
            RowSlot::Rescue(r) => self.read_rescue_row(r as usize, out),
        }
    }

    fn read_binary_row(&self, m: usize, out: &mut [f32]) {
        let (words, groups, group) = (self.sign_words(), self.scale_groups(), self.scale_group_cols());
        out.fill(0.0);
        for b in 0..self.bases {
            let row = b * self.binary_rows() + m;
            let sign = &self.sign[row * words..][..words];
            let scale = &self.scale[row * groups..][..groups];
            for (c, out) in out.iter_mut().enumerate() {
                let s = scale[c / group].to_f32();
                *out += if sign[c / 32] >> (c % 32) & 1 == 1 { s } else { -s };
            }
        }
    }

    fn read_rescue_row(&self, r: usize, out: &mut [f32]) {
        let code = &self.rescue_code[r * self.cols.div_ceil(2)..][..self.cols.div_ceil(2)];
        let scale = &self.rescue_scale[r * self.rescue_groups()..][..self.rescue_groups()];
        for (c, out) in out.iter_mut().enumerate() {
            let nibble = code[c / 2] >> (4 * (c % 2)) & 0xf;
            let signed = (nibble as i8) << 4 >> 4;
            *out = f32::from(signed) * scale[c / RESCUE_GROUP].to_f32();
        }
    }
}

/// A weight matrix in whichever form the artifact stores it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants are documented on their types")]
pub enum Matrix {
    Dense(Dense),
    Bitpacked(Bitpacked),
}

impl Matrix {
    /// Outputs N.
    pub fn rows(&self) -> usize {
        match self {
            Self::Dense(d) => d.rows,
            Self::Bitpacked(p) => p.rows,
        }
    }

    /// Inputs K.
    pub fn cols(&self) -> usize {
        match self {
            Self::Dense(d) => d.cols,
            Self::Bitpacked(p) => p.cols,
        }
    }

    /// The whole matrix as f32, `[rows, cols]`. For tests and small matrices.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::Dense(d) => d.values.to_f32(),
            Self::Bitpacked(p) => {
                let mut out = vec![0.0; p.rows * p.cols];
                for (row, slot) in out.chunks_exact_mut(p.cols).zip(p.slots()) {
                    p.read_row(slot, row);
                }
                out
            }
        }
    }
}
