//! The gated delta rule: the chunks of every document by themselves, then document by document.

use std::ops::Range;

use bitgauge_shaders::kernels::delta_chunk::{self, DeltaChunk};
use bitgauge_shaders::kernels::delta_rule::{self, DeltaRule as DeltaRuleParams};
use bitgauge_shaders::params::Params;
use bitgauge_shaders::{Heads, Kernel};

use super::batch::{CHUNK, Document};
use super::memory::over_limit;
use super::recorder::{Dispatch, MAX_WORKGROUPS};
use super::{GpuBackend, GpuBatch, GpuBuffer};
use crate::backend::{DeltaRule, Result, wrong_shape};

/// Most channels of a query or key: what the state in delta_rule.wgsl has rows for.
const MAX_KEY_DIM: usize = delta_rule::MAX_KEY_DIM as usize;

impl GpuBackend {
    pub(super) fn run_delta_rule(
        &mut self,
        mixed: &GpuBuffer,
        (decay, beta): (&GpuBuffer, &GpuBuffer),
        batch: &GpuBatch,
        shape: DeltaRule,
        out: &GpuBuffer,
    ) -> Result<()> {
        shape.check()?;
        if shape.key_dim > MAX_KEY_DIM {
            return Err(wrong_shape(
                "delta_rule: channels of a key",
                format!("at most {MAX_KEY_DIM}"),
                shape.key_dim,
            ));
        }
        let tokens = batch.host.tokens();
        mixed.expect("delta_rule: queries, keys and values", tokens, shape.mixed_width())?;
        decay.expect("delta_rule: decays", tokens, shape.value_heads)?;
        beta.expect("delta_rule: betas", tokens, shape.value_heads)?;
        out.expect("delta_rule: output", tokens, shape.value_width())?;
        if let Some(tiles) = self.runs_cooperatively(batch, shape, (mixed, out)) {
            return self.run_delta_rule_coop(mixed, (decay, beta), batch, (shape, tiles), out);
        }
        let matrices = self.pool.take(&self.device.handle, tokens, 2 * CHUNK * shape.value_heads)?;
        let row_bytes = mixed.row_bytes().max(matrices.row_bytes());
        for span in self.delta_spans(&batch.documents, shape, row_bytes)? {
            self.dispatch_chunks(batch, span.clone(), shape, mixed, (decay, beta), &matrices)?;
            self.dispatch_documents(batch, span, shape, mixed, decay, &matrices, out)?;
        }
        Ok(())
    }

    /// Runs of whole documents whose rows, of `row_bytes` bytes, fit a binding and which are not too long to run
    /// at once.
    pub(super) fn delta_spans(
        &self,
        documents: &[Document],
        shape: DeltaRule,
        row_bytes: u64,
    ) -> Result<Vec<Range<usize>>> {
        let most = (self.limit / row_bytes) as usize;
        let flops = self.recorder.flops_limit / flops_per_token(shape);
        let (mut spans, mut tokens): (Vec<Range<usize>>, usize) = (Vec::new(), 0);
        for (i, document) in documents.iter().enumerate() {
            let length = document.tokens.len();
            if length > most {
                let what = format!("delta_rule: a document of {length} tokens");
                return Err(over_limit(&what, length as u64 * row_bytes, self.limit));
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
        batch: &GpuBatch,
        span: Range<usize>,
        shape: DeltaRule,
        mixed: &GpuBuffer,
        (decay, beta): (&GpuBuffer, &GpuBuffer),
        matrices: &GpuBuffer,
    ) -> Result<()> {
        let documents = &batch.documents[span];
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
                    batch.chunk_table.range(),
                    matrices.range(&tokens),
                ],
                weights: None,
                grid: delta_chunk::grid(count, shape.value_heads),
                flops: flops_of_chunks(count, shape),
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "the kernel's bindings")]
    fn dispatch_documents(
        &mut self,
        batch: &GpuBatch,
        span: Range<usize>,
        shape: DeltaRule,
        mixed: &GpuBuffer,
        decay: &GpuBuffer,
        matrices: &GpuBuffer,
        out: &GpuBuffer,
    ) -> Result<()> {
        let tokens = tokens_of(&batch.documents[span.clone()]);
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
                batch.document_table.range(),
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
pub(super) fn group(shape: DeltaRule) -> u32 {
    if shape.interleaved { 0 } else { (shape.value_heads / shape.key_heads) as u32 }
}

/// Where the heads of queries, keys and values begin.
pub(super) fn heads(shape: DeltaRule) -> Heads {
    let aligned = shape.key_dim.is_multiple_of(4) && shape.value_dim.is_multiple_of(4);
    if aligned { Heads::Aligned } else { Heads::Any }
}

pub(super) fn tokens_of(documents: &[Document]) -> Range<usize> {
    let start = documents.first().map_or(0, |document| document.tokens.start);
    start..documents.last().map_or(0, |document| document.tokens.end)
}

/// Floating-point operations for one token in delta_rule.wgsl.
pub(super) fn flops_per_token(shape: DeltaRule) -> u64 {
    (2 * shape.value_width() * (3 * shape.key_dim + 2 * CHUNK)) as u64
}

/// Floating-point operations for so many chunks in delta_chunk.wgsl.
pub(super) fn flops_of_chunks(count: usize, shape: DeltaRule) -> u64 {
    (count * shape.value_heads * CHUNK * CHUNK * (4 * shape.key_dim + CHUNK)) as u64
}
