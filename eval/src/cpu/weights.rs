//! A weight matrix as the CPU multiplies by it.

use std::ops::Range;

use bitgauge_core::Matrix;

use super::isa::{InstructionSet, Isa};
use super::lookup::Lookup;
use super::panel::StoredMatrix;
use super::product::multiply_stored;

/// A weight matrix `[N, K]`.
#[derive(Debug)]
pub struct Weights(Form);

#[derive(Debug)]
enum Form {
    /// As it is stored; multiplied panel by panel of unpacked floats.
    Stored(StoredMatrix),
    /// Signs in the order in which the lookups read them.
    Lookup(Box<Lookup>),
}

impl Weights {
    pub(super) fn new(isa: Isa, matrix: Matrix) -> Self {
        // Elsewhere a lookup of 16 floats is no single instruction.
        let form = match matrix {
            Matrix::Bitpacked(packed) if isa.set() == InstructionSet::Avx512 && Lookup::fits(&packed) => {
                Form::Lookup(Box::new(Lookup::new(packed)))
            }
            matrix => Form::Stored(StoredMatrix::new(matrix)),
        };
        Self(form)
    }

    /// Number of output rows (N).
    pub(super) fn rows(&self) -> usize {
        match &self.0 {
            Form::Stored(stored) => stored.matrix.rows(),
            Form::Lookup(lookup) => lookup.rows(),
        }
    }

    /// Number of input columns (K).
    pub(super) fn cols(&self) -> usize {
        match &self.0 {
            Form::Stored(stored) => stored.matrix.cols(),
            Form::Lookup(lookup) => lookup.cols(),
        }
    }

    /// Writes row `row` (K values) into `out`.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        match &self.0 {
            Form::Stored(stored) => stored.read_row(row, out),
            Form::Lookup(lookup) => lookup.read_row(row, out),
        }
    }

    /// `out[i][j - rows.start] = x[i] · w[j]` for the weight rows j of `rows`, which begins at a
    /// multiple of 32. x is `[>= out.len(), K]`.
    pub(super) fn multiply(&self, isa: Isa, x: &[f32], rows: Range<usize>, out: &mut [&mut [f32]]) {
        match &self.0 {
            Form::Stored(stored) => multiply_stored(isa, stored, x, rows, out),
            Form::Lookup(lookup) => lookup.multiply(isa, x, rows, out),
        }
    }
}
