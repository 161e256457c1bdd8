//! A backend in f64, for models so small that its speed does not matter.
//!
//! With few scored tokens the rounding of f32 does not average out: two implementations that are both
//! right differ in the sixth digit of the perplexity. In f64 what remains is the other side's rounding.

use bitgauge_core::Matrix;
use rayon::prelude::*;

use crate::backend::{Attention, Backend, BackendError, NO_TARGET};

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

impl Backend for ReferenceBackend {
    type Buffer = Rows;
    type Matrix = Rows;
    type Vector = Vec<f32>;
    type Indices = Vec<u32>;

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

    fn upload_indices(&mut self, values: &[u32]) -> Result<Vec<u32>> {
        Ok(values.to_vec())
    }

    fn buffer(&mut self, rows: usize, cols: usize) -> Result<Rows> {
        Ok(Rows { cols, values: vec![0.0; rows * cols] })
    }

    fn embed(&mut self, table: &Rows, ids: &Vec<u32>, out: &mut Rows) -> Result<()> {
        out.rows_mut().for_each(|(t, row)| row.copy_from_slice(table.row(ids[t] as usize)));
        Ok(())
    }

    fn rms_norm(&mut self, x: &Rows, weight: &Vec<f32>, eps: f32, out: &mut Rows) -> Result<()> {
        out.rows_mut().for_each(|(t, row)| {
            let (x, scale) = (x.row(t), inverse_rms(x.row(t), eps));
            row.iter_mut().zip(x).zip(weight).for_each(|((o, x), w)| *o = x * scale * f64::from(*w));
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

    fn rotary(
        &mut self,
        x: &mut Rows,
        positions: &Vec<u32>,
        frequencies: &Vec<f32>,
        head_dim: usize,
    ) -> Result<()> {
        x.rows_mut().for_each(|(t, row)| {
            for head in row.chunks_exact_mut(head_dim) {
                let (low, high) = head.split_at_mut(frequencies.len());
                for ((a, b), frequency) in low.iter_mut().zip(high).zip(frequencies) {
                    // The angle is rounded to f32, as models are trained.
                    let (sin, cos) = f64::from(positions[t] as f32 * frequency).sin_cos();
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
        positions: &Vec<u32>,
        shape: Attention,
        out: &mut Rows,
    ) -> Result<()> {
        let Attention { heads, kv_heads, head_dim } = shape;
        let scale = 1.0 / (head_dim as f64).sqrt();
        out.rows_mut().for_each(|(t, row)| {
            let keys = t - positions[t] as usize..=t;
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

    fn head_loss(&mut self, x: &Rows, head: &Rows, targets: &Vec<u32>) -> Result<Vec<f32>> {
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
        Ok(targets.par_iter().enumerate().map(loss).collect())
    }

    fn read(&mut self, x: &Rows) -> Result<Vec<f32>> {
        Ok(x.values.iter().map(|&x| x as f32).collect())
    }
}
