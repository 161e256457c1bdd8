//! A batch of documents on the device, with the tables that kernels read instead of looking for documents.

use std::cell::RefCell;
use std::ops::Range;

use bitgauge_shaders::kernels::delta_chunk;

use super::GpuBackend;
use super::handle::DeviceBuffer;
use super::memory::GpuBuffer;
use crate::backend::Result;
use crate::batch::Batch;

/// Tokens of a chunk in delta_chunk.wgsl and delta_rule.wgsl.
pub(super) const CHUNK: usize = delta_chunk::CHUNK as usize;

/// A batch of documents on the device.
#[derive(Debug)]
pub struct GpuBatch {
    pub(super) host: Batch,
    pub(super) ids: DeviceBuffer,
    pub(super) positions: DeviceBuffer,
    pub(super) targets: DeviceBuffer,
    /// The documents that have tokens.
    pub(super) documents: Vec<Document>,
    /// First token and length of each of their chunks; those of each of them with its first chunk, and 0.
    pub(super) chunk_table: DeviceBuffer,
    pub(super) document_table: DeviceBuffer,
    /// Kept from one layer to the next.
    pub(super) turns: RefCell<Option<Turns>>,
}

/// Tokens of a document, and its chunks by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    pub tokens: Range<usize>,
    pub chunks: Range<usize>,
}

/// Cosines and sines of every token's angles.
#[derive(Debug)]
pub(super) struct Turns {
    /// Of which frequencies.
    pub frequencies: wgpu::Buffer,
    /// `[T, 2 n]`: cosine and sine of each angle.
    pub values: GpuBuffer,
}

impl GpuBackend {
    pub(super) fn run_upload_batch(&mut self, batch: &Batch) -> Result<GpuBatch> {
        let documents = documents(batch.documents());
        let chunk = |tokens: Range<usize>| [tokens.start as u32, tokens.len() as u32];
        let by_chunk: Vec<_> = documents.iter().flat_map(Document::chunks).map(chunk).collect();
        let by_document: Vec<_> = documents.iter().map(Document::entry).collect();
        let mut upload =
            |values: &[u32]| self.upload_words("one number per token", bytemuck::cast_slice(values));
        Ok(GpuBatch {
            host: batch.clone(),
            ids: upload(&batch.ids)?,
            positions: upload(batch.positions())?,
            targets: upload(&batch.targets)?,
            chunk_table: upload(by_chunk.as_flattened())?,
            document_table: upload(by_document.as_flattened())?,
            documents,
            turns: RefCell::default(),
        })
    }
}

impl GpuBatch {
    /// Chunks of all documents.
    pub fn chunks(&self) -> usize {
        self.documents.last().map_or(0, |document| document.chunks.end)
    }

    /// Pairs of a query and a key that it sees, for the queries of each chunk.
    pub fn pairs_by_chunk(&self) -> impl Iterator<Item = u64> {
        let pairs = |tokens: Range<usize>| {
            self.host.positions()[tokens].iter().map(|position| u64::from(*position) + 1).sum()
        };
        self.documents.iter().flat_map(Document::chunks).map(pairs)
    }
}

impl Document {
    /// Its line of the table of documents.
    fn entry(&self) -> [u32; 4] {
        [self.tokens.start as u32, self.tokens.len() as u32, self.chunks.start as u32, 0]
    }

    /// The tokens of each chunk.
    fn chunks(&self) -> impl Iterator<Item = Range<usize>> {
        let end = self.tokens.end;
        self.tokens.clone().step_by(CHUNK).map(move |start| start..end.min(start + CHUNK))
    }
}

/// Documents that have tokens, with the numbers of their chunks.
fn documents(documents: &[Range<usize>]) -> Vec<Document> {
    let mut chunks = 0..0;
    let documents = documents.iter().filter(|tokens| !tokens.is_empty()).map(|tokens| {
        chunks = chunks.end..chunks.end + tokens.len().div_ceil(CHUNK);
        Document { tokens: tokens.clone(), chunks: chunks.clone() }
    });
    documents.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_cut_into_chunks() {
        let found = documents(&[0..130, 130..130, 130..131, 131..195]);
        let numbers: Vec<_> = found.iter().map(|document| document.chunks.clone()).collect();
        assert_eq!(numbers, [0..3, 3..4, 4..5]);
        let chunks: Vec<_> = found.iter().flat_map(Document::chunks).collect();
        assert_eq!(chunks, [0..64, 64..128, 128..130, 130..131, 131..195]);
    }
}
