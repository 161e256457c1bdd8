//! Which of two artifacts ranks first.
//!
//! The competition's rule: only eligible artifacts rank; the lower held-out perplexity wins; where the two
//! differ by less than 0.02 nats the smaller artifact wins.

use std::borrow::Cow;

use crate::contract::PPL_RESOLUTION_NATS;
use crate::report::{Estimate, Evaluation, Report, Verdict};

/// One of the two that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Side {
    Left,
    Right,
}

impl Side {
    /// The side of the lesser, if one is.
    fn of_less(ordering: std::cmp::Ordering) -> Option<Self> {
        match ordering {
            std::cmp::Ordering::Less => Some(Self::Left),
            std::cmp::Ordering::Greater => Some(Self::Right),
            std::cmp::Ordering::Equal => None,
        }
    }
}

/// What decided, or why nothing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The winner is eligible, the other is not.
    OnlyEligible,
    /// The winner's perplexity is lower by 0.02 nats or more.
    LowerPerplexity,
    /// The perplexities are within 0.02 nats, and the winner is smaller.
    SmallerWithinBand,
    /// The perplexities are within 0.02 nats, and the sizes are the same.
    Tie,
    /// Neither is eligible.
    NoneEligible,
    /// They were held against the limits of different packs.
    OtherLimits,
    /// A gate of one that may yet win has not run.
    NotJudged,
    /// At least one was not evaluated.
    NoPerplexity,
    /// They were evaluated on different documents.
    OtherDocuments,
    /// They were evaluated on the same documents, cut at these numbers of tokens.
    OtherLengths(u64, u64),
    /// They were evaluated on the same documents in other windows.
    OtherWindows,
    /// They were evaluated on the same documents, which different tokenizers made so many scored tokens of.
    OtherTokens(u64, u64),
}

impl Reason {
    /// Stable identifier.
    pub fn id(self) -> &'static str {
        match self {
            Self::OnlyEligible => "only-eligible",
            Self::LowerPerplexity => "lower-perplexity",
            Self::SmallerWithinBand => "smaller-within-band",
            Self::Tie => "tie",
            Self::NoneEligible => "none-eligible",
            Self::OtherLimits => "other-limits",
            Self::NotJudged => "not-judged",
            Self::NoPerplexity => "no-perplexity",
            Self::OtherDocuments | Self::OtherLengths(..) | Self::OtherWindows => "other-documents",
            Self::OtherTokens(..) => "other-tokens",
        }
    }

    /// The reason in words, to stand behind "wins:" or "undecided:".
    pub fn words(self) -> Cow<'static, str> {
        let words = match self {
            Self::OnlyEligible => "the other is not eligible",
            Self::LowerPerplexity => "its perplexity is lower by 0.02 nats or more",
            Self::SmallerWithinBand => {
                "the perplexities are within 0.02 nats of each other, and it is smaller"
            }
            Self::Tie => "the perplexities are within 0.02 nats of each other, and the sizes are the same",
            Self::NoneEligible => "neither is eligible",
            Self::OtherLimits => "they were judged by the limits of different packs",
            Self::NotJudged => "not every gate has run",
            Self::NoPerplexity => {
                "at least one has no measured perplexity: run `bitgauge eval A --documents D --report a.json`, the same \
                 for B, and compare the reports"
            }
            Self::OtherDocuments => "the perplexities are of different documents",
            Self::OtherWindows => "the documents were scored in different windows (--window, --stride)",
            Self::OtherLengths(left, right) => {
                return format!("the documents were cut differently: at {left} and {right} tokens").into();
            }
            Self::OtherTokens(left, right) if left == right => {
                "the same documents were cut into other tokens"
            }
            Self::OtherTokens(left, right) => {
                return format!(
                    "the same documents are {left} scored tokens to one and {right} to the other; a perplexity per token \
                     says nothing across tokenizers"
                )
                .into();
            }
        };
        words.into()
    }
}

/// Which of two artifacts ranks first, as far as their reports tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// The one that ranks first.
    pub winner: Option<Side>,
    /// Why.
    pub reason: Reason,
    /// Logarithm of the left perplexity less that of the right, where both are of the same tokens.
    pub nats: Option<f64>,
    /// The same difference and how sure it is: document by document where both list them.
    pub difference: Option<Estimate>,
    /// The one with fewer bytes, if one has.
    pub smaller: Option<Side>,
    /// By how many bytes.
    pub bytes: u64,
}

/// Applies the competition's rule to two reports.
pub fn decide(left: &Report, right: &Report) -> Decision {
    let sizes = [left.artifact.size_bytes, right.artifact.size_bytes];
    let smaller = Side::of_less(sizes[0].cmp(&sizes[1]));
    let evaluations = left.evaluation.as_ref().zip(right.evaluation.as_ref());
    let comparable = evaluations.filter(|(left, right)| same_tokens(left, right));
    let nats = comparable.and_then(difference);
    let estimate = comparable.filter(|_| nats.is_some()).and_then(estimate);
    let (winner, reason) = if left.pack != right.pack {
        (None, Reason::OtherLimits)
    } else {
        match (left.verdict, right.verdict) {
            (Verdict::NotEligible, Verdict::NotEligible) => (None, Reason::NoneEligible),
            (Verdict::Eligible, Verdict::NotEligible) => (Some(Side::Left), Reason::OnlyEligible),
            (Verdict::NotEligible, Verdict::Eligible) => (Some(Side::Right), Reason::OnlyEligible),
            (Verdict::Inconclusive, _) | (_, Verdict::Inconclusive) => (None, Reason::NotJudged),
            (Verdict::Eligible, Verdict::Eligible) => match (nats, evaluations) {
                (Some(nats), _) => rank(nats, smaller),
                (None, Some((left, right))) if !same_tokens(left, right) => {
                    (None, difference_of(left, right))
                }
                (None, _) => (None, Reason::NoPerplexity),
            },
        }
    };
    Decision { winner, reason, nats, difference: estimate, smaller, bytes: sizes[0].abs_diff(sizes[1]) }
}

/// In what the tokens of two evaluations differ.
fn difference_of(left: &Evaluation, right: &Evaluation) -> Reason {
    if left.documents_sha256 != right.documents_sha256 {
        Reason::OtherDocuments
    } else if (left.window, left.stride) != (right.window, right.stride) {
        Reason::OtherWindows
    } else if left.max_tokens != right.max_tokens {
        Reason::OtherLengths(left.max_tokens, right.max_tokens)
    } else {
        Reason::OtherTokens(left.scored_tokens, right.scored_tokens)
    }
}

/// Whether two evaluations are of the same tokens in the same windows, as far as their numbers tell: in all, and in each
/// document where both list them.
fn same_tokens(left: &Evaluation, right: &Evaluation) -> bool {
    let texts = |e: &Evaluation| (e.max_tokens, e.window, e.stride, e.scored_documents, e.scored_tokens);
    let each = |e: &Evaluation| e.documents.iter().map(|document| document.tokens).collect::<Vec<_>>();
    let are_listed = !left.documents.is_empty() && !right.documents.is_empty();
    left.documents_sha256 == right.documents_sha256
        && texts(left) == texts(right)
        && (!are_listed || each(left) == each(right))
}

/// A perplexity that is not a positive number has no logarithm, so there is no difference.
fn difference((left, right): (&Evaluation, &Evaluation)) -> Option<f64> {
    Some(left.heldout_ppl.ln() - right.heldout_ppl.ln()).filter(|nats| nats.is_finite())
}

/// How sure the difference is. A report from a link lists no documents.
fn estimate((left, right): (&Evaluation, &Evaluation)) -> Option<Estimate> {
    let paired = Estimate::paired(&left.documents, &right.documents);
    paired.or_else(|| Some(Estimate::unpaired(&left.estimate()?, &right.estimate()?)))
}

fn rank(nats: f64, smaller: Option<Side>) -> (Option<Side>, Reason) {
    if nats.abs() >= PPL_RESOLUTION_NATS {
        let winner = if nats < 0.0 { Side::Left } else { Side::Right };
        return (Some(winner), Reason::LowerPerplexity);
    }
    let reason = if smaller.is_some() { Reason::SmallerWithinBand } else { Reason::Tie };
    (smaller, reason)
}
