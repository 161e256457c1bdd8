//! Stored weights to K-major f32 panels. The only part of the CPU backend that knows bits.

use bitgauge_core::{Matrix, Packed, RowSlot};
use std::ops::Range;

use super::isa::Isa;

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
        match isa.tile().1 {
            8 => self.fill::<8>(isa, rows, cols, panel),
            16 => self.fill::<16>(isa, rows, cols, panel),
            _ => self.fill::<32>(isa, rows, cols, panel),
        }
    }

    fn fill<const NR: usize>(&self, isa: Isa, rows: Range<usize>, cols: Range<usize>, panel: &mut [f32]) {
        let mut line = [0.0; super::micro::DEPTH];
        let line = &mut line[..cols.len()];
        match &self.stored {
            Matrix::Dense(dense) => {
                for (j, row) in rows.enumerate() {
                    dense.values.read(row * dense.cols + cols.start, line);
                    scatter::<NR>(line, j, panel);
                }
            }
            Matrix::Packed(packed) => {
                let slots = &self.slots[rows];
                isa.run(|| fill_binary::<NR>(packed, slots, cols.clone(), panel));
                for (j, slot) in slots.iter().enumerate() {
                    if let RowSlot::Rescue(r) = *slot {
                        read_rescue(packed, r as usize, cols.start, line);
                        scatter::<NR>(line, j, panel);
                    }
                }
            }
        }
    }
}

/// Writes `rows` of f32 into a K-major panel of width `nr`, as [`Weights::fill_panel`] does.
pub(super) fn scatter_panel<'a>(nr: usize, rows: impl Iterator<Item = &'a [f32]>, panel: &mut [f32]) {
    for (j, row) in rows.enumerate() {
        match nr {
            8 => scatter::<8>(row, j, panel),
            16 => scatter::<16>(row, j, panel),
            _ => scatter::<32>(row, j, panel),
        }
    }
}

/// Writes one weight row into column `j` of the panel.
fn scatter<const NR: usize>(line: &[f32], j: usize, panel: &mut [f32]) {
    for (group, value) in panel.chunks_exact_mut(NR).zip(line) {
        group[j] = *value;
    }
}

/// All binary rows of the panel at once, one sign word of 32 columns at a time; rescue rows come
/// out as zeros.
#[inline(always)]
fn fill_binary<const NR: usize>(packed: &Packed, slots: &[RowSlot], cols: Range<usize>, panel: &mut [f32]) {
    let (words, groups, group) = (packed.sign_words(), packed.scale_groups(), packed.scale_group_cols());
    let panel = panel.as_chunks_mut::<NR>().0;
    if packed.bases == 0 {
        panel.as_flattened_mut().fill(0.0);
    }
    for basis in 0..packed.bases {
        let row = |slot: &RowSlot| match *slot {
            RowSlot::Binary(m) => Some(basis * packed.binary_rows() + m as usize),
            RowSlot::Rescue(_) => None,
        };
        let (mut sign, mut negated) = ([0u32; NR], [0u32; NR]);
        let (mut start, mut scaled_until) = (cols.start, cols.start);
        while start < cols.end {
            if start == scaled_until {
                for (negated, slot) in negated.iter_mut().zip(slots) {
                    let scale = row(slot).map_or(0.0, |r| packed.scale[r * groups + start / group].to_f32());
                    *negated = (-scale).to_bits();
                }
                scaled_until = (start / group + 1) * group;
            }
            for (sign, slot) in sign.iter_mut().zip(slots) {
                *sign = row(slot).map_or(0, |r| packed.sign[r * words + start / 32]);
            }
            let end = cols.end.min(scaled_until).min((start / 32 + 1) * 32);
            let part = &mut panel[start - cols.start..end - cols.start];
            expand(&sign, &negated, start % 32, basis > 0, part);
            start = end;
        }
    }
}

/// `part[k][j] (+)= ±scale[j]` by bit `first_bit + k` of `sign[j]`: the bit, moved to the sign
/// position, flips the negated scale's own sign.
#[inline(always)]
fn expand<const NR: usize>(
    sign: &[u32; NR],
    negated: &[u32; NR],
    first_bit: usize,
    add: bool,
    part: &mut [[f32; NR]],
) {
    for (k, out) in part.iter_mut().enumerate() {
        let shift = 31 - (first_bit + k) as u32;
        for j in 0..NR {
            let value = f32::from_bits(negated[j] ^ (sign[j] << shift & 0x8000_0000));
            out[j] = if add { out[j] + value } else { value };
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
