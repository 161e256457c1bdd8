//! Zip archives, one fault at a time.

use bitgauge_core::ErrorKind::{BadLayout, BadName, Checksum, Malformed, TooLarge, Truncated, Unsupported};
use bitgauge_core::container::{Compression, ContainerKind};

use crate::support::{
    CENTRAL, END, LOCAL, Store, assert_fault, headers, model_zip, open_file, patched, two_tensors, zip,
};

/// Opens the model zip with the same patch in the first member's central (and, where given, local)
/// header.
#[track_caller]
fn fault(central: &[(usize, &[u8])], local: &[(usize, &[u8])], kind: bitgauge_core::ErrorKind, what: &str) {
    let whole = model_zip();
    let (c, l) = (headers(&whole, CENTRAL)[0], headers(&whole, LOCAL)[0]);
    let patches: Vec<(usize, &[u8])> = central
        .iter()
        .map(|(at, new)| (c + at, *new))
        .chain(local.iter().map(|(at, new)| (l + at, *new)))
        .collect();
    let error = assert_fault(open_file("m.zip", &patched(&whole, &patches)), kind, what);
    assert!(error.place.starts_with("m.zip"), "{error}");
}

#[test]
fn a_valid_archive_opens() {
    let bytes = model_zip();
    let artifact = open_file("m.zip", &bytes).unwrap();
    assert_eq!(artifact.kind, ContainerKind::Zip);
    assert_eq!(artifact.size_bytes, bytes.len() as u64);
    assert_eq!(artifact.model_dir.as_deref(), Some(""));
    assert!(artifact.config.as_deref().unwrap().starts_with(b"{\"model_type\""));
    let names: Vec<&str> = artifact.members.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["config.json", "model.safetensors"]);
    assert_eq!(artifact.members[0].compression, Compression::Deflated);
    let tensors: Vec<_> = artifact.tensors.iter().map(|t| (t.name.as_str(), t.bytes, t.member)).collect();
    assert_eq!(tensors, [("a", 3, 1), ("b", 4, 1)]);
    let file = two_tensors();
    let member = &artifact.members[1];
    assert_eq!(bytes[member.offset as usize..][..file.len()], file);
    assert_eq!(artifact.tensors[0].offset, file.len() as u64 - 7);
    assert_eq!(artifact.members[0].header, None);
    assert_eq!(member.header.as_ref().map(|header| header.bytes), Some(file.len() as u64 - 7));
}

#[test]
fn folders_are_no_members() {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.add_directory("model/", options).unwrap();
    writer.start_file("model/config.json", options).unwrap();
    std::io::Write::write_all(&mut writer, b"{}").unwrap();
    let artifact = open_file("m.zip", &writer.finish().unwrap().into_inner()).unwrap();
    assert_eq!(artifact.members.len(), 1);
    assert_eq!(artifact.model_dir.as_deref(), Some("model"));
    assert_eq!(artifact.config.as_deref(), Some(&b"{}"[..]));
}

#[test]
fn end_records() {
    let whole = model_zip();
    let end = headers(&whole, END)[0];
    let open = |bytes: &[u8]| open_file("m.zip", bytes);
    assert_fault(open(&[&whole[..], b"!"].concat()), BadLayout, "does not end the file");
    assert_fault(open(&[b"junk", &whole[..]].concat()), BadLayout, "not at its place");
    assert_fault(open(&whole[..end]), Truncated, "no end record");
    assert_fault(open(&patched(&whole, &[(end + 4, &[1])])), Unsupported, "one of several parts");
    assert_fault(open(&patched(&whole, &[(end + 8, &[1])])), Unsupported, "one of several parts");
    assert_fault(
        open(&patched(&whole, &[(end + 8, &[1, 0, 1, 0])])),
        BadLayout,
        "holds more than its entries",
    );
    assert_fault(open(&patched(&whole, &[(end + 8, &[9, 0, 9, 0])])), Malformed, "directory is too short");
    assert_fault(
        open(&patched(&whole, &[(end + 12, &[0, 0, 0, 16])])),
        TooLarge,
        "central directory is too long",
    );

    let commented = [&patched(&whole, &[(end + 20, &[5])])[..], b"hello"].concat();
    assert_eq!(open(&commented).unwrap().members.len(), 2);
    let second = &whole[end..];
    let ambiguous = [&patched(&whole, &[(end + 20, &[22])])[..], second].concat();
    assert_fault(open(&ambiguous), Malformed, "several end records");
}

#[test]
fn names() {
    let named = |name: &'static [u8; 11], what| fault(&[(46, name)], &[(30, name)], BadName, what);
    named(b"/onfig.json", "unsafe");
    named(b"../fig.json", "unsafe");
    named(b"c/../g.json", "unsafe");
    named(b"./nfig.json", "unsafe");
    named(b"co//ig.json", "unsafe");
    named(b"co\0fig.json", "unsafe");
    named(b"c\xffnfig.json", "not UTF-8");
    named("cönfg.json".as_bytes().try_into().unwrap(), "not marked as UTF-8");
    let flag: &[u8] = &[0, 8];
    let utf8 = "cönfg.json".as_bytes();
    let whole = model_zip();
    let (c, l) = (headers(&whole, CENTRAL)[0], headers(&whole, LOCAL)[0]);
    let marked = patched(&whole, &[(c + 46, utf8), (l + 30, utf8), (c + 8, flag), (l + 6, flag)]);
    assert_eq!(open_file("m.zip", &marked).unwrap().members[0].name, "cönfg.json");
    let backslash = patched(&whole, &[(c + 46, b"..\\fig.json"), (l + 30, b"..\\fig.json")]);
    assert_eq!(open_file("m.zip", &backslash).unwrap().members[0].name, "..\\fig.json");

    let twice = zip(&[("b.json", b"1", Store::Plain), ("a.json", b"2", Store::Plain)]);
    let (c, l) = (headers(&twice, CENTRAL)[0], headers(&twice, LOCAL)[0]);
    let twice = patched(&twice, &[(c + 46, b"a"), (l + 30, b"a")]);
    assert_fault(open_file("m.zip", &twice), BadName, "occurs twice");
    let nested = zip(&[("a", b"1", Store::Plain), ("a!", b"2", Store::Plain), ("a/b", b"3", Store::Plain)]);
    assert_fault(open_file("m.zip", &nested), BadName, "used as a folder");
}

#[test]
fn features_that_are_not_handled() {
    fault(&[(8, &[1])], &[(6, &[1])], Unsupported, "encrypted");
    fault(&[(8, &[1 << 5])], &[(6, &[1 << 5])], Unsupported, "not handled");
    fault(&[(10, &[93])], &[(8, &[93])], Unsupported, "compression method");
    fault(&[(34, &[1])], &[], Unsupported, "another part");
    // 0o120644 << 16, as Unix zip writes a link.
    fault(&[(38, &[0, 0, 0xa4, 0xa1])], &[], Unsupported, "symbolic link");
}

#[test]
fn headers_that_disagree() {
    fault(&[(0, b"QK")], &[], Malformed, "not a central directory header");
    fault(&[], &[(0, b"QK")], Malformed, "not a local header");
    fault(&[], &[(30, b"d")], Malformed, "differ in name");
    fault(&[], &[(8, &[0])], Malformed, "differ in compression method");
    fault(&[], &[(6, &[8])], Malformed, "differ in flags");
    fault(&[], &[(14, &[1, 2, 3, 4])], Malformed, "differ in CRC-32");
    fault(&[], &[(22, &[99])], Malformed, "differ in length");
    fault(&[], &[(18, &[99])], Malformed, "differ in compressed length");
    fault(&[(28, &[0xff, 0xff])], &[], Truncated, "ends within an entry");
    fault(&[(24, &[0xff; 4])], &[], Malformed, "64-bit length is missing");
}

#[test]
fn members_that_lie_about_their_size() {
    // 51 stored bytes that claim 16 MB, in both headers.
    let big: &[u8] = &[0, 0, 0, 1];
    fault(&[(24, big)], &[(22, big)], TooLarge, "more than deflate can");
    let one_more: &[u8] = &[53];
    let one_less: &[u8] = &[51];
    fault(&[(24, one_more)], &[(22, one_more)], Truncated, "less than it declares");
    fault(&[(24, one_less)], &[(22, one_less)], TooLarge, "more than it declares");
    let crc: &[u8] = &[1, 2, 3, 4];
    fault(&[(16, crc)], &[(14, crc)], Checksum, "checksum");

    let stored = zip(&[("a.bin", b"12345", Store::Plain)]);
    let c = headers(&stored, CENTRAL)[0];
    assert_fault(open_file("m.zip", &patched(&stored, &[(c + 24, &[4])])), Malformed, "two lengths");
}

#[test]
fn a_total_over_the_cap_is_refused_before_anything_is_unpacked() {
    // Stored members of 1 GiB each, in central headers only: the sum is what is looked at first.
    let member = zip(&[("a00000", b"", Store::Plain)]);
    let c = headers(&member, CENTRAL)[0];
    let end = headers(&member, END)[0];
    let mut directory = Vec::new();
    for i in 0..1025 {
        let name = format!("a{i:05}");
        let len = (1_u32 << 30).to_le_bytes();
        directory.extend(patched(&member[c..end], &[(46, name.as_bytes()), (20, &len), (24, &len)]));
    }
    let (count, len) = (1025_u16.to_le_bytes(), (directory.len() as u32).to_le_bytes());
    let at = (c as u32).to_le_bytes();
    let tail = patched(&member[end..], &[(8, &count), (10, &count), (12, &len), (16, &at)]);
    let bomb = [&member[..c], &directory, &tail].concat();
    assert_fault(open_file("m.zip", &bomb), TooLarge, "unpack to too much");
}

#[test]
fn holes_and_overlaps() {
    let plain = zip(&[("a.bin", b"12345", Store::Plain), ("b.bin", b"67890", Store::Plain)]);
    let (c, l) = (headers(&plain, CENTRAL), headers(&plain, LOCAL));
    // The first member claims one byte less, or one more, than lies in front of the second.
    for (len, what) in [(4, "belong to no member"), (6, "overlap")] {
        let len: &[u8] = &[len];
        let patches = [(c[0] + 20, len), (c[0] + 24, len), (l[0] + 18, len), (l[0] + 22, len)];
        assert_fault(open_file("m.zip", &patched(&plain, &patches)), BadLayout, what);
    }
    // Two entries for one local header, the classic overlapping bomb.
    let same: &[u8] = &(l[0] as u32).to_le_bytes();
    assert_fault(open_file("m.zip", &patched(&plain, &[(c[1] + 42, same)])), BadLayout, "overlap");
    // A first header that is not at the beginning.
    let past = patched(&plain, &[(c[1] + 42, &[0xf0, 0xff, 0xff, 0x7f])]);
    assert_fault(open_file("m.zip", &past), Truncated, "ends too early");
}

#[test]
fn data_descriptors() {
    // The same member as a streaming writer writes it: lengths behind the data.
    let plain = zip(&[("a.bin", b"12345", Store::Plain)]);
    let (c, l) = (headers(&plain, CENTRAL)[0], headers(&plain, LOCAL)[0]);
    let end = headers(&plain, END)[0];
    let record = |wide: bool, signature: bool| {
        let mut record = if signature { b"PK\x07\x08".to_vec() } else { Vec::new() };
        record.extend_from_slice(&plain[c + 16..c + 20]);
        for _ in 0..2 {
            record.extend_from_slice(&5_u64.to_le_bytes()[..if wide { 8 } else { 4 }]);
        }
        record
    };
    let build = |record: &[u8]| {
        let at = (c + record.len()) as u32;
        let streamed = patched(&plain, &[(l + 6, &[8]), (l + 14, &[0; 12]), (c + 8, &[8])]);
        let tail = patched(&streamed[end..], &[(16, &at.to_le_bytes())]);
        [&streamed[..c], record, &streamed[c..end], &tail].concat()
    };
    for (wide, signature) in [(false, false), (false, true), (true, false), (true, true)] {
        let record = record(wide, signature);
        let artifact = open_file("m.zip", &build(&record)).unwrap();
        assert_eq!((artifact.members[0].offset, artifact.members[0].bytes), (35, 5));
        let mut changed = record.clone();
        changed[record.len() - 1] ^= 1;
        assert_fault(open_file("m.zip", &build(&changed)), Malformed, "data descriptor contradicts");
        assert_fault(open_file("m.zip", &build(&record[1..])), BadLayout, "impossible length");
    }
    assert_eq!(open_file("m.zip", &build(&[])).unwrap().members.len(), 1);
}

#[test]
fn sixty_four_bit_lengths() {
    let wide = zip(&[("config.json", b"{}", Store::Plain64), ("b.bin", b"678", Store::Plain)]);
    let artifact = open_file("m.zip", &wide).unwrap();
    assert_eq!(artifact.config.as_deref(), Some(&b"{}"[..]));
}

#[test]
fn extra_fields() {
    // Every header of the member gets this extra field.
    let plain = zip(&[("a.bin", b"12345", Store::Plain)]);
    let (c, l, end) = (headers(&plain, CENTRAL)[0], headers(&plain, LOCAL)[0], headers(&plain, END)[0]);
    let build = |extra: &[u8]| {
        let len = [extra.len() as u8];
        let local = patched(&plain[..c], &[(l + 28, &len)]);
        let central = patched(&plain[c..end], &[(30, &len)]);
        let (at, bytes) = ((c + extra.len()) as u32, (end - c + extra.len()) as u32);
        let tail = patched(&plain[end..], &[(12, &bytes.to_le_bytes()), (16, &at.to_le_bytes())]);
        [&local[..35], extra, &local[35..], &central[..51], extra, &central[51..], &tail].concat()
    };
    let open = |extra: &[u8]| open_file("m.zip", &build(extra));
    assert_eq!(u16::from_le_bytes([plain[c + 30], plain[c + 31]]), 0, "the writer added fields of its own");
    assert_eq!(open(b"\x55\x54\x02\0??").unwrap().members.len(), 1);
    assert_eq!(open(b"up\x0a\0\x01\0\0\0\0a.bin").unwrap().members.len(), 1);
    // Info-ZIP's Unicode path, which Python passes over: the name is the header's.
    assert_eq!(open(b"up\x0a\0\x01\0\0\0\0b.bin").unwrap().members[0].name, "a.bin");
    assert_fault(open(b"\x55\x54\x03\0??"), Malformed, "claims more bytes than its header");
    assert_fault(open(b"\x01\0\0\0\x01\0\0\0"), Malformed, "occurs twice");
}
