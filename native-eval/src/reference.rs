//! A backend in f64, for models so small that its speed does not matter. It defines nothing: the twins of
//! `bitgauge-shaders` do. It tells the rounding of f32 from a fault.
//!
//! With few scored tokens the rounding of f32 does not average out: two implementations that are both
//! right differ in the sixth digit of the perplexity. In f64 what remains is the other side's rounding.

use bitgauge_core::Matrix;
use bitgauge_eval::{Attention, Backend, BackendError, Batch, DeltaRule, NO_TARGET};
use rayon::prelude::*;

type Result<T> = std::result::Result<T, BackendError>;

/// Plain loops in f64, parallel over tokens.
#[derive(Debug, Default)]
pub struct ReferenceBackend;

/// Activations `[rows, cols]`.
#[derive(Debug)]
pub struct Rows {
    cols: usize,
    values: Vec<f64>,
}

impl Rows {
    fn row(&self, t: usize) -> &[f64] {
        &self.values[t * self.cols..][..self.cols]
    }

    fn rows_mut(&mut self) -> impl IndexedParallelIterator<Item = (usize, &mut [f64])> {
        self.values.par_chunks_exact_mut(self.cols.max(1)).enumerate()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What RMS norm multiplies a row by.
fn inverse_rms(x: &[f64], eps: f32) -> f64 {
    1.0 / (dot(x, x) / x.len() as f64 + f64::from(eps)).sqrt()
}

/// `exp(x - max)` in place, and the sum.
fn exp_and_sum(x: &mut [f64]) -> (f64, f64) {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    x.iter_mut().for_each(|x| *x = (*x - max).exp());
    (max, x.iter().sum())
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The recurrence for one value head, `[T, value_dim]`.
fn delta_rule_head(
    mixed: &Rows,
    decay: &Rows,
    beta: &Rows,
    positions: &[u32],
    shape: DeltaRule,
    head: usize,
) -> Vec<f64> {
    let (dk, dv, keys) = (shape.key_dim, shape.value_dim, shape.key_width());
    let start = shape.key_head(head) * dk;
    // A row of the state for each channel of the values.
    let mut state = vec![0.0; dv * dk];
    let mut out = Vec::with_capacity(positions.len() * dv);
    for (t, position) in positions.iter().enumerate() {
        if *position == 0 {
            state.fill(0.0);
        }
        let row = mixed.row(t);
        let (q, k) = (&row[start..][..dk], &row[keys + start..][..dk]);
        let v = &row[2 * keys + head * dv..][..dv];
        let (keep, write) = (decay.row(t)[head].exp(), beta.row(t)[head]);
        for (state, v) in state.chunks_exact_mut(dk).zip(v) {
            state.iter_mut().for_each(|s| *s *= keep);
            let d = write * (v - dot(state, k));
            state.iter_mut().zip(k).for_each(|(s, k)| *s += k * d);
            out.push(dot(state, q) / (dk as f64).sqrt());
        }
    }
    out
}

impl Backend for ReferenceBackend {
    type Buffer = Rows;
    type Matrix = Rows;
    type Vector = Vec<f32>;
    type Batch = Batch;

    fn describe(&self) -> String {
        "CPU, f64".into()
    }

    fn runtime_name(&self) -> String {
        "cpu".into()
    }

    fn preferred_tokens(&self, _hidden: usize, _intermediate: usize) -> usize {
        4096
    }

    fn upload_matrix(&mut self, matrix: Matrix) -> Result<Rows> {
        Ok(Rows { cols: matrix.cols(), values: matrix.to_f32().into_iter().map(f64::from).collect() })
    }

    fn upload_vector(&mut self, values: &[f32]) -> Result<Vec<f32>> {
        Ok(values.to_vec())
    }

    fn upload_batch(&mut self, batch: &Batch) -> Result<Batch> {
        Ok(batch.clone())
    }

    fn buffer(&mut self, rows: usize, cols: usize) -> Result<Rows> {
        Ok(Rows { cols, values: vec![0.0; rows * cols] })
    }

    fn embed(&mut self, table: &Rows, batch: &Batch, out: &mut Rows) -> Result<()> {
        out.rows_mut().for_each(|(t, row)| row.copy_from_slice(table.row(batch.ids[t] as usize)));
        Ok(())
    }

    fn rms_norm(&mut self, x: &Rows, weight: &Vec<f32>, eps: f32, out: &mut Rows) -> Result<()> {
        out.rows_mut().for_each(|(t, row)| {
            let (x, scale) = (x.row(t), inverse_rms(x.row(t), eps));
            row.iter_mut().zip(x).zip(weight).for_each(|((o, x), w)| *o = x * scale * f64::from(*w));
        });
        Ok(())
    }

    fn round_rows(&mut self, x: &mut Rows) -> Result<()> {
        x.rows_mut().for_each(|(_, row)| {
            let largest = row.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
            let factor = 127.0 / largest.max(1e-5);
            row.iter_mut().for_each(|x| *x = (*x * factor).round_ties_even().clamp(-128.0, 127.0) / factor);
        });
        Ok(())
    }

    fn head_norm(&mut self, x: &mut Rows, weight: &Vec<f32>, eps: f32) -> Result<()> {
        x.rows_mut().for_each(|(_, row)| {
            for head in row.chunks_exact_mut(weight.len()) {
                let scale = inverse_rms(head, eps);
                head.iter_mut().zip(weight).for_each(|(x, w)| *x *= scale * f64::from(*w));
            }
        });
        Ok(())
    }

    fn matmul(&mut self, x: &Rows, w: &Rows, out: &mut Rows) -> Result<()> {
        out.rows_mut().for_each(|(t, row)| {
            row.iter_mut().enumerate().for_each(|(n, out)| *out = dot(x.row(t), w.row(n)));
        });
        Ok(())
    }

    fn rotary(&mut self, x: &mut Rows, batch: &Batch, frequencies: &Vec<f32>, head_dim: usize) -> Result<()> {
        x.rows_mut().for_each(|(t, row)| {
            for head in row.chunks_exact_mut(head_dim) {
                let (low, high) = head.split_at_mut(frequencies.len());
                for ((a, b), frequency) in low.iter_mut().zip(high).zip(frequencies) {
                    // The angle is rounded to f32, as models are trained.
                    let (sin, cos) = f64::from(batch.positions()[t] as f32 * frequency).sin_cos();
                    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                }
            }
        });
        Ok(())
    }

    fn attention(
        &mut self,
        q: &Rows,
        k: &Rows,
        v: &Rows,
        batch: &Batch,
        shape: Attention,
        out: &mut Rows,
    ) -> Result<()> {
        let Attention { heads, kv_heads, head_dim } = shape;
        let scale = 1.0 / (head_dim as f64).sqrt();
        out.rows_mut().for_each(|(t, row)| {
            let keys = t - batch.positions()[t] as usize..=t;
            for (j, out) in row.chunks_exact_mut(head_dim).enumerate() {
                let shared = j / (heads / kv_heads) * head_dim;
                let query = &q.row(t)[j * head_dim..][..head_dim];
                let score = |key: usize| dot(query, &k.row(key)[shared..][..head_dim]) * scale;
                let mut weights: Vec<f64> = keys.clone().map(score).collect();
                let (_, sum) = exp_and_sum(&mut weights);
                out.fill(0.0);
                for (weight, key) in weights.iter().zip(keys.clone()) {
                    let value = &v.row(key)[shared..][..head_dim];
                    out.iter_mut().zip(value).for_each(|(out, value)| *out += weight / sum * value);
                }
            }
        });
        Ok(())
    }

    fn swiglu(&mut self, gate: &mut Rows, up: &Rows) -> Result<()> {
        let values = gate.values.par_iter_mut().zip(&up.values);
        values.for_each(|(gate, up)| *gate = *gate / (1.0 + (-*gate).exp()) * up);
        Ok(())
    }

    fn add(&mut self, residual: &mut Rows, x: &Rows) -> Result<()> {
        residual.values.iter_mut().zip(&x.values).for_each(|(residual, x)| *residual += x);
        Ok(())
    }

    fn bias(&mut self, x: &mut Rows, bias: &Vec<f32>) -> Result<()> {
        x.rows_mut().for_each(|(_, row)| row.iter_mut().zip(bias).for_each(|(x, b)| *x += f64::from(*b)));
        Ok(())
    }

    fn split_heads(&mut self, x: &Rows, head_dim: usize, first: &mut Rows, second: &mut Rows) -> Result<()> {
        let heads = x.values.chunks_exact(2 * head_dim);
        let halves = first.values.chunks_exact_mut(head_dim).zip(second.values.chunks_exact_mut(head_dim));
        for (head, (first, second)) in heads.zip(halves) {
            first.copy_from_slice(&head[..head_dim]);
            second.copy_from_slice(&head[head_dim..]);
        }
        Ok(())
    }

    fn sigmoid_gate(&mut self, x: &mut Rows, gate: &Rows) -> Result<()> {
        x.values.iter_mut().zip(&gate.values).for_each(|(x, gate)| *x *= sigmoid(*gate));
        Ok(())
    }

    fn causal_conv(&mut self, x: &Rows, weight: &Vec<f32>, batch: &Batch, out: &mut Rows) -> Result<()> {
        out.rows_mut().for_each(|(t, row)| {
            row.fill(0.0);
            // The last tap meets the token itself.
            for (back, taps) in
                weight.chunks_exact(x.cols).rev().enumerate().take(batch.positions()[t] as usize + 1)
            {
                let values = x.row(t - back).iter().zip(taps);
                row.iter_mut().zip(values).for_each(|(out, (x, tap))| *out += x * f64::from(*tap));
            }
            row.iter_mut().for_each(|out| *out *= sigmoid(*out));
        });
        Ok(())
    }

    fn l2_norm(&mut self, x: &mut Rows, heads: usize, head_dim: usize, eps: f32) -> Result<()> {
        x.rows_mut().for_each(|(_, row)| {
            for head in row[..heads * head_dim].chunks_exact_mut(head_dim) {
                let scale = 1.0 / (dot(head, head) + f64::from(eps)).sqrt();
                head.iter_mut().for_each(|x| *x *= scale);
            }
        });
        Ok(())
    }

    fn decay_gates(&mut self, a: &mut Rows, b: &mut Rows, rate: &Vec<f32>, bias: &Vec<f32>) -> Result<()> {
        let heads = rate.iter().zip(bias).cycle();
        for ((a, b), (rate, bias)) in a.values.iter_mut().zip(&mut b.values).zip(heads) {
            let x = *a + f64::from(*bias);
            *a = f64::from(*rate) * (x.max(0.0) + (-x.abs()).exp().ln_1p());
            *b = sigmoid(*b);
        }
        Ok(())
    }

    fn delta_rule(
        &mut self,
        mixed: &Rows,
        decay: &Rows,
        beta: &Rows,
        batch: &Batch,
        shape: DeltaRule,
        out: &mut Rows,
    ) -> Result<()> {
        let head = |head| delta_rule_head(mixed, decay, beta, batch.positions(), shape, head);
        let heads: Vec<Vec<f64>> = (0..shape.value_heads).into_par_iter().map(head).collect();
        out.rows_mut().for_each(|(t, row)| {
            for (out, head) in row.chunks_exact_mut(shape.value_dim).zip(&heads) {
                out.copy_from_slice(&head[t * shape.value_dim..][..shape.value_dim]);
            }
        });
        Ok(())
    }

    fn gated_norm(&mut self, x: &mut Rows, weight: &Vec<f32>, eps: f32, gate: &Rows) -> Result<()> {
        x.rows_mut().for_each(|(t, row)| {
            let heads = row.chunks_exact_mut(weight.len()).zip(gate.row(t).chunks_exact(weight.len()));
            for (head, gate) in heads {
                let scale = inverse_rms(head, eps);
                for ((x, w), g) in head.iter_mut().zip(weight).zip(gate) {
                    *x *= scale * f64::from(*w) * g * sigmoid(*g);
                }
            }
        });
        Ok(())
    }

    async fn head_loss(&mut self, x: &Rows, head: &Rows, batch: &Batch) -> Result<Vec<f32>> {
        let vocabulary = head.values.len() / head.cols.max(1);
        let loss = |(t, &target): (usize, &u32)| {
            if target == NO_TARGET {
                return 0.0;
            }
            let mut logits: Vec<f64> = (0..vocabulary).map(|n| dot(x.row(t), head.row(n))).collect();
            let wanted = logits[target as usize];
            let (max, sum) = exp_and_sum(&mut logits);
            (max + sum.ln() - wanted) as f32
        };
        Ok(batch.targets.par_iter().enumerate().map(loss).collect())
    }

    async fn read(&mut self, x: &Rows) -> Result<Vec<f32>> {
        Ok(x.values.iter().map(|&x| x as f32).collect())
    }
}
