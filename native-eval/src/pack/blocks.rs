//! Walks a tensor of the source in blocks of rows: memory is bounded by a block, whatever the tensor.

use bitgauge_core::container::TensorEntry;
use bitgauge_core::format::decode_dense;
use bitgauge_core::{Dense, Result};
use rayon::prelude::*;

use crate::source::Source;

/// Bytes that are read at once, but at least one row.
const BLOCK_BYTES: u64 = 32 << 20;
/// Bytes that one thread works on at once, but at least one row.
const PIECE_BYTES: u64 = 1 << 20;

/// Calls `work` on pieces of the matrix `[rows, cols]` in parallel, with the number of each piece's
/// first row, and then `take` on what it made, in the order of the rows. How the rows are cut never
/// shows in the result.
pub(super) fn for_each<T: Send>(
    source: &mut Source,
    tensor: &TensorEntry,
    [rows, cols]: [u64; 2],
    work: impl Fn(Dense, usize) -> Result<T> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let row_bytes = cols * tensor.dtype.bytes();
    let block_rows = (BLOCK_BYTES / row_bytes).max(1);
    let piece_rows = (PIECE_BYTES / row_bytes).max(1);
    let mut first = 0;
    while first < rows {
        let count = block_rows.min(rows - first);
        let bytes = source.read_tensor_range(tensor, first * row_bytes, count * row_bytes)?;
        let pieces = bytes.par_chunks((piece_rows * row_bytes) as usize).enumerate().map(|(i, bytes)| {
            let piece =
                decode_dense(&tensor.name, tensor.dtype, [bytes.len() as u64 / row_bytes, cols], bytes)?;
            work(piece, (first + i as u64 * piece_rows) as usize).map_err(|error| error.within(&tensor.name))
        });
        for made in pieces.collect::<Result<Vec<T>>>()? {
            take(made)?;
        }
        first += count;
    }
    Ok(())
}
