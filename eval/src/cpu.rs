//! The CPU backend: complete, and f32 throughout. Its kernels are held to the twins of `bitgauge-shaders`, which define
//! the operations. It is what whole models on other devices are compared with, for which the twins are too slow.

mod aligned;
mod attention;
mod delta_net;
mod delta_rule;
mod head;
mod isa;
mod lookup;
mod micro;
mod panel;
mod product;
mod rows;
#[cfg(test)]
mod tests;
mod weights;

use bitgauge_core::{Error, ErrorKind, Matrix};
use rayon::prelude::*;

pub use isa::InstructionSet;
pub use weights::Weights;

use crate::backend::{Attention, Backend, DeltaRule, Result, whole_heads, wrong_shape};
use crate::batch::Batch;
use crate::clock::Moment;
use aligned::Aligned;
use isa::Isa;

/// Tokens in flight: enough to hide the unpacking of weights many times over, few enough that
/// activations stay small beside the weights.
const PREFERRED_TOKENS: usize = 2048;

/// Elements that one task of a row-wise kernel handles.
const TASK_ELEMENTS: usize = 1 << 15;

/// Evaluates on the CPU's vector units with a thread pool.
pub struct CpuBackend {
    isa: Isa,
    /// Its own threads, or the process-wide pool.
    pool: Option<rayon::ThreadPool>,
}

/// Activations `[rows, cols]`, row-major.
pub struct CpuBuffer {
    cols: usize,
    values: Aligned,
}

impl CpuBuffer {
    fn rows(&self) -> usize {
        self.values.as_slice().len() / self.cols.max(1)
    }

    /// Row indices and rows in parallel, in tasks of a useful size.
    fn par_rows(&mut self) -> impl IndexedParallelIterator<Item = (usize, &mut [f32])> {
        let rows_per_task = (TASK_ELEMENTS / self.cols.max(1)).max(1);
        self.values
            .as_mut_slice()
            .par_chunks_exact_mut(self.cols.max(1))
            .enumerate()
            .with_min_len(rows_per_task)
    }

    fn row(&self, t: usize) -> &[f32] {
        &self.values.as_slice()[t * self.cols..][..self.cols]
    }
}

/// Refuses shapes that disagree.
fn agree(what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(wrong_shape(what, expected, found))
}

impl CpuBackend {
    /// The fastest kernels that this CPU has, on threads of their own, or on those of the whole process with `None`.
    pub fn new(pool: Option<rayon::ThreadPool>) -> Self {
        Self { isa: Isa::fastest(), pool }
    }

    /// Uses the kernels for `set` instead; fails where the CPU can't run them.
    pub fn with_instruction_set(self, set: InstructionSet) -> Result<Self> {
        let missing = || Error::new(ErrorKind::Unsupported, format!("this CPU has no {}", set.name()));
        Ok(Self { isa: Isa::new(set).ok_or_else(missing)?, ..self })
    }

    /// Which instruction set's kernels are in use.
    pub fn instruction_set(&self) -> InstructionSet {
        self.isa.set()
    }

    /// Threads that share the work.
    pub fn threads(&self) -> usize {
        self.run(rayon::current_num_threads)
    }

    fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(f),
            None => f(),
        }
    }
}

impl Backend for CpuBackend {
    type Buffer = CpuBuffer;
    type Matrix = Weights;
    type Vector = Vec<f32>;
    type Batch = Batch;

    fn describe(&self) -> String {
        let threads = self.threads();
        format!(
            "CPU, {}, {threads} thread{}",
            self.instruction_set().name(),
            if threads == 1 { "" } else { "s" }
        )
    }

    fn runtime_name(&self) -> String {
        "cpu".into()
    }

    fn preferred_tokens(&self, _hidden: usize, _intermediate: usize) -> usize {
        PREFERRED_TOKENS
    }

    fn peak_flop_per_second(&mut self) -> Option<f64> {
        /// About a tenth of a second of work.
        const ROUNDS: usize = 1 << 23;
        let isa = self.isa;
        Some(self.run(|| {
            let start = Moment::now();
            let flop: u64 = rayon::broadcast(|_| micro::fma_burst(isa, ROUNDS)).iter().sum();
            flop as f64 / start.seconds()
        }))
    }

    fn upload_matrix(&mut self, matrix: Matrix) -> Result<Weights> {
        Ok(Weights::new(self.isa, matrix))
    }

    fn upload_vector(&mut self, values: &[f32]) -> Result<Vec<f32>> {
        Ok(values.to_vec())
    }

    fn upload_batch(&mut self, batch: &Batch) -> Result<Batch> {
        Ok(batch.clone())
    }

    fn buffer(&mut self, rows: usize, cols: usize) -> Result<CpuBuffer> {
        let values = rows.checked_mul(cols).and_then(Aligned::try_zeros);
        let bytes = (4 * rows as u64).saturating_mul(cols as u64);
        let values = values.ok_or_else(|| Error::no_memory("activations", bytes))?;
        Ok(CpuBuffer { cols, values })
    }

    fn embed(&mut self, table: &Weights, batch: &Batch, out: &mut CpuBuffer) -> Result<()> {
        agree("embed: columns", table.cols(), out.cols)?;
        let ids = &batch.ids;
        agree("embed: rows", ids.len(), out.rows())?;
        batch.check_ids(table.rows())?;
        self.run(|| out.par_rows().for_each(|(t, row)| table.read_row(ids[t] as usize, row)));
        Ok(())
    }

    fn rms_norm(&mut self, x: &CpuBuffer, weight: &Vec<f32>, eps: f32, out: &mut CpuBuffer) -> Result<()> {
        agree("rms_norm: weights", x.cols, weight.len())?;
        agree("rms_norm: columns", x.cols, out.cols)?;
        agree("rms_norm: rows", x.rows(), out.rows())?;
        let isa = self.isa;
        let norm = |(t, out): (usize, &mut [f32])| rows::rms_norm(isa, x.row(t), weight, eps, out);
        self.run(|| out.par_rows().for_each(norm));
        Ok(())
    }

    fn round_rows(&mut self, x: &mut CpuBuffer) -> Result<()> {
        self.run(|| x.par_rows().for_each(|(_, row)| rows::round_row(row)));
        Ok(())
    }

    fn head_norm(&mut self, x: &mut CpuBuffer, weight: &Vec<f32>, eps: f32) -> Result<()> {
        whole_heads("head_norm: input", x.cols, weight.len())?;
        let isa = self.isa;
        self.run(|| x.par_rows().for_each(|(_, row)| rows::head_norm(isa, row, weight, eps)));
        Ok(())
    }

    fn matmul(&mut self, x: &CpuBuffer, w: &Weights, out: &mut CpuBuffer) -> Result<()> {
        agree("matmul: input columns", w.cols(), x.cols)?;
        agree("matmul: output columns", w.rows(), out.cols)?;
        agree("matmul: rows", x.rows(), out.rows())?;
        if out.values.as_slice().is_empty() {
            return Ok(());
        }
        let (isa, rows, cols) = (self.isa, x.rows(), out.cols);
        self.run(|| {
            let (heights, width) = product::split(isa, rows, cols, rayon::current_num_threads());
            product::tiles(out.values.as_mut_slice(), cols, &heights, width).into_par_iter().for_each(
                |mut tile| {
                    let columns = tile.col..cols.min(tile.col + width);
                    w.multiply(isa, &x.values.as_slice()[tile.row * x.cols..], columns, &mut tile.rows);
                },
            );
        });
        Ok(())
    }

    fn rotary(
        &mut self,
        x: &mut CpuBuffer,
        batch: &Batch,
        frequencies: &Vec<f32>,
        head_dim: usize,
    ) -> Result<()> {
        let positions = batch.positions();
        agree("rotary: rows", positions.len(), x.rows())?;
        whole_heads("rotary: input", x.cols, head_dim)?;
        if 2 * frequencies.len() > head_dim {
            return Err(wrong_shape(
                "rotary: frequencies",
                format!("at most {}", head_dim / 2),
                frequencies.len(),
            ));
        }
        let isa = self.isa;
        let rotate = |(cos, sin): &mut (Vec<f32>, Vec<f32>), (t, row): (usize, &mut [f32])| {
            let angles = frequencies.iter().map(|frequency| positions[t] as f32 * frequency);
            let turns = angles.map(f32::sin_cos);
            (*sin, *cos) = turns.unzip();
            rows::rotate(isa, row, head_dim, cos, sin);
        };
        self.run(|| x.par_rows().for_each_init(Default::default, rotate));
        Ok(())
    }

    fn attention(
        &mut self,
        q: &CpuBuffer,
        k: &CpuBuffer,
        v: &CpuBuffer,
        batch: &Batch,
        shape: Attention,
        out: &mut CpuBuffer,
    ) -> Result<()> {
        shape.check()?;
        for (buffer, what, heads) in [
            (q, "attention: query columns", shape.heads),
            (k, "attention: key columns", shape.kv_heads),
            (v, "attention: value columns", shape.kv_heads),
            (out, "attention: output columns", shape.heads),
        ] {
            agree(what, heads * shape.head_dim, buffer.cols)?;
            agree("attention: rows", batch.tokens(), buffer.rows())?;
        }
        let inputs = attention::Inputs {
            q: q.values.as_slice(),
            k: k.values.as_slice(),
            v: v.values.as_slice(),
            shape,
        };
        self.run(|| attention::attention(self.isa, inputs, batch.documents(), out.values.as_mut_slice()));
        Ok(())
    }

    fn swiglu(&mut self, gate: &mut CpuBuffer, up: &CpuBuffer) -> Result<()> {
        agree("swiglu: columns", gate.cols, up.cols)?;
        agree("swiglu: rows", gate.rows(), up.rows())?;
        let isa = self.isa;
        self.run(|| gate.par_rows().for_each(|(t, gate)| rows::swiglu(isa, gate, up.row(t))));
        Ok(())
    }

    fn add(&mut self, residual: &mut CpuBuffer, x: &CpuBuffer) -> Result<()> {
        agree("add: columns", residual.cols, x.cols)?;
        agree("add: rows", residual.rows(), x.rows())?;
        let isa = self.isa;
        self.run(|| residual.par_rows().for_each(|(t, row)| rows::add(isa, row, x.row(t))));
        Ok(())
    }

    fn bias(&mut self, x: &mut CpuBuffer, bias: &Vec<f32>) -> Result<()> {
        agree("bias: columns", x.cols, bias.len())?;
        let isa = self.isa;
        self.run(|| x.par_rows().for_each(|(_, row)| rows::add(isa, row, bias)));
        Ok(())
    }

    fn split_heads(
        &mut self,
        x: &CpuBuffer,
        head_dim: usize,
        first: &mut CpuBuffer,
        second: &mut CpuBuffer,
    ) -> Result<()> {
        self.run_split_heads(x, head_dim, first, second)
    }

    fn sigmoid_gate(&mut self, x: &mut CpuBuffer, gate: &CpuBuffer) -> Result<()> {
        self.run_sigmoid_gate(x, gate)
    }

    fn causal_conv(
        &mut self,
        x: &CpuBuffer,
        weight: &Vec<f32>,
        batch: &Batch,
        out: &mut CpuBuffer,
    ) -> Result<()> {
        self.run_causal_conv(x, weight, batch, out)
    }

    fn l2_norm(&mut self, x: &mut CpuBuffer, heads: usize, head_dim: usize, eps: f32) -> Result<()> {
        self.run_l2_norm(x, heads, head_dim, eps)
    }

    fn decay_gates(
        &mut self,
        a: &mut CpuBuffer,
        b: &mut CpuBuffer,
        rate: &Vec<f32>,
        bias: &Vec<f32>,
    ) -> Result<()> {
        self.run_decay_gates(a, b, rate, bias)
    }

    fn delta_rule(
        &mut self,
        mixed: &CpuBuffer,
        decay: &CpuBuffer,
        beta: &CpuBuffer,
        batch: &Batch,
        shape: DeltaRule,
        out: &mut CpuBuffer,
    ) -> Result<()> {
        self.run_delta_rule(mixed, (decay, beta), batch, shape, out)
    }

    fn gated_norm(&mut self, x: &mut CpuBuffer, weight: &Vec<f32>, eps: f32, gate: &CpuBuffer) -> Result<()> {
        self.run_gated_norm(x, weight, eps, gate)
    }

    async fn head_loss(&mut self, x: &CpuBuffer, head: &Weights, batch: &Batch) -> Result<Vec<f32>> {
        agree("head_loss: columns", head.cols(), x.cols)?;
        let targets = &batch.targets;
        agree("head_loss: rows", targets.len(), x.rows())?;
        let vocabulary = head.rows();
        batch.check_targets(vocabulary)?;
        if targets.is_empty() || vocabulary == 0 {
            return Ok(vec![0.0; targets.len()]);
        }
        Ok(self.run(|| head::head_loss(self.isa, x.values.as_slice(), head, targets)))
    }

    async fn read(&mut self, x: &CpuBuffer) -> Result<Vec<f32>> {
        Ok(x.values.as_slice().to_vec())
    }
}
