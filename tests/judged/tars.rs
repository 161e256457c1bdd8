//! What headers of a tar say, by POSIX and GNU, and their caps.

use bitgauge_core::container::{Artifact, Compressor, Root, TarStream};
use bitgauge_core::{ErrorKind, Rejection, Result, limits};
use properties::write::{gzip, safetensors};

use crate::model::open;

pub const BLOCK: usize = 512;

/// A header of a member of this kind, whose field of the length is this.
pub fn header(name: &str, kind: u8, size: &[u8]) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..124 + size.len()].copy_from_slice(size);
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A member with its contents, padded.
pub fn member(name: &str, kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = header(name, kind, format!("{:011o}", contents.len()).as_bytes());
    out.extend_from_slice(contents);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    out
}

/// A pax record.
pub fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut len = rest.len();
    while len != rest.len() + len.to_string().len() {
        len = rest.len() + len.to_string().len();
    }
    format!("{len}{rest}").into_bytes()
}

/// A small model.
fn model() -> Vec<u8> {
    [member("config.json", b'0', b"{}"), member("model.safetensors", b'0', &safetensors("{}", b""))].concat()
}

/// The model behind these members, and the end's mark.
fn opened(members: &[Vec<u8>]) -> Result<Artifact> {
    let tar = [members.concat(), model(), vec![0; 2 * BLOCK]].concat();
    open(&[("m.tar".to_owned(), tar)], Root::File)
}

fn names(artifact: Result<Artifact>) -> Vec<String> {
    artifact.expect("a sound tar").members.into_iter().map(|member| member.name).collect()
}

#[track_caller]
fn refused(members: &[Vec<u8>], kind: ErrorKind, what: &str) {
    let error = opened(members).expect_err(what);
    assert!(error.kind == kind && error.what.contains(what), "not {what}: {error}");
}

#[test]
fn kinds_of_members() {
    let files = ["config.json", "model.safetensors"];
    assert_eq!(names(opened(&[])), files);
    // Folders: by their kind, or by their name in a tar from before POSIX; the root itself.
    for folder in
        [member("a", b'5', b""), member("a/", b'5', b""), member("a/", 0, b""), member("./", b'5', b"")]
    {
        assert_eq!(names(opened(&[folder])), files);
    }
    for kind in [0, b'0', b'7'] {
        assert_eq!(names(opened(&[member("a", kind, b"x")])), ["a", files[0], files[1]]);
    }
    // The long target of a link says nothing about a file's name; a long name does.
    assert_eq!(names(opened(&[member("l", b'K', b"target\0"), member("a", b'0', b"x")]))[0], "a");
    assert_eq!(names(opened(&[member("l", b'L', b"long\0"), member("a", b'0', b"x")]))[0], "long");
    assert_eq!(
        names(opened(&[member("p", b'x', &record("path", "pax")), member("a", b'0', b"x")]))[0],
        "pax"
    );
    for kind in *b"2346SZ" {
        refused(&[member("a", kind, b"")], ErrorKind::Unsupported, "neither a file nor a folder");
    }
}

#[test]
fn lengths_in_octal_and_in_binary() {
    let sized = |size: &[u8]| {
        let mut block = header("a", b'0', size);
        block.extend([vec![b'x'; 5], vec![0; BLOCK - 5]].concat());
        opened(&[block]).map(|artifact| artifact.members[0].bytes)
    };
    for size in
        [&b"00000000005"[..], b"5 ", b"  5 ", b"000000000005", &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]]
    {
        assert_eq!(sized(size), Ok(5), "{size:?}");
    }
    // 5 + 2^64, and digits that are none.
    let error = sized(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5]).expect_err("too large");
    assert_eq!((error.kind, error.expected.as_str()), (ErrorKind::Malformed, "a number below 2^64"));
    for size in [&b"8"[..], b"5x", b"+5", b"-5"] {
        assert_eq!(sized(size).expect_err("no number").kind, ErrorKind::Malformed, "{size:?}");
    }
}

#[test]
fn pax_records_are_read_strictly() {
    let file = |records: &[u8], size: &[u8]| {
        let mut block = header("a", b'0', size);
        block.extend([vec![b'x'; 5], vec![0; BLOCK - 5]].concat());
        vec![member("p", b'x', records), block]
    };
    let of_size = |text: &str, size: &[u8]| {
        opened(&file(&record("size", text), size)).map(|artifact| artifact.members[0].bytes)
    };
    assert_eq!(of_size("5", b"0"), Ok(5));
    assert_eq!(of_size("5", b"5"), Ok(5));
    for text in ["+5", "", "5 ", "0x5"] {
        assert_eq!(of_size(text, b"0").expect_err(text).kind, ErrorKind::Malformed, "{text:?}");
    }
    refused(&file(&record("size", "5"), b"4"), ErrorKind::Malformed, "two lengths");
    let charset = |name: &str| file(&record("hdrcharset", name), b"5");
    assert!(opened(&charset("ISO-IR 10646 2000 UTF-8")).is_ok());
    refused(&charset("BINARY"), ErrorKind::BadName, "not UTF-8");
    refused(&file(&record("GNU.sparse.major", "1"), b"5"), ErrorKind::Unsupported, "sparse");
    let twice = [record("size", "5"), record("size", "5")].concat();
    refused(&file(&twice, b"5"), ErrorKind::Malformed, "occurs twice");
    // A folder holds nothing, whoever says so.
    let folder =
        |size: &str, own: &[u8]| vec![member("p", b'x', &record("size", size)), header("d", b'5', own)];
    assert!(opened(&folder("0", b"0")).is_ok());
    refused(&folder("5", b"0"), ErrorKind::Malformed, "folder has contents");
    refused(&folder("0", b"5"), ErrorKind::Malformed, "folder has contents");
    refused(&[header("d", b'5', b"5")], ErrorKind::Malformed, "folder has contents");
}

/// Pax records of exactly this many bytes.
fn comment(bytes: u64) -> Vec<u8> {
    let digits = bytes.to_string();
    let fixed = digits.len() + " comment=\n".len();
    let record = format!("{digits} comment={}\n", "c".repeat(bytes as usize - fixed));
    assert_eq!(record.len() as u64, bytes);
    record.into_bytes()
}

#[test]
fn long_names_and_records_have_caps() {
    let most = limits::TAR_EXTENSION_BYTES;
    let with = |bytes: u64| [member("p", b'x', &comment(bytes)), member("a", b'0', b"")];
    assert!(opened(&with(most)).is_ok());
    refused(&with(most + 1), ErrorKind::TooLarge, "pax records are too long");
    // All of them together.
    let count = limits::TAR_EXTENSIONS_BYTES / most;
    let named = |number: u64| [member("p", b'x', &comment(most)), member(&number.to_string(), b'0', b"")];
    let mut members: Vec<Vec<u8>> = (0..count).flat_map(named).collect();
    assert_eq!(opened(&members).map(|artifact| artifact.members.len() as u64), Ok(count + 2));
    members.push(member("l", b'L', b"n"));
    refused(&members, ErrorKind::TooLarge, "too long together");
}

fn streamed(plain: &[u8]) -> Result<Artifact> {
    let mut tar = TarStream::new("m.tar.gz", Compressor::Gzip)?;
    tar.push(&gzip(plain))?;
    tar.finish()
}

#[test]
fn nothing_behind_the_ends_mark_is_read() {
    let tar = [model(), vec![0; BLOCK], vec![b'x'; 3 * BLOCK]].concat();
    assert_eq!(names(streamed(&tar)), ["config.json", "model.safetensors"]);
    assert_eq!(names(open(&[("m.tar".to_owned(), tar)], Root::File)), ["config.json", "model.safetensors"]);
}

#[test]
fn less_than_a_header_is_no_archive() {
    let block = header("a", b'0', b"5");
    let rejection = |plain: &[u8]| streamed(plain).expect_err("cut off").rejection.clone();
    assert_eq!(rejection(&block), None);
    assert_eq!(rejection(&block[..BLOCK - 1]), Some(Rejection::NoArchive));
}

#[test]
fn a_compressed_tar_may_have_its_weights_in_shards() {
    let index = br#"{"weight_map": {"t": "model-1.safetensors"}}"#;
    let weights = safetensors(r#"{"t":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, b"ab");
    let tar = [
        member("config.json", b'0', b"{}"),
        member("model-1.safetensors", b'0', &weights),
        member("model.safetensors.index.json", b'0', index),
        vec![0; 2 * BLOCK],
    ]
    .concat();
    let tensors = streamed(&tar).expect("sound").tensors;
    assert_eq!(tensors.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>(), ["t"]);
}
