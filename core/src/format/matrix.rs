//! Weight matrices in memory, as they are stored; the backends multiply by them.

use std::ops::Range;

use half::f16;

use super::bits;
use super::layout::Layout;
use super::part::Part;
use crate::tensor::{BlockType, Dense, RESCUE_GROUP};

/// A bitpacked matrix `[N, K]`: `M = N - R` binary rows of sign planes and `R` rescue rows of 4-bit codes (FORMAT.md).
/// [`super::decode`] guarantees that all lengths are those of the layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Bitpacked {
    /// Its sizes: N, K, R, the bases B and the scales G of a row.
    pub layout: Layout,
    /// Sign planes `[B, M, ceil(K / 32)]`, see [`bits`].
    pub sign: Vec<u32>,
    /// Scales `[B, M, G]`.
    pub scale: Vec<f16>,
    /// Row numbers of the rescue rows, strictly increasing.
    pub rescue_rows: Vec<u32>,
    /// Rescue codes `[R, ceil(K / 2)]`, see [`bits`].
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
    /// Minus signs, codes and scales of 0, to be filled in.
    pub fn zeroed(layout: Layout) -> Self {
        let elements = |part: Part, bytes: u64| (layout.part_bytes(part) / bytes) as usize;
        Self {
            layout,
            sign: vec![0; elements(Part::Sign, 4)],
            scale: vec![f16::ZERO; elements(Part::Scale, 2)],
            rescue_rows: vec![0; elements(Part::RescueRows, 4)],
            rescue_code: vec![0; elements(Part::RescueCode, 1)],
            rescue_scale: vec![f16::ZERO; elements(Part::RescueScale, 2)],
        }
    }

    /// Number of output rows, N.
    pub fn rows(&self) -> usize {
        self.layout.rows() as usize
    }

    /// Number of input columns, K.
    pub fn cols(&self) -> usize {
        self.layout.cols() as usize
    }

    /// Additive sign bases B.
    pub fn bases(&self) -> usize {
        self.layout.bases() as usize
    }

    /// Sign words of some binary rows in one basis, row after row.
    pub fn sign_words(&self, basis: usize, rows: Range<usize>) -> &[u32] {
        self.rows_of(Part::Sign, &self.sign, basis, rows)
    }

    /// Scales of some binary rows in one basis, row after row.
    pub fn scales(&self, basis: usize, rows: Range<usize>) -> &[f16] {
        self.rows_of(Part::Scale, &self.scale, basis, rows)
    }

    /// Codes of some rescue rows, row after row.
    pub fn codes(&self, rows: Range<usize>) -> &[u8] {
        self.rows_of(Part::RescueCode, &self.rescue_code, 0, rows)
    }

    /// Scales of some rescue rows, row after row.
    pub fn rescue_scales(&self, rows: Range<usize>) -> &[f16] {
        self.rows_of(Part::RescueScale, &self.rescue_scale, 0, rows)
    }

    fn rows_of<'a, T>(&self, part: Part, values: &'a [T], basis: usize, rows: Range<usize>) -> &'a [T] {
        let row = self.layout.row_bytes(part) as usize / size_of::<T>();
        let first = basis * self.layout.binary_rows() as usize;
        &values[(first + rows.start) * row..(first + rows.end) * row]
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
        (0..self.rows() as u32).map(&mut slot).collect()
    }

    /// Writes the dequantized row at `slot` into `out` (K values): the definition of what
    /// the stored bits mean, evaluated in f32 with the bases summed in order.
    pub fn read_row(&self, slot: RowSlot, out: &mut [f32]) {
        match slot {
            RowSlot::Binary(m) => self.read_binary_row(m as usize, out),
            RowSlot::Rescue(r) => self.read_rescue_row(r as usize, out),
        }
    }

    fn read_binary_row(&self, m: usize, out: &mut [f32]) {
        let group = self.layout.scale_columns() as usize;
        out.fill(0.0);
        for basis in 0..self.bases() {
            let (words, scales) = (self.sign_words(basis, m..m + 1), self.scales(basis, m..m + 1));
            for (c, out) in out.iter_mut().enumerate() {
                let scale = scales[c / group].to_f32();
                *out += if bits::is_plus(words, c) { scale } else { -scale };
            }
        }
    }

    fn read_rescue_row(&self, r: usize, out: &mut [f32]) {
        let (codes, scales) = (self.codes(r..r + 1), self.rescue_scales(r..r + 1));
        for (c, out) in out.iter_mut().enumerate() {
            *out = f32::from(bits::code(codes, c)) * scales[c / RESCUE_GROUP].to_f32();
        }
    }
}

/// Most values of a block.
const BLOCK_VALUES: usize = 256;

/// A matrix of one of ggml's block types as it is stored. [`super::keep_blocks`] guarantees rows of whole blocks, and values
/// that are finite.
#[derive(Debug, Clone)]
pub struct Blocks {
    /// The type.
    pub block: BlockType,
    /// Number of output rows, N.
    pub rows: usize,
    /// Number of input columns, K.
    pub cols: usize,
    /// The blocks, row after row.
    pub bytes: Vec<u8>,
    /// Writes the values of one block.
    pub(super) decode: fn(block: &[u8], values: &mut [f32]),
}

impl PartialEq for Blocks {
    fn eq(&self, other: &Self) -> bool {
        (self.block, self.rows, self.cols) == (other.block, other.rows, other.cols)
            && self.bytes == other.bytes
    }
}

impl Blocks {
    /// Writes columns `start .. start + out.len()` of a row.
    pub fn read(&self, row: usize, start: usize, out: &mut [f32]) {
        let (length, bytes) = (self.block.values() as usize, self.block.bytes() as usize);
        let mut values = [0.0; BLOCK_VALUES];
        let mut done = 0;
        while done < out.len() {
            let column = start + done;
            let number = (row * self.cols + column) / length;
            (self.decode)(&self.bytes[number * bytes..][..bytes], &mut values[..length]);
            let found = &values[column % length..length];
            let count = found.len().min(out.len() - done);
            out[done..][..count].copy_from_slice(&found[..count]);
            done += count;
        }
    }
}

/// A weight matrix in whichever form the artifact stores it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants are documented on their types")]
pub enum Matrix {
    Dense(Dense),
    Bitpacked(Bitpacked),
    Blocks(Blocks),
}

impl Matrix {
    /// Number of output rows, N.
    pub fn rows(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.rows,
            Self::Bitpacked(packed) => packed.rows(),
            Self::Blocks(blocks) => blocks.rows,
        }
    }

    /// Number of input columns, K.
    pub fn cols(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.cols,
            Self::Bitpacked(packed) => packed.cols(),
            Self::Blocks(blocks) => blocks.cols,
        }
    }

    /// The whole matrix as f32, `[N, K]`. For tests and small matrices.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::Dense(dense) => dense.values.to_f32(),
            Self::Bitpacked(packed) => {
                let mut out = vec![0.0; packed.rows() * packed.cols()];
                for (row, slot) in out.chunks_exact_mut(packed.cols()).zip(packed.slots()) {
                    packed.read_row(slot, row);
                }
                out
            }
            Self::Blocks(blocks) => {
                let mut out = vec![0.0; blocks.rows * blocks.cols];
                for (number, row) in out.chunks_exact_mut(blocks.cols).enumerate() {
                    blocks.read(number, 0, row);
                }
                out
            }
        }
    }
}
