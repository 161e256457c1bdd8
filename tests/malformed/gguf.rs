//! GGUF files: what is read from a good one, each fault, every truncation and every damaged byte.

use bitgauge_core::contract::Rules;
use bitgauge_core::inspect;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::report::Outcome;
use bitgauge_core::{ErrorKind, Result};
use conformance::{GgmlType, GgufFile, Meta};
use native_eval::{Source, own_tokenizer};

use crate::support::{assert_fault, open_file};

/// A qwen3 of one layer and 128 channels, with a tokenizer of a few tokens.
fn sample() -> GgufFile {
    let mut file = GgufFile::default();
    let texts = |values: &[&str]| Meta::Texts(values.iter().map(|text| (*text).to_owned()).collect());
    file.key("general.architecture", Meta::Text("qwen3".into()));
    for (key, value) in [
        ("block_count", 1),
        ("embedding_length", 128),
        ("feed_forward_length", 128),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
        ("attention.key_length", 64),
        ("context_length", 64),
    ] {
        file.key(&format!("qwen3.{key}"), Meta::U32(value));
    }
    file.key("qwen3.attention.layer_norm_rms_epsilon", Meta::F32(1e-6))
        .key("tokenizer.ggml.model", Meta::Text("gpt2".into()))
        .key("tokenizer.ggml.pre", Meta::Text("qwen2".into()))
        .key("tokenizer.ggml.tokens", texts(&["a", "b", "ab", "Ġ", "<end>"]))
        .key("tokenizer.ggml.merges", texts(&["a b"]))
        .key("tokenizer.ggml.token_type", Meta::I32s(vec![1, 1, 1, 1, 3]))
        .key("tokenizer.ggml.add_bos_token", Meta::Bool(false));
    let bits = |rows: u64, cols: u64| {
        let block = [&[0x00, 0x2c][..], &[0x5a; 16]].concat();
        block.repeat((rows * cols / 128) as usize)
    };
    file.tensor("token_embd.weight", &[5, 128], GgmlType::Q1_0, bits(5, 128));
    for (name, rows, cols) in [
        ("attn_q", 128, 128),
        ("attn_k", 64, 128),
        ("attn_v", 64, 128),
        ("attn_output", 128, 128),
        ("ffn_gate", 128, 128),
        ("ffn_up", 128, 128),
    ] {
        file.tensor(&format!("blk.0.{name}.weight"), &[rows, cols], GgmlType::Q1_0, bits(rows, cols));
    }
    file.tensor("blk.0.ffn_down.weight", &[128, 128], GgmlType::Q8_0, vec![0x11; 128 * 128 / 32 * 34]);
    let ones = |len: usize| 1.0_f32.to_le_bytes().repeat(len);
    for (name, len) in [("attn_norm", 128), ("ffn_norm", 128), ("attn_q_norm", 64), ("attn_k_norm", 64)] {
        file.tensor(&format!("blk.0.{name}.weight"), &[len as u64], GgmlType::F32, ones(len));
    }
    file.tensor("output_norm.weight", &[128], GgmlType::F32, ones(128));
    file
}

fn replaced(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = sample().bytes();
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the bytes to replace");
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

#[test]
fn a_good_file_is_judged_and_tokenizes() {
    let bytes = sample().bytes();
    let artifact = open_file("m.gguf", &bytes).unwrap();
    let inventory = Inventory::of(&artifact).unwrap();
    assert!(inventory.missing.is_empty() && inventory.unknown.is_empty() && inventory.misshapen.is_empty());
    let report = inspect::report("m.gguf", &inventory, Rules::Binary, None);
    let bucket_bits: u64 = report.accounting.buckets.iter().map(|entry| entry.bits).sum();
    assert_eq!(bucket_bits, 8 * bytes.len() as u64);
    assert_eq!(report.accounting.binary_parameters, 5 * 128 + 5 * 128 * 128);
    assert_eq!(report.accounting.unpacked_parameters, 128 * 128 + 3 * 128 + 2 * 64);
    // It is no submission, and says which matrix is over what a rescue entry may take.
    let loadable = report.gates.iter().find(|gate| gate.id == "loadable").unwrap();
    assert_eq!(loadable.outcome, Outcome::Fail);
    let note = report.notes.iter().find(|note| note.contains("rescue entry")).unwrap();
    assert!(note.contains("model.layers.0.mlp.down_proj.weight (Q8_0, 8.5 bits)"), "{note}");
    assert!(!note.contains("up_proj"), "{note}");

    let mut source = Source::from_bytes("m.gguf", bytes).unwrap();
    let tokenizer = own_tokenizer(&mut source).unwrap();
    assert_eq!(tokenizer.encode("ab b<end>a", 100).unwrap(), [2, 3, 1, 4, 0]);
}

#[test]
fn each_fault_is_named() {
    let fault = |bytes: &[u8], kind, what| assert_fault(open_file("m.gguf", bytes), kind, what);
    let without = |key: &str| replaced(key.as_bytes(), &vec![b'x'; key.len()]);
    fault(&replaced(b"GGUF\x03", b"GGUF\x02"), ErrorKind::Unsupported, "version");
    fault(&replaced(b"GGUF\x03\0\0\0", b"GGUF\0\0\0\x03"), ErrorKind::Unsupported, "version");
    fault(&without("general.architecture"), ErrorKind::Missing, "incomplete");
    fault(&without("qwen3.block_count"), ErrorKind::Missing, "incomplete");
    fault(&without("token_embd.weight"), ErrorKind::Missing, "incomplete");
    fault(&without("qwen3.attention.layer_norm_rms_epsilon"), ErrorKind::Missing, "incomplete");
    // The name of the first 2-D tensor, its two dimensions, then its type and offset.
    let info = |kind: u32, cols: u64, offset: u64| {
        let tail =
            [&128_u64.to_le_bytes()[..], &5_u64.to_le_bytes(), &41_u32.to_le_bytes(), &[0; 8]].concat();
        let changed =
            [&cols.to_le_bytes()[..], &5_u64.to_le_bytes(), &kind.to_le_bytes(), &offset.to_le_bytes()]
                .concat();
        replaced(&tail, &changed)
    };
    fault(&info(77, 128, 0), ErrorKind::Unsupported, "data type is not known");
    fault(&info(12, 128, 0), ErrorKind::WrongShape, "shape");
    fault(&info(41, 129, 0), ErrorKind::WrongShape, "shape");
    fault(&info(41, 1 << 63, 0), ErrorKind::WrongShape, "shape");
    fault(&info(41, 128, 1), ErrorKind::BadLayout, "not aligned");
    fault(&info(41, 128, 1 << 40), ErrorKind::BadLayout, "does not follow");
    fault(&info(41, 256, 0), ErrorKind::BadLayout, "does not follow");
    let mut alignment = sample();
    alignment.key("general.alignment", Meta::U32(48));
    fault(&alignment.bytes(), ErrorKind::BadValue, "alignment");
    let mut split = sample();
    split.key("split.count", Meta::U32(2));
    fault(&split.bytes(), ErrorKind::Missing, "several files");
    let mut scaled = sample();
    scaled.key("qwen3.rope.scaling.type", Meta::Text("longrope".into()));
    fault(&scaled.bytes(), ErrorKind::Unsupported, "can't be used");
}

#[test]
fn a_tensor_of_another_name_is_missing_and_unknown() {
    let artifact = open_file("m.gguf", &replaced(b"blk.0.attn_k_norm", b"blk.0.attn_x_norm")).unwrap();
    let inventory = Inventory::of(&artifact).unwrap();
    assert_eq!(inventory.missing, ["model.layers.0.self_attn.k_norm.weight"]);
    assert_eq!(inventory.unknown, ["blk.0.attn_x_norm.weight"]);
}

#[test]
fn a_tokenizer_that_is_not_known_is_an_error_only_when_it_is_needed() {
    let mut source = Source::from_bytes("m.gguf", replaced(b"qwen2", b"other")).unwrap();
    let error = own_tokenizer(&mut source).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.hint.as_deref().unwrap().contains("--tokenizer"));
}

#[test]
fn another_architecture_is_judged_by_its_size() {
    let artifact =
        open_file("m.gguf", &replaced(b"\x05\0\0\0\0\0\0\0qwen3", b"\x05\0\0\0\0\0\0\0gemma")).unwrap();
    let inventory = Inventory::of(&artifact).unwrap();
    assert!(inventory.opaque.unwrap().contains("gguf:gemma"));
}

#[test]
fn counts_and_lengths_are_not_trusted() {
    let bytes = sample().bytes();
    let with = |at: usize, value: u64| {
        let mut bytes = bytes.clone();
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        open_file("m.gguf", &bytes)
    };
    for value in [u64::MAX, 1 << 40] {
        assert_fault(with(8, value), ErrorKind::TooLarge, "too many tensors");
        assert_fault(with(16, value), ErrorKind::TooLarge, "too many metadata keys");
        assert_fault(with(24, value), ErrorKind::TooLarge, "a string is too long");
    }
    // More than there is, but within the caps.
    assert_fault(with(8, 1000), ErrorKind::TooLarge, "impossible number of dimensions");
    let mut long = sample();
    long.key("padding", Meta::Text("x".repeat(300_000)));
    assert!(open_file("m.gguf", &long.bytes()).is_ok(), "a header longer than the first read");
    let twice = [sample().bytes(), vec![0; 64]].concat();
    assert_fault(open_file("m.gguf", &twice), ErrorKind::BadLayout, "bytes follow");
    let mut doubled = sample();
    doubled.key("general.architecture", Meta::Text("llama".into()));
    assert_fault(open_file("m.gguf", &doubled.bytes()), ErrorKind::Malformed, "occurs twice");
}

#[test]
fn every_truncation_is_an_error() {
    let whole = sample().bytes();
    // What follows the last tensor's last byte is padding.
    for len in 0..whole.len() {
        let error = open_file("m.gguf", &whole[..len]).expect_err("a truncated file was accepted");
        assert!(!error.place.is_empty() && !error.found.is_empty(), "cut at {len}: {error}");
    }
}

/// All that a user may do with a file, short of evaluating it.
fn judge(bytes: Vec<u8>) -> Result<()> {
    let mut source = Source::from_bytes("m.gguf", bytes)?;
    let artifact = source.artifact().clone();
    let inventory = Inventory::of(&artifact)?;
    let report = inspect::report("m.gguf", &inventory, Rules::Binary, None);
    let bucket_bits: u64 = report.accounting.buckets.iter().map(|entry| entry.bits).sum();
    assert_eq!(bucket_bits, 8 * artifact.size_bytes, "the buckets do not add up");
    own_tokenizer(&mut source).map(drop)
}

#[test]
fn a_damaged_byte_never_panics() {
    let whole = sample().bytes();
    judge(whole.clone()).unwrap();
    let header = whole.len()
        - open_file("m.gguf", &whole).unwrap().tensors.iter().map(|t| t.bytes as usize).sum::<usize>();
    let mut refused = 0;
    for at in 0..header {
        for change in [0x01, 0x20, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            refused += usize::from(judge(bytes).is_err());
        }
    }
    assert!(refused > header, "only {refused} of {} damages were noticed", 4 * header);
}
