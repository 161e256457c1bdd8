//! The gated delta rule alone against transformers' own recurrence.

use std::path::Path;

use bitgauge_core::{Dense, Matrix, Values};
use bitgauge_eval::{Backend, BackendError, Batch, DeltaRule, Task};
use conformance::{Device, Tally, compare, golden_ops, on_device};
use pollster::block_on;
use safetensors::SafeTensors;

/// Absolute bound on the outputs, which are below 1: a hundred roundings.
const OUTPUTS: f64 = 5e-6;
/// transformers' constant.
const EPS: f32 = 1e-6;

/// The recorded rule on every device; with one value changed it must be told apart.
pub fn cases(tally: &mut Tally) {
    let folder = match golden_ops() {
        Ok(Some(folder)) => folder,
        Ok(None) => {
            return tally.skip("gated_delta_rule", "BITGAUGE_MODEL_GOLDENS points to a folder without ops");
        }
        Err(why) => return tally.case("gated_delta_rule", Err(why)),
    };
    for device in Device::WITH_REFERENCE {
        let run = |changed| {
            let golden = Golden::read(&folder.join("gated_delta_rule.safetensors"), changed)?;
            on_device(device, golden)
        };
        let name = format!("gated_delta_rule {device:?}");
        tally.case(&name, run(false).map(|worst| format!("worst {worst:.1e}")));
        let caught = match run(true) {
            Err(why) if why.contains("off by") => Ok(format!("caught: {why}")),
            other => Err(format!("a changed value went unnoticed: {other:?}")),
        };
        tally.case(&format!("{name}, one value changed"), caught);
    }
}

/// Inputs after the convolution and before the norm, and what transformers made of them.
struct Golden {
    shape: DeltaRule,
    /// Queries, keys and values of each token, `[T, 2 K + V]`.
    mixed: Vec<f32>,
    decay: Vec<f32>,
    beta: Vec<f32>,
    out: Vec<f32>,
}

impl Golden {
    fn read(path: &Path, changed: bool) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| e.to_string())?;
        let read = |name: &str| {
            let tensor = tensors.tensor(name).map_err(|e| format!("{name}: {e}"))?;
            let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Ok::<_, String>((tensor.shape().to_vec(), values.collect::<Vec<_>>()))
        };
        let (q_shape, q) = read("q")?;
        let (v_shape, v) = read("v")?;
        let k = read("k")?.1;
        let (&[tokens, key_heads, key_dim], &[_, value_heads, value_dim]) = (&q_shape[..], &v_shape[..])
        else {
            return Err(format!("q is {q_shape:?}, v is {v_shape:?}"));
        };
        let shape = DeltaRule { key_heads, value_heads, key_dim, value_dim, interleaved: false };
        let mut mixed = Vec::with_capacity(tokens * shape.mixed_width());
        for t in 0..tokens {
            for (x, width) in [(&q, shape.key_width()), (&k, shape.key_width()), (&v, shape.value_width())] {
                mixed.extend_from_slice(&x[t * width..][..width]);
            }
        }
        if changed {
            // The key of the third token before the end of the first chunk.
            mixed[61 * shape.mixed_width() + shape.key_width()] += 0.01;
        }
        Ok(Self { shape, mixed, decay: read("g")?.1, beta: read("beta")?.1, out: read("out_recurrent")?.1 })
    }
}

impl Task for Golden {
    type Output = Result<f64, String>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let out = self.outputs(backend).map_err(|e| e.to_string())?;
        Ok(compare("outputs", &out, &self.out, OUTPUTS)?.worst)
    }
}

impl Golden {
    fn outputs<B: Backend>(&self, backend: &mut B) -> Result<Vec<f32>, BackendError> {
        let (shape, tokens) = (self.shape, self.decay.len() / self.shape.value_heads);
        let ids: Vec<u32> = (0..tokens as u32).collect();
        let batch = backend.upload_batch(&Batch::of([&ids[..]]))?;
        let mut put = |values: &[f32], cols: usize| {
            let values = Values::F32(values.to_vec());
            let table = backend.upload_matrix(Matrix::Dense(Dense { rows: tokens, cols, values }))?;
            let mut buffer = backend.buffer(tokens, cols)?;
            backend.embed(&table, &batch, &mut buffer)?;
            Ok::<_, BackendError>(buffer)
        };
        let mut mixed = put(&self.mixed, shape.mixed_width())?;
        let decay = put(&self.decay, shape.value_heads)?;
        let beta = put(&self.beta, shape.value_heads)?;
        let mut out = backend.buffer(tokens, shape.value_width())?;
        backend.l2_norm(&mut mixed, 2 * shape.key_heads, shape.key_dim, EPS)?;
        backend.delta_rule(&mixed, &decay, &beta, &batch, shape, &mut out)?;
        block_on(backend.read(&out))
    }
}
