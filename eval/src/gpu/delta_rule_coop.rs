//! The gated delta rule through cooperative matrices: queries and keys as tiles of each chunk, the chunks of every
//! document by themselves, then document by document.

use std::ops::Range;

use bitgauge_shaders::kernels::delta_chunk_coop::{self, DeltaChunkCoop};
use bitgauge_shaders::kernels::delta_rule_coop::{self, DeltaRuleCoop};
use bitgauge_shaders::params::Params;
use bitgauge_shaders::{Kernel, KeyTiles};

use super::batch::{CHUNK, Document};
use super::chunk_tiles::{HALVES, TILE};
use super::delta_rule::{flops_of_chunks, flops_per_token, group, heads, tokens_of};
use super::products::Products;
use super::recorder::{Dispatch, MAX_WORKGROUPS};
use super::{GpuBackend, GpuBatch, GpuBuffer};
use crate::backend::{DeltaRule, Result};

/// What is made of the chunks, a row for each.
struct Chunks {
    /// `[2 * key_heads, 4, key tiles, 16, 16]` f16: queries and keys.
    tiles: GpuBuffer,
    /// `[value_heads, 2, 4, 4, 16, 16]` f16: solution and reads.
    matrices: GpuBuffer,
    /// `[value_heads, 64, 2]` f32: what is left of the state behind each token, and of each token's write at the end.
    fades: GpuBuffer,
}

impl Chunks {
    /// The widest row, in bytes.
    fn row_bytes(&self) -> u64 {
        [&self.tiles, &self.matrices, &self.fades].map(GpuBuffer::row_bytes).into_iter().fold(0, u64::max)
    }
}

impl GpuBackend {
    /// The tiles of a key, where the kernels for cooperative matrices can take heads of this shape.
    fn key_tiles(&self, shape: DeltaRule) -> Option<KeyTiles> {
        let fits = self.device.products == Products::Cooperative && shape.value_dim.is_multiple_of(TILE);
        KeyTiles::of(shape.key_dim).filter(|_| fits)
    }

    /// The kernels for heads of this shape, where everything fits a binding.
    pub(super) fn delta_rule_kernels(&self, shape: DeltaRule) -> Vec<Kernel> {
        match self.key_tiles(shape) {
            Some(tiles) => {
                vec![Kernel::DeltaChunkCoop(tiles), Kernel::DeltaRuleCoop(tiles)]
            }
            None => vec![Kernel::DeltaChunk(heads(shape)), Kernel::DeltaRule(heads(shape))],
        }
    }

    /// The tiles of a key, if the longest document fits the bindings, too.
    pub(super) fn runs_cooperatively(
        &self,
        batch: &GpuBatch,
        shape: DeltaRule,
        (mixed, out): (&GpuBuffer, &GpuBuffer),
    ) -> Option<KeyTiles> {
        let tiles = self.key_tiles(shape)?;
        let longest = batch.documents.iter().map(|document| document.tokens.len()).max()?;
        let per_chunk = 4 * chunk_words(shape).into_iter().max()? as u64;
        let fits = longest as u64 * mixed.row_bytes().max(out.row_bytes()) <= self.limit
            && longest.div_ceil(CHUNK) as u64 * per_chunk <= self.limit;
        fits.then_some(tiles)
    }

    pub(super) fn run_delta_rule_coop(
        &mut self,
        mixed: &GpuBuffer,
        gates: (&GpuBuffer, &GpuBuffer),
        batch: &GpuBatch,
        (shape, tiles): (DeltaRule, KeyTiles),
        out: &GpuBuffer,
    ) -> Result<()> {
        let count = batch.chunks();
        let [tile_words, matrix_words, fade_words] = chunk_words(shape);
        let take = |words| self.pool.take(&self.device.handle, count, words);
        let chunks =
            Chunks { tiles: take(tile_words)?, matrices: take(matrix_words)?, fades: take(fade_words)? };
        // Every document begins a chunk of its own, so that a token has at most a chunk.
        let row_bytes = mixed.row_bytes().max(out.row_bytes());
        for span in self.delta_spans(&batch.documents, shape, row_bytes)? {
            for span in spans_of_chunks(&batch.documents, span, self.limit / chunks.row_bytes()) {
                self.record_chunks(batch, span.clone(), (shape, tiles), mixed, gates, &chunks)?;
                self.record_documents(batch, span, (shape, tiles), mixed, &chunks, out)?;
            }
        }
        Ok(())
    }

    fn record_chunks(
        &mut self,
        batch: &GpuBatch,
        span: Range<usize>,
        (shape, key_tiles): (DeltaRule, KeyTiles),
        mixed: &GpuBuffer,
        (decay, beta): (&GpuBuffer, &GpuBuffer),
        Chunks { tiles, matrices, fades }: &Chunks,
    ) -> Result<()> {
        let documents = &batch.documents[span];
        let tokens = tokens_of(documents);
        let Range { start, end } = chunks_of(documents);
        for start in (start..end).step_by(MAX_WORKGROUPS) {
            let rows = start..end.min(start + MAX_WORKGROUPS);
            let heads = (2 * shape.key_heads, key_tiles.count());
            self.record_chunk_tiles((mixed, &tokens), batch, heads, rows.clone(), tiles)?;
            let dispatch = Dispatch {
                kernel: Kernel::DeltaChunkCoop(key_tiles),
                params: DeltaChunkCoop {
                    group: group(shape),
                    key_heads: shape.key_heads as u32,
                    first_chunk: start as u32,
                    first_token: tokens.start as u32,
                    gate_stride: decay.stride() as u32,
                    tile_stride: (tiles.stride() / HALVES) as u32,
                    matrix_stride: (matrices.stride() / HALVES) as u32,
                    fade_stride: (fades.stride() / 2) as u32,
                    scale: (shape.key_dim as f32).sqrt().recip(),
                }
                .bytes(),
                ranges: &[
                    tiles.range(&rows),
                    decay.range(&tokens),
                    beta.range(&tokens),
                    batch.chunk_table.range(),
                    matrices.range(&rows),
                    fades.range(&rows),
                ],
                weights: None,
                grid: delta_chunk_coop::grid(rows.len(), shape.value_heads),
                flops: flops_of_chunks(rows.len(), shape),
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        Ok(())
    }

    fn record_documents(
        &mut self,
        batch: &GpuBatch,
        span: Range<usize>,
        (shape, key_tiles): (DeltaRule, KeyTiles),
        mixed: &GpuBuffer,
        Chunks { tiles, matrices, fades }: &Chunks,
        out: &GpuBuffer,
    ) -> Result<()> {
        let documents = &batch.documents[span.clone()];
        let (tokens, rows) = (tokens_of(documents), chunks_of(documents));
        let dispatch = Dispatch {
            kernel: Kernel::DeltaRuleCoop(key_tiles),
            params: DeltaRuleCoop {
                value_dim: shape.value_dim as u32,
                group: group(shape),
                key_heads: shape.key_heads as u32,
                first_document: span.start as u32,
                first_token: tokens.start as u32,
                first_chunk: rows.start as u32,
                mixed_stride: mixed.stride() as u32,
                tile_stride: (tiles.stride() / HALVES) as u32,
                matrix_stride: (matrices.stride() / HALVES) as u32,
                fade_stride: (fades.stride() / 2) as u32,
                out_stride: out.stride() as u32,
                scale: (shape.key_dim as f32).sqrt().recip(),
            }
            .bytes(),
            ranges: &[
                mixed.range(&tokens),
                tiles.range(&rows),
                matrices.range(&rows),
                fades.range(&rows),
                batch.document_table.range(),
                out.range(&tokens),
            ],
            weights: None,
            grid: delta_rule_coop::grid(shape.value_dim, shape.value_heads, span.len()),
            flops: tokens.len() as u64 * flops_per_token(shape),
        };
        self.recorder.record(&mut self.device, dispatch)
    }
}

/// 32-bit words of a chunk's row in each of [`Chunks`].
fn chunk_words(shape: DeltaRule) -> [usize; 3] {
    let tiles = CHUNK * 2 * shape.key_width() / HALVES;
    let matrices = shape.value_heads * 2 * CHUNK * CHUNK / HALVES;
    [tiles, matrices, shape.value_heads * CHUNK * 2]
}

/// The chunks of documents that follow each other.
fn chunks_of(documents: &[Document]) -> Range<usize> {
    let start = documents.first().map_or(0, |document| document.chunks.start);
    start..documents.last().map_or(0, |document| document.chunks.end)
}

/// Runs of whole documents of at most `most` chunks; a longer document is one of its own.
fn spans_of_chunks(documents: &[Document], span: Range<usize>, most: u64) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for i in span {
        match spans.last_mut() {
            Some(span) if chunks_of(&documents[span.start..=i]).len() as u64 <= most => span.end = i + 1,
            _ => spans.push(i..i + 1),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_hold_whole_documents() {
        let ends = [2, 3, 7, 8, 9];
        let starts = std::iter::once(0).chain(ends);
        let documents: Vec<_> = starts
            .zip(ends)
            .map(|(start, end)| Document { tokens: start..end, chunks: start..end })
            .collect();
        assert_eq!(spans_of_chunks(&documents, 0..5, 3), [0..2, 2..3, 3..5]);
        assert_eq!(spans_of_chunks(&documents, 1..4, 100).first(), Some(&(1..4)));
        assert!(spans_of_chunks(&documents, 1..1, 3).is_empty());
    }
}
