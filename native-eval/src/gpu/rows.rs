//! Operations on each row by itself: rms_norm, head_norm, rotary, swiglu, add, bias.

use bitgauge_shaders::{Kernel, params};

use super::batch::Turns;
use super::memory::spans;
use super::recorder::Dispatch;
use super::{GpuBackend, GpuBatch, GpuBuffer, GpuVector};
use crate::backend::{Result, whole_heads, wrong_shape};

impl GpuBackend {
    pub(super) fn run_rms_norm(
        &mut self,
        x: &GpuBuffer,
        weight: &GpuVector,
        eps: f32,
        out: &GpuBuffer,
    ) -> Result<()> {
        x.expect("rms_norm: input", x.rows, weight.values.len())?;
        out.expect("rms_norm: output", x.rows, x.cols)?;
        for span in spans(x.rows, x.row_bytes(), self.limit, usize::MAX)? {
            let dispatch = Dispatch {
                kernel: Kernel::RmsNorm,
                params: params::RmsNorm { columns: x.cols as u32, stride: x.stride() as u32, eps },
                ranges: &[x.range(&span), weight.range(), out.range(&span)],
                weights: None,
                grid: [span.len(), 1, 1],
                flops: 4 * (span.len() * x.cols) as u64,
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        Ok(())
    }

    pub(super) fn run_head_norm(&mut self, x: &GpuBuffer, weight: &GpuVector, eps: f32) -> Result<()> {
        let heads = whole_heads("head_norm: input", x.cols, weight.values.len())?;
        for span in spans(x.rows, x.row_bytes(), self.limit, usize::MAX)? {
            let dispatch = Dispatch {
                kernel: Kernel::HeadNorm,
                params: params::HeadNorm {
                    heads: heads as u32,
                    head_dim: weight.values.len() as u32,
                    stride: x.stride() as u32,
                    eps,
                },
                ranges: &[x.range(&span), weight.range()],
                weights: None,
                grid: [span.len(), 1, 1],
                flops: 4 * (span.len() * x.cols) as u64,
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        Ok(())
    }

    pub(super) fn run_rotary(
        &mut self,
        x: &GpuBuffer,
        batch: &GpuBatch,
        frequencies: &GpuVector,
        head_dim: usize,
    ) -> Result<()> {
        x.expect("rotary: input", batch.host.tokens(), x.cols)?;
        let heads = whole_heads("rotary: input", x.cols, head_dim)?;
        let pairs = frequencies.values.len();
        if 2 * pairs > head_dim {
            return Err(wrong_shape("rotary: frequencies", format!("at most {}", head_dim / 2), pairs));
        }
        let turns = match batch.turns.take() {
            Some(turns) if turns.frequencies == frequencies.stored.buffer => turns,
            _ => self.compute_turns(batch, frequencies)?,
        };
        let row_bytes = x.row_bytes().max(turns.values.row_bytes());
        for span in spans(x.rows, row_bytes, self.limit, usize::MAX)? {
            let dispatch = Dispatch {
                kernel: Kernel::Rotary,
                params: params::Rotary {
                    heads: heads as u32,
                    head_dim: head_dim as u32,
                    pairs: pairs as u32,
                    stride: x.stride() as u32,
                    turn_stride: turns.values.stride() as u32 / 2,
                },
                ranges: &[x.range(&span), turns.values.range(&span)],
                weights: None,
                grid: [span.len(), 1, 1],
                flops: 6 * (span.len() * heads * pairs) as u64,
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        batch.turns.replace(Some(turns));
        Ok(())
    }

    /// The angle is rounded to f32, as models are trained; its sine and cosine are not.
    fn compute_turns(&mut self, batch: &GpuBatch, frequencies: &GpuVector) -> Result<Turns> {
        let values =
            self.pool.take(&self.device.handle, batch.host.tokens(), 2 * frequencies.values.len())?;
        let stride = values.stride();
        let mut turns = vec![0.0f32; values.rows * stride];
        for (row, position) in turns.chunks_exact_mut(stride.max(1)).zip(batch.host.positions()) {
            for (turn, frequency) in row.chunks_exact_mut(2).zip(&frequencies.values) {
                let (sin, cos) = f64::from(*position as f32 * frequency).sin_cos();
                turn.copy_from_slice(&[cos as f32, sin as f32]);
            }
        }
        // The buffer may have been used before: what was recorded on it must run first.
        self.recorder.flush(&mut self.device)?;
        self.device.write(&values.stored, 0, bytemuck::cast_slice(&turns))?;
        Ok(Turns { frequencies: frequencies.stored.buffer.clone(), values })
    }

    pub(super) fn run_swiglu(&mut self, gate: &GpuBuffer, up: &GpuBuffer) -> Result<()> {
        up.expect("swiglu: up", gate.rows, gate.cols)?;
        for span in spans(gate.rows, gate.row_bytes(), self.limit, usize::MAX)? {
            let dispatch = Dispatch {
                kernel: Kernel::Swiglu,
                params: params::Swiglu { quads: gate.stride_quads() as u32 },
                ranges: &[gate.range(&span), up.range(&span)],
                weights: None,
                grid: [span.len(), 1, 1],
                flops: 20 * (span.len() * gate.cols) as u64,
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        Ok(())
    }

    pub(super) fn run_add(&mut self, residual: &GpuBuffer, x: &GpuBuffer) -> Result<()> {
        x.expect("add: input", residual.rows, residual.cols)?;
        for span in spans(x.rows, x.row_bytes(), self.limit, usize::MAX)? {
            let dispatch = Dispatch {
                kernel: Kernel::Add,
                params: params::Add { quads: x.stride_quads() as u32 },
                ranges: &[residual.range(&span), x.range(&span)],
                weights: None,
                grid: [span.len(), 1, 1],
                flops: (span.len() * x.cols) as u64,
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        Ok(())
    }

    pub(super) fn run_bias(&mut self, x: &GpuBuffer, bias: &GpuVector) -> Result<()> {
        x.expect("bias: input", x.rows, bias.values.len())?;
        for span in spans(x.rows, x.row_bytes(), self.limit, usize::MAX)? {
            let dispatch = Dispatch {
                kernel: Kernel::Bias,
                params: params::Bias { columns: x.cols as u32, stride: x.stride() as u32 },
                ranges: &[x.range(&span), bias.range()],
                weights: None,
                grid: [span.len(), 1, 1],
                flops: (span.len() * x.cols) as u64,
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        Ok(())
    }
}
