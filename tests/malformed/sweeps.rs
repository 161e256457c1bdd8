//! Every truncation, every damaged byte, archives by another writer, and files too big to exist.

use bitgauge_core::container::{Compression, Need, Root, Window, fetch_and_open};
use bitgauge_core::{ErrorKind, Result};
use native_eval::Source;
use proptest::prelude::*;

use crate::support::{Store, bytes, model_zip, one_tensor, open_file, patched, two_tensors, zip};

#[test]
fn every_truncation_is_an_error() {
    for whole in [model_zip(), two_tensors()] {
        assert!(open_file("m", &whole).is_ok());
        for len in 0..whole.len() {
            let error = open_file("m", &whole[..len]).expect_err("a truncated artifact was accepted");
            assert!(!error.place.is_empty() && !error.found.is_empty(), "cut at {len}: {error}");
        }
    }
}

/// Opens and reads everything; gives all bytes of all members.
fn read_all(bytes: Vec<u8>) -> Result<Vec<(String, Vec<u8>)>> {
    let mut source = Source::from_bytes("m", bytes)?;
    for tensor in source.artifact().tensors.clone() {
        source.read_tensor(&tensor)?;
    }
    let names: Vec<String> = source.artifact().members.iter().map(|m| m.name.clone()).collect();
    names.into_iter().enumerate().map(|(i, name)| Ok((name, source.read_member(i, 1 << 20)?))).collect()
}

#[test]
fn a_damaged_byte_never_panics_and_never_changes_a_member_unnoticed() {
    let whole = model_zip();
    let right = read_all(whole.clone()).unwrap();
    let mut refused = 0;
    for at in 0..whole.len() {
        for change in [0x01, 0x80, 0xff] {
            match read_all(patched(&whole, &[(at, &[whole[at] ^ change])])) {
                // Times, versions and attributes may change without harm; bytes of members may not.
                Ok(read) => assert!(read == right, "byte {at} ^ {change:#x} changed what is read"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 2 * whole.len(), "only {refused} of {} damages were noticed", 3 * whole.len());
    let bare = two_tensors();
    for at in 0..bare.len() {
        for change in 1..=255 {
            let _ = read_all(patched(&bare, &[(at, &[bare[at] ^ change])]));
        }
    }
}

fn store() -> impl Strategy<Value = Store> {
    prop_oneof![Just(Store::Plain), Just(Store::Deflated), Just(Store::Plain64)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_what_the_zip_crate_writes(
        members in proptest::collection::btree_map("[a-zé ]{1,8}(/[a-z]{1,3}\\.bin)?", (0..70_000_usize, store()), 0..6),
        seed: u64,
    ) {
        // Half noise, half repetition: something to compress, never much of it.
        let mut random = fastrand::Rng::with_seed(seed);
        let files: Vec<(String, Vec<u8>, Store)> = members
            .into_iter()
            .map(|(name, (len, store))| (name, [bytes(&mut random, len / 2), vec![7; len / 2]].concat(), store))
            .collect();
        let names: Vec<&str> = files.iter().map(|(name, ..)| name.as_str()).collect();
        prop_assume!(!names.iter().any(|a| names.iter().any(|b| b.starts_with(&format!("{a}/")))));
        let refs: Vec<(&str, &[u8], Store)> = files.iter().map(|(n, b, s)| (n.as_str(), b.as_slice(), *s)).collect();
        let read = read_all(zip(&refs)).unwrap();
        let written: Vec<(String, Vec<u8>)> = files.into_iter().map(|(name, bytes, _)| (name, bytes)).collect();
        prop_assert!(read == written);
    }
}

/// A file of which only some ranges are written, the rest reads as zeros.
struct Sparse {
    len: u64,
    ranges: Vec<(u64, Vec<u8>)>,
}

impl Sparse {
    fn read(&self, need: Need) -> Vec<u8> {
        let mut out = vec![0; need.len as usize];
        for (start, bytes) in &self.ranges {
            for (i, byte) in bytes.iter().enumerate() {
                let at = start + i as u64;
                if (need.offset..need.offset + need.len).contains(&at) {
                    out[(at - need.offset) as usize] = *byte;
                }
            }
        }
        out
    }

    /// Opens it; also gives how many bytes were asked for.
    fn open(&self) -> (Result<bitgauge_core::container::Artifact>, u64) {
        let mut window = Window::new(vec![("big".into(), self.len)]);
        let mut fetched = 0;
        let artifact = fetch_and_open(&mut window, Root::File, |need| {
            fetched += need.len;
            assert!(fetched < 1 << 20, "a structure of a few hundred bytes took {fetched} bytes");
            Ok(self.read(need))
        });
        (artifact, fetched)
    }
}

const BIG: u64 = 6 << 30;

/// A header that declares one tensor of 6 GiB.
fn big_header() -> Vec<u8> {
    let file = one_tensor("w", b"");
    let text = String::from_utf8(file[8..].to_vec()).unwrap();
    let text = text.replace("[0,0]", &format!("[0,{BIG}]")).replace("[0]", &format!("[{BIG}]"));
    crate::support::safetensors(&text, b"")
}

#[test]
fn a_safetensors_file_of_six_gigabytes() {
    let header = big_header();
    let len = header.len() as u64 + BIG;
    let artifact = Sparse { len, ranges: vec![(0, header.clone())] }.open().0.unwrap();
    assert_eq!((artifact.tensors[0].bytes, artifact.tensors[0].shape[0]), (BIG, BIG));
    let short = Sparse { len: len - 1, ranges: vec![(0, header)] };
    assert_eq!(short.open().0.unwrap_err().kind, ErrorKind::Truncated);
}

#[test]
fn a_zip_of_twelve_gigabytes() {
    let header = big_header();
    let len = header.len() as u64 + BIG;
    let name = b"model.safetensors";
    let zip64 = |values: &[u64]| {
        let mut extra = vec![1, 0, (values.len() * 8) as u8, 0];
        values.iter().for_each(|value| extra.extend_from_slice(&value.to_le_bytes()));
        extra
    };
    // Both members hold the same 6 GiB; the second in a folder of its own, past the 32-bit offsets.
    let local = |name: &[u8]| {
        let extra = zip64(&[len, len]);
        let mut bytes = b"PK\x03\x04\x2d\0\0\0\0\0\0\0\0\0\x44\x33\x22\x11".to_vec();
        bytes.extend_from_slice(&[0xff; 8]);
        bytes.extend_from_slice(&[name.len() as u8, 0, extra.len() as u8, 0]);
        [&bytes, name, &extra].concat()
    };
    let central = |name: &[u8], offset: u64| {
        let extra = zip64(&[len, len, offset]);
        let mut bytes = b"PK\x01\x02\x2d\x03\x2d\0\0\0\0\0\0\0\0\0\x44\x33\x22\x11".to_vec();
        bytes.extend_from_slice(&[0xff; 8]);
        bytes.extend_from_slice(&[name.len() as u8, 0, extra.len() as u8, 0]);
        bytes.extend_from_slice(&[0; 10]);
        bytes.extend_from_slice(&[0xff; 4]);
        [&bytes, name, &extra].concat()
    };
    let other = b"old/model.safetensors";
    let second = local(name).len() as u64 + len;
    let directory_offset = second + local(other).len() as u64 + len;
    let directory = [central(name, 0), central(other, second)].concat();
    let end = |directory_offset: u64| {
        let mut end = b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0".to_vec();
        end.extend_from_slice(&[0; 8]);
        for value in [2, 2, directory.len() as u64, directory_offset] {
            end.extend_from_slice(&value.to_le_bytes());
        }
        end.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        end.extend_from_slice(&(directory_offset + directory.len() as u64).to_le_bytes());
        end.extend_from_slice(b"\x01\0\0\0PK\x05\x06");
        end.extend_from_slice(&[0xff; 16]);
        end.extend_from_slice(&[0, 0]);
        end
    };
    let build = |end: Vec<u8>| Sparse {
        len: directory_offset + (directory.len() + end.len()) as u64,
        ranges: vec![
            (0, [local(name), header.clone()].concat()),
            (second, [local(other), header.clone()].concat()),
            (directory_offset, [directory.clone(), end].concat()),
        ],
    };
    let artifact = build(end(directory_offset)).open().0.unwrap();
    assert_eq!(artifact.members.len(), 2);
    assert_eq!(artifact.members[1].offset, second + local(other).len() as u64);
    assert_eq!((artifact.members[1].bytes, artifact.members[1].compression), (len, Compression::Stored));
    assert_eq!(artifact.tensors[0].bytes, BIG);

    let good = end(directory_offset);
    for (at, kind) in [(48, ErrorKind::BadLayout), (64, ErrorKind::BadLayout), (0, ErrorKind::Malformed)] {
        let broken = build(patched(&good, &[(at, &[good[at] ^ 1])]));
        assert_eq!(broken.open().0.unwrap_err().kind, kind, "byte {at} of the end records");
    }
    // The plain end record says another number of entries than the 64-bit one.
    let at = 56 + 20 + 8;
    let broken = build(patched(&good, &[(at, &[3, 0])]));
    assert_eq!(broken.open().0.unwrap_err().kind, ErrorKind::Malformed);
}
