//! Safetensors headers, one fault at a time, and as the reference crate reads them.

use bitgauge_core::ErrorKind::{BadLayout, Malformed, TooLarge, Truncated, Unsupported, WrongShape};
use bitgauge_core::container::{Artifact, ContainerKind};
use bitgauge_core::{Dtype, ErrorKind, Result};
use proptest::prelude::*;
use safetensors::SafeTensors;

use crate::support::{
    assert_fault, noise, open_file, open_folder, patched, safetensors as file, two_tensors,
};

fn open(bytes: &[u8]) -> Result<Artifact> {
    open_file("m.safetensors", bytes)
}

#[test]
fn a_bare_file_is_an_artifact() {
    let bytes = two_tensors();
    let artifact = open(&bytes).unwrap();
    assert_eq!(artifact.kind, ContainerKind::Safetensors);
    assert_eq!(artifact.size_bytes, bytes.len() as u64);
    assert_eq!(artifact.model_dir, None);
    assert_eq!(artifact.expect_config().unwrap_err().kind, ErrorKind::Missing);
    let b = &artifact.tensors[1];
    assert_eq!((b.name.as_str(), b.dtype, b.shape.as_slice()), ("b", Dtype::F16, &[2, 1][..]));
    assert_eq!((b.offset, b.bytes), (bytes.len() as u64 - 4, 4));
    assert_eq!(open(&file("{}", b"")).unwrap().tensors, []);
}

#[test]
fn one_fault_each() {
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#""t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
    };
    let plain = tensor("U8", "[4]", "[0,4]");
    let cases: &[(String, ErrorKind, &str)] = &[
        (tensor("U8", "[5]", "[0,5]"), Truncated, "past the end"),
        (tensor("U8", "[3]", "[0,3]"), BadLayout, "bytes follow the last tensor"),
        (tensor("U8", "[3]", "[1,4]"), BadLayout, "no tensor claims"),
        (tensor("U8", "[3]", "[3,0]"), BadLayout, "ends before it begins"),
        (tensor("U8", "[0]", "[0,0]").replace("\"t\"", "\"s\"") + ",", Malformed, "damaged"),
        (tensor("U8", "[5]", "[0,4]"), WrongShape, "contradicts its length"),
        (tensor("F32", "[4]", "[0,4]"), WrongShape, "contradicts its length"),
        (tensor("U8", "[4294967296,4294967296]", "[0,4]"), WrongShape, "contradicts its length"),
        (tensor("Q9", "[4]", "[0,4]"), Unsupported, "unknown data type"),
        (tensor("U8", "[1,1,1,1,1,1,1,1,4]", "[0,4]"), TooLarge, "too many dimensions"),
        (tensor("U8", "[-4]", "[0,4]"), Malformed, "damaged"),
        (tensor("U8", "[4.0]", "[0,4]"), Malformed, "damaged"),
        (tensor("U8", "[4]", "[0,18446744073709551616]"), Malformed, "damaged"),
        (tensor("U8", "[4]", "[0,18446744073709551615]"), Truncated, "past the end"),
        (format!("{plain},{plain}"), Malformed, "damaged"),
        (plain.replace("\"shape\"", "\"dtype\":\"U8\",\"shape\""), Malformed, "damaged"),
        (format!(r#"{plain},"__metadata__":{{"a":1}}"#), Malformed, "damaged"),
        (format!(r#"{plain},"__metadata__":{{"a":"1","a":"2"}}"#), Malformed, "damaged"),
        (format!(r#"{plain},"__metadata__":{{}},"__metadata__":{{}}"#), Malformed, "damaged"),
        (plain.replace("}", ""), Malformed, "damaged"),
    ];
    assert_eq!(open(&file(&format!("{{{plain}}}"), &[1, 2, 3, 4])).unwrap().tensors.len(), 1);
    for (body, kind, what) in cases {
        let error = assert_fault(open(&file(&format!("{{{body}}}"), &[1, 2, 3, 4])), *kind, what);
        assert!(error.place.starts_with("m.safetensors") && error.offset.is_some(), "{error}");
    }
    let overlap = r#"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#;
    let error = assert_fault(open(&file(overlap, &[1, 2, 3, 4])), BadLayout, "overlaps");
    assert_eq!(error.place, "m.safetensors: b");
}

/// serde_json passes over other bytes in members that nobody asked for; the reference crate and Python do not.
#[test]
fn headers_and_indexes_are_utf8_throughout() {
    let whole = file(r#"{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"more":"?"}}"#, &[1, 2, 3, 4]);
    let index = br#"{"weight_map":{"t":"s.safetensors"},"more":"?"}"#;
    let folder = |index: &[u8]| {
        open_folder(&[
            ("config.json", b"{}"),
            ("model.safetensors.index.json", index),
            ("s.safetensors", whole.as_slice()),
        ])
    };
    assert_eq!(open(&whole).unwrap().tensors.len(), 1);
    assert_eq!(folder(index).unwrap().tensors.len(), 1);
    let damaged = |bytes: &[u8]| {
        let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
        (patched(bytes, &[(at, b"\xff")]), Some(at as u64))
    };
    let (bytes, at) = damaged(&whole);
    assert_eq!(assert_fault(open(&bytes), Malformed, "the safetensors header").offset, at);
    assert!(SafeTensors::deserialize(&bytes).is_err());
    let (bytes, at) = damaged(index);
    assert_eq!(assert_fault(folder(&bytes), Malformed, "the shard index").offset, at);
}

#[test]
fn lengths_of_the_header() {
    let with_length = |length: u64| [&length.to_le_bytes()[..], b"{}  "].concat();
    assert!(open(&with_length(4)).is_ok());
    assert_fault(open(&with_length(5)), Truncated, "cut off");
    assert_fault(open(&with_length(u64::MAX)), TooLarge, "header is too long");
    assert_fault(open(&with_length(100_000_001)), TooLarge, "header is too long");
    assert_fault(open(&with_length(2)), BadLayout, "bytes follow");
    assert_fault(open(&with_length(0)), Malformed, "not a JSON object");
    assert_fault(open(b"\x02\0\0\0\0\0\0"), Truncated, "too short");
    assert_fault(open(b""), Truncated, "too short");
    // What begins like a compressed tar is taken for one.
    assert_fault(open(b"\x1f\x8b\x08 gzip it"), BadLayout, "not a gzip member");
    assert_fault(open(b"BZh91AY&SY and so on"), Malformed, "bzip2 file is damaged");
    assert_fault(open(b"\xfd7zXZ\0 and so on"), Malformed, "xz file is damaged");
    let error = assert_fault(open(b"{\"a\": \"model report\"}"), Unsupported, "not an artifact");
    assert_eq!(error.found, "JSON text");
}

/// What both readers give: name, type's name, shape, place of the bytes in the data.
type Read = Vec<(String, String, Vec<u64>, u64, u64)>;

fn ours(bytes: &[u8]) -> Option<Read> {
    let artifact = open(bytes).ok()?;
    let data = artifact.members[0].header.as_ref()?.bytes;
    let mut read: Read = artifact
        .tensors
        .into_iter()
        .map(|t| (t.name, t.dtype.name().into(), t.shape, t.offset - data, t.bytes))
        .collect();
    read.sort();
    Some(read)
}

fn theirs(bytes: &[u8]) -> Option<Read> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    let mut read: Read = metadata
        .tensors()
        .into_iter()
        .map(|(name, info)| {
            let (start, end) = info.data_offsets;
            let shape = info.shape.iter().map(|dim| *dim as u64).collect();
            (name, info.dtype.to_string(), shape, start as u64, (end - start) as u64)
        })
        .collect();
    read.sort();
    Some(read)
}

#[derive(Debug, Clone)]
struct Tensor {
    name: String,
    dtype: usize,
    shape: Vec<u64>,
    /// Added to the true begin and end.
    shift: (i64, i64),
}

/// Mostly valid tensors: one in a few has its offsets moved by a little.
fn tensor() -> impl Strategy<Value = Tensor> {
    let shift = prop_oneof![30 => Just((0, 0)), 1 => (-2..3_i64, -2..3_i64)];
    let shape = proptest::collection::vec(0..5_u64, 0..4);
    ("[a-c.\\\\\"é]{0,3}", 0..Dtype::NAMES.len(), shape, shift)
        .prop_map(|(name, dtype, shape, shift)| Tensor { name, dtype, shape, shift })
}

fn build(tensors: &[Tensor], reverse: bool, trailing: usize) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut position = 0_i64;
    for tensor in tensors {
        let (name, dtype) = Dtype::NAMES[tensor.dtype];
        let len = tensor.shape.iter().product::<u64>() * dtype.bytes();
        let end = position + len as i64;
        let offsets = [(position + tensor.shift.0).max(0), (end + tensor.shift.1).max(0)];
        let key = serde_json::to_string(&tensor.name).unwrap();
        entries.push(format!(
            r#"{key}:{{"dtype":"{name}","shape":{:?},"data_offsets":{offsets:?}}}"#,
            tensor.shape
        ));
        position = end;
    }
    if reverse {
        entries.reverse();
    }
    file(&format!("{{{}}}", entries.join(",")), &noise(7, position as usize + trailing))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_reference_crate(
        tensors in proptest::collection::vec(tensor(), 0..5),
        reverse: bool,
        trailing in prop_oneof![20 => Just(0_usize), 1 => 1..3_usize],
    ) {
        let bytes = build(&tensors, reverse, trailing);
        let mut names: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            // The reference keeps one of them; here it is an error.
            prop_assert_eq!(ours(&bytes), None);
        } else {
            prop_assert_eq!(ours(&bytes), theirs(&bytes));
        }
    }
}

/// Every byte of a header and of what it names, changed to every other: the reference crate reads the same, or refuses as
/// well. Beyond it only a key twice, a type that no weight has, and a first byte that is not `{` are refused.
#[test]
fn agrees_with_the_reference_crate_on_damage() {
    let sound = two_tensors();
    let (mut taken, mut refused, mut beyond) = (0, 0, 0);
    for at in 8..sound.len() {
        for byte in (0..=u8::MAX).filter(|byte| *byte != sound[at]) {
            let bytes = patched(&sound, &[(at, &[byte])]);
            match (ours(&bytes), theirs(&bytes)) {
                (None, None) => refused += 1,
                (None, Some(_)) => {
                    let error = open(&bytes).expect_err("a refusal");
                    let why = format!("{} {}", error.what, error.found);
                    let known = ["duplicate", "unknown data type", "not a JSON object"];
                    assert!(known.iter().any(|reason| why.contains(reason)), "byte {at} as {byte}: {error}");
                    beyond += 1;
                }
                (ours, theirs) => {
                    assert_eq!(ours, theirs, "byte {at} as {byte}");
                    taken += 1;
                }
            }
        }
    }
    // The seven bytes of data and letters of names may be anything.
    assert!(taken > 7 * 255 && refused > taken && beyond < refused / 10, "{taken} {refused} {beyond}");
}

#[test]
fn the_property_covers_both_answers() {
    let tensor = |shift| Tensor { name: "a".into(), dtype: 1, shape: vec![3], shift };
    assert!(ours(&build(&[tensor((0, 0))], false, 0)).is_some_and(|read| read.len() == 1));
    assert!(theirs(&build(&[tensor((0, 0))], false, 0)).is_some());
    for broken in [build(&[tensor((1, 0))], false, 0), build(&[tensor((0, 0))], false, 1)] {
        assert_eq!((ours(&broken), theirs(&broken)), (None, None));
    }
}
