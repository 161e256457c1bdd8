//! Seeds from text, and sampling from a pool.

use sha2::{Digest, Sha256};

use crate::contract::numpy::Generator;
use crate::contract::python::Raised;

/// The seed of the competition pack, part of every sample's seed.
const PACK_SEED: u64 = 20_260_422;

/// The seed that stands for a text: the first 8 bytes of its SHA-256, big-endian.
pub fn seed(text: &str) -> u64 {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(8).fold(0, |seed, &byte| seed << 8 | u64::from(byte))
}

/// `count` documents of a pool: whole shuffled rounds, the last one cut off.
///
/// # Errors
/// An empty pool, unless nothing is asked of it.
pub fn sample(pool: &[String], seed_key: &str, count: u64) -> Result<Vec<String>, Raised> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if pool.is_empty() {
        return Err(Raised::runtime("no documents available for benchmark shard"));
    }
    let size = u32::try_from(pool.len()).map_err(|_| Raised::runtime("too many documents"))?;
    let mut generator = Generator::new(seed(&format!("{seed_key}:{PACK_SEED}")));
    let mut chosen = Vec::new();
    let mut left = usize::try_from(count).unwrap_or(usize::MAX);
    while left > 0 {
        let round = generator.permutation(size);
        chosen.extend(round.iter().take(left).map(|&i| pool[i as usize].clone()));
        left -= left.min(round.len());
    }
    Ok(chosen)
}
