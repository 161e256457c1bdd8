//! Losses of documents, in whatever order they came, and their perplexity.

use std::collections::BTreeSet;

use bitgauge_core::report::{DocumentLoss, Estimate, Evaluation};
use bitgauge_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::{EvaluateOptions, MAX_MEAN_NATS};
use crate::backend::BackendError;

/// The loss of one document, and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// Its number, from 0.
    pub document: u64,
    /// Scored tokens: every token but the first.
    pub tokens: u64,
    /// Sum of their losses in nats.
    pub nats: f64,
    /// Its share of the time that its batch took.
    pub seconds: f64,
    /// What it ran on; empty where there was nothing to score.
    pub device: String,
}

/// The documents of an evaluation that are finished.
#[derive(Debug, Clone)]
pub struct Tally(Vec<Option<Finished>>);

impl Tally {
    /// So many documents, none finished.
    pub fn new(documents: usize) -> Self {
        Self(vec![None; documents])
    }

    /// Documents of token ids; those with nothing to score are finished.
    pub fn of(documents: &[Vec<u32>]) -> Self {
        let mut tally = Self::new(documents.len());
        let unscored = (0..documents.len()).filter(|&document| documents[document].len() < 2);
        tally.extend(unscored.map(|document| Finished {
            document: document as u64,
            tokens: 0,
            nats: 0.0,
            seconds: 0.0,
            device: String::new(),
        }));
        tally
    }

    /// How many documents there are, finished or not.
    pub fn documents(&self) -> usize {
        self.0.len()
    }

    /// The document of this number, if there is one and it is finished.
    pub fn get(&self, document: usize) -> Option<&Finished> {
        self.0.get(document)?.as_ref()
    }

    /// Every finished document, in order.
    pub fn finished(&self) -> impl Iterator<Item = &Finished> {
        self.0.iter().flatten()
    }

    /// The numbers of those that are not finished, in order.
    pub fn missing(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(|(_, finished)| finished.is_none()).map(|(number, _)| number)
    }

    /// Perplexity of the documents that are finished, if anything of them was scored.
    pub fn perplexity(&self) -> Option<f64> {
        let (nats, tokens) =
            self.finished().fold((0.0, 0), |(nats, tokens), f| (nats + f.nats, tokens + f.tokens));
        (tokens > 0).then(|| (nats / tokens as f64).min(MAX_MEAN_NATS).exp())
    }

    /// The tally of documents of which this one has the pieces, by the document of each piece; what lacks a piece is not
    /// finished.
    pub fn joined(&self, owners: &[usize], documents: usize) -> Self {
        let mut joined: Vec<Option<Finished>> = vec![None; documents];
        let mut lacking = vec![false; documents];
        for (piece, &owner) in self.0.iter().zip(owners) {
            match (piece, &mut joined[owner]) {
                (None, _) => lacking[owner] = true,
                (Some(piece), Some(whole)) => {
                    whole.tokens += piece.tokens;
                    whole.nats += piece.nats;
                    whole.seconds += piece.seconds;
                }
                (Some(piece), none) => *none = Some(Finished { document: owner as u64, ..piece.clone() }),
            }
        }
        for (document, _) in lacking.iter().enumerate().filter(|(_, lacks)| **lacks) {
            joined[document] = None;
        }
        Self(joined)
    }

    /// Every document's loss, in order; nothing scored in those that are not finished.
    fn losses(&self) -> Vec<DocumentLoss> {
        let loss = |finished: &Option<Finished>| {
            let (tokens, nats) = finished.as_ref().map_or((0, 0.0), |f| (f.tokens, f.nats));
            DocumentLoss { tokens, nats }
        };
        self.0.iter().map(loss).collect()
    }

    /// Perplexity and the rest. The sums go through the documents in their order, so they come out the
    /// same to the bit however the documents were spread. `seconds` is for the record.
    ///
    /// # Errors
    /// Not one scored token.
    pub fn evaluation(
        &self,
        options: &EvaluateOptions,
        precision: &str,
        seconds: f64,
    ) -> Result<Evaluation, BackendError> {
        let documents = self.losses();
        let scored_tokens: u64 = documents.iter().map(|d| d.tokens).sum();
        let scored_documents = documents.iter().filter(|d| d.tokens > 0).count() as u64;
        if scored_tokens == 0 {
            let what = "no document has two tokens or more, so there is nothing to score";
            return Err(Error::new(ErrorKind::Missing, what).into());
        }
        let mean = documents.iter().map(|d| d.nats).sum::<f64>() / scored_tokens as f64;
        let estimate = Estimate::of(&documents);
        let [low, high] = match estimate.map(|estimate| estimate.perplexities()) {
            Some(interval) => interval.map(Some),
            None => [None; 2],
        };
        let devices: BTreeSet<&str> =
            self.finished().map(|f| f.device.as_str()).filter(|d| !d.is_empty()).collect();
        Ok(Evaluation {
            window: None,
            stride: None,
            cut_tokens: None,
            heldout_ppl: mean.min(MAX_MEAN_NATS).exp(),
            cross_entropy_nats: mean,
            standard_error_nats: estimate.map(|estimate| estimate.standard_error),
            heldout_ppl_low: low,
            heldout_ppl_high: high,
            scored_documents,
            scored_tokens,
            max_tokens: options.max_tokens as u64,
            documents_sha256: options.documents_sha256.clone(),
            device: devices.into_iter().collect::<Vec<_>>().join("; "),
            precision: precision.to_owned().into(),
            seconds,
            tokens_per_second: (scored_tokens + scored_documents) as f64 / seconds.max(f64::MIN_POSITIVE),
            documents,
        })
    }
}

impl Extend<Finished> for Tally {
    /// Numbers past the end are an error of the caller, and panic.
    fn extend<I: IntoIterator<Item = Finished>>(&mut self, finished: I) {
        for finished in finished {
            let place = finished.document as usize;
            self.0[place] = Some(finished);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_the_order_in_which_documents_finish() {
        let finished =
            |document: u64, nats| Finished { document, tokens: 3, nats, seconds: 0.5, device: "b".into() };
        // In another order this sum is 2, not 0.
        let losses = [finished(0, 1e17), finished(1, 2.0), finished(2, -1e17)];
        let mean = |order: [usize; 3]| {
            let mut tally = Tally::new(3);
            tally.extend(order.map(|i| losses[i].clone()));
            tally.evaluation(&EvaluateOptions::default(), "f32", 1.0).unwrap().cross_entropy_nats
        };
        assert_eq!(mean([0, 1, 2]).to_bits(), mean([2, 0, 1]).to_bits());
        assert_eq!(mean([1, 2, 0]), 0.0);
    }

    #[test]
    fn pieces_are_joined_to_their_documents() {
        let finished =
            |document, nats| Finished { document, tokens: 2, nats, seconds: 1.0, device: "b".into() };
        let mut pieces = Tally::new(5);
        pieces.extend([finished(0, 1.0), finished(1, 2.0), finished(2, 4.0), finished(4, 8.0)]);
        let joined = pieces.joined(&[0, 0, 1, 2, 2], 3);
        let documents: Vec<_> = joined.finished().map(|f| (f.document, f.tokens, f.nats)).collect();
        assert_eq!(documents, [(0, 4, 3.0), (1, 2, 4.0)]);
        assert_eq!(joined.missing().collect::<Vec<_>>(), [2]);
        assert_eq!((joined.perplexity(), Tally::new(1).perplexity()), (Some((7.0_f64 / 6.0).exp()), None));
    }

    #[test]
    fn devices_are_named_once() {
        let finished = |document, device: &str| Finished {
            document,
            tokens: 1,
            nats: 1.0,
            seconds: 1.0,
            device: device.into(),
        };
        let mut tally = Tally::of(&[vec![1, 2], vec![1], vec![1, 2], vec![1, 2]]);
        assert_eq!(tally.missing().collect::<Vec<_>>(), [0, 2, 3]);
        tally.extend([finished(3, "a"), finished(0, "b"), finished(2, "a")]);
        let evaluation = tally.evaluation(&EvaluateOptions::default(), "f32", 2.0).unwrap();
        assert_eq!((evaluation.device.as_str(), evaluation.tokens_per_second), ("a; b", 3.0));
        assert_eq!((evaluation.scored_documents, evaluation.documents.len()), (3, 4));
    }
}
