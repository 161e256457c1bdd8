//! Products with sign planes by table lookup, several times faster than multiplying.
//!
//! Four inputs have only 16 signed sums. They are added up once for each token, and then four sign bits
//! of a weight row are the number of the sum to add: one permutation of a register of 16 floats does
//! that for 16 rows, in place of four multiply-adds. Sums are f32 and exact up to their rounding; each
//! scale group's is multiplied by its scale. (The idea of LUT-GEMM, Park et al. 2022, in registers.)
//!
//! Tokens go through in groups of [`TOKENS`], so that the tables of one block of input columns stay in
//! the L1 cache while all weight rows stream past in the order in which they are stored here.

use std::ops::Range;

use bitgauge_core::format::bits;
use bitgauge_core::{Bitpacked, Matrix, RowSlot};
use half::f16;

#[cfg(target_arch = "x86_64")]
use super::isa::InstructionSet;
use super::isa::{Isa, vectorised};
use super::panel::StoredMatrix;
use super::product::multiply_stored;

/// Lanes of a vector register.
const LANES: usize = 16;
/// Weight rows of a panel: two registers of signs.
const ROWS: usize = 2 * LANES;
/// Tokens whose tables exist together.
const TOKENS: usize = 8;
/// Input columns of one sign word.
const WORD: usize = bits::WORD_COLUMNS;
/// Input columns whose sums are one table.
const QUAD: usize = 4;
/// Most sign words of one block of input columns: 128 columns, 16 KiB of tables.
const WORDS: usize = 4;

/// What one register holds.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Lanes<T>([T; LANES]);

/// One sign word of each row of a panel.
type SignWords = [Lanes<u32>; 2];
/// The 16 sums of each quad of one token's input columns: `[word][quad]`; sum s adds column j of the
/// quad if bit j of s is set and subtracts it if not.
type TokenTables = [[Lanes<f32>; WORD / QUAD]; WORDS];
/// Those of a group of tokens.
type Tables = [TokenTables; TOKENS];

/// Outputs of one panel for a group of tokens.
type PanelSums = [[Lanes<f32>; 2]; TOKENS];

const NO_SUMS: PanelSums = [[Lanes([0.0; LANES]); 2]; TOKENS];

/// A packed matrix `[N, K]` with its signs in the order in which the lookups read them.
#[derive(Debug)]
pub(super) struct Lookup {
    rows: usize,
    cols: usize,
    bases: usize,
    /// Sign words of a block of input columns, which share a scale.
    words: usize,
    /// `[block][panel][basis][word]`. Rescue rows are there with the scale 0.
    signs: Vec<SignWords>,
    /// `[block][panel][basis]`.
    scales: Vec<[f16; ROWS]>,
    rescue: Option<Rescue>,
}

/// The rescue rows of a matrix, without the others.
#[derive(Debug)]
struct Rescue {
    /// Their numbers in the matrix.
    rows: Vec<u32>,
    weights: StoredMatrix,
}

impl Lookup {
    /// Whether a matrix has signs to look up, in scale groups of whole words.
    pub fn fits(packed: &Bitpacked) -> bool {
        let layout = &packed.layout;
        layout.bases() > 0 && layout.binary_rows() > 0 && layout.scale_group().is_multiple_of(WORD as u64)
    }

    pub fn new(packed: Bitpacked) -> Self {
        let group_words = packed.layout.scale_group() as usize / WORD;
        // The most words that never cross into another scale group.
        let words = (1..=WORDS).rev().find(|&words| group_words.is_multiple_of(words)).unwrap_or(1);
        let (rows, cols, bases) = (packed.rows(), packed.cols(), packed.bases());
        let (blocks, panels) = (cols.div_ceil(words * WORD), rows.div_ceil(ROWS));
        let mut lookup = Self {
            rows,
            cols,
            bases,
            words,
            signs: vec![[Lanes([0; LANES]); 2]; blocks * panels * bases * words],
            scales: vec![[f16::ZERO; ROWS]; blocks * panels * bases],
            rescue: None,
        };
        for (row, slot) in packed.slots().into_iter().enumerate() {
            if let RowSlot::Binary(m) = slot {
                (0..bases).for_each(|basis| lookup.put_row(&packed, row, basis, m as usize));
            }
        }
        lookup.rescue = Rescue::of(packed);
        lookup
    }

    /// Number of output rows, N.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of input columns, K.
    pub fn cols(&self) -> usize {
        self.cols
    }

    fn panels(&self) -> usize {
        self.rows.div_ceil(ROWS)
    }

    /// Where a row's scale is.
    fn place(&self, block: usize, row: usize, basis: usize) -> usize {
        (block * self.panels() + row / ROWS) * self.bases + basis
    }

    fn put_row(&mut self, packed: &Bitpacked, row: usize, basis: usize, m: usize) {
        let (signs, scales) = (packed.sign_words(basis, m..m + 1), packed.scales(basis, m..m + 1));
        let group = packed.layout.scale_columns() as usize;
        for (block, words) in signs.chunks(self.words).enumerate() {
            let place = self.place(block, row, basis);
            let column = block * self.words * WORD;
            self.scales[place][row % ROWS] = scales[column / group];
            let (lane, vector) = (row % LANES, row % ROWS / LANES);
            for (to, word) in self.signs[place * self.words..].iter_mut().zip(words) {
                to[vector].0[lane] = *word;
            }
        }
    }

    /// Writes row `row` (K values) into `out`.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        if let Some(rescue) = &self.rescue
            && let Ok(index) = rescue.rows.binary_search(&(row as u32))
        {
            return rescue.weights.read_row(index, out);
        }
        out.fill(0.0);
        let (lane, vector) = (row % LANES, row % ROWS / LANES);
        for (block, out) in out.chunks_mut(self.words * WORD).enumerate() {
            for basis in 0..self.bases {
                let place = self.place(block, row, basis);
                let scale = self.scales[place][row % ROWS].to_f32();
                let words = &self.signs[place * self.words..];
                for (c, out) in out.iter_mut().enumerate() {
                    let word = words[c / WORD][vector].0[lane];
                    *out += if bits::is_plus(&[word], c % WORD) { scale } else { -scale };
                }
            }
        }
    }

    /// `out[i][j - rows.start] = x[i] · w[j]`, see [`super::weights::Weights::multiply`].
    pub fn multiply(&self, isa: Isa, x: &[f32], rows: Range<usize>, out: &mut [&mut [f32]]) {
        let block_cols = self.words * WORD;
        let mut tables = Box::new([[[Lanes([0.0; LANES]); WORD / QUAD]; WORDS]; TOKENS]);
        let mut sums = vec![NO_SUMS; rows.len().div_ceil(ROWS)];
        for (x, out) in x.chunks(TOKENS * self.cols).zip(out.chunks_mut(TOKENS)) {
            sums.fill(NO_SUMS);
            for (block, first) in (0..self.cols).step_by(block_cols).enumerate() {
                let columns = first..self.cols.min(first + block_cols);
                for (x, tables) in x.chunks(self.cols).zip(tables.iter_mut()).take(out.len()) {
                    fill_tables(isa, &x[columns.clone()], tables);
                }
                self.look_up_block(isa, &tables, block, rows.start, &mut sums);
            }
            for (token, out) in out.iter_mut().enumerate() {
                for (sums, out) in sums.iter().zip(out.chunks_mut(ROWS)) {
                    for (Lanes(sums), out) in sums[token].iter().zip(out.chunks_mut(LANES)) {
                        out.copy_from_slice(&sums[..out.len()]);
                    }
                }
            }
        }
        if let Some(rescue) = &self.rescue {
            rescue.multiply(isa, x, rows, out);
        }
    }

    /// Adds what one block of input columns contributes to the panels from `row` on.
    fn look_up_block(&self, isa: Isa, tables: &Tables, block: usize, row: usize, sums: &mut [PanelSums]) {
        let first = self.place(block, row, 0);
        for (panel, sums) in sums.iter_mut().enumerate() {
            for place in first + panel * self.bases..first + (panel + 1) * self.bases {
                let signs = &self.signs[place * self.words..][..self.words];
                look_up(isa, tables, signs, &self.scales[place], sums);
            }
        }
    }
}

impl Rescue {
    fn of(packed: Bitpacked) -> Option<Self> {
        let layout = packed.layout.rescue_rows_alone()?;
        let alone = Bitpacked {
            layout,
            sign: Vec::new(),
            scale: Vec::new(),
            rescue_rows: (0..layout.rows() as u32).collect(),
            ..packed
        };
        Some(Self { rows: packed.rescue_rows, weights: StoredMatrix::new(Matrix::Bitpacked(alone)) })
    }

    /// Writes the products with those rescue rows that lie in `rows`.
    fn multiply(&self, isa: Isa, x: &[f32], rows: Range<usize>, out: &mut [&mut [f32]]) {
        let index = |row: usize| self.rows.partition_point(|&rescued| (rescued as usize) < row);
        let found = index(rows.start)..index(rows.end);
        if found.is_empty() {
            return;
        }
        let mut products = vec![0.0; out.len() * found.len()];
        let mut lines: Vec<&mut [f32]> = products.chunks_exact_mut(found.len()).collect();
        multiply_stored(isa, &self.weights, x, found.clone(), &mut lines);
        for (out, line) in out.iter_mut().zip(lines) {
            for (row, value) in self.rows[found.clone()].iter().zip(line) {
                out[*row as usize - rows.start] = *value;
            }
        }
    }
}

/// Adds to a panel's sums what the sign words select, times the scales.
fn look_up(isa: Isa, tables: &Tables, signs: &[SignWords], scales: &[f16; ROWS], sums: &mut PanelSums) {
    match isa.set() {
        // SAFETY: an `Isa` exists only for instruction sets that the CPU has.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { avx512(tables, signs, scales, sums) },
        _ => portable(tables, signs, scales, sums),
    }
}

/// See [`look_up`].
fn portable(tables: &Tables, signs: &[SignWords], scales: &[f16; ROWS], sums: &mut PanelSums) {
    for (tables, sums) in tables.iter().zip(sums) {
        for (row, sum) in sums.iter_mut().flat_map(|lanes| &mut lanes.0).enumerate() {
            let mut selected = 0.0;
            for (words, tables) in signs.iter().zip(tables) {
                let word = words[row / LANES].0[row % LANES];
                for (quad, table) in tables.iter().enumerate() {
                    selected += table.0[(word >> (QUAD * quad)) as usize % LANES];
                }
            }
            *sum += selected * scales[row].to_f32();
        }
    }
}

/// `NEGATED[j][s]`: the sign bit where sum s subtracts column j of its quad.
const NEGATED: [[u32; 1 << QUAD]; QUAD] = {
    let mut negated = [[0; 1 << QUAD]; QUAD];
    let mut i = 0;
    while i < QUAD << QUAD {
        let (j, s) = (i >> QUAD, i % (1 << QUAD));
        negated[j][s] = if s >> j & 1 == 1 { 0 } else { 1 << 31 };
        i += 1;
    }
    negated
};

vectorised! {
    /// The tables of one token's inputs; past their end they are as if the inputs were 0.
    fn fill_tables(x: &[f32], tables: &mut TokenTables) {
        let mut padded = [0.0; WORDS * WORD];
        padded[..x.len()].copy_from_slice(x);
        for (x, table) in padded.as_chunks::<QUAD>().0.iter().zip(tables.as_flattened_mut()) {
            for (s, sum) in table.0.iter_mut().enumerate() {
                let signed = |j: usize| f32::from_bits(x[j].to_bits() ^ NEGATED[j][s]);
                *sum = (signed(0) + signed(1)) + (signed(2) + signed(3));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// [`portable`] in registers: a sign word's quads are shifted into place one after the other, since the
/// permutation looks at the lowest four bits of each lane only.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn avx512(tables: &Tables, signs: &[SignWords], scales: &[f16; ROWS], sums: &mut PanelSums) {
    let mut acc = [[_mm512_setzero_ps(); 2]; TOKENS];
    for (w, words) in signs.iter().enumerate() {
        // SAFETY: each has 16 words.
        let mut index = words.map(|words| unsafe { _mm512_load_si512(words.0.as_ptr().cast()) });
        for quad in 0..WORD / QUAD {
            for (acc, tables) in acc.iter_mut().zip(tables) {
                // SAFETY: each has 16 floats.
                let table = unsafe { _mm512_load_ps(tables[w][quad].0.as_ptr()) };
                for (acc, index) in acc.iter_mut().zip(index) {
                    *acc = _mm512_add_ps(*acc, _mm512_permutexvar_ps(index, table));
                }
            }
            index = index.map(|index| _mm512_srli_epi32::<{ QUAD as u32 }>(index));
        }
    }
    // SAFETY: there are 2 x 16 scales of 16 bits each.
    let scale =
        [0, 1].map(|v| _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(scales[v * LANES..].as_ptr().cast()) }));
    for (acc, sums) in acc.iter().zip(sums) {
        for ((acc, scale), Lanes(sum)) in acc.iter().zip(scale).zip(sums) {
            // SAFETY: each has 16 floats.
            unsafe {
                let total = _mm512_fmadd_ps(*acc, scale, _mm512_load_ps(sum.as_ptr()));
                _mm512_store_ps(sum.as_mut_ptr(), total);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::tests::data::{FORMS, Random, matrix};

    #[test]
    fn rows_are_read_as_they_are_stored() {
        let mut random = Random::new(1);
        for form in FORMS {
            let Matrix::Bitpacked(packed) = matrix(&mut random, form, 67, 201) else { continue };
            if !Lookup::fits(&packed) {
                continue;
            }
            let expected = Matrix::Bitpacked(packed.clone()).to_f32();
            let lookup = Lookup::new(packed);
            for (row, expected) in expected.chunks_exact(201).enumerate() {
                let mut found = vec![f32::NAN; 201];
                lookup.read_row(row, &mut found);
                assert_eq!(found, expected, "{form:?} row {row}");
            }
        }
    }

    #[test]
    fn the_portable_lookup_multiplies() {
        let portable = Isa::new(crate::cpu::InstructionSet::Portable).unwrap();
        let mut random = Random::new(2);
        let Matrix::Bitpacked(packed) = matrix(&mut random, FORMS[8], 37, 150) else { panic!("not packed") };
        let x = random.vec(11 * 150, -1.0, 1.0);
        let dense = Matrix::Bitpacked(packed.clone()).to_f32();
        let mut out = vec![f32::NAN; 11 * 37];
        let mut lines: Vec<&mut [f32]> = out.chunks_exact_mut(37).collect();
        Lookup::new(packed).multiply(portable, &x, 0..37, &mut lines);
        for (i, found) in out.iter().enumerate() {
            let (x, w) = (&x[i / 37 * 150..][..150], &dense[i % 37 * 150..][..150]);
            let expected: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
            assert!((f64::from(*found) - expected).abs() < 1e-4, "{i}: {found}, expected {expected}");
        }
    }
}
