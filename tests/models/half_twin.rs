//! What products with f16 factors should give: another backend with both factors rounded beforehand.

use bitgauge_core::{Dense, Matrix, Values};
use bitgauge_eval::{Attention, Backend, BackendError, Batch, DeltaRule};
use half::f16;
use pollster::block_on;

type Result<T> = std::result::Result<T, BackendError>;

/// A backend whose products with weights have f16 factors; all else is the inner one's.
pub struct HalfTwin<B> {
    /// What computes.
    pub inner: B,
    /// Whether the factors of attention are rounded, too, as cooperative matrices do.
    pub rounds_attention: bool,
    /// What activations are multiplied by before they are rounded, and divided by after: another factor
    /// gives other roundings of the same size.
    pub scale: f32,
}

/// Activations and their shape.
pub struct Rows<B: Backend> {
    inner: B::Buffer,
    shape: [usize; 2],
}

/// Weights as they are stored, which are looked up, and rounded, which are multiplied by.
pub struct Weights<B: Backend> {
    stored: B::Matrix,
    rounded: B::Matrix,
}

impl<B: Backend> HalfTwin<B> {
    /// The same activations, rounded to f16.
    fn rounded(&mut self, x: &Rows<B>) -> Result<B::Buffer> {
        let [rows, cols] = x.shape;
        let scaled =
            block_on(self.inner.read(&x.inner))?.into_iter().map(|x| x * self.scale).collect::<Vec<_>>();
        let values = Values::F32(round(&scaled).into_iter().map(|x| x / self.scale).collect());
        let table = self.inner.upload_matrix(Matrix::Dense(Dense { rows, cols, values }))?;
        let ids: Vec<u32> = (0..rows as u32).collect();
        let batch = self.inner.upload_batch(&Batch::of([&ids[..]]))?;
        let mut out = self.inner.buffer(rows, cols)?;
        self.inner.embed(&table, &batch, &mut out)?;
        Ok(out)
    }
}

fn round(values: &[f32]) -> Vec<f32> {
    values.iter().map(|value| f16::from_f32(*value).to_f32()).collect()
}

impl<B: Backend> Backend for HalfTwin<B> {
    type Buffer = Rows<B>;
    type Matrix = Weights<B>;
    type Vector = B::Vector;
    type Batch = B::Batch;

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn runtime_name(&self) -> String {
        self.inner.runtime_name()
    }

    fn preferred_tokens(&self, hidden: usize, intermediate: usize) -> usize {
        self.inner.preferred_tokens(hidden, intermediate)
    }

    fn upload_matrix(&mut self, matrix: Matrix) -> Result<Weights<B>> {
        let (rows, cols, values) = (matrix.rows(), matrix.cols(), Values::F32(round(&matrix.to_f32())));
        let rounded = self.inner.upload_matrix(Matrix::Dense(Dense { rows, cols, values }))?;
        Ok(Weights { stored: self.inner.upload_matrix(matrix)?, rounded })
    }

    fn upload_vector(&mut self, values: &[f32]) -> Result<B::Vector> {
        self.inner.upload_vector(values)
    }

    fn upload_batch(&mut self, batch: &Batch) -> Result<B::Batch> {
        self.inner.upload_batch(batch)
    }

    fn buffer(&mut self, rows: usize, cols: usize) -> Result<Rows<B>> {
        Ok(Rows { inner: self.inner.buffer(rows, cols)?, shape: [rows, cols] })
    }

    fn embed(&mut self, table: &Weights<B>, batch: &B::Batch, out: &mut Rows<B>) -> Result<()> {
        self.inner.embed(&table.stored, batch, &mut out.inner)
    }

    fn rms_norm(&mut self, x: &Rows<B>, weight: &B::Vector, eps: f32, out: &mut Rows<B>) -> Result<()> {
        self.inner.rms_norm(&x.inner, weight, eps, &mut out.inner)
    }

    fn head_norm(&mut self, x: &mut Rows<B>, weight: &B::Vector, eps: f32) -> Result<()> {
        self.inner.head_norm(&mut x.inner, weight, eps)
    }

    fn matmul(&mut self, x: &Rows<B>, w: &Weights<B>, out: &mut Rows<B>) -> Result<()> {
        let x = self.rounded(x)?;
        self.inner.matmul(&x, &w.rounded, &mut out.inner)
    }

    fn rotary(
        &mut self,
        x: &mut Rows<B>,
        batch: &B::Batch,
        frequencies: &B::Vector,
        head_dim: usize,
    ) -> Result<()> {
        self.inner.rotary(&mut x.inner, batch, frequencies, head_dim)
    }

    fn attention(
        &mut self,
        q: &Rows<B>,
        k: &Rows<B>,
        v: &Rows<B>,
        batch: &B::Batch,
        shape: Attention,
        out: &mut Rows<B>,
    ) -> Result<()> {
        if !self.rounds_attention {
            return self.inner.attention(&q.inner, &k.inner, &v.inner, batch, shape, &mut out.inner);
        }
        let (q, k, v) = (self.rounded(q)?, self.rounded(k)?, self.rounded(v)?);
        self.inner.attention(&q, &k, &v, batch, shape, &mut out.inner)
    }

    fn swiglu(&mut self, gate: &mut Rows<B>, up: &Rows<B>) -> Result<()> {
        self.inner.swiglu(&mut gate.inner, &up.inner)
    }

    fn add(&mut self, residual: &mut Rows<B>, x: &Rows<B>) -> Result<()> {
        self.inner.add(&mut residual.inner, &x.inner)
    }

    fn bias(&mut self, x: &mut Rows<B>, bias: &B::Vector) -> Result<()> {
        self.inner.bias(&mut x.inner, bias)
    }

    fn split_heads(
        &mut self,
        x: &Rows<B>,
        head_dim: usize,
        first: &mut Rows<B>,
        second: &mut Rows<B>,
    ) -> Result<()> {
        self.inner.split_heads(&x.inner, head_dim, &mut first.inner, &mut second.inner)
    }

    fn sigmoid_gate(&mut self, x: &mut Rows<B>, gate: &Rows<B>) -> Result<()> {
        self.inner.sigmoid_gate(&mut x.inner, &gate.inner)
    }

    fn causal_conv(
        &mut self,
        x: &Rows<B>,
        weight: &B::Vector,
        batch: &B::Batch,
        out: &mut Rows<B>,
    ) -> Result<()> {
        self.inner.causal_conv(&x.inner, weight, batch, &mut out.inner)
    }

    fn round_rows(&mut self, x: &mut Rows<B>) -> Result<()> {
        self.inner.round_rows(&mut x.inner)
    }

    fn l2_norm(&mut self, x: &mut Rows<B>, heads: usize, head_dim: usize, eps: f32) -> Result<()> {
        self.inner.l2_norm(&mut x.inner, heads, head_dim, eps)
    }

    fn decay_gates(
        &mut self,
        a: &mut Rows<B>,
        b: &mut Rows<B>,
        rate: &B::Vector,
        bias: &B::Vector,
    ) -> Result<()> {
        self.inner.decay_gates(&mut a.inner, &mut b.inner, rate, bias)
    }

    fn delta_rule(
        &mut self,
        mixed: &Rows<B>,
        decay: &Rows<B>,
        beta: &Rows<B>,
        batch: &B::Batch,
        shape: DeltaRule,
        out: &mut Rows<B>,
    ) -> Result<()> {
        self.inner.delta_rule(&mixed.inner, &decay.inner, &beta.inner, batch, shape, &mut out.inner)
    }

    fn gated_norm(&mut self, x: &mut Rows<B>, weight: &B::Vector, eps: f32, gate: &Rows<B>) -> Result<()> {
        self.inner.gated_norm(&mut x.inner, weight, eps, &gate.inner)
    }

    async fn head_loss(&mut self, x: &Rows<B>, head: &Weights<B>, batch: &B::Batch) -> Result<Vec<f32>> {
        let x = self.rounded(x)?;
        self.inner.head_loss(&x, &head.rounded, batch).await
    }

    async fn read(&mut self, x: &Rows<B>) -> Result<Vec<f32>> {
        self.inner.read(&x.inner).await
    }
}
