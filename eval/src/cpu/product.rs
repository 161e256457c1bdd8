//! The blocked product that the matmul, the head and the attention share.
//!
//! One call handles one block of output rows: it copies the rows' activations for [`DEPTH`] input
//! columns next to each other (they then stay in the L2 cache), and for each panel of output
//! columns has the weights unpacked once (into the L1 cache) and runs the micro-kernel down the
//! rows. So the algorithm knows no bits, and unpacking costs one pass per block of rows.

use std::ops::Range;

use super::aligned::Aligned;
use super::isa::{InstructionSet, Isa};
use super::micro::{self, DEPTH, STRIDE, TilePlace};
use super::panel::StoredMatrix;

/// Most rows in a block. At [`STRIDE`] they take less than half of the L2 cache: 200 KiB of 512,
/// or 408 KiB of the 1 MiB that CPUs with AVX-512 have.
pub(super) fn block_rows(isa: Isa) -> usize {
    match isa.set() {
        InstructionSet::Avx512 => 384,
        InstructionSet::Avx2 | InstructionSet::Portable => 192,
    }
}

/// Fewest columns worth a copy of a block's activations.
const RANGE_COLS: usize = 1024;

/// Working memory of one task.
pub(super) struct Scratch {
    a: Aligned,
    panel: Aligned,
}

impl Scratch {
    /// For products of up to `rows` output rows.
    pub fn new(isa: Isa, rows: usize) -> Self {
        let (mr, nr) = isa.tile();
        Self { a: Aligned::zeros(rows.next_multiple_of(mr) * STRIDE), panel: Aligned::zeros(DEPTH * nr) }
    }
}

/// `out[i][j] = Σ_k a[i][k] b[k][j]` for `j < cols` and `k < depth`.
///
/// `read_a(i, k, line)` writes `a[i][k]` into line. `fill_panel(j, k, panel)` writes the panel of
/// columns j, K-major (see [`StoredMatrix::fill_panel`]).
pub(super) fn product(
    isa: Isa,
    depth: usize,
    cols: Range<usize>,
    read_a: impl Fn(usize, Range<usize>, &mut [f32]),
    fill_panel: impl Fn(Range<usize>, Range<usize>, &mut [f32]),
    out: &mut [&mut [f32]],
    scratch: &mut Scratch,
) {
    let (mr, nr) = isa.tile();
    let (a, panel) = (scratch.a.as_mut_slice(), scratch.panel.as_mut_slice());
    for first in (0..depth).step_by(DEPTH) {
        let k = first..depth.min(first + DEPTH);
        for (i, line) in a.chunks_exact_mut(STRIDE).take(out.len()).enumerate() {
            read_a(i, k.clone(), &mut line[..k.len()]);
        }
        for start in cols.clone().step_by(nr) {
            let end = cols.end.min(start + nr);
            let panel = &mut panel[..k.len() * nr];
            fill_panel(start..end, k.clone(), panel);
            let at = TilePlace { col: start - cols.start, width: end - start, add: first > 0 };
            for (rows, a) in out.chunks_mut(mr).zip(a.chunks_exact(mr * STRIDE)) {
                micro::multiply(isa, a, panel, rows, at);
            }
        }
    }
}

/// `out[i][j - rows.start] = x[i] · w[j]` for the weight rows j of `rows`. x is `[>= out.len(), K]`.
pub(super) fn multiply_stored(
    isa: Isa,
    weights: &StoredMatrix,
    x: &[f32],
    rows: Range<usize>,
    out: &mut [&mut [f32]],
) {
    let cols = weights.matrix.cols();
    let mut scratch = Scratch::new(isa, out.len());
    product(
        isa,
        cols,
        rows,
        |i, k, line| line.copy_from_slice(&x[i * cols..][k]),
        |j, k, panel| weights.fill_panel(isa, j, k, panel),
        out,
        &mut scratch,
    );
}

/// A rectangle of a row-major matrix that one task writes.
pub(super) struct Tile<'a> {
    /// First row of the matrix.
    pub row: usize,
    /// First column of the matrix.
    pub col: usize,
    /// The rectangle's part of each row.
    pub rows: Vec<&'a mut [f32]>,
}

/// Cuts `out`, `[T, cols]`, into rectangles of `heights[..]` rows (they sum to T) and `width`
/// columns.
pub(super) fn tiles<'a>(
    mut out: &'a mut [f32],
    cols: usize,
    heights: &[usize],
    width: usize,
) -> Vec<Tile<'a>> {
    let (mut tiles, mut row) = (Vec::new(), 0);
    for &height in heights {
        let first = tiles.len();
        tiles.extend((0..cols).step_by(width).map(|col| Tile { row, col, rows: Vec::with_capacity(height) }));
        let (block, rest) = out.split_at_mut(height * cols);
        for line in block.chunks_exact_mut(cols) {
            for (tile, part) in tiles[first..].iter_mut().zip(line.chunks_mut(width)) {
                tile.rows.push(part);
            }
        }
        (out, row) = (rest, row + height);
    }
    tiles
}

/// Cuts `[rows, cols]` into tasks of equal work for `threads` threads: the heights of blocks of at
/// most [`block_rows`] rows, and the width of column ranges.
pub(super) fn split(isa: Isa, rows: usize, cols: usize, threads: usize) -> (Vec<usize>, usize) {
    let (mr, nr) = isa.tile();
    let tiles = rows.div_ceil(mr);
    let blocks = rows.div_ceil(block_rows(isa)).next_multiple_of(threads).min(tiles.div_ceil(8));
    let edge = |i: usize| rows.min(i * tiles / blocks * mr);
    let heights: Vec<usize> = (0..blocks).map(|i| edge(i + 1) - edge(i)).collect();

    let wanted = if blocks >= 4 * threads { cols / RANGE_COLS } else { (4 * threads).div_ceil(blocks) };
    let ranges = wanted.clamp(1, cols.div_ceil(4 * nr));
    (heights, cols.div_ceil(ranges).next_multiple_of(nr))
}
