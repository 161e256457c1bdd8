//! Stored weights to K-major f32 panels. The only part of the CPU backend that knows bits.

use bitgauge_core::{Matrix, Packed, RowSlot};
use std::ops::Range;

use super::isa::Isa;
use super::micro::{DEPTH, MOST_COLS};

/// Columns that share one rescue scale.
const RESCUE_GROUP: usize = 128;

/// A weight matrix `[N, K]` in its stored form, with the place of each row.
#[derive(Debug)]
pub struct Weights {
    pub(super) stored: Matrix,
    slots: Vec<RowSlot>,
}

impl Weights {
    pub(super) fn new(stored: Matrix) -> Self {
        let slots = match &stored {
            Matrix::Packed(packed) => packed.slots(),
            Matrix::Dense(_) => Vec::new(),
        };
        Self { stored, slots }
    }

    /// Writes row `row` (K values) into `out`.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        match &self.stored {
            Matrix::Dense(dense) => dense.values.read(row * dense.cols, out),
            Matrix::Packed(packed) => packed.read_row(self.slots[row], out),
        }
    }

    /// Writes weight rows `rows` (at most the panel's width NR), input columns `cols`, K-major:
    /// `panel[(k - cols.start) * NR + j]` is row `rows.start + j`, column k. Columns of the panel
    /// past the last row are unspecified. `cols.start` is a multiple of 32.
    pub(super) fn fill_panel(&self, isa: Isa, rows: Range<usize>, cols: Range<usize>, panel: &mut [f32]) {
        let nr = isa.tile().1;
        let mut line = [0.0; DEPTH];
        let line = &mut line[..cols.len()];
        match &self.stored {
            Matrix::Dense(dense) => {
                for (j, row) in rows.enumerate() {
                    dense.values.read(row * dense.cols + cols.start, line);
                    scatter(nr, line, j, panel);
                }
            }
            Matrix::Packed(packed) => {
                let slots = &self.slots[rows];
                fill_binary(isa, packed, slots, cols.clone(), panel);
                for (j, slot) in slots.iter().enumerate() {
                    if let RowSlot::Rescue(r) = *slot {
                        read_rescue(packed, r as usize, cols.start, line);
                        scatter(nr, line, j, panel);
                    }
                }
            }
        }
    }
}

/// Writes `rows` of f32 into a K-major panel of width `nr`, as [`Weights::fill_panel`] does.
pub(super) fn scatter_panel<'a>(nr: usize, rows: impl Iterator<Item = &'a [f32]>, panel: &mut [f32]) {
    for (j, row) in rows.enumerate() {
        scatter(nr, row, j, panel);
    }
}

/// Writes one weight row into column `j` of the panel.
fn scatter(nr: usize, line: &[f32], j: usize, panel: &mut [f32]) {
    for (group, value) in panel.chunks_exact_mut(nr).zip(line) {
        group[j] = *value;
    }
}

/// All binary rows of the panel at once, one sign word of 32 columns at a time; rescue rows come
/// out as zeros.
fn fill_binary(isa: Isa, packed: &Packed, slots: &[RowSlot], cols: Range<usize>, panel: &mut [f32]) {
    let nr = isa.tile().1;
    let (words, groups, group) = (packed.sign_words(), packed.scale_groups(), packed.scale_group_cols());
    if packed.bases == 0 || packed.binary_rows() == 0 {
        return panel.fill(0.0);
    }
    for basis in 0..packed.bases {
        // A rescue row reads some binary row's signs, with a scale of zero.
        let mut rows = [None; MOST_COLS];
        for (row, slot) in rows.iter_mut().zip(slots) {
            if let RowSlot::Binary(m) = *slot {
                *row = Some(basis * packed.binary_rows() + m as usize);
            }
        }
        let (mut sign, mut negated) = ([0u32; MOST_COLS], [0u32; MOST_COLS]);
        let (mut start, mut scaled_until) = (cols.start, cols.start);
        while start < cols.end {
            if start == scaled_until {
                for (negated, row) in negated.iter_mut().zip(&rows[..slots.len()]) {
                    let scale = row.map_or(0.0, |row| packed.scale[row * groups + start / group].to_f32());
                    *negated = (-scale).to_bits();
                }
                scaled_until = (start / group + 1) * group;
            }
            for (sign, row) in sign.iter_mut().zip(&rows[..slots.len()]) {
                *sign = packed.sign[row.unwrap_or(0) * words + start / 32];
            }
            let end = cols.end.min(scaled_until).min((start / 32 + 1) * 32);
            let part = &mut panel[(start - cols.start) * nr..(end - cols.start) * nr];
            isa.expand(&sign, &negated, start as u32 % 32, basis > 0, part);
            start = end;
        }
    }
}

/// Columns `first .. first + out.len()` of rescue row `r`. `first` is even.
fn read_rescue(packed: &Packed, r: usize, first: usize, out: &mut [f32]) {
    let code = &packed.rescue_code[r * packed.cols.div_ceil(2)..];
    let scale = &packed.rescue_scale[r * packed.rescue_groups()..];
    let mut column = first;
    while column < first + out.len() {
        let end = (first + out.len()).min((column / RESCUE_GROUP + 1) * RESCUE_GROUP);
        let scale = scale[column / RESCUE_GROUP].to_f32();
        for c in column..end {
            let nibble = code[c / 2] >> (4 * (c % 2)) & 0xf;
            out[c - first] = f32::from((nibble as i8) << 4 >> 4) * scale;
        }
        column = end;
    }
}
