//! The gated delta rule: the chunks of every document by themselves, then document by document.

use std::ops::Range;

use bitgauge_shaders::kernels::delta_chunk::{self, DeltaChunk};
use bitgauge_shaders::kernels::delta_rule::{self, DeltaRule as DeltaRuleParams, MAX_KEY_DIM};
use bitgauge_shaders::params::Params;
use bitgauge_shaders::{Heads, Kernel};

use super::recorder::{Dispatch, MAX_WORKGROUPS};
use super::{GpuBackend, GpuBuffer, GpuIndices};
use crate::backend::{BackendError, DeltaRule};

type Result<T> = std::result::Result<T, BackendError>;

/// Tokens of a chunk in delta_chunk.wgsl and delta_rule.wgsl.
const CHUNK: usize = delta_chunk::CHUNK as usize;

/// Where documents and their chunks begin, kept while the same positions are asked for.
pub(super) struct Chunks {
    positions: u64,
    documents: Vec<Document>,
    /// First token and length of each chunk, and of each document.
    chunk_table: GpuIndices,
    document_table: GpuIndices,
}

/// Tokens of a document, and its chunks by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Document {
    tokens: Range<usize>,
    chunks: Range<usize>,
}

/// The documents of consecutive positions that count up from 0, or the token whose position does not.
fn documents(positions: &[u32]) -> std::result::Result<Vec<Document>, usize> {
    let mut documents: Vec<Document> = Vec::new();
    for (t, &position) in positions.iter().enumerate() {
        match documents.last_mut() {
            Some(last) if position as usize == t - last.tokens.start => last.tokens.end = t + 1,
            _ if position == 0 => documents.push(Document { tokens: t..t + 1, chunks: 0..0 }),
            _ => return Err(t),
        }
    }
    let mut chunk = 0;
    for document in &mut documents {
        let count = document.tokens.len().div_ceil(CHUNK);
        document.chunks = chunk..chunk + count;
        chunk += count;
    }
    Ok(documents)
}

impl GpuBackend {
    pub(super) fn run_delta_rule(
        &mut self,
        mixed: &GpuBuffer,
        (decay, beta): (&GpuBuffer, &GpuBuffer),
        positions: &GpuIndices,
        shape: DeltaRule,
        out: &GpuBuffer,
    ) -> Result<()> {
        check(shape)?;
        let tokens = positions.values.len();
        mixed.expect("delta_rule: queries, keys and values", tokens, shape.mixed_width())?;
        decay.expect("delta_rule: decays", tokens, shape.value_heads)?;
        beta.expect("delta_rule: betas", tokens, shape.value_heads)?;
        out.expect("delta_rule: output", tokens, shape.value_width())?;
        let chunks = match self.chunks.take() {
            Some(chunks) if chunks.positions == positions.id => chunks,
            _ => self.find_chunks(positions)?,
        };
        let matrices = self.pool.take(&self.device.handle, tokens, 2 * CHUNK * shape.value_heads)?;
        for span in self.delta_spans(&chunks.documents, shape, mixed, &matrices)? {
            self.dispatch_chunks(&chunks, span.clone(), shape, mixed, (decay, beta), &matrices)?;
            self.dispatch_documents(&chunks, span, shape, mixed, decay, &matrices, out)?;
        }
        self.chunks = Some(chunks);
        Ok(())
    }

    fn find_chunks(&mut self, positions: &GpuIndices) -> Result<Chunks> {
        let documents = documents(&positions.values).map_err(|t| {
            let position = positions.values[t];
            BackendError(format!(
                "delta_rule: token {t} has position {position}, expected a document's next or 0"
            ))
        })?;
        let (mut by_chunk, mut by_document) = (Vec::new(), Vec::new());
        for document in &documents {
            by_document.extend([document.tokens.start as u32, document.tokens.len() as u32]);
            for start in document.tokens.clone().step_by(CHUNK) {
                by_chunk.extend([start as u32, CHUNK.min(document.tokens.end - start) as u32]);
            }
        }
        let [chunk_table, document_table] = [by_chunk, by_document].map(|values| {
            let (stored, id) = self.upload_words("a table of chunks", bytemuck::cast_slice(&values))?;
            Ok(GpuIndices { values, stored, id })
        });
        Ok(Chunks {
            positions: positions.id,
            documents,
            chunk_table: chunk_table?,
            document_table: document_table?,
        })
    }

    /// Runs of whole documents whose rows fit a binding and which are not too long to run at once.
    fn delta_spans(
        &self,
        documents: &[Document],
        shape: DeltaRule,
        mixed: &GpuBuffer,
        matrices: &GpuBuffer,
    ) -> Result<Vec<Range<usize>>> {
        let row_bytes = mixed.row_bytes().max(matrices.row_bytes());
        let most = (self.limit / row_bytes) as usize;
        let flops = self.recorder.flops_limit / flops_per_token(shape);
        let (mut spans, mut tokens): (Vec<Range<usize>>, usize) = (Vec::new(), 0);
        for (i, document) in documents.iter().enumerate() {
            let length = document.tokens.len();
            if length > most {
                return Err(BackendError(format!(
                    "delta_rule: a document of {length} tokens, {row_bytes} bytes each, is over the binding limit \
                     of {} bytes",
                    self.limit
                )));
            }
            tokens += length;
            let fits = tokens <= most && tokens as u64 <= flops;
            match spans.last_mut() {
                Some(span) if fits && span.len() < MAX_WORKGROUPS => span.end = i + 1,
                _ => {
                    spans.push(i..i + 1);
                    tokens = length;
                }
            }
        }
        Ok(spans)
    }

    fn dispatch_chunks(
        &mut self,
        chunks: &Chunks,
        span: Range<usize>,
        shape: DeltaRule,
        mixed: &GpuBuffer,
        (decay, beta): (&GpuBuffer, &GpuBuffer),
        matrices: &GpuBuffer,
    ) -> Result<()> {
        let documents = &chunks.documents[span];
        let tokens = tokens_of(documents);
        let first = documents.first().map_or(0, |document| document.chunks.start);
        let end = documents.last().map_or(0, |document| document.chunks.end);
        for start in (first..end).step_by(MAX_WORKGROUPS) {
            let count = MAX_WORKGROUPS.min(end - start);
            let dispatch = Dispatch {
                kernel: Kernel::DeltaChunk(heads(shape)),
                params: DeltaChunk {
                    key_dim: shape.key_dim as u32,
                    group: group(shape),
                    key_heads: shape.key_heads as u32,
                    first_chunk: start as u32,
                    first_token: tokens.start as u32,
                    mixed_stride: mixed.stride() as u32,
                    gate_stride: decay.stride() as u32,
                    out_stride: matrices.stride_quads() as u32,
                    scale: (shape.key_dim as f32).sqrt().recip(),
                }
                .bytes(),
                ranges: &[
                    mixed.range(&tokens),
                    decay.range(&tokens),
                    beta.range(&tokens),
                    chunks.chunk_table.range(),
                    matrices.range(&tokens),
                ],
                weights: None,
                grid: delta_chunk::grid(count, shape.value_heads),
                flops: (count * shape.value_heads * CHUNK * CHUNK * (4 * shape.key_dim + CHUNK)) as u64,
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "the kernel's bindings")]
    fn dispatch_documents(
        &mut self,
        chunks: &Chunks,
        span: Range<usize>,
        shape: DeltaRule,
        mixed: &GpuBuffer,
        decay: &GpuBuffer,
        matrices: &GpuBuffer,
        out: &GpuBuffer,
    ) -> Result<()> {
        let tokens = tokens_of(&chunks.documents[span.clone()]);
        let dispatch = Dispatch {
            kernel: Kernel::DeltaRule(heads(shape)),
            params: DeltaRuleParams {
                key_dim: shape.key_dim as u32,
                value_dim: shape.value_dim as u32,
                group: group(shape),
                key_heads: shape.key_heads as u32,
                first_document: span.start as u32,
                first_token: tokens.start as u32,
                mixed_stride: mixed.stride() as u32,
                gate_stride: decay.stride() as u32,
                matrix_stride: matrices.stride_quads() as u32,
                out_stride: out.stride() as u32,
                scale: (shape.key_dim as f32).sqrt().recip(),
            }
            .bytes(),
            ranges: &[
                mixed.range(&tokens),
                decay.range(&tokens),
                matrices.range(&tokens),
                chunks.document_table.range(),
                out.range(&tokens),
            ],
            weights: None,
            grid: delta_rule::grid(shape.value_dim, shape.value_heads, span.len()),
            flops: tokens.len() as u64 * flops_per_token(shape),
        };
        self.recorder.record(&mut self.device, dispatch)
    }
}

/// Consecutive value heads that share a key head; 0 where they are not consecutive.
fn group(shape: DeltaRule) -> u32 {
    if shape.interleaved { 0 } else { (shape.value_heads / shape.key_heads) as u32 }
}

/// Where the heads of queries, keys and values begin.
pub(super) fn heads(shape: DeltaRule) -> Heads {
    let aligned = shape.key_dim.is_multiple_of(4) && shape.value_dim.is_multiple_of(4);
    if aligned { Heads::Aligned } else { Heads::Any }
}

fn tokens_of(documents: &[Document]) -> Range<usize> {
    let start = documents.first().map_or(0, |document| document.tokens.start);
    start..documents.last().map_or(0, |document| document.tokens.end)
}

/// Floating-point operations for one token in delta_rule.wgsl.
fn flops_per_token(shape: DeltaRule) -> u64 {
    (2 * shape.value_width() * (3 * shape.key_dim + 2 * CHUNK)) as u64
}

fn check(shape: DeltaRule) -> Result<()> {
    let dims = [shape.key_heads, shape.value_heads, shape.key_dim, shape.value_dim];
    if dims.contains(&0)
        || !shape.value_heads.is_multiple_of(shape.key_heads)
        || shape.key_dim > MAX_KEY_DIM as usize
    {
        return Err(BackendError(format!(
            "delta_rule: {} key heads of {} channels, {} value heads of {}; expected a multiple, and at most \
             {MAX_KEY_DIM} channels of a key",
            shape.key_heads, shape.key_dim, shape.value_heads, shape.value_dim
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_cut_into_chunks() {
        let positions: Vec<u32> = [130, 1, 64].iter().flat_map(|n| 0..*n).collect();
        let found = documents(&positions).unwrap();
        let chunks: Vec<_> = found.iter().map(|document| document.chunks.clone()).collect();
        assert_eq!(chunks, [0..3, 3..4, 4..5]);
        assert_eq!(found[2].tokens, 131..195);
        assert_eq!(documents(&[0, 1, 3]), Err(2));
        assert_eq!(documents(&[1]), Err(0));
    }
}
