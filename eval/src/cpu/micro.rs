//! The micro-kernels: one tile of `out (+)= a · panel` held in registers.
//!
//! `a` holds rows of activations at a stride of [`STRIDE`] floats, `panel` is K-major: the NR
//! weights of input column k are contiguous at `k * NR`. Each step over k loads NR weights, and
//! for every row broadcasts one activation and does NR multiply-adds. The two x86 kernels are one
//! macro with different vectors, so a machine without AVX-512 still tests the same code.

#[cfg(target_arch = "x86_64")]
use super::isa::InstructionSet;
use super::isa::Isa;

/// Most input columns multiplied in one pass: a panel then takes 16 KiB of the L1 cache with AVX2, 32
/// with AVX-512, where half of it measured the same.
pub(super) const DEPTH: usize = 256;

/// Floats from one row of `a` to the next; the extra cache line keeps the rows of a tile in
/// different cache sets.
pub(super) const STRIDE: usize = DEPTH + 16;

/// Floats in a cache line.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 16;

/// Columns of the widest panel.
pub(super) const MOST_COLS: usize = 32;

/// Where a tile goes in its output rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct TilePlace {
    /// First column.
    pub col: usize,
    /// Columns to write; less than the panel's width at the right edge.
    pub width: usize,
    /// Add to what is there instead of replacing it.
    pub add: bool,
}

/// `out (+)= a · panel`. a is `[<= rows of the tile, depth]` at [`STRIDE`], panel is `[depth, NR]`.
pub(super) fn multiply(isa: Isa, a: &[f32], panel: &[f32], out: &mut [&mut [f32]], at: TilePlace) {
    match isa.set() {
        // SAFETY: an `Isa` exists only for instruction sets that the CPU has.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { avx512(a, panel, out, at) },
        // SAFETY: the same.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => unsafe { avx2(a, panel, out, at) },
        _ => portable(a, panel, out, at),
    }
}

/// Sign bits to weights, see [`portable_expand`].
pub(super) fn expand(isa: Isa, sign: &[u32], negated: &[u32], first_bit: u32, add: bool, panel: &mut [f32]) {
    match isa.set() {
        // SAFETY: an `Isa` exists only for instruction sets that the CPU has.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { avx512_expand(sign, negated, first_bit, add, panel) },
        // SAFETY: the same.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => unsafe { avx2_expand(sign, negated, first_bit, add, panel) },
        _ => portable_expand(sign, negated, first_bit, add, panel),
    }
}

/// Independent fused multiply-adds, `rounds` of them per chain; returns FLOP done.
pub(super) fn fma_burst(isa: Isa, rounds: usize) -> u64 {
    match isa.set() {
        // SAFETY: an `Isa` exists only for instruction sets that the CPU has.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { avx512_burst(rounds) },
        // SAFETY: the same.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => unsafe { avx2_burst(rounds) },
        _ => portable_burst(rounds),
    }
}

/// Writes the part of a spilled tile that lies inside the output.
fn write_part(tile: &[f32], nr: usize, out: &mut [&mut [f32]], at: TilePlace) {
    for (row, tile) in out.iter_mut().zip(tile.chunks_exact(nr)) {
        for (out, value) in row[at.col..][..at.width].iter_mut().zip(tile) {
            *out = if at.add { *out + value } else { *value };
        }
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! micro_kernel {
    ($name:ident, $expand:ident, $burst:ident, $features:literal, $rows:literal rows of $vectors:literal x $lanes:literal lanes,
     $zero:ident, $set:ident, $load:ident, $store:ident, $add:ident, $fma:ident,
     $set_bits:ident, $load_bits:ident, $shift:ident, $and:ident, $xor:ident, $as_floats:ident) => {
        /// See the module. a is `[<= rows, depth]` at [`STRIDE`], panel is `[depth, NR]`, out has at
        /// most `rows` rows.
        #[target_feature(enable = $features)]
        fn $name(a: &[f32], panel: &[f32], out: &mut [&mut [f32]], at: TilePlace) {
            const NR: usize = $vectors * $lanes;
            let depth = panel.len() / NR;
            assert!(depth <= DEPTH && panel.len() == depth * NR && a.len() >= $rows * STRIDE);
            for line in out.iter().flat_map(|row| row[at.col..][..at.width].chunks(LINE)) {
                // The output arrives in the cache while the products run.
                _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
            }
            let mut acc = [[$zero(); $vectors]; $rows];
            for k in 0..depth {
                let mut weights = [$zero(); $vectors];
                for (v, weights) in weights.iter_mut().enumerate() {
                    // SAFETY: k < depth, so the last lane read is panel[depth * NR - 1] at most.
                    *weights = unsafe { $load(panel.as_ptr().add(k * NR + v * $lanes)) };
                }
                for (i, acc) in acc.iter_mut().enumerate() {
                    // SAFETY: i < rows and k < depth <= STRIDE, and a has rows * STRIDE floats.
                    let x = $set(unsafe { *a.get_unchecked(i * STRIDE + k) });
                    for (acc, weights) in acc.iter_mut().zip(weights) {
                        *acc = $fma(x, weights, *acc);
                    }
                }
            }
            if out.len() == $rows && at.width == NR {
                for (row, acc) in out.iter_mut().zip(acc) {
                    let row = &mut row[at.col..][..NR];
                    for (row, acc) in row.chunks_exact_mut($lanes).zip(acc) {
                        // SAFETY: each chunk has as many floats as a vector has lanes.
                        unsafe {
                            let sum = if at.add { $add($load(row.as_ptr()), acc) } else { acc };
                            $store(row.as_mut_ptr(), sum);
                        }
                    }
                }
            } else {
                let mut tile = [0.0; $rows * NR];
                for (tile, acc) in tile.chunks_exact_mut($lanes).zip(acc.as_flattened()) {
                    // SAFETY: each chunk has as many floats as a vector has lanes.
                    unsafe { $store(tile.as_mut_ptr(), *acc) };
                }
                write_part(&tile, NR, out, at);
            }
        }

        /// See [`portable_expand`].
        #[target_feature(enable = $features)]
        fn $expand(sign: &[u32], negated: &[u32], first_bit: u32, add: bool, panel: &mut [f32]) {
            assert!(sign.len() >= $vectors * $lanes && negated.len() >= $vectors * $lanes);
            let top = $set_bits(i32::MIN);
            for v in 0..$vectors {
                // SAFETY: v * lanes + lanes <= vectors * lanes, and both have that many words.
                let (sign, negated) = unsafe {
                    let at = v * $lanes;
                    ($load_bits(sign.as_ptr().add(at).cast()), $load_bits(negated.as_ptr().add(at).cast()))
                };
                for (k, group) in panel.chunks_exact_mut($vectors * $lanes).enumerate() {
                    let count = _mm_cvtsi32_si128(31 - (first_bit + k as u32) as i32);
                    let value = $as_floats($xor(negated, $and($shift(sign, count), top)));
                    let out = &mut group[v * $lanes..][..$lanes];
                    // SAFETY: out has as many floats as a vector has lanes.
                    unsafe {
                        let sum = if add { $add($load(out.as_ptr()), value) } else { value };
                        $store(out.as_mut_ptr(), sum);
                    }
                }
            }
        }

        /// `rounds` multiply-adds in each of as many independent chains as the tile has vectors.
        #[target_feature(enable = $features)]
        fn $burst(rounds: usize) -> u64 {
            let mut acc = [[$zero(); $vectors]; $rows];
            let (x, y) = std::hint::black_box(($set(0.999), $set(0.001)));
            for _ in 0..rounds {
                for acc in acc.as_flattened_mut() {
                    *acc = $fma(*acc, x, y);
                }
            }
            std::hint::black_box(acc);
            2 * rounds as u64 * $rows * $vectors * $lanes
        }
    };
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
micro_kernel!(
    avx2, avx2_expand, avx2_burst, "avx2,fma", 6 rows of 2 x 8 lanes,
    _mm256_setzero_ps, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_fmadd_ps,
    _mm256_set1_epi32, _mm256_loadu_si256, _mm256_sll_epi32, _mm256_and_si256, _mm256_xor_si256, _mm256_castsi256_ps
);

#[cfg(target_arch = "x86_64")]
micro_kernel!(
    avx512, avx512_expand, avx512_burst, "avx512f,avx2,fma", 12 rows of 2 x 16 lanes,
    _mm512_setzero_ps, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps,
    _mm512_set1_epi32, _mm512_loadu_si512, _mm512_sll_epi32, _mm512_and_si512, _mm512_xor_si512, _mm512_castsi512_ps
);

const PORTABLE_ROWS: usize = 4;
const PORTABLE_COLS: usize = 8;

/// The same in plain loops: multiply, then add, since a fused multiply-add without the
/// instruction is a slow library call.
fn portable(a: &[f32], panel: &[f32], out: &mut [&mut [f32]], at: TilePlace) {
    assert!(a.len() >= PORTABLE_ROWS * STRIDE);
    let mut acc = [[0.0f32; PORTABLE_COLS]; PORTABLE_ROWS];
    for (k, weights) in panel.as_chunks::<PORTABLE_COLS>().0.iter().enumerate() {
        for (i, acc) in acc.iter_mut().enumerate() {
            let x = a[i * STRIDE + k];
            for (acc, weight) in acc.iter_mut().zip(weights) {
                *acc += x * weight;
            }
        }
    }
    write_part(acc.as_flattened(), PORTABLE_COLS, out, at);
}

/// `panel[k][j] (+)= ±scale[j]` by bit `first_bit + k` of `sign[j]`, given the bits of `-scale`: the
/// sign bit, moved to the top, flips the negated scale's own. panel is `[<= 32 - first_bit, NR]`.
fn portable_expand(sign: &[u32], negated: &[u32], first_bit: u32, add: bool, panel: &mut [f32]) {
    for (k, group) in panel.as_chunks_mut::<PORTABLE_COLS>().0.iter_mut().enumerate() {
        let shift = 31 - (first_bit + k as u32);
        for ((out, sign), negated) in group.iter_mut().zip(sign).zip(negated) {
            let value = f32::from_bits(negated ^ (sign << shift & 1 << 31));
            *out = if add { *out + value } else { value };
        }
    }
}

/// The portable counterpart of the x86 bursts.
fn portable_burst(rounds: usize) -> u64 {
    let mut acc = [[0.0f32; PORTABLE_COLS]; PORTABLE_ROWS];
    let (x, y) = std::hint::black_box((0.999, 0.001));
    for _ in 0..rounds {
        for acc in acc.as_flattened_mut() {
            *acc = *acc * x + y;
        }
    }
    std::hint::black_box(acc);
    2 * rounds as u64 * (PORTABLE_ROWS * PORTABLE_COLS) as u64
}
