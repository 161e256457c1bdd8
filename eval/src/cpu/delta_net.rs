//! The operations of gated DeltaNet and of gated attention: shapes are checked here, then rows run in
//! parallel.

use rayon::prelude::*;

use super::{CpuBackend, CpuBuffer, agree, delta_rule, rows};
use crate::backend::{DeltaRule, Result, whole_heads, wrong_shape};
use crate::batch::Batch;

/// Refuses buffers that are not of the same shape.
fn same_shape(operation: &str, x: &CpuBuffer, y: &CpuBuffer) -> Result<()> {
    agree(&format!("{operation}: columns"), x.cols, y.cols)?;
    agree(&format!("{operation}: rows"), x.rows(), y.rows())
}

impl CpuBackend {
    pub(super) fn run_split_heads(
        &self,
        x: &CpuBuffer,
        head_dim: usize,
        first: &mut CpuBuffer,
        second: &mut CpuBuffer,
    ) -> Result<()> {
        whole_heads("split_heads: input", x.cols, 2 * head_dim)?;
        same_shape("split_heads", first, second)?;
        agree("split_heads: output columns", x.cols / 2, first.cols)?;
        agree("split_heads: rows", x.rows(), first.rows())?;
        self.run(|| {
            first.par_rows().zip(second.par_rows()).for_each(|((t, first), (_, second))| {
                let halves = first.chunks_exact_mut(head_dim).zip(second.chunks_exact_mut(head_dim));
                for (head, (first, second)) in x.row(t).chunks_exact(2 * head_dim).zip(halves) {
                    first.copy_from_slice(&head[..head_dim]);
                    second.copy_from_slice(&head[head_dim..]);
                }
            });
        });
        Ok(())
    }

    pub(super) fn run_sigmoid_gate(&self, x: &mut CpuBuffer, gate: &CpuBuffer) -> Result<()> {
        same_shape("sigmoid_gate", x, gate)?;
        let isa = self.isa;
        self.run(|| x.par_rows().for_each(|(t, x)| rows::sigmoid_gate(isa, x, gate.row(t))));
        Ok(())
    }

    pub(super) fn run_causal_conv(
        &self,
        x: &CpuBuffer,
        weight: &[f32],
        batch: &Batch,
        out: &mut CpuBuffer,
    ) -> Result<()> {
        same_shape("causal_conv", x, out)?;
        agree("causal_conv: weights past whole taps", 0, weight.len() % x.cols.max(1))?;
        agree("causal_conv: positions", x.rows(), batch.tokens())?;
        let (isa, positions) = (self.isa, batch.positions());
        let convolve = |(t, out): (usize, &mut [f32])| {
            out.fill(0.0);
            // The last tap meets the token itself.
            let taps = weight.chunks_exact(x.cols).rev();
            for (back, tap) in taps.enumerate().take(positions[t] as usize + 1) {
                rows::add_product(isa, tap, x.row(t - back), out);
            }
            rows::silu(isa, out);
        };
        self.run(|| out.par_rows().for_each(convolve));
        Ok(())
    }

    pub(super) fn run_l2_norm(
        &self,
        x: &mut CpuBuffer,
        heads: usize,
        head_dim: usize,
        eps: f32,
    ) -> Result<()> {
        let width = heads * head_dim;
        if width > x.cols || head_dim == 0 {
            let expected = format!("{heads} heads of {head_dim} channels");
            return Err(wrong_shape("l2_norm: input", expected, format!("{} channels", x.cols)));
        }
        let isa = self.isa;
        self.run(|| x.par_rows().for_each(|(_, row)| rows::l2_norm(isa, &mut row[..width], head_dim, eps)));
        Ok(())
    }

    pub(super) fn run_decay_gates(
        &self,
        a: &mut CpuBuffer,
        b: &mut CpuBuffer,
        rate: &[f32],
        bias: &[f32],
    ) -> Result<()> {
        same_shape("decay_gates", a, b)?;
        agree("decay_gates: rates", a.cols, rate.len())?;
        agree("decay_gates: biases", a.cols, bias.len())?;
        self.run(|| {
            let rows = a.par_rows().zip(b.par_rows());
            rows.for_each(|((_, a), (_, b))| rows::decay_gates(a, b, rate, bias));
        });
        Ok(())
    }

    pub(super) fn run_delta_rule(
        &self,
        mixed: &CpuBuffer,
        (decay, beta): (&CpuBuffer, &CpuBuffer),
        batch: &Batch,
        shape: DeltaRule,
        out: &mut CpuBuffer,
    ) -> Result<()> {
        shape.check()?;
        for (buffer, what, columns) in [
            (mixed, "delta_rule: columns of queries, keys and values", shape.mixed_width()),
            (decay, "delta_rule: decays", shape.value_heads),
            (beta, "delta_rule: betas", shape.value_heads),
            (&*out, "delta_rule: output columns", shape.value_width()),
        ] {
            agree(what, columns, buffer.cols)?;
            agree("delta_rule: rows", batch.tokens(), buffer.rows())?;
        }
        let [mixed, decay, beta] = [mixed, decay, beta].map(|buffer| buffer.values.as_slice());
        let inputs = delta_rule::Inputs { mixed, decay, beta, shape };
        self.run(|| delta_rule::delta_rule(self.isa, inputs, batch.documents(), out.values.as_mut_slice()));
        Ok(())
    }

    pub(super) fn run_gated_norm(
        &self,
        x: &mut CpuBuffer,
        weight: &[f32],
        eps: f32,
        gate: &CpuBuffer,
    ) -> Result<()> {
        same_shape("gated_norm", x, gate)?;
        whole_heads("gated_norm: input", x.cols, weight.len())?;
        let isa = self.isa;
        self.run(|| x.par_rows().for_each(|(t, row)| rows::gated_norm(isa, row, weight, eps, gate.row(t))));
        Ok(())
    }
}
