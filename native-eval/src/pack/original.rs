//! The weights of the model that is packed, each as a checkpoint would hold it, whatever it is stored as.

mod order;
mod vector;

use bitgauge_core::container::TensorEntry;
use bitgauge_core::format::layouts::{Bytes, Decoder as CodedDecoder, Piece};
use bitgauge_core::format::{Form, Layout, Part, Parts, decode, decode_blocks, decode_dense};
use bitgauge_core::inventory::{Inventory, Stored, Weight};
use bitgauge_core::model::{Decoder, ExpectedTensor};
use bitgauge_core::plan::{Convention, convention};
use bitgauge_core::{Bitpacked, Dense, Dtype, Error, ErrorKind, Result, RowSlot, Values};

use crate::source::Source;
use order::Order;
pub(super) use vector::Kept;

/// A weight of the model that is packed.
#[derive(Debug, Clone)]
pub(super) struct Original {
    /// Its name in a packed model.
    pub(super) name: String,
    /// What the architecture says about it.
    pub(super) expected: ExpectedTensor,
    /// Bytes of all tensors that hold it.
    pub(super) bytes: u64,
    stored: Stored,
    form: Form,
    /// The tensors that hold it, as [`Form::tensors`] has them.
    tensors: Vec<TensorEntry>,
    rows: Order,
    cols: Order,
}

impl Original {
    /// A weight that the architecture knows.
    pub(super) fn new(
        inventory: &Inventory,
        decoder: &Decoder,
        weight: &Weight,
        expected: &ExpectedTensor,
    ) -> Self {
        let indices = weight.form.tensors();
        let tensors: Vec<TensorEntry> =
            indices.iter().map(|&index| inventory.artifact.tensors[index].clone()).collect();
        let [rows, cols] = Order::of(expected.role, decoder, convention(inventory));
        let own = inventory.manifest.as_ref().and_then(|manifest| manifest.get(&weight.name));
        // A nested decoder's names may stay as they are.
        let name = if own == Some(expected) { &weight.name } else { &expected.name };
        Self {
            name: name.clone(),
            expected: expected.clone(),
            bytes: tensors.iter().map(|tensor| tensor.bytes).sum(),
            stored: weight.stored.clone(),
            form: weight.form.clone(),
            tensors,
            rows,
            cols,
        }
    }

    /// The type that a weight that is no matrix is kept as.
    pub(super) fn kept_dtype(&self, of: (&Decoder, Convention)) -> Dtype {
        let dtype = self.tensors.first().map_or(Dtype::F32, |tensor| tensor.dtype);
        if vector::is_changed(&self.expected, dtype, of) { Dtype::F32 } else { dtype }
    }

    /// The bytes of a weight that is no matrix.
    ///
    /// # Errors
    /// Bytes that can't be read, or that a checkpoint can't hold.
    pub(super) fn kept(&self, source: &mut Source, of: (&Decoder, Convention)) -> Result<Kept> {
        let [tensor] = &self.tensors[..] else { return Err(self.misfit()) };
        vector::kept(&self.expected, tensor.dtype, source.read_tensor(tensor)?, of)
    }

    /// How it is packed already, in the packed format.
    pub(super) fn packed(&self) -> Option<Layout> {
        match self.stored {
            Stored::Bitpacked(layout) => Some(layout),
            _ => None,
        }
    }

    /// A part of a weight that is packed already.
    pub(super) fn part(&self, source: &mut Source, part: Part) -> Result<Vec<u8>> {
        let Form::Bitpacked { parts } = &self.form else { return Err(self.misfit()) };
        let at = parts[part].and_then(|index| self.form.tensors().binary_search(&index).ok());
        source.read_tensor(at.map(|at| &self.tensors[at]).ok_or_else(|| self.misfit())?)
    }

    /// Reads what has to be in memory as long as rows are read: all that is packed, and nothing of plain values.
    pub(super) fn held(&self, source: &mut Source) -> Result<Held> {
        match &self.stored {
            Stored::Plain { .. } => Ok(Held(Vec::new())),
            _ => {
                self.tensors.iter().map(|tensor| source.read_tensor(tensor)).collect::<Result<_>>().map(Held)
            }
        }
    }

    /// A reader of the rows of a matrix.
    ///
    /// # Errors
    /// Parts that are not valid.
    pub(super) fn rows<'a>(&'a self, held: &'a Held) -> Result<Rows<'a>> {
        let bytes = |index: usize| {
            let at = self.form.tensors().binary_search(&index).unwrap_or(0);
            (&self.tensors[at], held.0.get(at).map_or(&[][..], Vec::as_slice))
        };
        let decoder = match (&self.stored, &self.form) {
            (Stored::Plain { dtype, .. }, Form::Plain { .. }) => RowDecoder::Plain(*dtype),
            (Stored::Bitpacked(layout), Form::Bitpacked { parts: indices }) => {
                let mut parts: Parts<&[u8]> = Parts::default();
                for (part, index) in indices.iter() {
                    parts[part] = index.map_or(&[][..], |index| bytes(index).1);
                }
                let packed = decode(&self.name, layout, &parts)?;
                RowDecoder::Packed(packed.slots(), packed)
            }
            (Stored::Coded(coded), Form::Coded { pieces }) => {
                let tensor = |&(piece, index): &(Piece, usize)| {
                    let (tensor, bytes) = bytes(index);
                    Bytes { piece, dtype: tensor.dtype, bytes }
                };
                let tensors: Vec<Bytes> = pieces.0.iter().map(tensor).collect();
                RowDecoder::Coded(CodedDecoder::new(&self.name, coded, &tensors)?)
            }
            _ => return Err(self.misfit()),
        };
        Ok(Rows { original: self, decoder })
    }

    fn misfit(&self) -> Error {
        Error::new(ErrorKind::WrongShape, "the stored parts do not fit the architecture").within(&self.name)
    }
}

/// The bytes that a reader of rows keeps.
pub(super) struct Held(Vec<Vec<u8>>);

/// Reads rows of a matrix.
pub(super) struct Rows<'a> {
    original: &'a Original,
    decoder: RowDecoder<'a>,
}

enum RowDecoder<'a> {
    /// Rows are read as they are needed.
    Plain(Dtype),
    Packed(Vec<RowSlot>, Bitpacked),
    Coded(CodedDecoder<'a>),
}

impl Rows<'_> {
    /// Columns of the matrix.
    pub(super) fn cols(&self) -> usize {
        self.original.expected.shape.last().map_or(1, |&cols| cols as usize)
    }

    /// Bytes that a row takes on its way, as stored and as values.
    pub(super) fn row_bytes(&self) -> u64 {
        match self.decoder {
            RowDecoder::Plain(dtype) if !matches!(dtype, Dtype::Block(_)) => self.stored_row_bytes(dtype),
            _ => (size_of::<f32>() * self.cols()) as u64,
        }
    }

    fn stored_row_bytes(&self, dtype: Dtype) -> u64 {
        self.cols() as u64 / dtype.block_elements() * dtype.bytes()
    }

    /// Reads the stored bytes of these rows of the checkpoint's matrix; none where they are in memory.
    pub(super) fn read(&self, source: &mut Source, rows: &[u32]) -> Result<Vec<u8>> {
        let RowDecoder::Plain(dtype) = self.decoder else { return Ok(Vec::new()) };
        let [tensor] = &self.original.tensors[..] else { return Err(self.original.misfit()) };
        let row_bytes = self.stored_row_bytes(dtype);
        let mut bytes = Vec::new();
        for run in self.runs(rows) {
            let (start, len) = (run.0 as u64 * row_bytes, run.1 as u64 * row_bytes);
            if bytes.is_empty() {
                bytes = source.read_tensor_range(tensor, start, len)?;
            } else {
                bytes.extend(source.read_tensor_range(tensor, start, len)?);
            }
        }
        Ok(bytes)
    }

    /// Runs of neighbouring rows of the stored matrix: their first, and how many.
    fn runs(&self, rows: &[u32]) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for place in rows.iter().map(|&row| self.original.rows.place(row as usize)) {
            match runs.last_mut() {
                Some((first, count)) if *first + *count == place => *count += 1,
                _ => runs.push((place, 1)),
            }
        }
        runs
    }

    /// The values of these rows, whose stored bytes [`Rows::read`] gave.
    ///
    /// # Errors
    /// A block that is not valid.
    pub(super) fn decode(&self, rows: &[u32], bytes: &[u8]) -> Result<Dense> {
        let (name, cols) = (&self.original.name, self.cols());
        let shape = [rows.len() as u64, cols as u64];
        let values = match &self.decoder {
            RowDecoder::Plain(Dtype::Block(block)) => decode_blocks(name, *block, shape, bytes)?.to_f32(),
            RowDecoder::Plain(dtype) => {
                let dense = decode_dense(name, *dtype, shape, bytes)?;
                if self.original.cols == Order::Same {
                    return Ok(dense);
                }
                dense.values.to_f32()
            }
            RowDecoder::Packed(slots, packed) => {
                let mut values = vec![0.0; rows.len() * cols];
                for (out, &row) in values.chunks_exact_mut(cols).zip(rows) {
                    packed.read_row(slots[self.original.rows.place(row as usize)], out);
                }
                values
            }
            RowDecoder::Coded(decoder) => {
                let mut values = vec![0.0; rows.len() * cols];
                let mut done = 0;
                for (first, count) in self.runs(rows) {
                    decoder.rows(first, &mut values[done * cols..(done + count) * cols]);
                    done += count;
                }
                values
            }
        };
        let order = self.original.cols;
        let values = if order == Order::Same {
            values
        } else {
            let row = |row: &[f32]| (0..cols).map(|col| row[order.place(col)]).collect::<Vec<_>>();
            values.chunks_exact(cols).flat_map(row).collect()
        };
        Ok(Dense { rows: rows.len(), cols, values: Values::F32(values) })
    }
}
