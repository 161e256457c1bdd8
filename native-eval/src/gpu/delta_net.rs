//! The operations of gated DeltaNet and of gated attention that take each row by itself, or with the few
//! before it: split_heads, sigmoid_gate, causal_conv, l2_norm, decay_gates, gated_norm.

use bitgauge_shaders::Kernel;
use bitgauge_shaders::kernels::causal_conv::CausalConv;
use bitgauge_shaders::kernels::{decay_gates, gated_norm, l2_norm, sigmoid_gate, split_heads};
use bitgauge_shaders::params::Params;

use super::memory::spans;
use super::recorder::Dispatch;
use super::rows::RowOperand::{Rows, Vector};
use super::{GpuBackend, GpuBatch, GpuBuffer, GpuVector};
use crate::backend::{Result, whole_heads, wrong_shape};

impl GpuBackend {
    pub(super) fn run_split_heads(
        &mut self,
        x: &GpuBuffer,
        head_dim: usize,
        first: &GpuBuffer,
        second: &GpuBuffer,
    ) -> Result<()> {
        let heads = whole_heads("split_heads: input", x.cols, 2 * head_dim)?;
        first.expect("split_heads: first", x.rows, heads * head_dim)?;
        second.expect("split_heads: second", x.rows, heads * head_dim)?;
        let call = split_heads::call(x.row(), first.row(), head_dim as u32);
        self.run_rows(&call, &[Rows(x), Rows(first), Rows(second)])
    }

    pub(super) fn run_sigmoid_gate(&mut self, x: &GpuBuffer, gate: &GpuBuffer) -> Result<()> {
        gate.expect("sigmoid_gate: gate", x.rows, x.cols)?;
        self.run_rows(&sigmoid_gate::call(x.row()), &[Rows(x), Rows(gate)])
    }

    pub(super) fn run_causal_conv(
        &mut self,
        x: &GpuBuffer,
        weight: &GpuVector,
        batch: &GpuBatch,
        out: &GpuBuffer,
    ) -> Result<()> {
        x.expect("causal_conv: input", batch.host.tokens(), x.cols)?;
        out.expect("causal_conv: output", x.rows, x.cols)?;
        if x.cols == 0 || weight.values.is_empty() || !weight.values.len().is_multiple_of(x.cols) {
            let expected = format!("whole taps of {} channels", x.cols);
            return Err(wrong_shape("causal_conv: weights", expected, weight.values.len()));
        }
        let taps = weight.values.len() / x.cols;
        // A span's input begins with the rows before it, which must fit as well.
        let limit = self.limit.saturating_sub((taps as u64 - 1) * x.row_bytes());
        for span in spans(x.rows, x.row_bytes(), limit, usize::MAX)? {
            let before = span.start.min(taps - 1);
            let dispatch = Dispatch {
                kernel: Kernel::CausalConv,
                params: CausalConv {
                    columns: x.cols as u32,
                    stride: x.stride() as u32,
                    taps: taps as u32,
                    first_token: span.start as u32,
                    before: before as u32,
                }
                .bytes(),
                ranges: &[
                    x.range(&(span.start - before..span.end)),
                    weight.range(),
                    batch.positions.range(),
                    out.range(&span),
                ],
                weights: None,
                grid: [span.len(), 1, 1],
                flops: (2 * taps + 20) as u64 * (span.len() * x.cols) as u64,
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        Ok(())
    }

    pub(super) fn run_l2_norm(
        &mut self,
        x: &GpuBuffer,
        heads: usize,
        head_dim: usize,
        eps: f32,
    ) -> Result<()> {
        if heads * head_dim > x.cols {
            let expected = format!("{heads} heads of {head_dim} channels");
            return Err(wrong_shape("l2_norm: input", expected, format!("{} channels", x.cols)));
        }
        self.run_rows(&l2_norm::call(x.row(), heads as u32, head_dim as u32, eps), &[Rows(x)])
    }

    pub(super) fn run_decay_gates(
        &mut self,
        a: &GpuBuffer,
        b: &GpuBuffer,
        rate: &GpuVector,
        bias: &GpuVector,
    ) -> Result<()> {
        a.expect("decay_gates: a", a.rows, rate.values.len())?;
        a.expect("decay_gates: a", a.rows, bias.values.len())?;
        b.expect("decay_gates: b", a.rows, a.cols)?;
        self.run_rows(&decay_gates::call(a.row()), &[Rows(a), Rows(b), Vector(rate), Vector(bias)])
    }

    pub(super) fn run_gated_norm(
        &mut self,
        x: &GpuBuffer,
        weight: &GpuVector,
        eps: f32,
        gate: &GpuBuffer,
    ) -> Result<()> {
        let head_dim = weight.values.len();
        whole_heads("gated_norm: input", x.cols, head_dim)?;
        gate.expect("gated_norm: gate", x.rows, x.cols)?;
        let call = gated_norm::call(x.row(), head_dim as u32, eps);
        self.run_rows(&call, &[Rows(x), Vector(weight), Rows(gate)])
    }
}
