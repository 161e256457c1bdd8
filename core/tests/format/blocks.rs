//! Blocks of GGUF against ggml's own Python package: tests/fixtures/gguf_blocks.py says how the values were recorded.

use std::collections::HashSet;

use bitgauge_core::format::decode_blocks;
use bitgauge_core::{BlockType, Matrix};
use serde_json::Value;
use sha2::{Digest, Sha256};

const BLOCKS: u64 = 512;
/// Types that ggml's Python package gives no values of; the tests beside the decoders have some by hand.
const UNRECORDED: [BlockType; 7] = [
    BlockType::Q8_1,
    BlockType::Q8K,
    BlockType::Q1_0,
    BlockType::Q2_0,
    BlockType::Q2_0Wide,
    BlockType::Pq2_0,
    BlockType::Ptq1_0,
];

/// The high bytes of a linear congruential generator.
fn random_bytes(seed: u64, count: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// The hash of the values, and the first of them.
fn values(block: BlockType, bytes: &[u8]) -> (String, Vec<f32>) {
    let cols = block.values() * 4;
    let matrix = decode_blocks("w", block, [BLOCKS / 4, cols], bytes).expect("finite blocks");
    let mut values = matrix.to_f32();
    let mut hash = Sha256::new();
    // -0 is 0.
    values.iter().for_each(|value| hash.update((value + 0.0).to_le_bytes()));
    values.truncate(8);
    (hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), values)
}

#[test]
fn values_are_those_of_ggml_to_the_bit() {
    let recorded: Value = serde_json::from_str(include_str!("../fixtures/gguf_blocks.json")).unwrap();
    let mut seen = HashSet::from(UNRECORDED);
    for (name, record) in recorded.as_object().unwrap() {
        let block = BlockType::all().find(|block| block.name() == name).expect(name);
        assert_eq!(record["type"], block.id(), "{name}");
        let mut bytes = random_bytes(block.id().into(), BLOCKS * block.bytes());
        for mask in record["masks"].as_array().unwrap() {
            let [at, kept] = [0, 1].map(|i| mask[i].as_u64().unwrap());
            bytes.iter_mut().skip(at as usize).step_by(block.bytes() as usize).for_each(|b| *b &= kept as u8);
        }
        let (hash, first) = values(block, &bytes);
        let wanted: Vec<f32> = serde_json::from_value(record["first"].clone()).unwrap();
        assert_eq!(first, wanted, "{name}");
        assert_eq!(record["sha256"], hash, "{name}");
        // The last byte of a block belongs to its codes, its scale or, in K types, the scale of a group.
        let last = bytes.len() - 1;
        bytes[last] ^= 0x04;
        assert_ne!(values(block, &bytes).0, hash, "{name}: a changed byte went unnoticed");
        assert!(seen.insert(block), "{name} twice");
    }
    assert_eq!(seen.len(), BlockType::all().count(), "a type has no recorded values");
}

/// Powers of two as scales: f16 holds every value, and takes half the memory.
#[test]
fn short_values_become_f16() {
    for (block, scales) in [(BlockType::Mxfp4, 1), (BlockType::Nvfp4, 4)] {
        let scale = if block == BlockType::Mxfp4 { 120 } else { 0x38 };
        let mut bytes = vec![scale; scales];
        bytes.extend((0..block.bytes() as usize - scales).map(|i| (i * 37) as u8));
        let matrix = decode_blocks("w", block, [1, block.values()], &bytes).unwrap();
        let Matrix::Dense(dense) = &matrix else { panic!("{block:?} is packed") };
        assert!(matches!(dense.values, bitgauge_core::Values::F16(_)), "{block:?}");
        assert!(matrix.to_f32().iter().any(|value| *value != 0.0));
    }
}
