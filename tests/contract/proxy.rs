//! The proxy's model on texts of our own: its vocabulary, and its figures by the definition.

use bitgauge_core::contract::documents::Corpus;
use bitgauge_core::contract::proxy::{LAYERS, Metrics, Teacher, vocabulary};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn the_vocabulary_is_every_word_once_in_order() {
    let words = vocabulary(&texts(&["The cat  sat\ton", "the\u{a0}MAT", "", "Äpfel zebra"]));
    assert_eq!(words, ["cat", "mat", "on", "sat", "the", "zebra", "äpfel"]);
}

/// Weights of the five matrices: value(layer, row, column).
fn weights(value: impl Fn(usize, usize, usize) -> f64) -> Vec<Vec<f64>> {
    let all = |(number, layer): (usize, &bitgauge_core::contract::proxy::LayerSpec)| {
        (0..layer.elements()).map(|i| value(number, i / layer.cols, i % layer.cols)).collect()
    };
    LAYERS.iter().enumerate().map(all).collect()
}

/// The predictions for an input, written out by the definition.
fn predict(input: &[f64], weights: &[Vec<f64>]) -> Vec<f64> {
    let mut x = input.to_vec();
    for (number, layer) in LAYERS.iter().enumerate() {
        let column =
            |c: usize| (0..layer.rows).map(|r| x[r] * weights[number][r * layer.cols + c]).sum::<f64>();
        let sums: Vec<f64> = (0..layer.cols).map(column).collect();
        x = if number < 4 { sums.iter().map(|sum| sum.tanh()).collect() } else { sums };
    }
    let max = x.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = x.iter().map(|x| (x - max).exp()).sum();
    x.iter().map(|x| ((x - max).exp() / sum).max(1e-9)).collect()
}

#[test]
fn figures_follow_their_definition() {
    // 495 words, so that the matrices fit; `w007` and `w300` are what the documents speak of.
    let words: Vec<String> = (0..495).map(|i| format!("w{i:03}")).collect();
    let documents = texts(&["w007 W007 w300 unknown w007", "w300", "none of them"]);
    let mut inputs = vec![vec![0.0; 495]; 3];
    (inputs[0][7], inputs[0][300], inputs[1][300]) = (0.75, 0.25, 1.0);

    let teacher = weights(|layer, r, c| 0.3 * ((layer + 3 * r + 5 * c) as f64).sin());
    let candidate =
        weights(|layer, r, c| 0.3 * ((layer + 3 * r + 5 * c) as f64).sin() + 0.05 * ((r * c) as f64).cos());
    let metrics = Metrics::of(&documents, &words, &teacher, &candidate);
    let mean = |f: &dyn Fn(&[f64], &[f64]) -> f64| {
        let each = inputs.iter().map(|input| f(&predict(input, &teacher), &predict(input, &candidate)));
        each.sum::<f64>() / 3.0
    };
    let cross = mean(&|p, q| -p.iter().zip(q).map(|(p, q)| p * q.ln()).sum::<f64>());
    let own = mean(&|p, _| -p.iter().map(|p| p * p.ln()).sum::<f64>());
    let near = |what: &str, found: f64, wanted: f64| {
        assert!((found - wanted).abs() <= 1e-12 * wanted.abs().max(1.0), "{what}: {found}, not {wanted}");
    };
    near("cross entropy", metrics.cross_entropy, cross);
    near("teacher's entropy", metrics.teacher_entropy, own);
    near("divergence", metrics.kl, cross - own);
    assert!(metrics.kl > 1e-3, "the candidate is another model: {}", metrics.kl);
    near("perplexity", metrics.perplexity, cross.exp());
    near("relative perplexity", metrics.relative_perplexity, (cross - own).exp());
    near("quality", metrics.quality, (own - cross).exp());
    let same = Metrics::of(&documents, &words, &teacher, &teacher);
    assert_eq!((same.kl, same.relative_perplexity, same.quality), (0.0, 1.0, 1.0));
}

#[test]
fn probabilities_are_clipped_and_exponents_capped() {
    let words: Vec<String> = (0..495).map(|i| format!("w{i:03}")).collect();
    // The head says one word with certainty; the others have the least probability that counts.
    let certain = |word: usize| {
        weights(move |layer, r, c| match layer {
            0..4 => {
                if r == c || layer == 0 {
                    9.0
                } else {
                    0.0
                }
            }
            _ => {
                if c == word {
                    1e4
                } else {
                    0.0
                }
            }
        })
    };
    let metrics = Metrics::of(&texts(&["w000"]), &words, &certain(3), &certain(4));
    let least = 1e-9_f64.ln();
    // Of the teacher's word the candidate thinks the least; 494 words weigh next to nothing.
    let wanted = -least - 493.0 * 1e-9 * least;
    assert!((metrics.cross_entropy - wanted).abs() < 1e-9, "{} {wanted}", metrics.cross_entropy);
    assert!((metrics.teacher_entropy + 494.0 * 1e-9 * least).abs() < 1e-9, "{}", metrics.teacher_entropy);
}

#[test]
fn the_teacher_is_the_seeds() {
    let teacher = Teacher::default();
    let lengths: Vec<usize> = teacher.weights.iter().map(Vec::len).collect();
    assert_eq!(lengths, [23_760, 2_304, 4_608, 4_608, 23_760]);
    for (weights, layer) in teacher.weights.iter().zip(&LAYERS) {
        let variance = weights.iter().map(|w| w * w).sum::<f64>() / weights.len() as f64;
        assert!((variance.sqrt() / layer.std - 1.0).abs() < 0.05, "{}", layer.name);
    }
}

#[test]
fn a_corpus_is_groups_of_texts() {
    let corpus = Corpus::parse(r#"{"own": ["o"], "math": ["m", "n"], "code": ["c"], "reasoning": []}"#)
        .expect("groups");
    // The validator's groups first, in its order.
    assert_eq!(corpus.all(), ["c", "m", "n", "o"]);
    assert_eq!(corpus.group("math"), Some(&texts(&["m", "n"])[..]));
    assert_eq!((corpus.group("reasoning"), corpus.group("systems")), (Some(&[][..]), None));
    for (text, found) in [
        ("", ""),
        ("[]", "another JSON value"),
        (r#"{"math": "m"}"#, "no list of texts in math"),
        (r#"{"math": ["m", 1]}"#, "no list of texts in math"),
        ("{}", "no texts at all"),
        (r#"{"math": []}"#, "no texts at all"),
    ] {
        let error = Corpus::parse(text).expect_err(text);
        assert!(error.what.contains("the corpus") && error.found.contains(found), "{text}: {error}");
    }
}
