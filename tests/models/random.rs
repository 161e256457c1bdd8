//! Random models, whose losses are those of the f64 backend: what is caught on the golden models must be
//! caught on any.

use std::path::Path;

use bitgauge_eval::{Backend, Batch, Task};
use conformance::dense::{Tensors, f32_tensor, save, write_random_model};
use conformance::{Tally, fixtures};
use fastrand::Rng;
use native_eval::ReferenceBackend;
use pollster::block_on;
use safetensors::tensor::Dtype;

use crate::{flipped_weights, half, open_model};

/// Fields of config.json and what they are instead.
type Sizes = &'static [(&'static str, u64)];

/// Whose config.json, with which sizes instead, and where the random numbers begin.
const MODELS: [(&str, Sizes, u64); 4] = [
    ("qwen3_untied", &[("hidden_size", 80), ("intermediate_size", 136), ("num_hidden_layers", 2)], 11),
    ("qwen3_5_text", &[("intermediate_size", 72)], 12),
    ("llama", &[("hidden_size", 128), ("num_hidden_layers", 2)], 13),
    ("llama_rope3_tied", &[("intermediate_size", 200), ("num_hidden_layers", 4)], 14),
];
/// Tokens of a document.
const TOKENS: usize = 33;
/// Lengths of the two documents, the second padded.
const LENGTHS: [usize; 2] = [33, 20];

/// The losses of each model on every device, and its flipped weights.
pub fn cases(tally: &mut Tally) {
    for (like, sizes, seed) in MODELS {
        let name = format!("random, like {like}");
        let folder = tempfile::tempdir().expect("a temporary folder");
        match write(&fixtures().join("models").join(like), sizes, seed, folder.path()) {
            Ok(()) => {
                flipped_weights(tally, folder.path(), &name);
                half::cases(tally, folder.path(), &name);
            }
            Err(why) => tally.case(&name, Err(why)),
        }
    }
}

/// Writes a model, and its losses as goldens hold them.
fn write(like: &Path, sizes: Sizes, seed: u64, to: &Path) -> Result<(), String> {
    let mut random = Rng::with_seed(seed);
    let config = write_random_model(like, to, sizes, |config, tensor| {
        let is_tied = config["tie_word_embeddings"] == true;
        let centre = if config["model_type"] == "qwen3_5_text" { 0.0 } else { 1.0 };
        let width = tensor.shape.last().copied().unwrap_or(1);
        value(&tensor.name, width, (is_tied, centre), &mut random)
    })?;
    let vocabulary = config["vocab_size"].as_u64().ok_or("no vocab_size")? as u32;
    let ids: Vec<u32> = (0..LENGTHS.len() * TOKENS).map(|_| random.u32(..vocabulary)).collect();
    let mask = LENGTHS.iter().flat_map(|&length| (0..TOKENS).map(move |t| u32::from(t < length)));
    let nll = Reference { folder: to, ids: &ids }.run(&mut ReferenceBackend)?;
    let words = |words: Vec<u32>| {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        (Dtype::I32, vec![LENGTHS.len(), TOKENS], bytes)
    };
    let golden = Tensors::from([
        ("s33.attention_mask".to_owned(), words(mask.collect())),
        ("s33.input_ids".to_owned(), words(ids)),
        ("s33.nll".to_owned(), f32_tensor(&[LENGTHS.len(), TOKENS - 1], &nll)),
    ]);
    save(&to.join("golden.safetensors"), &golden)
}

/// A value of a tensor whose rows are `width` long: matrices that keep the size of what they multiply, norms
/// about their centre.
fn value(name: &str, width: u64, (is_tied, centre): (bool, f32), random: &mut Rng) -> f32 {
    let scale = 1.0 / (width as f32).sqrt();
    let ends = |end: &str| name.ends_with(end);
    if ends("A_log") {
        random.f32() * 6.0 - 4.0
    } else if ends("dt_bias") {
        normal(random)
    } else if ends("conv1d.weight") {
        0.5 * normal(random)
    } else if ends("linear_attn.norm.weight") {
        1.0 + 0.3 * normal(random)
    } else if name.contains("norm") {
        centre + 0.3 * normal(random)
    } else if ends("embed_tokens.weight") && !is_tied {
        normal(random)
    } else if ends("embed_tokens.weight") || ends("lm_head.weight") {
        2.0 * scale * normal(random)
    } else {
        scale * normal(random)
    }
}

/// The losses of both documents, 0 where there is none, `[2, TOKENS - 1]`.
struct Reference<'a> {
    folder: &'a Path,
    ids: &'a [u32],
}

impl Task for Reference<'_> {
    type Output = Result<Vec<f32>, String>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let model = open_model(backend, self.folder)?;
        let mut batch = Batch::default();
        for (ids, length) in self.ids.chunks(TOKENS).zip(LENGTHS) {
            batch.push(&ids[..length]);
        }
        let losses = block_on(model.losses(backend, &batch, &mut ())).map_err(|e| e.to_string())?;
        let mut nll = vec![0.0; LENGTHS.len() * (TOKENS - 1)];
        let mut first = 0;
        for (row, length) in nll.chunks_mut(TOKENS - 1).zip(LENGTHS) {
            row[..length - 1].copy_from_slice(&losses[first..][..length - 1]);
            first += length;
        }
        Ok(nll)
    }
}

/// About normal: twelve uniform numbers have the variance 1.
fn normal(random: &mut Rng) -> f32 {
    (0..12).map(|_| random.f32()).sum::<f32>() - 6.0
}
