//! A backend that reads each weight when it is multiplied by, and records what it is multiplied with.

use bitgauge_core::{Dense, Error, ErrorKind, Matrix, Values};
use bitgauge_eval::{Attention, Backend, BackendError, Batch, DeltaRule};

use super::MomentStore;
use crate::pack::blocks::rows_of;
use crate::pack::original::Original;
use crate::source::Source;

type Result<T> = std::result::Result<T, BackendError>;

/// Runs on `inner`, with the weights of `source`.
pub(super) struct Recorder<'a, B> {
    inner: B,
    source: &'a mut Source,
    store: &'a mut MomentStore,
    /// The matrices of the model.
    originals: Vec<Original>,
    /// Counts writes to buffers.
    writes: u64,
    /// The buffer contents recorded last, and the set of moments that they went to.
    last: Option<(u64, usize)>,
}

/// A buffer whose `stamp` changes with its contents.
pub(super) struct Stamped<T> {
    inner: T,
    stamp: u64,
}

/// A batch whose ids are known: their rows are read.
pub(super) struct Known<T> {
    inner: T,
    batch: Batch,
}

/// Which of the model's matrices.
pub(super) struct OnDisk(usize);

impl<'a, B: Backend> Recorder<'a, B> {
    pub(super) fn new(inner: B, source: &'a mut Source, store: &'a mut MomentStore) -> Self {
        Self { inner, source, store, originals: Vec::new(), writes: 0, last: None }
    }

    pub(super) fn source(&mut self) -> &mut Source {
        self.source
    }

    pub(super) fn store(&mut self) -> &mut MomentStore {
        self.store
    }

    /// Says which weight the next matrix that is uploaded stands for: it comes without values.
    pub(super) fn announce(&mut self, original: &Original) {
        self.originals.push(original.clone());
    }

    fn written<'b, T>(&mut self, buffer: &'b mut Stamped<T>) -> (&mut B, &'b mut T) {
        self.writes += 1;
        buffer.stamp = self.writes;
        (&mut self.inner, &mut buffer.inner)
    }

    /// Adds the contents of `x` to the moments of a matrix's inputs.
    fn record(&mut self, x: &Stamped<B::Buffer>, matrix: &OnDisk) -> Result<()> {
        let Original { name, expected, .. } = &self.originals[matrix.0];
        let cols = expected.shape.last().map_or(1, |&cols| cols as usize);
        if let Some((_, set)) = self.last.filter(|(stamp, _)| *stamp == x.stamp) {
            // The same inputs go to several matrices, and do so in every batch.
            self.store.share(name, set);
            return Ok(());
        }
        let set = self.store.add(name, cols, &pollster::block_on(self.inner.read(&x.inner))?)?;
        self.last = Some((x.stamp, set));
        Ok(())
    }

    /// Some rows of a matrix, on the device.
    fn load(&mut self, matrix: &OnDisk, rows: Option<&[u32]>) -> Result<B::Matrix> {
        let original = &self.originals[matrix.0];
        let all: Vec<u32>;
        let rows = match rows {
            Some(rows) => rows,
            None => {
                all = (0..original.expected.shape.first().map_or(0, |&rows| rows as u32)).collect();
                &all
            }
        };
        let dense = rows_of(self.source, original, rows)?;
        self.inner.upload_matrix(Matrix::Dense(dense))
    }
}

impl<B: Backend> Backend for Recorder<'_, B> {
    type Buffer = Stamped<B::Buffer>;
    type Matrix = OnDisk;
    type Vector = B::Vector;
    type Batch = Known<B::Batch>;

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn runtime_name(&self) -> String {
        self.inner.runtime_name()
    }

    fn preferred_tokens(&self, hidden: usize, intermediate: usize) -> usize {
        self.inner.preferred_tokens(hidden, intermediate)
    }

    /// Takes the place of the weight that was announced.
    fn upload_matrix(&mut self, _: Matrix) -> Result<OnDisk> {
        self.originals
            .len()
            .checked_sub(1)
            .map(OnDisk)
            .ok_or_else(|| Error::new(ErrorKind::Missing, "no matrix was announced").into())
    }

    fn upload_vector(&mut self, values: &[f32]) -> Result<B::Vector> {
        self.inner.upload_vector(values)
    }

    fn upload_batch(&mut self, batch: &Batch) -> Result<Self::Batch> {
        Ok(Known { inner: self.inner.upload_batch(batch)?, batch: batch.clone() })
    }

    fn buffer(&mut self, rows: usize, cols: usize) -> Result<Self::Buffer> {
        self.writes += 1;
        Ok(Stamped { inner: self.inner.buffer(rows, cols)?, stamp: self.writes })
    }

    /// Reads only the rows that occur.
    fn embed(&mut self, table: &OnDisk, batch: &Self::Batch, out: &mut Self::Buffer) -> Result<()> {
        let ids = &batch.batch.ids;
        let mut rows = ids.clone();
        rows.sort_unstable();
        rows.dedup();
        let table = self.load(table, Some(&rows))?;
        let places: Vec<u32> = ids.iter().map(|id| rows.partition_point(|row| row < id) as u32).collect();
        let places = self.inner.upload_batch(&Batch::of([&places[..]]))?;
        let (inner, out) = self.written(out);
        inner.embed(&table, &places, out)
    }

    fn matmul(&mut self, x: &Self::Buffer, w: &OnDisk, out: &mut Self::Buffer) -> Result<()> {
        self.record(x, w)?;
        let w = self.load(w, None)?;
        let (inner, out) = self.written(out);
        inner.matmul(&x.inner, &w, out)
    }

    /// Only records: nobody asks for the loss.
    async fn head_loss(&mut self, x: &Self::Buffer, head: &OnDisk, batch: &Self::Batch) -> Result<Vec<f32>> {
        self.record(x, head)?;
        Ok(vec![0.0; batch.batch.tokens()])
    }

    async fn read(&mut self, x: &Self::Buffer) -> Result<Vec<f32>> {
        self.inner.read(&x.inner).await
    }

    fn rms_norm(
        &mut self,
        x: &Self::Buffer,
        weight: &B::Vector,
        eps: f32,
        out: &mut Self::Buffer,
    ) -> Result<()> {
        let (inner, out) = self.written(out);
        inner.rms_norm(&x.inner, weight, eps, out)
    }

    fn round_rows(&mut self, x: &mut Self::Buffer) -> Result<()> {
        let (inner, x) = self.written(x);
        inner.round_rows(x)
    }

    fn head_norm(&mut self, x: &mut Self::Buffer, weight: &B::Vector, eps: f32) -> Result<()> {
        let (inner, x) = self.written(x);
        inner.head_norm(x, weight, eps)
    }

    fn rotary(
        &mut self,
        x: &mut Self::Buffer,
        batch: &Self::Batch,
        frequencies: &B::Vector,
        head_dim: usize,
    ) -> Result<()> {
        let (inner, x) = self.written(x);
        inner.rotary(x, &batch.inner, frequencies, head_dim)
    }

    fn attention(
        &mut self,
        q: &Self::Buffer,
        k: &Self::Buffer,
        v: &Self::Buffer,
        batch: &Self::Batch,
        shape: Attention,
        out: &mut Self::Buffer,
    ) -> Result<()> {
        let (inner, out) = self.written(out);
        inner.attention(&q.inner, &k.inner, &v.inner, &batch.inner, shape, out)
    }

    fn swiglu(&mut self, gate: &mut Self::Buffer, up: &Self::Buffer) -> Result<()> {
        let (inner, gate) = self.written(gate);
        inner.swiglu(gate, &up.inner)
    }

    fn add(&mut self, residual: &mut Self::Buffer, x: &Self::Buffer) -> Result<()> {
        let (inner, residual) = self.written(residual);
        inner.add(residual, &x.inner)
    }

    fn bias(&mut self, x: &mut Self::Buffer, bias: &B::Vector) -> Result<()> {
        let (inner, x) = self.written(x);
        inner.bias(x, bias)
    }

    fn split_heads(
        &mut self,
        x: &Self::Buffer,
        head_dim: usize,
        first: &mut Self::Buffer,
        second: &mut Self::Buffer,
    ) -> Result<()> {
        let (_, first) = self.written(first);
        let (inner, second) = self.written(second);
        inner.split_heads(&x.inner, head_dim, first, second)
    }

    fn sigmoid_gate(&mut self, x: &mut Self::Buffer, gate: &Self::Buffer) -> Result<()> {
        let (inner, x) = self.written(x);
        inner.sigmoid_gate(x, &gate.inner)
    }

    fn causal_conv(
        &mut self,
        x: &Self::Buffer,
        weight: &B::Vector,
        batch: &Self::Batch,
        out: &mut Self::Buffer,
    ) -> Result<()> {
        let (inner, out) = self.written(out);
        inner.causal_conv(&x.inner, weight, &batch.inner, out)
    }

    fn l2_norm(&mut self, x: &mut Self::Buffer, heads: usize, head_dim: usize, eps: f32) -> Result<()> {
        let (inner, x) = self.written(x);
        inner.l2_norm(x, heads, head_dim, eps)
    }

    fn decay_gates(
        &mut self,
        a: &mut Self::Buffer,
        b: &mut Self::Buffer,
        rate: &B::Vector,
        bias: &B::Vector,
    ) -> Result<()> {
        let (_, a) = self.written(a);
        let (inner, b) = self.written(b);
        inner.decay_gates(a, b, rate, bias)
    }

    fn delta_rule(
        &mut self,
        mixed: &Self::Buffer,
        decay: &Self::Buffer,
        beta: &Self::Buffer,
        batch: &Self::Batch,
        shape: DeltaRule,
        out: &mut Self::Buffer,
    ) -> Result<()> {
        let (inner, out) = self.written(out);
        inner.delta_rule(&mixed.inner, &decay.inner, &beta.inner, &batch.inner, shape, out)
    }

    fn gated_norm(
        &mut self,
        x: &mut Self::Buffer,
        weight: &B::Vector,
        eps: f32,
        gate: &Self::Buffer,
    ) -> Result<()> {
        let (inner, x) = self.written(x);
        inner.gated_norm(x, weight, eps, &gate.inner)
    }
}

/// A matrix without values, for a weight that was announced.
pub(super) fn placeholder() -> Matrix {
    Matrix::Dense(Dense { rows: 0, cols: 0, values: Values::F32(Vec::new()) })
}
