//! Stored weights to K-major f32 panels. The only part of the CPU backend that knows bits.

use bitgauge_core::format::bits::{self, WORD_COLUMNS};
use bitgauge_core::{Bitpacked, Matrix, RESCUE_GROUP, RowSlot};
use std::ops::Range;

use super::isa::Isa;
use super::micro::{self, DEPTH, MOST_COLS};

/// A weight matrix `[N, K]` in its stored form, with the place of each row.
#[derive(Debug)]
pub(super) struct StoredMatrix {
    pub matrix: Matrix,
    slots: Vec<RowSlot>,
}

impl StoredMatrix {
    pub fn new(matrix: Matrix) -> Self {
        let slots = match &matrix {
            Matrix::Bitpacked(packed) => packed.slots(),
            Matrix::Dense(_) | Matrix::Blocks(_) => Vec::new(),
        };
        Self { matrix, slots }
    }

    /// Writes row `row` (K values) into `out`.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        match &self.matrix {
            Matrix::Dense(dense) => dense.values.read(row * dense.cols, out),
            Matrix::Bitpacked(packed) => packed.read_row(self.slots[row], out),
            Matrix::Blocks(blocks) => blocks.read(row, 0, out),
        }
    }

    /// Writes weight rows `rows` (at most the panel's width NR), input columns `cols`, K-major:
    /// `panel[(k - cols.start) * NR + j]` is row `rows.start + j`, column k. Columns of the panel
    /// past the last row are unspecified. `cols.start` is a multiple of 32.
    pub fn fill_panel(&self, isa: Isa, rows: Range<usize>, cols: Range<usize>, panel: &mut [f32]) {
        let nr = isa.tile().1;
        let mut line = [0.0; DEPTH];
        let line = &mut line[..cols.len()];
        match &self.matrix {
            Matrix::Dense(dense) => {
                for (j, row) in rows.enumerate() {
                    dense.values.read(row * dense.cols + cols.start, line);
                    scatter(nr, line, j, panel);
                }
            }
            Matrix::Blocks(blocks) => {
                for (j, row) in rows.enumerate() {
                    blocks.read(row, cols.start, line);
                    scatter(nr, line, j, panel);
                }
            }
            Matrix::Bitpacked(packed) => {
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

/// The panel of f32 rows: `panel[k][j] = from[j * stride + k]` for `j < rows`.
pub(super) fn transpose(isa: Isa, from: &[f32], stride: usize, rows: usize, panel: &mut [f32]) {
    /// A cache line of each row at a time: its part of the panel then stays in the L1 cache.
    const LINE: usize = 16;
    let nr = isa.tile().1;
    for (start, part) in (0..).step_by(LINE).zip(panel.chunks_mut(LINE * nr)) {
        for j in 0..rows {
            scatter(nr, &from[j * stride + start..][..part.len() / nr], j, part);
        }
    }
}

/// The panel of f32 columns: `panel[k][j] = from[k * stride + j]` for `j < cols`.
pub(super) fn copy_columns(isa: Isa, from: &[f32], stride: usize, cols: usize, panel: &mut [f32]) {
    fn copy<const NR: usize>(from: &[f32], stride: usize, panel: &mut [f32]) {
        for (group, row) in panel.as_chunks_mut::<NR>().0.iter_mut().zip(from.chunks(stride)) {
            group.copy_from_slice(&row[..NR]);
        }
    }
    match isa.tile().1 {
        8 if cols == 8 => copy::<8>(from, stride, panel),
        16 if cols == 16 => copy::<16>(from, stride, panel),
        32 if cols == 32 => copy::<32>(from, stride, panel),
        nr => {
            for (group, row) in panel.chunks_exact_mut(nr).zip(from.chunks(stride)) {
                group[..cols].copy_from_slice(&row[..cols]);
            }
        }
    }
}

/// Writes one weight row into column `j` of a panel of width `nr`.
fn scatter(nr: usize, line: &[f32], j: usize, panel: &mut [f32]) {
    fn write<const NR: usize>(line: &[f32], j: usize, panel: &mut [f32]) {
        for (group, value) in panel.as_chunks_mut::<NR>().0.iter_mut().zip(line) {
            group[j] = *value;
        }
    }
    match nr {
        8 => write::<8>(line, j, panel),
        16 => write::<16>(line, j, panel),
        _ => write::<32>(line, j, panel),
    }
}

/// All binary rows of the panel at once, one sign word of 32 columns at a time; rescue rows come
/// out as zeros.
fn fill_binary(isa: Isa, packed: &Bitpacked, slots: &[RowSlot], cols: Range<usize>, panel: &mut [f32]) {
    let nr = isa.tile().1;
    let layout = &packed.layout;
    let [bases, binary_rows, groups, group] =
        [layout.bases(), layout.binary_rows(), layout.scale_groups(), layout.scale_columns()]
            .map(|size| size as usize);
    if bases == 0 || binary_rows == 0 {
        return panel.fill(0.0);
    }
    let mut signs = [[0u32; MOST_COLS]; DEPTH / 32];
    for basis in 0..bases {
        gather_signs(packed, slots, basis, &cols, &mut signs);
        let mut negated = [0u32; MOST_COLS];
        let (mut start, mut scaled_until) = (cols.start, cols.start);
        while start < cols.end {
            if start == scaled_until {
                for (negated, slot) in negated.iter_mut().zip(slots) {
                    if let RowSlot::Binary(m) = *slot {
                        let row = basis * binary_rows + m as usize;
                        *negated = (-packed.scale[row * groups + start / group].to_f32()).to_bits();
                    }
                }
                scaled_until = (start / group + 1) * group;
            }
            let end = cols.end.min(scaled_until).min((start / 32 + 1) * 32);
            let part = &mut panel[(start - cols.start) * nr..(end - cols.start) * nr];
            let sign = &signs[(start - cols.start) / 32];
            micro::expand(isa, sign, &negated, start as u32 % 32, basis > 0, part);
            start = end;
        }
    }
}

/// `signs[w][j]`: word w of the columns, of the panel's row j. A rescue row's stay as they were;
/// its scale is zero.
fn gather_signs(
    packed: &Bitpacked,
    slots: &[RowSlot],
    basis: usize,
    cols: &Range<usize>,
    signs: &mut [[u32; MOST_COLS]; DEPTH / 32],
) {
    for (j, slot) in slots.iter().enumerate() {
        if let RowSlot::Binary(m) = *slot {
            let row = packed.sign_words(basis, m as usize..m as usize + 1);
            for (signs, word) in signs.iter_mut().zip(&row[cols.start / WORD_COLUMNS..]) {
                signs[j] = *word;
            }
        }
    }
}

/// Columns `first .. first + out.len()` of rescue row `r`. `first` is even.
fn read_rescue(packed: &Bitpacked, r: usize, first: usize, out: &mut [f32]) {
    let (codes, scales) = (packed.codes(r..r + 1), packed.rescue_scales(r..r + 1));
    let mut column = first;
    while column < first + out.len() {
        let end = (first + out.len()).min((column / RESCUE_GROUP + 1) * RESCUE_GROUP);
        let scale = scales[column / RESCUE_GROUP].to_f32();
        for c in column..end {
            out[c - first] = f32::from(bits::code(codes, c)) * scale;
        }
        column = end;
    }
}
