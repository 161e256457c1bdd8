//! Plain tars, one fault at a time, and every kind of header that writers use.

use bitgauge_core::ErrorKind::{BadName, Checksum, Malformed, TooLarge, Truncated, Unsupported};
use bitgauge_core::container::ContainerKind;
use bitgauge_core::{ErrorKind, Result};
use native_eval::Source;
use proptest::prelude::*;

use crate::support::{Store, assert_fault, bytes, model_tar, open_file, patched, tar, two_tensors, zip};

const BLOCK: usize = 512;

/// With the first header changed and its checksum made right again.
fn changed(whole: &[u8], patches: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = patched(whole, patches);
    sum(&mut bytes[..BLOCK]);
    bytes
}

fn sum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A header of this kind, in the given magic, and contents.
fn entry(name: &str, kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut header = vec![0; BLOCK];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..136].copy_from_slice(format!("{:011o}\0", contents.len()).as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    sum(&mut header);
    let padding = vec![0; contents.len().next_multiple_of(BLOCK) - contents.len()];
    [&header, contents, &padding].concat()
}

/// A pax record.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() != length {
        length += 1;
    }
    format!("{length}{rest}").into_bytes()
}

const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

fn names(bytes: &[u8]) -> Result<Vec<(String, u64, u64)>> {
    let members = open_file("m.tar", bytes)?.members;
    Ok(members.into_iter().map(|member| (member.name, member.offset, member.bytes)).collect())
}

fn one(name: &str, offset: u64, bytes: u64) -> Vec<(String, u64, u64)> {
    vec![(name.to_owned(), offset, bytes)]
}

#[track_caller]
fn fault(bytes: &[u8], kind: ErrorKind, what: &str) {
    let error = assert_fault(open_file("m.tar", bytes), kind, what);
    assert!(error.place.starts_with("m.tar"), "{error}");
}

#[test]
fn a_valid_tar_opens() {
    let bytes = model_tar();
    let artifact = open_file("m.tar", &bytes).unwrap();
    assert_eq!((artifact.kind, artifact.compressed), (ContainerKind::Tar, None));
    assert_eq!(artifact.size_bytes, bytes.len() as u64);
    assert_eq!(artifact.model_dir.as_deref(), Some(""));
    assert_eq!(names(&bytes).unwrap()[0], ("config.json".into(), 512, 52));
    let file = two_tensors();
    let member = &artifact.members[1];
    assert_eq!((member.offset, member.bytes), (3 * BLOCK as u64, file.len() as u64));
    assert_eq!(bytes[member.offset as usize..][..file.len()], file);
    let tensors: Vec<_> = artifact.tensors.iter().map(|t| (t.name.as_str(), t.bytes, t.member)).collect();
    assert_eq!(tensors, [("a", 3, 1), ("b", 4, 1)]);
}

#[test]
fn every_kind_of_header_is_read() {
    let data = b"12345";
    let plain = [entry("a.bin", b'0', data), END.to_vec()].concat();
    assert_eq!(names(&plain).unwrap(), one("a.bin", 512, 5));
    // Version 7 has no magic, GNU its own; both have no prefix.
    assert_eq!(names(&changed(&plain, &[(257, &[0; 8])])).unwrap(), one("a.bin", 512, 5));
    assert_eq!(names(&changed(&plain, &[(257, b"ustar  \0")])).unwrap(), one("a.bin", 512, 5));
    assert_eq!(names(&changed(&plain, &[(345, b"some/folder")])).unwrap(), one("some/folder/a.bin", 512, 5));
    for kind in [0, b'7'] {
        assert_eq!(names(&changed(&plain, &[(156, &[kind])])).unwrap(), one("a.bin", 512, 5));
    }
    // Octal digits between spaces, and binary.
    assert_eq!(names(&changed(&plain, &[(124, b"          5 ")])).unwrap(), one("a.bin", 512, 5));
    let binary = [&[0x80][..], &[0; 10], &[5]].concat();
    assert_eq!(names(&changed(&plain, &[(124, &binary)])).unwrap(), one("a.bin", 512, 5));
    // A writer that summed signed bytes.
    let mut signed = patched(&plain, &[(0, "ä.bin".as_bytes())]);
    sum(&mut signed[..BLOCK]);
    let unsigned = u32::from_str_radix(std::str::from_utf8(&signed[148..154]).unwrap(), 8).unwrap();
    signed[148..154].copy_from_slice(format!("{:06o}", unsigned - 2 * 256).as_bytes());
    assert_eq!(names(&signed).unwrap(), one("ä.bin", 512, 5));

    let long = format!("{}/b.bin", "folder".repeat(40));
    let gnu = [entry("././@LongLink", b'L', &[long.as_bytes(), b"\0"].concat()), plain.clone()].concat();
    assert_eq!(names(&gnu).unwrap(), one(&long, 3 * 512, 5));
    let records = [record("mtime", "1.5"), record("path", &long), record("comment", "a=b\nc")].concat();
    let pax = [entry("PaxHeaders/a", b'x', &records), plain.clone()].concat();
    assert_eq!(names(&pax).unwrap(), one(&long, 3 * 512, 5));
    let unsized_header = changed(&plain, &[(124, b"00000000000\0")]);
    let sized = [entry("PaxHeaders/a", b'x', &record("size", "5")), unsized_header].concat();
    assert_eq!(names(&sized).unwrap(), one("a.bin", 3 * 512, 5));
    let global = [entry("pax_global_header", b'g', &record("comment", "4abc1f6")), plain.clone()].concat();
    assert_eq!(names(&global).unwrap(), one("a.bin", 3 * 512, 5));

    // A file whatever its name ends with, and a folder by its name before POSIX.
    assert_eq!(names(&[entry("a.bin/", b'0', data), END.to_vec()].concat()).unwrap(), one("a.bin", 512, 5));
    assert_eq!(names(&[entry("a/", 0, b""), plain.clone()].concat()).unwrap(), one("a.bin", 1024, 5));

    let root =
        [entry("./", b'5', b""), entry("./in/", b'5', b""), entry("./in//./a.bin", b'0', data)].concat();
    assert_eq!(names(&root).unwrap(), one("in/a.bin", 3 * 512, 5), "and without the mark of the end");
    assert_eq!(names(&[&plain[..], b"whatever follows"].concat()).unwrap(), one("a.bin", 512, 5));
}

#[test]
fn damaged_headers() {
    let plain = [entry("a.bin", b'0', b"12345"), END.to_vec()].concat();
    fault(&patched(&plain, &[(0, b"b")]), Checksum, "header is damaged");
    fault(&patched(&plain, &[(150, b"x")]), Checksum, "header is damaged");
    fault(&changed(&plain, &[(124, b"0000000009\0\0")]), Malformed, "number of a tar header");
    fault(&changed(&plain, &[(124, &[0xff; 12])]), Malformed, "number of a tar header");
    fault(&changed(&plain, &[(257, b"ustar  \0"), (345, b"14000000000")]), Malformed, "read in two ways");
    // 8 GB in a file of 2 kB.
    fault(&changed(&plain, &[(124, b"77777777777\0")]), Truncated, "ends too early");
    let near_the_end = [&[0x80, 0, 0, 0][..], &[0xff; 8]].concat();
    fault(&changed(&plain, &[(124, &near_the_end)]), TooLarge, "too long");
    let second = patched(&[entry("b", b'0', b"1"), plain.clone()].concat(), &[(1024, b"c")]);
    fault(&second, Checksum, "header is damaged");
    fault(&changed(&plain, &[(156, b"5")]), Malformed, "a folder has contents");
}

#[test]
fn members_that_are_no_files() {
    let plain = [entry("a.bin", b'0', b""), END.to_vec()].concat();
    for (kind, found) in
        [(b'2', "symbolic link"), (b'3', "device"), (b'6', "pipe"), (b'S', "sparse"), (b'V', "unknown")]
    {
        let bytes = changed(&plain, &[(156, &[kind])]);
        let error = assert_fault(open_file("m.tar", &bytes), Unsupported, "neither a file nor a folder");
        assert!(error.found.contains(found) && error.place == "m.tar: a.bin", "{error}");
    }
    let sparse = entry("PaxHeaders/a", b'x', &record("GNU.sparse.major", "1"));
    fault(&[sparse, plain].concat(), Unsupported, "sparse");
}

#[test]
fn names_that_are_unsafe_or_not_clear() {
    let file = |name: &str| entry(name, b'0', b"1");
    for unsafe_name in ["/a", "../a", "a/../../b", "a/../b", ".."] {
        fault(&file(unsafe_name), BadName, "unsafe member name");
    }
    fault(&entry("../a/", b'5', b""), BadName, "unsafe member name");
    fault(&[file("a"), file("b"), file("./a")].concat(), BadName, "occurs twice");
    fault(&[file("a"), file("a/b")].concat(), BadName, "used as a folder");
    fault(&changed(&file("abc"), &[(1, &[0xff])]), BadName, "not UTF-8");
    let pax = |key, value| entry("PaxHeaders/a", b'x', &record(key, value));
    fault(&[pax("path", "../a"), file("a")].concat(), BadName, "unsafe member name");
    fault(&[pax("path", "a\0b"), file("a")].concat(), BadName, "unsafe member name");
    fault(&[pax("hdrcharset", "BINARY"), file("a")].concat(), BadName, "not UTF-8");
    let long = entry("././@LongLink", b'L', b"c\0");
    fault(&[long.clone(), pax("path", "b"), file("a")].concat(), Malformed, "described twice");
    fault(&[pax("path", "b"), pax("path", "c"), file("a")].concat(), Malformed, "described twice");
    fault(
        &[entry("x", b'g', &record("path", "b")), file("a")].concat(),
        Unsupported,
        "all its members alike",
    );
    fault(&[pax("size", "2"), file("a")].concat(), Malformed, "two lengths");
    fault(&[pax("size", "-1"), file("a")].concat(), Malformed, "not a number");
    let twice = [record("path", "b"), record("path", "c")].concat();
    fault(&[entry("x", b'x', &twice), file("a")].concat(), Malformed, "occurs twice");
    for damaged in
        [&b"8 path=b\n"[..], b"9999 path=b\n", b"11 path=abc", b" path=b\n", b"x path=b\n", b"8 pathb\n"]
    {
        fault(&[entry("x", b'x', damaged), file("a")].concat(), Malformed, "pax record is damaged");
    }
    fault(&[file("a"), long.clone()].concat(), Truncated, "ends too early");
    fault(&[file("a"), long, END.to_vec()].concat(), Truncated, "ends too early");
    let huge = changed(&entry("x", b'x', b""), &[(124, b"00004000001\0")]);
    fault(&huge, TooLarge, "too long");
}

#[test]
fn a_tar_that_another_reader_takes_for_a_zip_is_refused() {
    let inner = zip(&[("config.json", b"{}", Store::Plain)]);
    fault(&tar(&[("config.json", b"{}"), ("inner.zip", &inner)]), Malformed, "taken for a zip");
    // Far enough from the end nobody looks for it.
    let far = tar(&[("inner.zip", &inner), ("config.json", b"{}"), ("x", &[7; 70_000])]);
    assert_eq!(open_file("m.tar", &far).unwrap().members.len(), 3);
}

#[test]
fn too_many_members() {
    let files: Vec<Vec<u8>> = (0..10_001).map(|i| entry(&format!("a.{i}"), b'0', b"")).collect();
    fault(&files.concat(), TooLarge, "too many members");
    assert_eq!(names(&files[1..].concat()).unwrap().len(), 10_000);
}

#[test]
fn every_truncation_is_an_error_or_ends_between_members() {
    let whole = model_tar();
    let right = names(&whole).unwrap();
    for len in 0..whole.len() {
        let Ok(found) = names(&whole[..len]) else { continue };
        let last = found.last().expect("a member");
        let end = (last.1 + last.2).next_multiple_of(BLOCK as u64) as usize;
        assert!(right.starts_with(&found), "cut at {len}");
        // Python, and so the validator, does without the mark.
        assert!(len == end || len >= end + BLOCK, "cut at {len}, members end at {end}");
    }
}

#[test]
fn every_damaged_byte_of_a_header_is_noticed() {
    let whole = model_tar();
    for header in [0, 2 * BLOCK] {
        for at in header..header + BLOCK {
            for change in [0x01, 0x80, 0xff] {
                let damaged = patched(&whole, &[(at, &[whole[at] ^ change])]);
                // One space more or less in the checksum's own field says the same.
                let same = names(&damaged).is_ok_and(|found| found == names(&whole).unwrap());
                assert!(
                    names(&damaged).is_err() || (same && (header + 148..header + 156).contains(&at)),
                    "{at}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_what_the_tar_crate_writes_as_it_does(
        files in proptest::collection::btree_map("[a-zé ]{1,120}(/[a-z]{1,90}\\.bin)?", 0..3_000_usize, 0..6),
        seed: u64,
        gnu: bool,
    ) {
        let names: Vec<&String> = files.keys().collect();
        prop_assume!(!names.iter().any(|a| names.iter().any(|b| b.starts_with(&format!("{a}/")))));
        prop_assume!(!names.iter().any(|name| name.len() > 250));
        let mut random = fastrand::Rng::with_seed(seed);
        let mut builder = ::tar::Builder::new(Vec::new());
        for (name, len) in &files {
            let mut header = if gnu { ::tar::Header::new_gnu() } else { ::tar::Header::new_ustar() };
            header.set_size(*len as u64);
            header.set_entry_type(::tar::EntryType::Regular);
            let bytes = bytes(&mut random, *len);
            // What does not fit into a ustar header is no case.
            if builder.append_data(&mut header, name, &bytes[..]).is_err() {
                return Ok(());
            }
        }
        let bytes = builder.into_inner().unwrap();
        prop_assume!(!files.is_empty());
        let opened = Source::from_bytes("m.tar", bytes.clone());
        // A first name as short as a header of .lzma may begin like one, which Python would look for first.
        prop_assume!(opened.is_ok() || names[0].len() >= 13);
        let mut source = opened.unwrap();
        let mut reference = ::tar::Archive::new(&bytes[..]);
        for (i, theirs) in reference.entries().unwrap().enumerate() {
            let mut theirs = theirs.unwrap();
            let mut expected = Vec::new();
            std::io::Read::read_to_end(&mut theirs, &mut expected).unwrap();
            let name = String::from_utf8(theirs.path_bytes().into_owned()).unwrap();
            prop_assert_eq!(&source.artifact().members[i].name, &name);
            prop_assert!(source.read_member(i, 1 << 20).unwrap() == expected);
        }
    }

    #[test]
    fn any_header_is_refused_or_read(patches in proptest::collection::vec((0..BLOCK, any::<u8>()), 1..6)) {
        let patches: Vec<(usize, [u8; 1])> = patches.into_iter().map(|(at, byte)| (at, [byte])).collect();
        let patches: Vec<(usize, &[u8])> = patches.iter().map(|(at, byte)| (*at, &byte[..])).collect();
        let _ = open_file("m.tar", &changed(&model_tar(), &patches));
    }
}
