//! Attention: which rows of keys each span of queries needs, and the dispatch.

use std::ops;

use bitgauge_shaders::kernels::attention::{self, Attention as AttentionParams};
use bitgauge_shaders::kernels::attention_coop::{self, AttentionCoop};
use bitgauge_shaders::params::Params;
use bitgauge_shaders::{HeadTiles, Kernel};

use super::coop::tiles_across;
use super::memory::{ROW_BLOCK, over_limit};
use super::products::Products;
use super::recorder::Dispatch;
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
        if self.attends_cooperatively((q, k, out), shape) {
            return self.run_attention_coop((q, k, v), batch, shape, out);
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

    /// Whether heads are whole tiles of 16 channels, and everything fits a binding.
    fn attends_cooperatively(
        &self,
        (q, k, out): (&GpuBuffer, &GpuBuffer, &GpuBuffer),
        shape: Attention,
    ) -> bool {
        let rows = q.rows.next_multiple_of(ROW_BLOCK) as u64;
        matches!(self.attention_kernel(shape), Kernel::AttentionCoop(_))
            && [q, k, out].iter().all(|x| rows * x.row_bytes() <= self.limit)
    }

    fn run_attention_coop(
        &mut self,
        (q, k, v): (&GpuBuffer, &GpuBuffer, &GpuBuffer),
        batch: &GpuBatch,
        shape: Attention,
        out: &GpuBuffer,
    ) -> Result<()> {
        let Attention { heads, kv_heads, head_dim } = shape;
        let [q_tiles, k_tiles, v_tiles] =
            [self.convert(q, false)?, self.convert(k, false)?, self.convert(v, false)?];
        let tokens = batch.host.tokens();
        let all = 0..tokens;
        let bands = tokens.div_ceil(ROW_BLOCK);
        let flops = |band: usize| {
            let queries = &batch.host.positions()[band * ROW_BLOCK..tokens.min((band + 1) * ROW_BLOCK)];
            let pairs: u64 = queries.iter().map(|position| u64::from(*position) + 1).sum();
            pairs * (4 * heads * head_dim) as u64
        };
        let mut start = 0;
        while start < bands {
            let (mut end, mut sum) = (start + 1, flops(start));
            while end < bands && sum + flops(end) <= self.recorder.flops_limit {
                sum += flops(end);
                end += 1;
            }
            let dispatch = Dispatch {
                kernel: self.attention_kernel(shape),
                params: AttentionCoop {
                    tokens: tokens as u32,
                    first_tile: start as u32,
                    group: (heads / kv_heads) as u32,
                    q_stride: tiles_across(q.cols) as u32,
                    kv_stride: tiles_across(k.cols) as u32,
                    out_stride: out.stride() as u32,
                    scale: (head_dim as f32).sqrt().recip(),
                }
                .bytes(),
                ranges: &[
                    q_tiles.block_range(&all),
                    k_tiles.block_range(&all),
                    v_tiles.block_range(&all),
                    batch.positions.range(),
                    out.block_range(&all),
                ],
                weights: None,
                grid: attention_coop::grid(end - start, heads),
                flops: sum,
            };
            self.recorder.record(&mut self.device, dispatch)?;
            start = end;
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
