//! Where a fault is, and what the validator says of it: the byte that a message names is the one that is wrong.

use std::io::Write;

use bitgauge_core::accounting::Accounting;
use bitgauge_core::container::{Artifact, Inflater, Need, Root, Window, fetch_and_open};
use bitgauge_core::inventory::Inventory;
use bitgauge_core::{Error, ErrorKind, Rejection, Result, limits};
use properties::write::{borrowed, gzip, safetensors, tar};
use serde_json::json;

use crate::model::{Model, open};

fn open_weights(header: &str, data: &[u8]) -> Result<Artifact> {
    open(&[("m.safetensors".to_owned(), safetensors(header, data))], Root::File)
}

#[test]
fn a_damaged_header_is_named_to_the_byte() {
    let offset = |header: &str| {
        let error = open_weights(header, b"").expect_err(header);
        assert_eq!(error.kind, ErrorKind::Malformed, "{error}");
        error.offset
    };
    // Behind the length: 8 bytes.
    assert_eq!(offset("{x"), Some(8 + 1));
    assert_eq!(offset("{\n\n  x"), Some(8 + 5));
    assert_eq!(offset("{\"a\":\n{\"dtype\":\n  7"), Some(8 + 18));
}

#[test]
fn a_tensor_that_does_not_follow_is_named_to_the_byte() {
    let entry = |begin: u64, end: u64| json!({"dtype": "U8", "shape": [end.saturating_sub(begin)], "data_offsets": [begin, end]});
    let fault = |entries: serde_json::Value, data: &[u8]| {
        let header = entries.to_string();
        let error = open_weights(&header, data).expect_err(&header);
        (error.what.clone(), error.offset.map(|at| at - 8 - header.len() as u64))
    };
    let is = |what: &str, at: u64| (what.to_owned(), Some(at));
    assert_eq!(fault(json!({"a": entry(0, 3)}), &[0; 5]), is("bytes follow the last tensor", 3));
    assert_eq!(fault(json!({"a": entry(0, 3)}), &[0; 2]), is("the tensor lies past the end of the file", 0));
    let gap = "no tensor claims the bytes in front of this one";
    assert_eq!(fault(json!({"a": entry(0, 3), "b": entry(4, 5)}), &[0; 5]), is(gap, 4));
    // Even one without bytes of its own.
    assert_eq!(fault(json!({"a": entry(0, 3), "b": entry(4, 4)}), &[0; 4]), is(gap, 4));
    let overlap = "the tensor overlaps the one in front";
    assert_eq!(fault(json!({"a": entry(0, 3), "b": entry(2, 5)}), &[0; 5]), is(overlap, 2));
    let backwards = json!({"a": {"dtype": "U8", "shape": [0], "data_offsets": [3, 2]}});
    assert_eq!(fault(backwards, &[0; 3]), is("a tensor ends before it begins", 3));
}

#[test]
fn tensors_of_a_wrong_type_are_no_model() {
    let refused = |model: Model| {
        let files = model.files();
        let artifact = open(&files, Root::Folder).expect("sound headers");
        Inventory::of(&artifact).map(|_| ()).expect_err("a wrong type").kind
    };
    let name = "model.layers.0.mlp.gate_proj.weight";
    let packed = Model::bitpack().pack(name, 1, 0);
    let scales = packed.without(&format!("{name}.scale")).with(&format!("{name}.scale"), "F32", &[1, 33, 1]);
    assert_eq!(refused(scales), ErrorKind::WrongDtype);
}

#[test]
fn a_folder_needs_a_config_and_a_bare_file_does_not() {
    let weights = Model::dense().safetensors();
    let folder = open(&[("model.safetensors".to_owned(), weights.clone())], Root::Folder).expect("sound");
    assert_eq!(Inventory::of(&folder).map(|_| ()).expect_err("no config").kind, ErrorKind::Missing);
    let file = open(&[("model.safetensors".to_owned(), weights)], Root::File).expect("sound");
    assert!(Inventory::of(&file).is_ok());
}

#[test]
fn a_model_without_parameters_has_no_bits_for_each() {
    let artifact = open_weights("{}", b"").expect("no tensors");
    let accounting = Accounting::of(&Inventory::of(&artifact).expect("no config.json is needed"));
    assert_eq!(accounting.bits_per_parameter, None);
}

/// A zip with one deflated member: its stream, the length that it declares, and its CRC-32.
fn zip_of(name: &str, stream: &[u8], bytes: u32, crc: u32) -> Vec<u8> {
    let len = stream.len() as u32;
    let common = [
        &20_u16.to_le_bytes()[..],
        &[0, 0, 8, 0, 0, 0, 0, 0],
        &crc.to_le_bytes(),
        &len.to_le_bytes(),
        &bytes.to_le_bytes(),
        &(name.len() as u16).to_le_bytes(),
        &[0, 0],
    ]
    .concat();
    let local = [&b"PK\x03\x04"[..], &common[..], name.as_bytes(), stream].concat();
    let central = [&b"PK\x01\x02"[..], &[20, 0], &common[..], &[0; 14], name.as_bytes()].concat();
    let end = [
        &b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..],
        &(central.len() as u32).to_le_bytes(),
        &(local.len() as u32).to_le_bytes(),
        &[0, 0],
    ]
    .concat();
    [local, central, end].concat()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).expect("room");
    writer.finish().expect("room")
}

#[test]
fn a_deflated_member_ends_where_it_says() {
    let text = br#"{"model_type": "own"}"#;
    let (stream, mut crc) = (deflated(text), flate2::Crc::new());
    crc.update(text);
    let zip = |stream: &[u8], bytes: usize, crc| {
        let zip = zip_of("config.json", stream, bytes as u32, crc);
        open(&[("m.zip".to_owned(), zip)], Root::File)
    };
    let sound = zip(&stream, text.len(), crc.sum()).expect("sound");
    assert_eq!(sound.config.as_deref(), Some(&text[..]));
    let kind = |result: Result<Artifact>| result.expect_err("damaged").kind;
    assert_eq!(kind(zip(&stream, text.len(), !crc.sum())), ErrorKind::Checksum);
    let longer = [&stream[..], b"x"].concat();
    assert_eq!(kind(zip(&longer, text.len(), crc.sum())), ErrorKind::BadLayout);
    assert_eq!(kind(zip(&stream, text.len() - 1, crc.sum())), ErrorKind::TooLarge);
    assert_eq!(kind(zip(&stream, text.len() + 1, crc.sum())), ErrorKind::Truncated);
    assert_eq!(kind(zip(&stream[..stream.len() - 1], text.len(), crc.sum())), ErrorKind::Truncated);
}

#[test]
fn a_fault_of_deflate_is_named_to_the_byte() {
    let (mut inflater, mut out) = (Inflater::new(100, 100), [0; 64]);
    // A stored block of three bytes, in two pieces; then a block of a kind that there is not.
    let first = inflater.inflate(b"\0\x03\0\xfc\xffab", &mut out).expect("sound");
    assert_eq!((first.taken, first.written, inflater.taken(), inflater.written()), (7, 2, 7, 2));
    let error = inflater.inflate(b"c\x07", &mut out).expect_err("no such block");
    assert_eq!((error.kind, error.offset), (ErrorKind::Malformed, Some(9)), "{error}");
}

/// What the validator says of a file that begins so and is nothing that it knows.
fn rejected(first: &[u8]) -> Option<Rejection> {
    let file = [first, &[b'x'; 600]].concat();
    let error: Error = open(&[("m.bin".to_owned(), file)], Root::File).expect_err("no artifact");
    error.rejection.clone()
}

#[test]
fn what_pythons_lzma_may_read_is_not_called_rejected() {
    let header = |properties: u8, dictionary: u32, contents: u64| {
        [&[properties][..], &dictionary.to_le_bytes(), &contents.to_le_bytes()].concat()
    };
    let may_be_read = |first: &[u8]| {
        let rejection = rejected(first);
        assert!(matches!(rejection, None | Some(Rejection::NoArchive)), "{rejection:?}");
        rejection.is_none()
    };
    let unknown = u64::MAX;
    assert!(may_be_read(&header(0x5d, 1 << 23, unknown)));
    assert!(may_be_read(b"LZIP\xff\xff\xff\xff\xff"));
    assert!(may_be_read(&header(0, 1 << 23, unknown)));
    // Bits of context for literals, and for where they stand: at most 4 together.
    for (literal, position, may) in [(4, 0, true), (0, 4, true), (3, 1, true), (5, 0, false), (3, 2, false)] {
        assert_eq!(may_be_read(&header(180 + 9 * position + literal, 1 << 23, unknown)), may);
    }
    assert!(!may_be_read(&header(225, 1 << 23, unknown)));
    // A power of two, one and a half of it, or the largest number.
    for dictionary in [0, 1, 1 << 20, 3 << 19, 1 << 31, 3 << 30, u32::MAX] {
        assert!(may_be_read(&header(0x5d, dictionary, unknown)), "{dictionary}");
    }
    for dictionary in [(1 << 20) + 1, 5 << 18, 7 << 18, u32::MAX - 1] {
        assert!(!may_be_read(&header(0x5d, dictionary, unknown)), "{dictionary}");
    }
    assert!(may_be_read(&header(0x5d, 1 << 20, (1 << 38) - 1)));
    assert!(!may_be_read(&header(0x5d, 1 << 20, 1 << 38)));
}

/// The model in a tar that is longer than what is fetched at a time.
#[test]
fn a_compressed_tar_of_several_pieces_opens() {
    let mut noise = vec![0; 2_500_000];
    fastrand::Rng::with_seed(1).fill(&mut noise);
    let plain = tar(&borrowed(&Model::dense().file("a.bin", &noise).files()));
    let packed = gzip(&plain);
    assert!(packed.len() > 2 << 20);
    let of_plain = open(&[("m.tar".to_owned(), plain)], Root::File).expect("sound");
    let of_packed = open(&[("m.tar.gz".to_owned(), packed)], Root::File).expect("sound");
    assert_eq!((of_packed.members, of_packed.tensors), (of_plain.members, of_plain.tensors));
}

/// A zip, of which only the records are there, whose only member declares to unpack to so many bytes.
fn declared(bytes: u64) -> Result<Artifact> {
    let stored = bytes.div_ceil(limits::INFLATE_RATIO);
    let extra = [&[1, 0, 16, 0][..], &bytes.to_le_bytes(), &stored.to_le_bytes()].concat();
    let common = [&[45, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0xff; 8], &[5, 0, 20, 0]].concat();
    let local = [&b"PK\x03\x04"[..], &common[..], b"a.bin", &extra].concat();
    let central = [&b"PK\x01\x02"[..], &[45, 0], &common[..], &[0; 14], b"a.bin", &extra].concat();
    let start = local.len() as u64 + stored;
    let end = [
        &b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..],
        &(central.len() as u32).to_le_bytes(),
        &(start as u32).to_le_bytes(),
        &[0, 0],
    ]
    .concat();
    let tail = [central, end].concat();
    let mut window = Window::new(vec![("m.zip".to_owned(), start + tail.len() as u64)]);
    fetch_and_open(&mut window, Root::File, |Need { offset, len, .. }| {
        let byte = |at: u64| match at.checked_sub(start) {
            Some(at) => tail[at as usize],
            None => local.get(at as usize).copied().unwrap_or(0),
        };
        Ok((offset..offset + len).map(byte).collect())
    })
}

#[test]
fn a_zip_may_declare_the_cap_and_no_byte_more() {
    let most = limits::UNPACKED_BYTES;
    assert_eq!(declared(most).map(|artifact| artifact.members[0].bytes), Ok(most));
    let error = declared(most + 1).expect_err("too much");
    assert_eq!(
        (error.kind, error.what.as_str()),
        (ErrorKind::TooLarge, "the archive claims to unpack to too much")
    );
}

#[test]
fn headers_of_several_files_share_the_cap() {
    let padded = |header: u64| safetensors(&format!("{{}}{}", " ".repeat(header as usize - 10)), b"");
    let of = |first: u64, second: u64| {
        let files = [
            ("config.json".to_owned(), b"{}".to_vec()),
            ("model-1.safetensors".to_owned(), padded(first)),
            ("model-2.safetensors".to_owned(), padded(second)),
        ];
        let open = open(&files, Root::Folder);
        open.map(|artifact| artifact.members.iter().filter(|member| member.header.is_some()).count())
    };
    // The cap, and one length of eight bytes.
    let most = limits::SAFETENSORS_HEADER_BYTES + 8;
    assert_eq!(of(most - 60, 60), Ok(2));
    let error = of(most - 59, 60).expect_err("one byte more");
    assert_eq!(
        (error.kind, error.what.as_str()),
        (ErrorKind::TooLarge, "the safetensors headers are too long together")
    );
}

#[test]
fn tensors_of_several_files_share_the_cap() {
    let of = |count: usize| {
        let entry =
            |number: usize| format!("\"{number}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}");
        let many: Vec<String> = (1..count).map(entry).collect();
        let files = [
            ("config.json".to_owned(), b"{}".to_vec()),
            ("model-1.safetensors".to_owned(), safetensors(&format!("{{{}}}", entry(0)), b"")),
            ("model-2.safetensors".to_owned(), safetensors(&format!("{{{}}}", many.join(",")), b"")),
        ];
        open(&files, Root::Folder).map(|artifact| artifact.tensors.len())
    };
    assert_eq!(of(limits::TENSORS_COUNT), Ok(limits::TENSORS_COUNT));
    let error = of(limits::TENSORS_COUNT + 1).expect_err("one too many");
    assert_eq!((error.kind, error.what.as_str()), (ErrorKind::TooLarge, "too many tensors"));
}
