//! Mixes of datasets: `reasoning:0.2,code:0.8`.

use crate::contract::python::{lower, parse_float, trim};

/// A dataset and its share.
#[derive(Debug, Clone, PartialEq)]
pub struct MixEntry {
    /// Dataset, trimmed and in lower case.
    pub key: String,
    /// Positive and finite.
    pub weight: f64,
}

/// The entries of a mix in order, duplicates kept, malformed parts dropped.
pub fn parse_mix(text: &str) -> Vec<MixEntry> {
    let entry = |part: &str| {
        let (key, weight) = trim(part).split_once(':')?;
        let key = lower(trim(key));
        let weight = parse_float(weight).filter(|w| w.is_finite() && *w > 0.0)?;
        (!key.is_empty()).then_some(MixEntry { key, weight })
    };
    trim(text).split(',').filter_map(entry).collect()
}

/// Shares of `count` by weight: the whole parts, then what is left one each to the largest
/// remainders, the larger weight first, then the earlier entry.
///
/// The weights are added up plainly, as Python did up to 3.11; later versions compensate the sum,
/// which can move one document.
pub fn allocate(count: u64, weights: &[f64]) -> Vec<u64> {
    let total = weights.iter().fold(0.0, |sum, weight| sum + weight);
    if count == 0 || total.is_nan() || total <= 0.0 {
        return vec![0; weights.len()];
    }
    let raw: Vec<f64> = weights.iter().map(|weight| weight / total * count as f64).collect();
    let mut shares: Vec<u64> = raw.iter().map(|raw| raw.floor() as u64).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    let remainder = |i: usize| raw[i] - raw[i].floor();
    order.sort_by(|&a, &b| {
        remainder(b).total_cmp(&remainder(a)).then_with(|| weights[b].total_cmp(&weights[a]))
    });
    let left = count.saturating_sub(shares.iter().sum());
    for &i in order.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        shares[i] += 1;
    }
    shares
}
