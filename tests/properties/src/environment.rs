//! The validator's variables, and the mix of datasets that one of them names.

use bitgauge_core::contract::Environment;
use bitgauge_core::contract::documents::{allocate, parse_mix, sample};
use bitgauge_core::limits;

use crate::Outcome;

/// Variables in the order of the input's lines.
const VARIABLES: [&str; 6] = [
    "AUTORESEARCH_HELDOUT_DOCUMENT_COUNT",
    "AUTORESEARCH_HELDOUT_DATASET_MIX",
    "AUTORESEARCH_HELDOUT_ROTATION_KEY",
    "AUTORESEARCH_HELDOUT_SYNC_SLOT",
    "AUTORESEARCH_EVAL_MAX_TOKENS",
    "AUTORESEARCH_SUBMISSION_ARTIFACT_BYTES",
];

/// Numbers are positive whatever is written; shares of a mix add up to what is shared out; a sample is as long as it
/// is asked to be and holds whole rounds of its pool. Each line of the input is a variable.
pub fn check(input: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(input) else { return Outcome::Refused };
    let environment: Environment = VARIABLES.into_iter().zip(text.split('\n')).collect();
    let count = environment.document_count();
    assert!(count > 0 && environment.max_tokens() > 0);
    assert_eq!(environment.declared_bytes(), environment.declared_bytes().trim());
    let key = environment.effective_rotation_key(environment.rotation_key());
    assert!(!key.is_empty());

    let entries = parse_mix(environment.dataset_mix());
    let weights: Vec<f64> = entries.iter().map(|entry| entry.weight).collect();
    assert!(weights.iter().all(|weight| weight.is_finite() && *weight > 0.0), "{weights:?}");
    let count = count.min(limits::HELDOUT_DOCUMENTS);
    let shares = allocate(count, &weights);
    assert_eq!(shares.len(), entries.len());
    let total: f64 = weights.iter().sum();
    if !weights.is_empty() && total.is_finite() {
        assert_eq!(shares.iter().sum::<u64>(), count, "{weights:?}");
    }
    let pool: Vec<String> = (0..3).map(|i: u32| i.to_string()).collect();
    let wanted = count % 8;
    let mut chosen = sample(&pool, &key, wanted).expect("a pool of three");
    assert_eq!(chosen.len() as u64, wanted);
    if let Some(round) = chosen.first_chunk_mut::<3>() {
        round.sort_unstable();
        assert_eq!(round.as_slice(), pool);
    }
    if entries.is_empty() { Outcome::Refused } else { Outcome::Accepted }
}
