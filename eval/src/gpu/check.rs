//! Kernels against their twins on the very device that is to run them: what a browser, its driver or its GPU compiles wrongly
//! would change a loss without a word.

use std::f32::consts::LN_2;

use bitgauge_core::{Error, ErrorKind, Matrix};
use bitgauge_shaders::trial::{Operand, Random, Trial};
use bitgauge_shaders::{Kernel, twins};

use super::{GpuBackend, GpuBuffer, GpuMatrix, GpuVector, RowOperand, weights};
use crate::backend::{Attention, Backend, DeltaRule, Result};
use crate::batch::{Batch, NO_TARGET};
use crate::forward::{Mixer, Model};

/// How many times a kernel's bound an error may be here: WGSL allows exponentials and divisions more than the drivers have
/// that the bounds are of. A wrong kernel is off by a thousand times as much.
const SLACK: f64 = 8.0;
/// Products of a sum for which the bounds of products are; longer sums round more often.
const BOUND_PRODUCTS: f64 = 256.0;
/// Tokens of the documents that mixers are checked with: over two blocks of attention's keys, and over one chunk of the
/// delta rule, each beside a document of few tokens.
const DOCUMENTS: [usize; 2] = [70, 5];
/// Tokens of a product: over one tile.
const TOKENS: usize = 66;
/// What a matrix is a sample of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// Of the embedding: rows are looked up.
    Embedding,
    /// Of the head: it gives losses.
    Head,
    /// Of a layer's matrix.
    Layer,
}

/// One comparison of a kernel with its twin.
pub struct Check {
    kernel: Kernel,
    what: What,
}

enum What {
    Rows(Trial),
    Embed(Matrix),
    Matmul(Matrix),
    Head(Matrix),
    Attention(Attention),
    Rotary { frequencies: Vec<f32>, head_dim: usize },
    Convolution { channels: usize, taps: usize },
    DeltaRule(DeltaRule),
}

/// Every kernel that a model runs on this backend, in the ways that it runs them. `samples` are some rows of its matrices, of
/// each way in which they are stored.
pub fn checks(
    backend: &GpuBackend,
    model: &Model<GpuBackend>,
    samples: Vec<(Sample, Matrix)>,
) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for (sample, matrix) in samples {
        let codec = weights::codec(&matrix)?;
        match sample {
            Sample::Embedding => checks.push((Kernel::Embed(codec), What::Embed(matrix))),
            Sample::Head => checks.push((Kernel::HeadLoss, What::Head(matrix))),
            Sample::Layer => checks.push((Kernel::Matmul(codec), What::Matmul(matrix))),
        }
    }
    let (shape, mixers) = (&model.shape, || model.layers.iter().map(|layer| &layer.mixer));
    let mut rows = vec![Kernel::RmsNorm, Kernel::Swiglu, Kernel::Add];
    let attention = mixers().find_map(|mixer| match mixer {
        Mixer::Attention(layer) => Some(layer),
        Mixer::DeltaNet(_) => None,
    });
    if let Some(layer) = attention {
        let Attention { heads, kv_heads, head_dim } = shape.attention;
        let few = kv_heads.min(2);
        let kernel = backend.attention_kernel(shape.attention);
        let sizes = Attention { heads: heads / kv_heads * few, kv_heads: few, head_dim };
        checks.push((kernel, What::Attention(sizes)));
        let frequencies = model.frequencies.values.clone();
        checks.push((Kernel::Rotary, What::Rotary { frequencies, head_dim }));
        rows.extend(layer.q_norm.is_some().then_some(Kernel::HeadNorm));
        rows.extend(layer.q_proj.bias.is_some().then_some(Kernel::Bias));
    }
    if shape.output_gate {
        rows.extend([Kernel::SplitHeads, Kernel::SigmoidGate]);
    }
    let convolution = mixers().find_map(|mixer| match mixer {
        Mixer::DeltaNet(layer) => Some(&layer.conv),
        Mixer::Attention(_) => None,
    });
    if let (Some(rule), Some(weight)) = (shape.delta_rule, convolution) {
        rows.extend([Kernel::L2Norm, Kernel::DecayGates, Kernel::GatedNorm]);
        let taps = weight.values.len() / rule.mixed_width().max(1);
        checks.push((Kernel::CausalConv, What::Convolution { channels: 130, taps }));
        let key_heads = rule.key_heads.min(2);
        let value_heads = rule.value_heads / rule.key_heads * key_heads;
        // The last of its kernels reads what the others made.
        let kernel = backend.delta_rule_kernels(rule).into_iter().last();
        let sizes = DeltaRule { key_heads, value_heads, ..rule };
        checks.extend(kernel.map(|kernel| (kernel, What::DeltaRule(sizes))));
    }
    rows.extend(shape.rounds_inputs.then_some(Kernel::RoundRows));
    let trials = |kernel: Kernel| kernel.trials().into_iter().map(move |trial| (kernel, What::Rows(trial)));
    checks.extend(rows.into_iter().flat_map(trials));
    Ok(checks.into_iter().map(|(kernel, what)| Check { kernel, what }).collect())
}

impl Check {
    /// The kernel and how it is composed, for people.
    pub fn kernel(&self) -> String {
        self.kernel.label()
    }

    /// Runs the kernel and its twin on the same values.
    ///
    /// # Errors
    /// They differ: the error names the kernel and the adapter. Or the device fails.
    pub async fn run(&self, backend: &mut GpuBackend) -> Result<()> {
        let mut random = Random(7);
        let (got, want, products) = match &self.what {
            What::Rows(trial) => (run_trial(backend, trial).await?, trial.want.clone(), 0),
            What::Embed(table) => embed(backend, table, &mut random).await?,
            What::Matmul(weights) => matmul(backend, weights, &mut random).await?,
            What::Head(head) => head_loss(backend, head, &mut random).await?,
            What::Attention(shape) => attention(backend, *shape, &mut random).await?,
            What::Rotary { frequencies, head_dim } => {
                rotary(backend, frequencies, *head_dim, &mut random).await?
            }
            What::Convolution { channels, taps } => {
                convolution(backend, [*channels, *taps], &mut random).await?
            }
            What::DeltaRule(shape) => delta_rule(backend, *shape, &mut random).await?,
        };
        let longer = (products as f64 / BOUND_PRODUCTS).max(1.0).sqrt();
        let bound = SLACK * longer * self.kernel.bound();
        let off = difference(&got, &want);
        // NaN is no error within the bound, either.
        if off <= bound {
            return Ok(());
        }
        let what = format!("the kernel \"{}\" computes wrongly on this GPU", self.kernel.label());
        Err(Error::new(ErrorKind::Unsupported, what)
            .within(&backend.adapter().name)
            .expected_found(
                format!("at most {bound:.1e} of the largest value from what plain loops give"),
                format!("{off:.1e}"),
            )
            .hint("update the browser and the graphics driver, or use another browser or GPU; `bitgauge eval` measures without a browser")
            .into())
    }
}

/// The largest error as a share of the largest value; NaN where a result is missing or not finite.
fn difference(got: &[f32], want: &[f32]) -> f64 {
    if got.len() != want.len() || got.iter().any(|value| !value.is_finite()) {
        return f64::NAN;
    }
    let largest = want.iter().fold(0.0f64, |largest, value| largest.max(f64::from(value.abs())));
    let errors = got.iter().zip(want).map(|(got, want)| (f64::from(*got) - f64::from(*want)).abs());
    let worst = errors.fold(0.0f64, f64::max);
    if worst == 0.0 { 0.0 } else { worst / largest }
}

/// What a kernel gave, what its twin gives, and how many products each of its sums has.
type Compared = (Vec<f32>, Vec<f32>, usize);

/// Rows of activations on the device.
fn put(backend: &mut GpuBackend, values: &[f32], cols: usize) -> Result<GpuBuffer> {
    let buffer = backend.buffer(values.len() / cols.max(1), cols)?;
    let mut padded = Vec::with_capacity(buffer.rows * buffer.stride());
    for row in values.chunks_exact(cols) {
        padded.extend_from_slice(row);
        // Whatever a kernel reads from beyond the last column shows.
        padded.resize(padded.len().next_multiple_of(buffer.stride()), f32::NAN);
    }
    // What was recorded reads or writes what the buffer held before.
    backend.recorder.flush(&mut backend.device)?;
    backend.device.write(&buffer.stored, 0, bytemuck::cast_slice(&padded))?;
    Ok(buffer)
}

/// Rows of NaN: whatever a kernel fails to write shows.
fn unwritten(backend: &mut GpuBackend, rows: usize, cols: usize) -> Result<GpuBuffer> {
    put(backend, &vec![f32::NAN; rows * cols], cols)
}

/// Documents of as many tokens; their ids do not matter.
fn batch() -> Batch {
    let documents = DOCUMENTS.map(|tokens| vec![0; tokens]);
    Batch::of(documents.iter().map(Vec::as_slice))
}

/// An operand on the device.
enum Uploaded {
    Rows(GpuBuffer),
    Vector(GpuVector),
}

impl Uploaded {
    fn operand(&self) -> RowOperand<'_> {
        match self {
            Self::Rows(buffer) => RowOperand::Rows(buffer),
            Self::Vector(vector) => RowOperand::Vector(vector),
        }
    }
}

async fn run_trial(backend: &mut GpuBackend, trial: &Trial) -> Result<Vec<f32>> {
    let mut uploaded = Vec::new();
    for operand in &trial.operands {
        uploaded.push(match operand {
            Operand::Rows(columns, values) => Uploaded::Rows(put(backend, values, *columns)?),
            Operand::Output(columns) => Uploaded::Rows(unwritten(backend, trial.rows, *columns)?),
            Operand::Vector(values) => Uploaded::Vector(backend.upload_vector(values)?),
        });
    }
    let operands: Vec<RowOperand<'_>> = uploaded.iter().map(Uploaded::operand).collect();
    let rows: Vec<_> = operands.iter().filter_map(|operand| operand.rows()).map(GpuBuffer::row).collect();
    backend.run_rows(&(trial.call)(&rows), &operands)?;
    match operands[trial.output].rows() {
        Some(result) => backend.read(result).await,
        None => Ok(Vec::new()),
    }
}

async fn embed(backend: &mut GpuBackend, table: &Matrix, random: &mut Random) -> Result<Compared> {
    let ids: Vec<u32> = (0..TOKENS).map(|_| random.below(table.rows()) as u32).collect();
    let mut want = vec![0.0; TOKENS * table.cols()];
    twins::embed(table, &ids, &mut want);
    let batch = backend.upload_batch(&Batch::of([&ids[..]]))?;
    let uploaded = backend.upload_shared(table)?;
    let mut out = unwritten(backend, TOKENS, table.cols())?;
    backend.embed(&uploaded, &batch, &mut out)?;
    Ok((backend.read(&out).await?, want, 0))
}

async fn matmul(backend: &mut GpuBackend, weights: &Matrix, random: &mut Random) -> Result<Compared> {
    let (rows, cols) = (weights.rows(), weights.cols());
    let x = random.values(TOKENS * cols);
    let mut want = vec![0.0; TOKENS * rows];
    twins::matmul(&x, weights, &mut want);
    let uploaded = backend.upload_shared(weights)?;
    let x = put(backend, &x, cols)?;
    let mut out = unwritten(backend, TOKENS, rows)?;
    backend.matmul(&x, &uploaded, &mut out)?;
    Ok((backend.read(&out).await?, want, cols))
}

/// The vocabulary is the sample twice, in two parts, so that the second is folded into the first.
async fn head_loss(backend: &mut GpuBackend, head: &Matrix, random: &mut Random) -> Result<Compared> {
    let (rows, cols) = (head.rows(), head.cols());
    let x = random.values(TOKENS * cols);
    let ids: Vec<u32> = (0..TOKENS).map(|_| random.below(rows) as u32).collect();
    // The last token has no target.
    let batch = Batch::of([&ids[..]]);
    let once = twins::head_loss(&x, head, &batch.targets);
    let twice = |(loss, target): (&f32, &u32)| if *target == NO_TARGET { 0.0 } else { loss + LN_2 };
    let want = once.iter().zip(&batch.targets).map(twice).collect();
    let parts = vec![backend.upload_shared(head)?, backend.upload_shared(head)?];
    let x = put(backend, &x, cols)?;
    let batch = backend.upload_batch(&batch)?;
    match GpuMatrix::joined(parts) {
        Some(head) => Ok((backend.head_loss(&x, &head, &batch).await?, want, cols)),
        None => Ok((Vec::new(), want, cols)),
    }
}

async fn attention(backend: &mut GpuBackend, shape: Attention, random: &mut Random) -> Result<Compared> {
    let Attention { heads, kv_heads, head_dim } = shape;
    let batch = batch();
    let (tokens, q_width, kv_width) = (batch.tokens(), heads * head_dim, kv_heads * head_dim);
    let q = random.values(tokens * q_width);
    let [k, v] = [(); 2].map(|()| random.values(tokens * kv_width));
    let mut want = vec![0.0; q.len()];
    twins::attention(&q, &k, &v, batch.positions(), heads, kv_heads, head_dim, &mut want);
    let q = put(backend, &q, q_width)?;
    let (k, v) = (put(backend, &k, kv_width)?, put(backend, &v, kv_width)?);
    let batch = backend.upload_batch(&batch)?;
    let mut out = unwritten(backend, tokens, q_width)?;
    backend.attention(&q, &k, &v, &batch, shape, &mut out)?;
    Ok((backend.read(&out).await?, want, 0))
}

async fn rotary(
    backend: &mut GpuBackend,
    frequencies: &[f32],
    head_dim: usize,
    random: &mut Random,
) -> Result<Compared> {
    let (batch, width) = (batch(), 2 * head_dim);
    let x = random.values(batch.tokens() * width);
    let mut want = x.clone();
    twins::rotary(&mut want, batch.positions(), frequencies, head_dim);
    let mut x = put(backend, &x, width)?;
    let batch = backend.upload_batch(&batch)?;
    let frequencies = backend.upload_vector(frequencies)?;
    backend.rotary(&mut x, &batch, &frequencies, head_dim)?;
    Ok((backend.read(&x).await?, want, 0))
}

async fn convolution(
    backend: &mut GpuBackend,
    [channels, taps]: [usize; 2],
    random: &mut Random,
) -> Result<Compared> {
    let batch = batch();
    let tokens = batch.tokens();
    let x = random.values(tokens * channels);
    let weight = random.values(taps * channels);
    let mut want = vec![0.0; x.len()];
    twins::causal_conv(&x, &weight, batch.positions(), &mut want);
    let x = put(backend, &x, channels)?;
    let weight = backend.upload_vector(&weight)?;
    let batch = backend.upload_batch(&batch)?;
    let mut out = unwritten(backend, tokens, channels)?;
    backend.causal_conv(&x, &weight, &batch, &mut out)?;
    Ok((backend.read(&out).await?, want, 0))
}

async fn delta_rule(backend: &mut GpuBackend, shape: DeltaRule, random: &mut Random) -> Result<Compared> {
    let batch = batch();
    let (tokens, heads) = (batch.tokens(), shape.value_heads);
    let mut mixed = random.values(tokens * shape.mixed_width());
    twins::l2_norm(&mut mixed, tokens, 2 * shape.key_heads, shape.key_dim, 1e-6);
    // Even heads keep nearly everything; odd ones forget all at every third token.
    let forgets = |i: usize| i % heads % 2 == 1 && i / heads % 3 == 1;
    let decay = |i: usize| random.unit() * if forgets(i) { -30.0 } else { -0.05 };
    let decay: Vec<f32> = (0..tokens * heads).map(decay).collect();
    let beta: Vec<f32> = (0..tokens * heads).map(|_| 0.1 + 0.9 * random.unit()).collect();
    let mut want = vec![0.0; tokens * shape.value_width()];
    let sizes = [shape.key_heads, heads, shape.key_dim, shape.value_dim];
    twins::delta_rule(&mixed, &decay, &beta, batch.positions(), sizes, shape.interleaved, &mut want);
    let mixed = put(backend, &mixed, shape.mixed_width())?;
    let (decay, beta) = (put(backend, &decay, heads)?, put(backend, &beta, heads)?);
    let batch = backend.upload_batch(&batch)?;
    let mut out = unwritten(backend, tokens, shape.value_width())?;
    backend.delta_rule(&mixed, &decay, &beta, &batch, shape, &mut out)?;
    Ok((backend.read(&out).await?, want, 0))
}
