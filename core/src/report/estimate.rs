//! How sure a measured loss is, and a difference of two: docs/uncertainty.md has the method and its sources.
//!
//! The documents are the sample: tokens of one document depend on each other, documents do not. A mean loss per token is
//! a ratio of two sums over documents, so its standard error is the jackknife's, which leaves out each document once.

use super::{DocumentLoss, Evaluation};
use crate::contract::PPL_RESOLUTION_NATS;
use crate::json::names;

/// 97.5 % quantiles of Student's t with 1 to 5 degrees of freedom.
const FEW_DOCUMENTS: [f64; 5] = [12.706, 4.303, 3.182, 2.776, 2.571];
/// The same for more, as a series in one over the degrees of freedom; the first is the normal distribution's.
const MANY_DOCUMENTS: [f64; 4] = [1.959_964, 2.372_27, 2.822_5, 2.555_9];
/// The validator's cap on the exponent of a perplexity.
const MAX_NATS: f64 = 700.0;

/// A mean loss or a difference of two, and how far it may lie from that of all documents of the same kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Nats per scored token.
    pub nats: f64,
    /// Its standard error, in nats.
    pub standard_error: f64,
    /// Documents that it rests on.
    pub documents: u64,
}

names! {
    /// Where the 95 % interval of a difference lies, as the competition's rule sees it.
    pub enum Band {
        /// Wholly within 0.02 nats of zero.
        #[default]
        Inside = "inside": "inside 0.02 nats",
        /// Wholly beyond.
        Outside = "outside": "outside 0.02 nats",
        /// Across the limit: other documents may turn the rule's answer.
        Across = "across": "other documents may decide otherwise about 0.02 nats",
    }
}

impl Estimate {
    /// That of the losses of documents. `None` for fewer than two with anything scored, which tell nothing.
    pub fn of(documents: &[DocumentLoss]) -> Option<Self> {
        let scored = || documents.iter().filter(|d| d.tokens > 0).map(|d| (d.nats, d.tokens as f64));
        let (mut count, mut nats, mut tokens) = (0_u64, 0.0, 0.0);
        for (document, length) in scored() {
            (count, nats, tokens) = (count + 1, nats + document, tokens + length);
        }
        let without = |(document, length): (f64, f64)| (nats - document) / (tokens - length);
        let centre = scored().map(without).sum::<f64>() / count as f64;
        let squares: f64 = scored().map(|document| (without(document) - centre).powi(2)).sum();
        let variance = squares * (count as f64 - 1.0) / count as f64;
        let estimate = Self { nats: nats / tokens, standard_error: variance.sqrt(), documents: count };
        // One document leaves nothing to divide by.
        (estimate.nats.is_finite() && estimate.standard_error.is_finite()).then_some(estimate)
    }

    /// That of the difference of two losses of the same documents, left less right, document by document.
    pub fn paired(left: &[DocumentLoss], right: &[DocumentLoss]) -> Option<Self> {
        let same = left.len() == right.len() && left.iter().zip(right).all(|(l, r)| l.tokens == r.tokens);
        let differences = left.iter().zip(right).map(|(l, r)| DocumentLoss { nats: l.nats - r.nats, ..*l });
        same.then(|| Self::of(&differences.collect::<Vec<_>>())).flatten()
    }

    /// That of the difference of two losses as if each were of documents of its own: what can be said when the losses of
    /// single documents are not known.
    pub fn unpaired(left: &Self, right: &Self) -> Self {
        Self {
            nats: left.nats - right.nats,
            standard_error: left.standard_error.hypot(right.standard_error),
            documents: left.documents.min(right.documents),
        }
    }

    /// The 95 % interval, in nats.
    pub fn interval(&self) -> [f64; 2] {
        let freedom = self.documents.saturating_sub(1).max(1);
        let quantile = match FEW_DOCUMENTS.get(freedom as usize - 1) {
            Some(quantile) => *quantile,
            None => MANY_DOCUMENTS.iter().rev().fold(0.0, |sum, term| sum / freedom as f64 + term),
        };
        [-1.0, 1.0].map(|side| self.nats + side * quantile * self.standard_error)
    }

    /// The perplexity whose logarithm this is.
    pub fn perplexity(&self) -> f64 {
        self.nats.min(MAX_NATS).exp()
    }

    /// The 95 % interval of the perplexity whose logarithm this is.
    pub fn perplexities(&self) -> [f64; 2] {
        self.interval().map(|nats| nats.min(MAX_NATS).exp())
    }

    /// What the interval of a difference says of the competition's rule.
    pub fn band(&self) -> Band {
        let [low, high] = self.interval();
        if low > -PPL_RESOLUTION_NATS && high < PPL_RESOLUTION_NATS {
            Band::Inside
        } else if low >= PPL_RESOLUTION_NATS || high <= -PPL_RESOLUTION_NATS {
            Band::Outside
        } else {
            Band::Across
        }
    }
}

impl Evaluation {
    /// How sure its mean loss is: from its documents or, where they are not listed, as it says of itself.
    pub fn estimate(&self) -> Option<Estimate> {
        let (nats, documents) = (self.cross_entropy_nats, self.scored_documents);
        let said = self.standard_error_nats.filter(|_| documents > 1);
        Estimate::of(&self.documents).or(said.map(|standard_error| Estimate {
            nats,
            standard_error,
            documents,
        }))
    }
}
