//! Types of tensors in a GGUF file, and their blocks.

use bitgauge_core::ErrorKind;
use bitgauge_core::container::Artifact;

use super::file::File;
use super::refused;

#[test]
fn types_of_tensors_and_their_blocks() {
    // ggml's number, elements of a block, bytes of a block.
    for (kind, block, bytes) in TYPES {
        let mut file = File::hybrid();
        file.add("t", &[2 * block, 3], kind, 6 * bytes);
        let artifact = file.open().unwrap_or_else(|error| panic!("type {kind}: {error}"));
        let tensor = artifact.tensors.last().expect("two tensors");
        assert_eq!((tensor.bytes, &tensor.shape[..]), (6 * bytes as u64, &[3, 2 * block][..]), "type {kind}");
        if block > 1 {
            let mut file = File::hybrid();
            file.add("t", &[block / 2, 4], kind, 2 * bytes);
            refused(file.open(), ErrorKind::WrongShape, "does not fit its data type");
        }
    }
    for kind in [4, 5, 31, 36, 43, 141, 144, u32::MAX] {
        let mut file = File::hybrid();
        file.add("t", &[256], kind, 18);
        let error = refused(file.open(), ErrorKind::Unsupported, "data type is not known");
        assert_eq!(error.found, format!("type {kind}"));
    }
    let mut file = File::hybrid();
    file.add("t", &[0, 4], 0, 0);
    refused(file.open(), ErrorKind::WrongShape, "does not fit its data type");
    let mut file = File::hybrid();
    file.add("token_embd.weight", &[4], 0, 16);
    refused(file.open(), ErrorKind::Malformed, "tensor occurs twice");
}

/// ggml's types: number, elements of a block, bytes of a block.
const TYPES: [(u32, u64, usize); 37] = [
    (0, 1, 4),
    (1, 1, 2),
    (2, 32, 18),
    (3, 32, 20),
    (6, 32, 22),
    (7, 32, 24),
    (8, 32, 34),
    (9, 32, 36),
    (10, 256, 84),
    (11, 256, 110),
    (12, 256, 144),
    (13, 256, 176),
    (14, 256, 210),
    (15, 256, 292),
    (16, 256, 66),
    (17, 256, 74),
    (18, 256, 98),
    (19, 256, 50),
    (20, 32, 18),
    (21, 256, 110),
    (22, 256, 82),
    (23, 256, 136),
    (24, 1, 1),
    (25, 1, 2),
    (26, 1, 4),
    (27, 1, 8),
    (28, 1, 8),
    (29, 256, 56),
    (30, 1, 2),
    (34, 256, 54),
    (35, 256, 66),
    (39, 32, 17),
    (40, 64, 36),
    (41, 128, 18),
    (42, 64, 18),
    (142, 128, 34),
    (143, 128, 28),
];

/// Number 42 had blocks of 128 values before ggml took it for blocks of 64.
#[test]
fn the_distance_of_tensors_tells_which_blocks_they_have() {
    let with = |bytes_of_128: usize| {
        let mut file = File::hybrid();
        file.add("blk.0.ffn_up.weight", &[256, 9], 42, 18 * bytes_of_128);
        file.add("blk.0.ffn_down.weight", &[256, 5], 42, 10 * bytes_of_128);
        file.add("output_norm.weight", &[768], 0, 768 * 4);
        file.open()
    };
    let types =
        |artifact: Artifact| artifact.tensors[1..3].iter().map(|t| t.dtype.name()).collect::<Vec<_>>();
    assert_eq!(types(with(36).expect("sound")), ["Q2_0"; 2]);
    assert_eq!(types(with(34).expect("sound")), ["Q2_0 of 128"; 2]);
    // Neither: what ggml's blocks would ask for is said.
    let error = refused(with(33), ErrorKind::BadLayout, "does not follow");
    let start = (768_usize * 20).next_multiple_of(32);
    assert_eq!(error.expected, format!("offset Some({})", (start + 18 * 36).next_multiple_of(32)));
    // The last tensor's end is the file's.
    let last = |bytes_of_128: usize| {
        let mut file = File::hybrid();
        file.add("output.weight", &[768, 10], 42, 60 * bytes_of_128);
        file.open().map(|artifact| artifact.tensors[1].dtype.name())
    };
    assert_eq!((last(36), last(34)), (Ok("Q2_0"), Ok("Q2_0 of 128")));
}
