//! What a run of the validator's twin opens: through the same strict reader as every other command. What the reader
//! refuses is the validator's own rejection only where that is certain.

use std::fs;

use bitgauge_core::contract::Halt;
use bitgauge_core::{Error, ErrorKind};
use native_eval::Source;

use crate::support::{
    CENTRAL, LOCAL, Pack, Store, headers, model_tar, model_zip, noise, one_tensor, patched, tar, two_tensors,
    zip,
};

const NO_ARCHIVE: &str = "submission artifact must be a Hugging Face model directory, .zip, or tar archive";
const NO_CONFIG: &str = "submission artifact does not contain a Hugging Face config.json: ";

/// Opens a file of these bytes both ways.
fn open(bytes: &[u8]) -> (Result<Source, Error>, Result<Source, Halt>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("artifact");
    fs::write(&path, bytes).unwrap();
    (Source::open(&path), Source::open_as_validator(&path))
}

/// Asserts that both refuse it, with the same words, and that the validator's twin does not speak for the validator.
#[track_caller]
fn not_judged(bytes: &[u8], what: &str) {
    let (plain, twin) = open(bytes);
    let error = plain.expect_err("the reader refuses it");
    assert!(error.what.contains(what), "not {what:?}: {error}");
    match twin {
        Err(Halt::Fault(other)) => assert_eq!(error, other),
        Err(Halt::Raised(raised)) => panic!("a rejection: {raised}"),
        Ok(_) => panic!("it was opened"),
    }
}

/// Asserts that the twin ends in the validator's words.
#[track_caller]
fn rejected(bytes: &[u8], words: &str) {
    match open(bytes).1 {
        Err(Halt::Raised(raised)) => assert!(raised.message.starts_with(words), "{raised}"),
        Err(Halt::Fault(error)) => panic!("not {words:?}: {error}"),
        Ok(_) => panic!("it was opened, not {words:?}"),
    }
}

/// The checksum of a tar's header set right.
fn summed(tar: &[u8], header: usize) -> Vec<u8> {
    let mut bytes = tar.to_vec();
    bytes[header + 148..header + 156].fill(b' ');
    let sum: u32 = bytes[header..header + 512].iter().map(|byte| u32::from(*byte)).sum();
    bytes[header + 148..header + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

#[test]
fn archives_that_pythons_readers_refuse_are_not_scored() {
    let whole = model_zip();
    let (central, local) = (headers(&whole, CENTRAL), headers(&whole, LOCAL));
    let flags = |flags: u8| patched(&whole, &[(central[1] + 8, &[flags]), (local[1] + 6, &[flags])]);
    not_judged(&flags(1), "encrypted");
    not_judged(&flags(0x20), "not handled");
    not_judged(&patched(&whole, &[(local[1] + 30, b"n")]), "differ in name");
    not_judged(&patched(&whole, &[(central[1] + 46, b"\xff"), (local[1] + 30, b"\xff")]), "not UTF-8");
    let folder = summed(&patched(&model_tar(), &[(156, b"5")]), 0);
    not_judged(&folder, "a folder has contents");
}

#[test]
fn a_member_that_nothing_reads_is_compared_with_its_checksum_all_the_same() {
    let about = ("README.md", &b"about this model"[..]);
    for store in [Store::Plain, Store::Deflated] {
        let whole = zip(&[
            ("config.json", br#"{"model_type": "other"}"#, Store::Plain),
            ("model.safetensors", &two_tensors(), Store::Plain),
            (about.0, about.1, store),
        ]);
        assert!(open(&whole).1.is_ok());
        let header = headers(&whole, LOCAL)[2];
        let (central, crc) = (headers(&whole, CENTRAL)[2], [whole[header + 14] ^ 1]);
        let damaged = patched(&whole, &[(header + 14, &crc), (central + 16, &crc)]);
        match open(&damaged).1 {
            Err(Halt::Fault(error)) => assert_eq!(error.kind, ErrorKind::Checksum, "{error}"),
            other => panic!("{:?}", other.map(|source| source.name().to_owned())),
        }
    }
}

#[test]
fn a_bomb_is_refused_by_its_headers() {
    // A member that would unpack to 2 GB, from 2 MB.
    let whole = zip(&[("config.json", b"{}", Store::Plain), ("zeros", &vec![0; 1 << 20], Store::Deflated)]);
    let (central, local) = (headers(&whole, CENTRAL)[1], headers(&whole, LOCAL)[1]);
    let claimed = 2_000_000_000_u32.to_le_bytes();
    not_judged(&patched(&whole, &[(central + 24, &claimed), (local + 22, &claimed)]), "compressed more than");
}

#[test]
fn what_is_no_archive_is_rejected_in_the_validators_words() {
    let json = br#"{"artifact_type": "something", "numbers": [1, 2, 3]}"#;
    let long = json.repeat(20);
    let gguf = [b"GGUF\x03\0\0\0", &[0; 600][..]].concat();
    for bytes in [&b""[..], b"x", json, &long, &two_tensors(), &gguf, &noise(3, 5_000)] {
        rejected(bytes, NO_ARCHIVE);
    }
    for pack in Pack::ALL {
        rejected(&pack.pack(&long), NO_ARCHIVE);
        rejected(&pack.pack(json), NO_ARCHIVE);
        rejected(&pack.pack(&[0; 10_240]), NO_CONFIG);
    }
    // Damaged beyond its first header, a safetensors file is still no archive.
    rejected(&patched(&two_tensors(), &[(9, b"!")]), NO_ARCHIVE);
    rejected(&[0; 10_240], NO_CONFIG);
    rejected(&zip(&[("a", b"", Store::Plain)]), NO_CONFIG);
    rejected(&tar(&[("a", b"")]), NO_CONFIG);
}

#[test]
fn names_that_leave_the_folder_are_the_first_thing_that_the_validator_sees() {
    let renamed = |name: &str| {
        let as_long = "x".repeat(name.len());
        let whole = zip(&[("a/../b", b"", Store::Plain), (&as_long, b"1", Store::Plain)]);
        let (central, local) = (headers(&whole, CENTRAL)[1], headers(&whole, LOCAL)[1]);
        patched(&whole, &[(central + 46, name.as_bytes()), (local + 30, name.as_bytes())])
    };
    for name in ["/etc/passwd", "../evil", "a/../../evil", "a/b/../../../e"] {
        rejected(&renamed(name), &format!("unsafe archive path: {name}"));
        let plain = tar(&[(&"y".repeat(name.len()), b"1"), ("config.json", b"{}")]);
        let bytes = summed(&patched(&plain, &[(0, name.as_bytes())]), 0);
        rejected(&bytes, &format!("unsafe archive path: {name}"));
        rejected(&Pack::Gzip.pack(&bytes), &format!("unsafe archive path: {name}"));
    }
    // What stays inside is unpacked there by the validator; readers differ in where.
    not_judged(&renamed("a/../c"), "unsafe member name");
    // Whether the directory behind such a name can be read is known only where all of it was.
    let both = renamed("../evil");
    let broken = patched(&both, &[(headers(&both, CENTRAL)[0] + 8, &[1])]);
    not_judged(&broken, "encrypted");
}

#[test]
fn what_pythons_readers_may_take_is_never_rejected() {
    let tensors = two_tensors();
    // An end record that is not at the end of the file, which Python's reader finds.
    let comment = [&tensors[..], b"PK\x05\x06", &[0; 18], b"and more"].concat();
    not_judged(&comment, "taken for a zip");
    // The two formats older than xz.
    let lzma = [&[0x5d, 0, 0, 0x80, 0][..], &[0xff; 8], &noise(4, 900)].concat();
    not_judged(&lzma, ".lzma file is damaged");
    not_judged(&[b"LZIP\x01", &noise(4, 900)[..]].concat(), "not an artifact that can be read");
    // A header whose checksum Python reads, and this reader does not.
    let plain = tar(&[("config.json", b"{}")]);
    let spelled = patched(&plain, &[(148, b"0o"), (257, b"v7v7v7v7")]);
    not_judged(&spelled, "not an artifact that can be read");
}

#[test]
fn whatever_is_damaged_no_command_takes_more_than_another() {
    let mut random = fastrand::Rng::with_seed(17);
    let files =
        [("config.json", &br#"{"model_type": "other"}"#[..]), ("w.safetensors", &one_tensor("w", b"123"))];
    let packed = Pack::Gzip.pack(&tar(&files));
    let wholes = [model_zip(), model_tar(), packed];
    let (mut taken, mut refused) = (0, 0);
    for round in 0..600 {
        let mut bytes = wholes[round % wholes.len()].clone();
        let at = random.usize(..bytes.len());
        bytes[at] ^= 1 << random.u8(..8);
        let (plain, twin) = open(&bytes);
        match (plain, twin) {
            (Ok(_), Ok(_)) => taken += 1,
            (Err(_), Err(_)) => refused += 1,
            // What only reading the members shows, or a model without config.json.
            (Ok(_), Err(_)) => {}
            (Err(error), Ok(_)) => panic!("byte {at} of {}: taken, though {error}", round % wholes.len()),
        }
    }
    assert!(taken > 50 && refused > 50, "{taken} taken, {refused} refused");
}

#[test]
fn a_distance_back_before_the_beginning_is_refused_by_every_build() {
    match open(include_bytes!("../fixtures/deflate-far.zip")).1 {
        Err(Halt::Fault(error)) => assert!(error.found.contains("too far back"), "{error}"),
        other => panic!("{:?}", other.map(|source| source.name().to_owned())),
    }
}
