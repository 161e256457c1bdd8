//! With f16 factors, what the kernels that look at other tokens give a document is the same to the bit, whatever
//! documents lie in front of it in the batch.

use bitgauge_eval::{
    AdapterChoice, Attention, Backend, BackendError, DeltaRule, GpuBackend, GpuOptions, Precision,
};
use pollster::block_on;

use crate::data::{Random, batch};
use crate::kernels::put;

const ATTENTION: Attention = Attention { heads: 4, kv_heads: 2, head_dim: 64 };
const DELTA_RULE: DeltaRule =
    DeltaRule { key_heads: 2, value_heads: 4, key_dim: 64, value_dim: 32, interleaved: false };
/// Tokens of the document, and of those in front of it: none, or so many that its rows lie elsewhere.
const LENGTH: usize = 150;
const NEIGHBOURS: [&[usize]; 4] = [&[], &[1], &[64, 5], &[31, 130, 2]];

/// A kernel's outputs for a batch of these lengths, given a buffer of so many values for each of its inputs.
type Run = fn(&mut GpuBackend, &[usize], &[Vec<f32>]) -> Result<Vec<f32>, BackendError>;

/// One case per kernel; they need an adapter with cooperative matrices.
pub fn cases() -> Vec<(String, Result<(), String>)> {
    let (q, kv) = (ATTENTION.heads * ATTENTION.head_dim, ATTENTION.kv_heads * ATTENTION.head_dim);
    let heads = DELTA_RULE.value_heads;
    [
        ("attention_coop beside neighbours", run_attention as Run, vec![q, kv, kv]),
        (
            "delta_rule_coop beside neighbours",
            run_delta_rule as Run,
            vec![DELTA_RULE.mixed_width(), heads, heads],
        ),
    ]
    .map(|(name, run, widths)| (name.to_owned(), is_the_same_beside_any(run, &widths)))
    .into()
}

fn is_the_same_beside_any(run: Run, widths: &[usize]) -> Result<(), String> {
    let options = GpuOptions { precision: Precision::F16, ..GpuOptions::default() };
    let mut backend = GpuBackend::new(&AdapterChoice::Best, options).map_err(|e| e.to_string())?;
    let mut outputs = |neighbours: &[usize], seed: u64| -> Result<Vec<u32>, String> {
        let before: usize = neighbours.iter().sum();
        // The document's own values come first from the generator, so that they are the same in each batch.
        let mut random = Random(seed);
        let own: Vec<Vec<f32>> = widths.iter().map(|width| gates(&mut random, LENGTH * width)).collect();
        let inputs: Vec<Vec<f32>> = own
            .into_iter()
            .zip(widths)
            .map(|(own, width)| [gates(&mut random, before * width), own].concat())
            .collect();
        let lengths = [neighbours, &[LENGTH]].concat();
        let out = run(&mut backend, &lengths, &inputs).map_err(|e| e.to_string())?;
        let width = out.len() / (before + LENGTH);
        Ok(out[before * width..].iter().map(|value| value.to_bits()).collect())
    };
    let alone = outputs(NEIGHBOURS[0], 7)?;
    if outputs(NEIGHBOURS[0], 8)? == alone {
        return Err("other values give the same outputs".into());
    }
    for neighbours in NEIGHBOURS {
        if outputs(neighbours, 7)? != alone {
            return Err(format!("behind documents of {neighbours:?} tokens the outputs are others"));
        }
    }
    Ok(())
}

/// Values below 0, as decays are, and small, as queries and keys are.
fn gates(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| -0.1 * random.unit()).collect()
}

fn run_attention(
    backend: &mut GpuBackend,
    lengths: &[usize],
    inputs: &[Vec<f32>],
) -> Result<Vec<f32>, BackendError> {
    let Attention { heads, kv_heads, head_dim } = ATTENTION;
    let q = put(backend, &inputs[0], heads * head_dim)?;
    let k = put(backend, &inputs[1], kv_heads * head_dim)?;
    let v = put(backend, &inputs[2], kv_heads * head_dim)?;
    let batch = backend.upload_batch(&batch(lengths))?;
    let mut out = backend.buffer(lengths.iter().sum(), heads * head_dim)?;
    backend.attention(&q, &k, &v, &batch, ATTENTION, &mut out)?;
    block_on(backend.read(&out))
}

fn run_delta_rule(
    backend: &mut GpuBackend,
    lengths: &[usize],
    inputs: &[Vec<f32>],
) -> Result<Vec<f32>, BackendError> {
    let mixed = put(backend, &inputs[0], DELTA_RULE.mixed_width())?;
    let decay = put(backend, &inputs[1], DELTA_RULE.value_heads)?;
    let beta: Vec<f32> = inputs[2].iter().map(|value| -value).collect();
    let beta = put(backend, &beta, DELTA_RULE.value_heads)?;
    let batch = backend.upload_batch(&batch(lengths))?;
    let mut out = backend.buffer(lengths.iter().sum(), DELTA_RULE.value_width())?;
    backend.delta_rule(&mixed, &decay, &beta, &batch, DELTA_RULE, &mut out)?;
    block_on(backend.read(&out))
}
