//! Operations on weight matrices: embed, matmul, head_loss.

use std::ops;

use bitgauge_shaders::Kernel;
use bitgauge_shaders::kernels::embed::Embed;
use bitgauge_shaders::kernels::head_loss::HeadLoss;
use bitgauge_shaders::kernels::matmul::{self, Matmul};
use bitgauge_shaders::params::Params;

use super::memory::spans;
use super::products::Products;
use super::recorder::{BufferRange, Dispatch};
use super::weights::MatrixPart;
use super::{GpuBackend, GpuBatch, GpuBuffer, GpuMatrix};
use crate::backend::Result;
use crate::batch::NO_TARGET;

/// Tokens, and rows of weights, of one workgroup of matmul.wgsl.
const TILE: usize = matmul::TILE as usize;
/// Most vocabulary rows whose logits exist at once: so many fill a GPU whose products are cooperative, and others with
/// enough tokens beside them.
const COOPERATIVE_BLOCK: u64 = 8_192;
const PLAIN_BLOCK: u64 = 2_048;
/// Most bytes of logits that exist at once.
const LOGIT_BYTES: u64 = 256 << 20;

/// Columns `quad * 4 ..` of a matmul's output, and which rows of a part they hold.
pub(super) struct Columns {
    pub part_rows: ops::Range<usize>,
    pub quad: usize,
}

impl GpuBackend {
    pub(super) fn run_embed(&mut self, table: &GpuMatrix, batch: &GpuBatch, out: &GpuBuffer) -> Result<()> {
        out.expect("embed: output", batch.host.tokens(), table.cols)?;
        batch.host.check_ids(table.rows)?;
        for part in &table.parts {
            for span in spans(out.rows, out.row_bytes(), self.limit, usize::MAX)? {
                let dispatch = Dispatch {
                    kernel: Kernel::Embed(table.codec),
                    params: Embed {
                        first_token: span.start as u32,
                        first_row: part.first_row as u32,
                        rows: part.rows as u32,
                        quads: table.cols.div_ceil(4) as u32,
                        stride: out.stride_quads() as u32,
                    }
                    .bytes(),
                    ranges: &[batch.ids.range(), out.range(&span)],
                    weights: Some(&part.group),
                    grid: [span.len(), 1, 1],
                    flops: (span.len() * table.cols) as u64,
                };
                self.recorder.record(&mut self.device, dispatch)?;
            }
        }
        Ok(())
    }

    pub(super) fn run_matmul(&mut self, x: &GpuBuffer, w: &GpuMatrix, out: &GpuBuffer) -> Result<()> {
        x.expect("matmul: input", x.rows, w.cols)?;
        out.expect("matmul: output", x.rows, w.rows)?;
        let row_bytes = x.row_bytes().max(out.row_bytes());
        for part in &w.parts {
            let columns = Columns { part_rows: 0..part.rows, quad: part.first_row / 4 };
            let most = self.tokens_per_dispatch(part.rows, w.cols);
            for span in spans(x.rows, row_bytes, self.limit, most)? {
                self.record_matmul((x, &span), (w, part), &columns, (out, &span))?;
            }
        }
        Ok(())
    }

    /// Tokens that one dispatch of a product with `rows` x `cols` weights may take.
    fn tokens_per_dispatch(&self, rows: usize, cols: usize) -> usize {
        let flops_per_token = 2 * (rows as u64).saturating_mul(cols as u64);
        let most = self.recorder.flops_limit / flops_per_token.max(1);
        (most as usize / TILE * TILE).max(TILE)
    }

    fn record_matmul(
        &mut self,
        x: (&GpuBuffer, &ops::Range<usize>),
        w: (&GpuMatrix, &MatrixPart),
        columns: &Columns,
        out: (&GpuBuffer, &ops::Range<usize>),
    ) -> Result<()> {
        if self.cooperates(x, out) {
            self.record_cooperative(x, w, columns, out)
        } else {
            self.record_plain(x, w, columns, out)
        }
    }

    fn record_plain(
        &mut self,
        (x, tokens): (&GpuBuffer, &ops::Range<usize>),
        (w, part): (&GpuMatrix, &MatrixPart),
        columns: &Columns,
        (out, out_rows): (&GpuBuffer, &ops::Range<usize>),
    ) -> Result<()> {
        let rows = columns.part_rows.len();
        let kernel = match self.device.products {
            Products::F16 => Kernel::MatmulF16(w.codec),
            Products::F32 | Products::Cooperative => Kernel::Matmul(w.codec),
        };
        let dispatch = Dispatch {
            kernel,
            params: Matmul {
                tokens: tokens.len() as u32,
                columns: w.cols as u32,
                x_stride: x.stride_quads() as u32,
                first_row: columns.part_rows.start as u32,
                rows: rows as u32,
                out_quad: columns.quad as u32,
                out_stride: out.stride_quads() as u32,
            }
            .bytes(),
            ranges: &[x.range(tokens), out.range(out_rows)],
            weights: Some(&part.group),
            grid: matmul::grid(tokens.len(), rows),
            flops: 2 * (tokens.len() * rows) as u64 * w.cols as u64,
        };
        self.recorder.record(&mut self.device, dispatch)
    }

    pub(super) async fn run_head_loss(
        &mut self,
        x: &GpuBuffer,
        head: &GpuMatrix,
        batch: &GpuBatch,
    ) -> Result<Vec<f32>> {
        let targets = &batch.host.targets;
        x.expect("head_loss: input", targets.len(), head.cols)?;
        batch.host.check_targets(head.rows)?;

        let (block, most) = self.logit_block(head);
        let mut states = Vec::new();
        for span in spans(x.rows, x.row_bytes(), self.limit, most)? {
            let logits = self.pool.take(&self.device.handle, span.len(), block)?;
            let state = self.pool.take(&self.device.handle, 1, span.len() * 4)?;
            self.fold_vocabulary((x, &span), head, batch, &logits, &state)?;
            states.push((span, state));
        }
        self.recorder.flush(&mut self.device)?;
        let mut losses = Vec::with_capacity(targets.len());
        for (span, state) in states {
            let bytes = self.device.download(&state.stored, span.len() as u64 * 16).await?;
            let (state, _) = bytes.as_chunks::<16>();
            losses.extend(state.iter().zip(&targets[span]).map(|(state, target)| loss(state, *target)));
        }
        Ok(losses)
    }

    /// How many rows of the head have logits at once, and of how many tokens. The rows do not depend on the tokens: where
    /// blocks begin decides how a loss is rounded, and it must not change with the documents beside it.
    fn logit_block(&self, head: &GpuMatrix) -> (usize, usize) {
        let bytes = self.limit.min(LOGIT_BYTES);
        let flops = self.recorder.flops_limit / (2 * head.cols.max(1) as u64);
        let values = (bytes / 4).min(flops);
        let widest = match self.device.products {
            Products::Cooperative => COOPERATIVE_BLOCK,
            Products::F32 | Products::F16 => PLAIN_BLOCK,
        };
        let tile = TILE as u64;
        let whole = |count: u64| (count / tile * tile).max(tile);
        let block = whole(widest.min(head.rows.next_multiple_of(TILE) as u64).min(values / tile));
        (block as usize, usize::try_from(whole(values / block)).unwrap_or(usize::MAX))
    }

    /// Brings the softmax state of some tokens over the whole vocabulary, a block at a time.
    fn fold_vocabulary(
        &mut self,
        (x, tokens): (&GpuBuffer, &ops::Range<usize>),
        head: &GpuMatrix,
        batch: &GpuBatch,
        logits: &GpuBuffer,
        state: &GpuBuffer,
    ) -> Result<()> {
        let all = 0..tokens.len();
        for part in &head.parts {
            for start in (0..part.rows).step_by(logits.cols) {
                let columns = Columns { part_rows: start..part.rows.min(start + logits.cols), quad: 0 };
                self.record_matmul((x, tokens), (head, part), &columns, (logits, &all))?;
                let first_row = part.first_row + start;
                let dispatch = Dispatch {
                    kernel: Kernel::HeadLoss,
                    params: HeadLoss {
                        first_token: tokens.start as u32,
                        first_row: first_row as u32,
                        columns: columns.part_rows.len() as u32,
                        stride: logits.stride() as u32,
                        starts: u32::from(first_row == 0),
                    }
                    .bytes(),
                    ranges: &[
                        logits.range(&all),
                        batch.targets.range(),
                        BufferRange { buffer: &state.stored, offset: 0, bytes: tokens.len() as u64 * 16 },
                    ],
                    weights: None,
                    grid: [tokens.len(), 1, 1],
                    flops: 8 * (tokens.len() * columns.part_rows.len()) as u64,
                };
                self.recorder.record(&mut self.device, dispatch)?;
            }
        }
        Ok(())
    }
}

/// The loss from a state of head_loss.wgsl: the logarithm of the sum, less the target's logit.
fn loss(state: &[u8; 16], target: u32) -> f32 {
    if target == NO_TARGET {
        return 0.0;
    }
    let [largest, sum, target_logit, _] = bytemuck::pod_read_unaligned::<[f32; 4]>(state).map(f64::from);
    (largest + sum.ln() - target_logit) as f32
}
