//! Attention: which rows of keys each span of queries needs, and the dispatch.

use std::ops;

use bitgauge_shaders::kernels::attention::{self, Attention as AttentionParams};
use bitgauge_shaders::kernels::attention_coop::{self, AttentionCoop};
use bitgauge_shaders::params::Params;
use bitgauge_shaders::{HeadTiles, Kernel};

use super::batch::CHUNK;
use super::chunk_tiles::HALVES;
use super::memory::over_limit;
use super::products::Products;
use super::recorder::{Dispatch, MAX_WORKGROUPS};
use super::{GpuBackend, GpuBatch, GpuBuffer};
use crate::backend::{Attention, Result, wrong_shape};

/// Queries of one workgroup of attention.wgsl.
const BLOCK: usize = attention::BLOCK as usize;
/// Most channels of a head: what an invocation of attention.wgsl can accumulate.
const MAX_HEAD_DIM: usize = attention::MAX_HEAD_DIM as usize;

/// Queries, and all keys that they may attend to.
struct Span {
    queries: ops::Range<usize>,
    keys: ops::Range<usize>,
}

impl GpuBackend {
    pub(super) fn run_attention(
        &mut self,
        (q, k, v): (&GpuBuffer, &GpuBuffer, &GpuBuffer),
        batch: &GpuBatch,
        shape: Attention,
        out: &GpuBuffer,
    ) -> Result<()> {
        let Attention { heads, kv_heads, head_dim } = shape;
        shape.check()?;
        if head_dim > MAX_HEAD_DIM {
            return Err(wrong_shape(
                "attention: channels of a head",
                format!("at most {MAX_HEAD_DIM}"),
                head_dim,
            ));
        }
        let (tokens, positions) = (batch.host.tokens(), batch.host.positions());
        q.expect("attention: q", tokens, heads * head_dim)?;
        k.expect("attention: k", tokens, kv_heads * head_dim)?;
        v.expect("attention: v", tokens, kv_heads * head_dim)?;
        out.expect("attention: output", tokens, heads * head_dim)?;
        if let Some(tiles) = self.attends_cooperatively(batch, (q, out), shape) {
            return self.run_attention_coop((q, k, v), batch, (shape, tiles), out);
        }

        let mut start = 0;
        while start < tokens {
            let span = self.attention_span(start, positions, q, k, 4 * heads * head_dim)?;
            start = span.queries.end;
            let pairs: u64 = positions[span.queries.clone()].iter().map(|p| u64::from(*p) + 1).sum();
            let dispatch = Dispatch {
                kernel: Kernel::Attention,
                params: AttentionParams {
                    queries: span.queries.len() as u32,
                    first_query: span.queries.start as u32,
                    first_key: span.keys.start as u32,
                    group: (heads / kv_heads) as u32,
                    head_dim: head_dim as u32,
                    q_stride: q.stride() as u32,
                    kv_stride: k.stride() as u32,
                    scale: (head_dim as f32).sqrt().recip(),
                }
                .bytes(),
                ranges: &[
                    q.range(&span.queries),
                    k.range(&span.keys),
                    v.range(&span.keys),
                    batch.positions.range(),
                    out.range(&span.queries),
                ],
                weights: None,
                grid: attention::grid(span.queries.len(), heads),
                flops: pairs * (4 * heads * head_dim) as u64,
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        Ok(())
    }

    /// The kernel for attention of this shape, where everything fits a binding.
    pub(super) fn attention_kernel(&self, shape: Attention) -> Kernel {
        match HeadTiles::of(shape.head_dim) {
            Some(tiles) if self.device.products == Products::Cooperative => Kernel::AttentionCoop(tiles),
            _ => Kernel::Attention,
        }
    }

    /// The tiles of a head, if heads are whole tiles of 16 channels, and everything fits a binding.
    fn attends_cooperatively(
        &self,
        batch: &GpuBatch,
        (q, out): (&GpuBuffer, &GpuBuffer),
        shape: Attention,
    ) -> Option<HeadTiles> {
        let Kernel::AttentionCoop(tiles) = self.attention_kernel(shape) else { return None };
        let of_tiles = batch.chunks() * CHUNK * q.cols * 4 / HALVES;
        let of_rows = [q, out].iter().map(|x| q.rows as u64 * x.row_bytes()).max()?;
        (of_rows.max(of_tiles as u64) <= self.limit).then_some(tiles)
    }

    fn run_attention_coop(
        &mut self,
        (q, k, v): (&GpuBuffer, &GpuBuffer, &GpuBuffer),
        batch: &GpuBatch,
        (shape, tiles): (Attention, HeadTiles),
        out: &GpuBuffer,
    ) -> Result<()> {
        let Attention { heads, kv_heads, head_dim } = shape;
        let q_tiles = self.chunk_tiles(q, batch, (heads, tiles.count()))?;
        let k_tiles = self.chunk_tiles(k, batch, (kv_heads, tiles.count()))?;
        let v_tiles = self.chunk_tiles(v, batch, (kv_heads, tiles.count()))?;
        let (tokens, chunks) = (0..batch.host.tokens(), 0..batch.chunks());
        let flops = batch.pairs_by_chunk().map(|pairs| pairs * (4 * heads * head_dim) as u64);
        for (span, flops) in spans_of_flops(flops, self.recorder.flops_limit) {
            let dispatch = Dispatch {
                kernel: Kernel::AttentionCoop(tiles),
                params: AttentionCoop {
                    first_chunk: span.start as u32,
                    group: (heads / kv_heads) as u32,
                    q_stride: (q_tiles.stride() / HALVES) as u32,
                    kv_stride: (k_tiles.stride() / HALVES) as u32,
                    out_stride: out.stride() as u32,
                    scale: (head_dim as f32).sqrt().recip(),
                }
                .bytes(),
                ranges: &[
                    q_tiles.range(&chunks),
                    k_tiles.range(&chunks),
                    v_tiles.range(&chunks),
                    batch.chunk_table.range(),
                    batch.positions.range(),
                    out.range(&tokens),
                ],
                weights: None,
                grid: attention_coop::grid(span.len(), heads),
                flops,
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        Ok(())
    }

    /// The longest span of queries from `start` on whose rows, and whose keys' rows, fit a binding,
    /// and which is not too long to run at once.
    fn attention_span(
        &self,
        start: usize,
        positions: &[u32],
        q: &GpuBuffer,
        k: &GpuBuffer,
        flops_per_pair: usize,
    ) -> Result<Span> {
        let before = positions[start] as usize;
        let queries = (self.limit / q.row_bytes()) as usize;
        let keys = (self.limit / k.row_bytes()) as usize;
        let mut most = queries.min(keys.saturating_sub(before)).min(positions.len() - start);
        if most == 0 {
            let what = format!("attention: the keys of token {start}");
            return Err(over_limit(&what, (before as u64 + 1) * k.row_bytes(), self.limit));
        }
        let mut left = self.recorder.flops_limit;
        for (i, position) in positions[start..start + most].iter().enumerate() {
            left = left.saturating_sub((u64::from(*position) + 1) * flops_per_pair as u64);
            if left == 0 && i >= BLOCK {
                most = i;
                break;
            }
        }
        Ok(Span { queries: start..start + most, keys: start - before..start + most })
    }
}

/// Runs of so many floating-point operations at most, or of a single one that takes more, and of as many as a grid
/// has workgroups along an axis; with their operations.
fn spans_of_flops(flops: impl Iterator<Item = u64>, most: u64) -> Vec<(ops::Range<usize>, u64)> {
    let mut spans: Vec<(ops::Range<usize>, u64)> = Vec::new();
    for (i, flops) in flops.enumerate() {
        match spans.last_mut() {
            Some((span, sum)) if sum.saturating_add(flops) <= most && span.len() < MAX_WORKGROUPS => {
                span.end = i + 1;
                *sum += flops;
            }
            _ => spans.push((i..i + 1, flops)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_stay_below_what_a_submission_may_take() {
        let spans = spans_of_flops([3, 4, 9, 1, 1, 2].into_iter(), 7);
        assert_eq!(spans, [(0..2, 7), (2..3, 9), (3..6, 4)]);
        let many = spans_of_flops(std::iter::repeat_n(0, MAX_WORKGROUPS + 1), 7);
        assert_eq!(many, [(0..MAX_WORKGROUPS, 0), (MAX_WORKGROUPS..MAX_WORKGROUPS + 1, 0)]);
    }
}
