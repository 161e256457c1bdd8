//! Folders of several files: shards and their index, a tokenizer, code, unknown files.

use crate::Outcome;
use crate::artifact::Files;
use crate::pieces::Cuts;

/// What the files may be called.
pub const NAMES: [&str; 8] = [
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "tokenizer.json",
    "modeling_bitpack.py",
    "sub/config.json",
];
/// Bytes in front of each file: the number of its name, and its length.
const HEAD_BYTES: usize = 3;

/// The input is a list of files: a byte for the name, two for the length, the bytes.
pub fn check(input: &[u8]) -> Outcome {
    let mut files = Vec::new();
    let mut rest = input;
    while let Some(([name, low, high], behind)) = rest.split_first_chunk::<HEAD_BYTES>() {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(behind.len());
        files.push((NAMES[usize::from(*name) % NAMES.len()], &behind[..len]));
        rest = &behind[len..];
    }
    match Files::folder(files).check(&mut Cuts::of(input)) {
        Some(_) => Outcome::Accepted,
        None => Outcome::Refused,
    }
}

/// The input that stands for these files, each a number of [`NAMES`] and its bytes.
pub fn input(files: &[(u8, &[u8])]) -> Vec<u8> {
    let file =
        |(name, bytes): &(u8, &[u8])| [&[*name], &(bytes.len() as u16).to_le_bytes()[..], bytes].concat();
    files.iter().flat_map(file).collect()
}
