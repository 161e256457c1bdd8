//! Heads as f16 tiles, chunk by chunk of each document: what the kernels with cooperative matrices read that look
//! at other tokens.

use std::ops::Range;

use bitgauge_shaders::Kernel;
use bitgauge_shaders::kernels::chunk_tiles::{self, ChunkTiles};
use bitgauge_shaders::params::Params;

use super::batch::CHUNK;
use super::recorder::{Dispatch, MAX_WORKGROUPS};
use super::{GpuBackend, GpuBatch, GpuBuffer};
use crate::backend::Result;

/// Channels of a tile.
pub(super) const TILE: usize = 16;
/// Values in f16 that take as much as one in f32.
pub(super) const HALVES: usize = 2;

impl GpuBackend {
    /// The heads of `x`, of `head_tiles` tiles each, for every chunk of the batch: a row of the result each.
    ///
    /// # Errors
    /// A device failure.
    pub(super) fn chunk_tiles(
        &mut self,
        x: &GpuBuffer,
        batch: &GpuBatch,
        (heads, head_tiles): (usize, u8),
    ) -> Result<GpuBuffer> {
        let chunks = batch.chunks();
        let words = CHUNK * heads * usize::from(head_tiles) * TILE / HALVES;
        let tiles = self.pool.take(&self.device.handle, chunks, words)?;
        let tokens = 0..batch.host.tokens();
        for start in (0..chunks).step_by(MAX_WORKGROUPS) {
            let rows = start..chunks.min(start + MAX_WORKGROUPS);
            self.record_chunk_tiles((x, &tokens), batch, (heads, head_tiles), rows, &tiles)?;
        }
        Ok(tiles)
    }

    /// Records the same for these chunks, whose tokens are among those given.
    pub(super) fn record_chunk_tiles(
        &mut self,
        (x, tokens): (&GpuBuffer, &Range<usize>),
        batch: &GpuBatch,
        (heads, head_tiles): (usize, u8),
        chunks: Range<usize>,
        tiles: &GpuBuffer,
    ) -> Result<()> {
        let dispatch = Dispatch {
            kernel: Kernel::ChunkTiles,
            params: ChunkTiles {
                head_tiles: u32::from(head_tiles),
                first_chunk: chunks.start as u32,
                first_token: tokens.start as u32,
                x_stride: x.stride() as u32,
                out_stride: (tiles.stride() / HALVES) as u32,
            }
            .bytes(),
            ranges: &[x.range(tokens), batch.chunk_table.range(), tiles.range(&chunks)],
            weights: None,
            grid: chunk_tiles::grid(chunks.len(), heads),
            flops: (chunks.len() * CHUNK * heads * usize::from(head_tiles) * TILE) as u64,
        };
        self.recorder.record(&mut self.device, dispatch)
    }
}
