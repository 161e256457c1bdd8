//! Kernels that take each row by itself, and rotary.

use std::ops::Range;

use bitgauge_shaders::Call;
use bitgauge_shaders::kernels::rotary;

use super::batch::Turns;
use super::memory::spans;
use super::recorder::{BufferRange, Dispatch};
use super::{GpuBackend, GpuBatch, GpuBuffer, GpuVector};
use crate::backend::{Result, whole_heads, wrong_shape};

/// What a kernel that takes each row by itself is given.
#[derive(Debug, Clone, Copy)]
pub enum RowOperand<'a> {
    /// Its rows, which may be written.
    Rows(&'a GpuBuffer),
    /// The same vector for every row.
    Vector(&'a GpuVector),
}

use RowOperand::{Rows, Vector};

impl<'a> RowOperand<'a> {
    /// The rows, if it has rows.
    pub fn rows(self) -> Option<&'a GpuBuffer> {
        match self {
            Rows(buffer) => Some(buffer),
            Vector(_) => None,
        }
    }

    /// What is bound for some of the rows.
    fn range(self, span: &Range<usize>) -> BufferRange<'a> {
        match self {
            Rows(buffer) => buffer.range(span),
            Vector(vector) => vector.range(),
        }
    }
}

impl GpuBackend {
    /// Runs a kernel that takes each row by itself, over as many rows at once as fit a binding. The operands
    /// are in the order of its bindings; those with rows have the same number of them.
    ///
    /// # Errors
    /// Operands with different numbers of rows, a row over the binding limit, or a failure of the device.
    pub fn run_rows(&mut self, call: &Call, operands: &[RowOperand<'_>]) -> Result<()> {
        let Some(first) = operands.iter().find_map(|operand| operand.rows()) else { return Ok(()) };
        let mut row_bytes = 0;
        for buffer in operands.iter().filter_map(|operand| operand.rows()) {
            buffer.expect(call.kernel.name(), first.rows, buffer.cols)?;
            row_bytes = row_bytes.max(buffer.row_bytes());
        }
        for span in spans(first.rows, row_bytes, self.limit, usize::MAX)? {
            let ranges: Vec<_> = operands.iter().map(|operand| operand.range(&span)).collect();
            let dispatch = Dispatch {
                kernel: call.kernel,
                params: call.params.clone(),
                ranges: &ranges,
                weights: None,
                grid: [span.len(), 1, 1],
                flops: span.len() as u64 * call.flops_per_row,
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
        whole_heads("rotary: input", x.cols, head_dim)?;
        let pairs = frequencies.values.len();
        if 2 * pairs > head_dim {
            return Err(wrong_shape("rotary: frequencies", format!("at most {}", head_dim / 2), pairs));
        }
        let turns = match batch.turns.take() {
            Some(turns) if turns.frequencies == frequencies.stored.buffer => turns,
            _ => self.compute_turns(batch, frequencies)?,
        };
        let call = rotary::call(x.row(), turns.values.row(), head_dim as u32);
        self.run_rows(&call, &[Rows(x), Rows(&turns.values)])?;
        batch.turns.replace(Some(turns));
        Ok(())
    }

    /// Each token's turns, by its position.
    fn compute_turns(&mut self, batch: &GpuBatch, frequencies: &GpuVector) -> Result<Turns> {
        let angles = match self.angles.take() {
            Some(angles) if angles.frequencies == frequencies.stored.buffer => angles,
            _ => Angles { frequencies: frequencies.stored.buffer.clone(), turns: Vec::new() },
        };
        let angles = self.angles.insert(angles);
        let width = 2 * frequencies.values.len();
        angles.reach(batch.host.positions(), &frequencies.values);
        let values = self.pool.take(&self.device.handle, batch.host.tokens(), width)?;
        let stride = values.stride();
        let mut turns = vec![0.0f32; values.rows * stride];
        for (row, position) in turns.chunks_exact_mut(stride.max(1)).zip(batch.host.positions()) {
            row[..width].copy_from_slice(&angles.turns[*position as usize * width..][..width]);
        }
        // The buffer may have been used before: what was recorded on it must run first.
        self.recorder.flush(&mut self.device)?;
        self.device.write(&values.stored, 0, bytemuck::cast_slice(&turns))?;
        Ok(Turns { frequencies: frequencies.stored.buffer.clone(), values })
    }
}

/// The turns of the positions so far, kept from one batch to the next: computing them keeps the GPU waiting.
pub(super) struct Angles {
    /// Of which frequencies.
    frequencies: wgpu::Buffer,
    /// `[positions, 2 n]`: cosine and sine of each angle.
    turns: Vec<f32>,
}

impl Angles {
    /// Adds the positions up to the furthest of these. The angle is rounded to f32, as models are trained; its sine and
    /// cosine are not.
    fn reach(&mut self, positions: &[u32], frequencies: &[f32]) {
        let known = self.turns.len() / (2 * frequencies.len()).max(1);
        let end = positions.iter().max().map_or(0, |furthest| *furthest as usize + 1);
        for position in known..end {
            self.turns.extend(frequencies.iter().flat_map(|frequency| {
                let (sin, cos) = f64::from(position as f32 * frequency).sin_cos();
                [cos as f32, sin as f32]
            }));
        }
    }
}
