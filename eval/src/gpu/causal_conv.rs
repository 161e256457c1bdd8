//! The convolution over the last few tokens in front of the delta rule.

use bitgauge_shaders::Kernel;
use bitgauge_shaders::kernels::causal_conv::CausalConv;
use bitgauge_shaders::params::Params;

use super::memory::spans;
use super::recorder::Dispatch;
use super::{GpuBackend, GpuBatch, GpuBuffer, GpuVector};
use crate::backend::{Result, wrong_shape};

impl GpuBackend {
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
}
