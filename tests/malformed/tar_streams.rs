//! Compressed tars: the same structure, bytes and hashes as the plain one, whatever the pieces; damage,
//! truncation and bombs.

use std::fs;
use std::io::Write;

use bitgauge_core::ErrorKind::{BadLayout, Checksum, Malformed, TooLarge, Truncated, Unsupported};
use bitgauge_core::Result;
use bitgauge_core::container::{Artifact, Compressor, TarStream, Unpacker};
use bitgauge_core::inventory::Inventory;
use bitgauge_core::scan::{Findings, Scan};
use native_eval::Source;
use sha2::{Digest, Sha256};

use crate::support::{
    Pack, assert_fault, bytes, model_tar, noise, open_file, patched, safetensors, tar, two_tensors,
};

fn compressor(pack: Pack) -> Compressor {
    match pack {
        Pack::Gzip => Compressor::Gzip,
        Pack::Bzip2 => Compressor::Bzip2,
        Pack::Xz => Compressor::Xz,
    }
}

/// Pushes a whole file in pieces of this size.
fn stream(pack: Pack, bytes: &[u8], piece: usize) -> Result<Artifact> {
    let mut tar = TarStream::new("m.tar", compressor(pack))?;
    bytes.chunks(piece).try_for_each(|piece| tar.push(piece))?;
    tar.finish()
}

/// What a pass finds, in pieces of this size.
fn scan(bytes: &[u8], piece: usize) -> Result<Findings> {
    let artifact = open_file("m.tar", bytes)?;
    let inventory = Inventory::of(&artifact)?;
    let mut scan = Scan::new(&inventory);
    scan.begin_file(0)?;
    bytes.chunks(piece).try_for_each(|piece| scan.push(piece))?;
    scan.finish()
}

fn structure(artifact: &Artifact) -> impl PartialEq + std::fmt::Debug {
    let Artifact { members, model_dir, config, tensors, .. } = artifact.clone();
    (members, model_dir, config, tensors)
}

/// A model whose headers and JSON are longer than what is read ahead, between files that are passed over.
fn large_tar() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(5);
    let tensors: Vec<String> = (0..3_000)
        .map(|i| {
            format!(
                r#""layer.{i}.weight":{{"dtype":"U8","shape":[7],"data_offsets":[{},{}]}}"#,
                7 * i,
                7 * i + 7
            )
        })
        .collect();
    let weights = safetensors(&format!("{{{}}}", tensors.join(",")), &bytes(&mut random, 21_000));
    let config = format!(r#"{{"model_type": "other", "comment": "{}"}}"#, "x".repeat(200_000));
    tar(&[
        ("model/README.md", &bytes(&mut random, 300_000)),
        ("model/model.safetensors", &weights),
        ("model/empty.safetensors.txt", b""),
        ("model/config.json", config.as_bytes()),
        ("model/tokenizer.json", &bytes(&mut random, 70_001)),
    ])
}

#[test]
fn a_compressed_tar_has_the_structure_and_the_hashes_of_the_plain_one() {
    for plain in [model_tar(), large_tar()] {
        let right = open_file("m.tar", &plain).unwrap();
        let hashes = scan(&plain, 1 << 20).unwrap();
        for pack in Pack::ALL {
            let packed = pack.pack(&plain);
            let artifact = open_file("m.tar", &packed).unwrap();
            assert_eq!(structure(&artifact), structure(&right), "{pack:?}");
            assert_eq!(artifact.size_bytes, packed.len() as u64);
            let how = artifact.compressed.expect("a compressed tar");
            assert_eq!((how.compressor, how.unpacked_bytes), (compressor(pack), plain.len() as u64));
            for piece in [1, 7, 511, 4096, 1 << 20] {
                assert_eq!(
                    structure(&stream(pack, &packed, piece).unwrap()),
                    structure(&right),
                    "{pack:?} {piece}"
                );
                let found = scan(&packed, piece).unwrap();
                assert_eq!(found.members, hashes.members, "{pack:?} {piece}");
                let whole: String =
                    Sha256::digest(&packed).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(found.file, Some(whole), "the file as it lies on disk");
            }
        }
    }
}

#[test]
fn members_and_tensors_are_read_in_any_order_from_disk_and_memory() {
    let plain = large_tar();
    let folder = tempfile::tempdir().unwrap();
    for pack in Pack::ALL {
        let path = folder.path().join("m.tgz");
        fs::write(&path, pack.pack(&plain)).unwrap();
        let mut source = Source::open(&path).unwrap();
        let mut memory = Source::from_bytes("m.tgz", pack.pack(&plain)).unwrap();
        let mut reference = Source::from_bytes("m.tar", plain.clone()).unwrap();
        for i in [4, 0, 1, 3, 2] {
            let expected = reference.read_member(i, 1 << 20).unwrap();
            assert!(source.read_member(i, 1 << 20).unwrap() == expected, "{pack:?} {i}");
            assert!(memory.read_member(i, 1 << 20).unwrap() == expected, "{pack:?} {i}");
        }
        for tensor in reference.artifact().tensors.clone().iter().rev().step_by(100) {
            assert_eq!(source.read_tensor(tensor).unwrap(), reference.read_tensor(tensor).unwrap());
        }
    }
}

#[test]
fn every_truncation_is_an_error() {
    for pack in Pack::ALL {
        let whole = pack.pack(&model_tar());
        assert!(open_file("m", &whole).is_ok());
        for len in 0..whole.len() {
            let error = open_file("m", &whole[..len]).expect_err("a truncated artifact was accepted");
            assert!(!error.place.is_empty() && !error.found.is_empty(), "{pack:?} cut at {len}: {error}");
        }
        assert_fault(open_file("m", &whole[..whole.len() - 1]), Truncated, "");
    }
}

#[test]
fn a_damaged_byte_never_panics_and_never_changes_a_member_unnoticed() {
    let plain = model_tar();
    let right = scan(&plain, 1 << 20).unwrap().members;
    for pack in Pack::ALL {
        let whole = pack.pack(&plain);
        let mut refused = 0;
        for at in 0..whole.len() {
            for change in [0x01, 0x10, 0x80, 0xff] {
                match scan(&patched(&whole, &[(at, &[whole[at] ^ change])]), 1 << 20) {
                    Ok(found) => assert!(found.members == right, "{pack:?}: byte {at} ^ {change:#x}"),
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 7 * whole.len() / 2, "{pack:?}: only {refused} of {} damages", 4 * whole.len());
    }
}

#[test]
fn several_streams_follow_each_other_and_nothing_else_does() {
    let plain = model_tar();
    let (first, second) = plain.split_at(700);
    for pack in Pack::ALL {
        let both = [pack.pack(first), pack.pack(second)].concat();
        assert_eq!(open_file("m", &both).unwrap().tensors.len(), 2, "{pack:?}");
        let empty = [pack.pack(b""), both.clone()].concat();
        assert_eq!(open_file("m", &empty).unwrap().tensors.len(), 2, "{pack:?}");
        let garbage = [&both[..], b"no stream at all"].concat();
        let error = open_file("m", &garbage).expect_err("garbage was accepted");
        assert!(matches!(error.kind, BadLayout | Malformed), "{pack:?}: {error}");
    }
    // Python's gzip passes over zeros behind the last member; those of xz come in fours.
    let padded = [&Pack::Gzip.pack(&plain)[..], &[0; 300]].concat();
    assert_eq!(open_file("m", &padded).unwrap().tensors.len(), 2);
    let padded = [&Pack::Xz.pack(&plain)[..], &[0; 8]].concat();
    assert_eq!(open_file("m", &padded).unwrap().tensors.len(), 2);
}

#[test]
fn gzip_headers() {
    let plain = model_tar();
    let packed = Pack::Gzip.pack(&plain);
    let build = |flags: u8, fields: &[u8]| {
        let mut header = packed[..10].to_vec();
        header[3] = flags;
        [&header, fields, &packed[10..]].concat()
    };
    for (flags, fields) in [
        (1, &b""[..]),
        (2, b"cc"),
        (4, b"\x03\0abc"),
        (4, b"\0\0"),
        (8, b"model.tar\0"),
        (16, b"a comment\0"),
        (31, b"\x01\0xname\0comment\0cc"),
    ] {
        assert_eq!(open_file("m", &build(flags, fields)).unwrap().tensors.len(), 2, "flags {flags}");
    }
    assert_fault(open_file("m", &build(0x20, b"")), BadLayout, "not a gzip member");
    assert_fault(open_file("m", &patched(&packed, &[(2, &[7])])), BadLayout, "not a gzip member");
    let trailer = packed.len() - 8;
    assert_fault(
        open_file("m", &patched(&packed, &[(trailer, &[packed[trailer] ^ 1])])),
        Checksum,
        "checksum",
    );
    assert_fault(open_file("m", &patched(&packed, &[(trailer + 4, &[9])])), Checksum, "checksum");
}

#[test]
fn what_is_no_tar_is_said_to_be_none() {
    for pack in Pack::ALL {
        assert_fault(open_file("m", &pack.pack(&[b'x'; 2_000])), Unsupported, "not a tar archive");
        assert_fault(open_file("m", &pack.pack(b"short")), Truncated, "ends too early");
        assert_fault(open_file("m", &pack.pack(&vec![0; 10_240])), Unsupported, "not a tar archive");
    }
}

#[test]
fn bombs_are_refused_before_they_unpack() {
    // A hundred million zeros in a few hundred bytes, and streams of them.
    let zeros = vec![0; 100 << 20];
    let with_zeros = tar(&[("config.json", b"{}"), ("zeros.bin", &zeros)]);
    for pack in [Pack::Bzip2, Pack::Xz] {
        let bomb = pack.pack(&with_zeros);
        assert!(bomb.len() < 50_000, "{pack:?}: {}", bomb.len());
        assert_fault(open_file("m", &bomb), TooLarge, "unpacks to too much");
        let mut unpacker = Unpacker::new(compressor(pack)).unwrap();
        let mut largest = 0;
        let pushed = unpacker.push(&bomb, &mut |piece| {
            largest = largest.max(piece.len());
            Ok(())
        });
        assert_eq!(pushed.expect_err("a bomb").kind, TooLarge);
        assert!(largest <= 256 << 10, "pieces of {largest} bytes");
    }
    // Deflate can't grow by more than the cap: a long one is only refused for its length.
    assert!(open_file("m", &Pack::Gzip.pack(&with_zeros)).is_ok());
}

#[test]
fn what_is_kept_is_capped() {
    let big = vec![b' '; (4 << 20) + 1];
    for pack in [Pack::Gzip, Pack::Xz] {
        let packed = pack.pack(&tar(&[("config.json", &big), ("x.bin", &noise(3, 1 << 20))]));
        let error = assert_fault(open_file("m", &packed), TooLarge, "the file is too long");
        assert_eq!(error.place, "m: config.json");
    }
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for i in 0..65 {
        let name = format!("{i}/config.json");
        let member = tar(&[(&name, &big[1..])]);
        writer.write_all(&member[..512 + (4 << 20)]).unwrap();
    }
    let many = writer.finish().unwrap();
    assert_fault(open_file("m", &many), TooLarge, "too many headers and JSON files");
}

#[test]
fn shards_under_names_that_are_not_kept_are_refused_by_name() {
    let index = br#"{"weight_map": {"a": "w.bin", "b": "w.bin"}}"#;
    let files: [(&str, &[u8]); 3] =
        [("config.json", b"{}"), ("w.bin", &two_tensors()), ("model.safetensors.index.json", index)];
    assert_eq!(open_file("m.tar", &tar(&files)).unwrap().tensors.len(), 2);
    for pack in Pack::ALL {
        assert_fault(open_file("m", &pack.pack(&tar(&files))), Unsupported, "unusual name");
    }
}

#[test]
fn a_tar_that_changed_between_the_passes_is_noticed() {
    let (one, other) =
        (Pack::Gzip.pack(&model_tar()), Pack::Gzip.pack(&[&model_tar()[..], &[0; 512]].concat()));
    let artifact = open_file("m", &one).unwrap();
    let inventory = Inventory::of(&artifact).unwrap();
    let mut scan = Scan::new(&inventory);
    scan.begin_file(0).unwrap();
    scan.push(&other).unwrap();
    assert_fault(scan.finish().map_err(|error| error.within("m")), Malformed, "changed while it was read");
}
