//! Perplexity from losses, and which documents a device takes next.

use bitgauge_eval::{EvaluateOptions, Finished, Queue, Tally};

fn finished(document: u64, tokens: u64, nats: f64, device: &str) -> Finished {
    Finished { document, tokens, nats, seconds: 0.25, device: device.into() }
}

#[test]
fn the_perplexity_is_weighted_by_tokens() {
    let mut tally = Tally::of(&[vec![1; 5], vec![1], vec![1; 2], vec![1; 9]]);
    assert_eq!(tally.documents(), 4);
    assert_eq!(tally.get(1), Some(&Finished { seconds: 0.0, ..finished(1, 0, 0.0, "") }));
    assert_eq!((tally.get(0), tally.get(4)), (None, None));
    tally.extend([finished(0, 4, 10.0, "gpu"), finished(2, 1, 1.0, "cpu")]);
    assert_eq!(tally.finished().map(|f| f.document).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(tally.missing().collect::<Vec<_>>(), [3]);
    let options =
        EvaluateOptions { max_tokens: 9, tokens_in_flight: None, documents_sha256: "ab".repeat(32) };
    let evaluation = tally.evaluation(&options, "f32", 2.0).expect("something is scored");
    assert_eq!((evaluation.cross_entropy_nats, evaluation.heldout_ppl), (2.2, 2.2_f64.exp()));
    assert_eq!((evaluation.scored_documents, evaluation.scored_tokens), (2, 5));
    // All tokens that were fed: the first of each document, too.
    assert_eq!((evaluation.seconds, evaluation.tokens_per_second), (2.0, 3.5));
    assert_eq!((evaluation.max_tokens, evaluation.documents_sha256.len()), (9, 64));
    assert_eq!((evaluation.device.as_str(), &*evaluation.precision), ("cpu; gpu", "f32"));
    let pairs: Vec<_> = evaluation.documents.iter().map(|d| (d.tokens, d.nats)).collect();
    assert_eq!(pairs, [(4, 10.0), (0, 0.0), (1, 1.0), (0, 0.0)]);
}

#[test]
fn the_exponent_of_a_perplexity_is_capped_and_nothing_has_none() {
    let of = |tokens, nats| {
        let mut tally = Tally::new(1);
        tally.extend([finished(0, tokens, nats, "cpu")]);
        tally.evaluation(&EvaluateOptions::default(), "f32", 0.0)
    };
    let ppl = |nats| of(1, nats).expect("one token").heldout_ppl;
    assert_eq!((ppl(699.0), ppl(700.0)), (699_f64.exp(), 700_f64.exp()));
    assert_eq!((ppl(701.0), ppl(1e9)), (700_f64.exp(), 700_f64.exp()));
    assert_eq!(of(1, 1e9).expect("one token").cross_entropy_nats, 1e9);
    assert!(of(1, 1.0).expect("one token").tokens_per_second.is_finite(), "no time has passed");
    assert!(of(0, 0.0).expect_err("no token").to_string().contains("two tokens or more"));
}

/// Documents of these lengths.
fn documents(lengths: &[usize]) -> Vec<Vec<u32>> {
    lengths.iter().map(|&len| vec![0; len]).collect()
}

fn groups(queue: &Queue<'_>, in_flight: usize) -> Vec<Vec<usize>> {
    std::iter::from_fn(|| queue.take(in_flight)).collect()
}

#[test]
fn a_batch_is_full_at_its_last_token() {
    let documents = documents(&[3, 4, 2, 1, 0, 2]);
    let queue = |devices| Queue::new(&documents, 0..6, devices);
    assert_eq!(queue(1).tokens(), 11);
    assert_eq!((queue(1).documents().len(), queue(1).document(1).len()), (6, 4));
    let cases: [(usize, &[&[usize]]); 7] = [
        (11, &[&[0, 1, 2, 5]]),
        (10, &[&[0, 1], &[2, 5]]),
        (9, &[&[0, 1], &[2, 5]]),
        (8, &[&[0, 1], &[2, 5]]),
        (7, &[&[0, 1], &[2, 5]]),
        (6, &[&[0], &[1], &[2, 5]]),
        (0, &[&[0], &[1], &[2], &[5]]),
    ];
    for (in_flight, wanted) in cases {
        assert_eq!(groups(&queue(1), in_flight), wanted, "{in_flight} tokens");
    }
    // Several devices get the longest first, each what comes nearest to its share. What fills none is one batch for each:
    // a half of 11 is 6, and 4 + 3 nearer to it than 4. What fills them is two: a quarter of 11 is 3.
    assert_eq!(groups(&queue(2), 100), [[1, 0], [2, 5]]);
    assert_eq!(groups(&queue(2), 8), [vec![1], vec![0], vec![2, 5]]);
    assert_eq!(groups(&queue(0), 100), [[0, 1, 2, 5]], "no device is one");
    let stopped = queue(1);
    stopped.stop();
    assert_eq!(stopped.take(1), None);
    assert_eq!(stopped.tokens(), 11);
}
