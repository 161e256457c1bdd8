//! The five matrices, and how far a candidate's predictions are from the teacher's.

use std::collections::BTreeSet;

use crate::contract::numpy::Generator;
use crate::contract::python::{lower, split_whitespace};

/// Seed of the teacher's weights.
const SEED: u64 = 20_260_422;
/// Distinct words of the validator's built-in texts.
pub const VOCABULARY: usize = 495;
/// Probabilities are clipped from below before their logarithm is taken.
const LEAST_PROBABILITY: f64 = 1e-9;
/// The validator's cap on the exponent of a perplexity.
const MAX_NATS: f64 = 700.0;

/// One matrix of the proxy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerSpec {
    /// Its name in artifacts.
    pub name: &'static str,
    /// Inputs.
    pub rows: usize,
    /// Outputs.
    pub cols: usize,
    /// Standard deviation of the teacher's weights.
    pub std: f64,
}

impl LayerSpec {
    /// Weights.
    pub fn elements(&self) -> usize {
        self.rows * self.cols
    }
}

const fn spec(name: &'static str, rows: usize, cols: usize, std: f64) -> LayerSpec {
    LayerSpec { name, rows, cols, std }
}

/// The matrices in the order of the forward pass, 59,040 weights together.
pub const LAYERS: [LayerSpec; 5] = [
    spec("embed_proj", VOCABULARY, 48, 0.08),
    spec("attn_out", 48, 48, 0.08),
    spec("mlp_up", 48, 96, 0.08),
    spec("mlp_down", 96, 48, 0.08),
    spec("lm_head", 48, VOCABULARY, 0.11),
];

/// Distinct words of the texts in lower case, sorted by code point.
pub fn vocabulary(texts: &[String]) -> Vec<String> {
    let words = texts.iter().map(|text| lower(text));
    let words: BTreeSet<String> =
        words.flat_map(|text| split_whitespace(&text).map(str::to_owned).collect::<Vec<_>>()).collect();
    words.into_iter().collect()
}

/// The weights to approximate, one matrix `[rows, cols]` per entry of [`LAYERS`].
#[derive(Debug, Clone)]
pub struct Teacher {
    /// Row-major.
    pub weights: Vec<Vec<f64>>,
}

impl Default for Teacher {
    fn default() -> Self {
        let mut generator = Generator::new(SEED);
        let mut matrix = |layer: &LayerSpec| {
            (0..layer.elements()).map(|_| 0.0 + layer.std * generator.standard_normal()).collect()
        };
        Self { weights: LAYERS.iter().map(&mut matrix).collect() }
    }
}

/// How a candidate compares with the teacher, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// Mean of `-Σ p ln q`.
    pub cross_entropy: f64,
    /// Mean of `-Σ p ln p`.
    pub teacher_entropy: f64,
    /// Their difference.
    pub kl: f64,
    /// exp(min(cross entropy, 700)).
    pub perplexity: f64,
    /// exp(min(kl, 700)).
    pub relative_perplexity: f64,
    /// exp(-kl).
    pub quality: f64,
}

impl Metrics {
    /// Compares two sets of weights on documents, whose words are counted in `vocabulary`.
    pub fn of<W: AsRef<[f64]>, V: AsRef<[f64]>>(
        documents: &[String],
        vocabulary: &[String],
        teacher: &[W],
        candidate: &[V],
    ) -> Self {
        let (mut cross_entropy, mut teacher_entropy) = (0.0, 0.0);
        for document in documents {
            let input = word_frequencies(document, vocabulary);
            let (p, q) = (probabilities(&input, teacher), probabilities(&input, candidate));
            cross_entropy -= p.iter().zip(&q).map(|(p, q)| p * q.ln()).sum::<f64>();
            teacher_entropy -= p.iter().map(|p| p * p.ln()).sum::<f64>();
        }
        let count = documents.len() as f64;
        let (cross_entropy, teacher_entropy) = (cross_entropy / count, teacher_entropy / count);
        let kl = cross_entropy - teacher_entropy;
        Self {
            cross_entropy,
            teacher_entropy,
            kl,
            perplexity: cross_entropy.min(MAX_NATS).exp(),
            relative_perplexity: kl.min(MAX_NATS).exp(),
            quality: (-kl).exp(),
        }
    }
}

/// How often each word of the vocabulary occurs, over all words that are in it.
fn word_frequencies(document: &str, vocabulary: &[String]) -> Vec<f64> {
    let mut counts = vec![0.0; vocabulary.len()];
    for word in split_whitespace(&lower(document)) {
        if let Ok(index) = vocabulary.binary_search_by(|known| known.as_str().cmp(word)) {
            counts[index] += 1.0;
        }
    }
    let total: f64 = counts.iter().sum();
    if total > 0.0 {
        counts.iter_mut().for_each(|count| *count /= total);
    }
    counts
}

/// The clipped probabilities that the matrices give for an input, tanh between them.
fn probabilities<W: AsRef<[f64]>>(input: &[f64], weights: &[W]) -> Vec<f64> {
    let mut x = input.to_vec();
    for (index, (layer, weights)) in LAYERS.iter().zip(weights).enumerate() {
        let mut out = vec![0.0; layer.cols];
        for (x, row) in x.iter().zip(weights.as_ref().chunks_exact(layer.cols)) {
            out.iter_mut().zip(row).for_each(|(out, weight)| *out += x * weight);
        }
        if index + 1 < LAYERS.len() {
            out.iter_mut().for_each(|x| *x = x.tanh());
        }
        x = out;
    }
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    x.iter_mut().for_each(|x| *x = (*x - max).exp());
    let sum: f64 = x.iter().sum();
    x.iter().map(|x| (x / sum).clamp(LEAST_PROBABILITY, 1.0)).collect()
}
