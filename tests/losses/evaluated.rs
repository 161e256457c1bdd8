//! A small model evaluated: what each document's loss is, and how far the run is.

use bitgauge_eval::{EvaluateOptions, Queue, evaluate};
use conformance::{fixtures, open_model};
use native_eval::open_cpu;
use pollster::block_on;

/// Layers and vocabulary of the model.
const LAYERS: u64 = 4;
const VOCABULARY: u32 = 128;

fn documents() -> Vec<Vec<u32>> {
    [7, 1, 2, 12, 0, 5].iter().map(|&len| (0..len).map(|i| i * 17 % VOCABULARY).collect()).collect()
}

/// Tokens and nats of each document, and what progress was told: how much is done, of how much.
type Evaluated = (Vec<(u64, f64)>, Vec<(u64, u64)>);

fn evaluated(documents: &[Vec<u32>], tokens_in_flight: Option<usize>) -> Result<Evaluated, String> {
    let mut backend = open_cpu(Some(1)).expect("a thread");
    let model = open_model(&mut backend, &fixtures().join("models/qwen3_tied")).expect("a sound model");
    let options = EvaluateOptions { max_tokens: 12, tokens_in_flight, documents_sha256: String::new() };
    let mut steps = Vec::new();
    let progress = &mut |done, total| steps.push((done, total));
    let evaluation =
        block_on(evaluate(&mut backend, &model, documents, &options, progress)).map_err(|e| e.to_string())?;
    Ok((evaluation.documents.iter().map(|d| (d.tokens, d.nats)).collect(), steps))
}

#[test]
fn each_document_has_its_own_losses() {
    let documents = documents();
    let (together, _) = evaluated(&documents, None).expect("sound");
    let tokens: Vec<u64> = together.iter().map(|(tokens, _)| *tokens).collect();
    assert_eq!(tokens, [6, 0, 1, 11, 0, 4]);
    // Alone or with others, each has the same losses: about ln 128 for each token of an untrained model.
    for (document, (tokens, nats)) in
        documents.iter().zip(&together).filter(|(document, _)| document.len() > 1)
    {
        let (alone, _) = evaluated(std::slice::from_ref(document), None).expect("sound");
        assert!((alone[0].1 - nats).abs() < 1e-3 * nats, "{} {nats}", alone[0].1);
        let mean = nats / *tokens as f64;
        assert!((2.0..9.0).contains(&mean), "{mean}");
    }
}

#[test]
fn progress_counts_every_token_in_every_layer() {
    // Documents of one token or none are not run.
    let total = (7 + 2 + 12 + 5) * LAYERS;
    for in_flight in [None, Some(1), Some(10)] {
        let (_, steps) = evaluated(&documents(), in_flight).expect("sound");
        assert_eq!(steps.last(), Some(&(total, total)), "{in_flight:?}");
        assert!(steps.iter().all(|(_, of)| *of == total) && steps.is_sorted(), "{steps:?}");
        let batches = if in_flight == Some(1) { 4 } else { steps.len() as u64 / LAYERS };
        assert_eq!(steps.len() as u64, batches * LAYERS);
    }
}

#[test]
fn ids_outside_the_vocabulary_are_of_another_tokenizer() {
    assert!(evaluated(&[vec![0, VOCABULARY - 1]], None).is_ok());
    let message = evaluated(&[vec![0, 1], vec![0, VOCABULARY]], None).expect_err("no such id");
    assert!(message.contains("document 2 has the token id 128") && message.contains("128 rows"), "{message}");
    assert!(evaluated(&[vec![0]], None).is_err(), "nothing is scored");
}

#[test]
fn a_queue_knows_what_waits() {
    let documents = documents();
    let queue = Queue::new(&documents, 0..documents.len(), 1);
    assert_eq!((queue.len(), queue.is_empty(), queue.tokens()), (4, false, 26));
    assert_eq!((queue.take(8), queue.len()), (Some(vec![0]), 3));
    queue.stop();
    assert_eq!((queue.len(), queue.is_empty(), queue.take(8)), (0, true, None));
}
