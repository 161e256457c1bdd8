//! The blocked product that the matmul, the head and the attention share.
//!
//! One call handles one block of output rows: it copies the rows' activations for [`DEPTH`] input
//! columns next to each other (they then stay in the L2 cache), and for each panel of output
//! columns has the weights unpacked once (into the L1 cache) and runs the micro-kernel down the
//! rows. So the algorithm knows no bits, and unpacking costs one pass per block of rows.

use std::ops::Range;

use super::isa::Isa;
use super::micro::{DEPTH, Place, STRIDE};

/// Most rows in a block: with [`DEPTH`] columns they take half of a 512 KiB L2 cache.
pub(super) const BLOCK_ROWS: usize = 256;

/// Working memory of one task.
pub(super) struct Scratch {
    a: Vec<f32>,
    panel: Vec<f32>,
}

impl Scratch {
    /// For products of up to `rows` output rows.
    pub fn new(isa: Isa, rows: usize) -> Self {
        let (mr, nr) = isa.tile();
        Self { a: vec![0.0; rows.next_multiple_of(mr) * STRIDE], panel: vec![0.0; DEPTH * nr] }
    }
}

/// `out[i][j] = Σ_k a[i][k] b[k][j]` for `j < cols` and `k < depth`.
///
/// `read_a(i, k, line)` writes `a[i][k]` into line. `fill_panel(j, k, panel)` writes the panel of
/// columns j, K-major (see [`super::panel::Weights::fill_panel`]).
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
    for first in (0..depth).step_by(DEPTH) {
        let k = first..depth.min(first + DEPTH);
        for (i, line) in scratch.a.chunks_exact_mut(STRIDE).take(out.len()).enumerate() {
            read_a(i, k.clone(), &mut line[..k.len()]);
        }
        for start in cols.clone().step_by(nr) {
            let end = cols.end.min(start + nr);
            let panel = &mut scratch.panel[..k.len() * nr];
            fill_panel(start..end, k.clone(), panel);
            let at = Place { col: start - cols.start, width: end - start, add: first > 0 };
            for (rows, a) in out.chunks_mut(mr).zip(scratch.a.chunks_exact(mr * STRIDE)) {
                isa.multiply(a, panel, rows, at);
            }
        }
    }
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

/// Heights of equal blocks of at most [`BLOCK_ROWS`] rows, and the width of column ranges, such
/// that `threads` threads share the work on `[rows, cols]` evenly.
pub(super) fn split(isa: Isa, rows: usize, cols: usize, threads: usize) -> (Vec<usize>, usize) {
    let (mr, nr) = isa.tile();
    let blocks = rows.div_ceil(BLOCK_ROWS).max(1);
    let height = rows.div_ceil(blocks).next_multiple_of(mr).min(rows);
    let mut heights = vec![height; rows / height];
    heights.extend((rows % height > 0).then_some(rows % height));

    let tasks = if threads == 1 { 1 } else { 4 * threads };
    let ranges = tasks.div_ceil(heights.len()).min(cols.div_ceil(4 * nr));
    (heights, cols.div_ceil(ranges).next_multiple_of(nr))
}
