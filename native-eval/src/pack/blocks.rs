//! Walks a matrix of the source in blocks of rows: memory is bounded by a block and by what is packed of the matrix,
//! whatever it stands for.

use bitgauge_core::{Dense, Result};
use rayon::prelude::*;

use super::original::Original;
use crate::source::Source;

/// Bytes that are read at once, but at least one row.
const BLOCK_BYTES: u64 = 32 << 20;
/// Bytes that one thread works on at once, but at least one row.
const PIECE_BYTES: u64 = 1 << 20;
/// Rows of the first block: whoever looks for something in all rows may miss it there already.
const FIRST_ROWS: usize = 16;

/// Calls `work` on pieces of a matrix in parallel, with the number of each piece's first row, and then `take` on what it
/// made, in the order of the rows. How the rows are cut never shows in the result.
pub(super) fn for_each<T: Send>(
    source: &mut Source,
    original: &Original,
    work: impl Fn(Dense, usize) -> Result<T> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    for_each_while(source, original, work, |made| take(made).map(|()| true))
}

/// The same, until `take` says no.
pub(super) fn for_each_while<T: Send>(
    source: &mut Source,
    original: &Original,
    work: impl Fn(Dense, usize) -> Result<T> + Sync,
    mut take: impl FnMut(T) -> Result<bool>,
) -> Result<()> {
    let held = original.held(source)?;
    let rows = original.rows(&held)?;
    let block_rows = (BLOCK_BYTES / rows.row_bytes()).max(1) as usize;
    let piece_rows = (PIECE_BYTES / rows.row_bytes()).max(1) as usize;
    let all: Vec<u32> = (0..original.expected.shape.first().map_or(0, |&rows| rows as u32)).collect();
    let (first, others) = all.split_at(FIRST_ROWS.min(block_rows).min(all.len()));
    for block in [first].into_iter().chain(others.chunks(block_rows)).filter(|block| !block.is_empty()) {
        let bytes = rows.read(source, block)?;
        let piece_bytes = bytes.len() / block.len() * piece_rows;
        let pieces = block.par_chunks(piece_rows).enumerate().map(|(i, piece)| {
            let start = i * piece_bytes;
            let bytes = &bytes[start..(start + piece_bytes).min(bytes.len())];
            let place = |error: bitgauge_core::Error| error.within(&original.name);
            work(rows.decode(piece, bytes)?, piece[0] as usize).map_err(place)
        });
        for made in pieces.collect::<Result<Vec<T>>>()? {
            if !take(made)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// These rows of a matrix.
pub(super) fn rows_of(source: &mut Source, original: &Original, rows: &[u32]) -> Result<Dense> {
    let held = original.held(source)?;
    let reader = original.rows(&held)?;
    let bytes = reader.read(source, rows)?;
    reader.decode(rows, &bytes)
}
