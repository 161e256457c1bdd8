//! Zips whose records contradict each other, and where that is said to be.

use bitgauge_core::container::{Artifact, Root};
use bitgauge_core::{Error, ErrorKind, Result};
use properties::write::safetensors;

use crate::model::open;

/// A stored member, as its three records have it.
#[derive(Clone, Default)]
struct Member {
    name: &'static str,
    contents: Vec<u8>,
    flags: u16,
    /// Of the local header, where it says otherwise: CRC-32 and both lengths.
    local: Option<[u32; 3]>,
    local_extra: Vec<u8>,
    central_extra: Vec<u8>,
    comment: &'static str,
    /// What stands behind the data.
    descriptor: Vec<u8>,
}

impl Member {
    fn crc(&self) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(&self.contents);
        crc.sum()
    }

    /// Its CRC-32 and both lengths, as the central directory has them.
    fn figures(&self) -> [u32; 3] {
        [self.crc(), self.contents.len() as u32, self.contents.len() as u32]
    }

    /// What both headers have, from the version to the length of the extra field.
    fn common(&self, figures: [u32; 3], extra: &[u8]) -> Vec<u8> {
        let mut out = vec![20, 0];
        out.extend(self.flags.to_le_bytes());
        out.extend([0; 6]);
        figures.iter().for_each(|figure| out.extend(figure.to_le_bytes()));
        out.extend((self.name.len() as u16).to_le_bytes());
        out.extend((extra.len() as u16).to_le_bytes());
        out
    }
}

/// The members in front of a small model; `change` is given the bytes and where the directory begins.
fn opened(members: &[Member], change: impl FnOnce(&mut Vec<u8>, usize)) -> Result<Artifact> {
    let model = [("config.json", b"{}".to_vec()), ("model.safetensors", safetensors("{}", b""))];
    let model = model.map(|(name, contents)| Member { name, contents, ..Member::default() });
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let members: Vec<&Member> = members.iter().chain(&model).collect();
    for member in &members {
        let offset = out.len() as u32;
        let local = member.common(member.local.unwrap_or(member.figures()), &member.local_extra);
        out.extend([b"PK\x03\x04", &local[..], member.name.as_bytes(), &member.local_extra].concat());
        out.extend([&member.contents[..], &member.descriptor].concat());
        let central = member.common(member.figures(), &member.central_extra);
        directory.extend([&b"PK\x01\x02\x14\0"[..], &central].concat());
        directory.extend((member.comment.len() as u16).to_le_bytes());
        directory.extend([0; 8]);
        directory.extend(offset.to_le_bytes());
        directory.extend([member.name.as_bytes(), &member.central_extra, member.comment.as_bytes()].concat());
    }
    let start = out.len();
    out.extend_from_slice(&directory);
    let count = (members.len() as u16).to_le_bytes();
    out.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend((start as u32).to_le_bytes());
    out.extend([0, 0]);
    change(&mut out, start);
    open(&[("m.zip".to_owned(), out)], Root::File)
}

#[track_caller]
fn refused(result: Result<Artifact>, kind: ErrorKind, what: &str) -> Error {
    let error = result.expect_err(what);
    assert!(error.kind == kind && error.what.contains(what), "not {what}: {error}");
    error
}

fn file() -> Member {
    Member { name: "a.txt", contents: b"hello".to_vec(), ..Member::default() }
}

fn only(member: Member) -> Result<Artifact> {
    opened(&[member], |_, _| ())
}

#[test]
fn the_directory_is_named_to_the_byte() {
    assert_eq!(only(file()).map(|artifact| artifact.members.len()), Ok(3));
    // A comment of an entry is passed over.
    assert!(only(Member { comment: "of the entry", ..file() }).is_ok());
    // The second entry stands behind 46 bytes and a name of five.
    let damage = |bytes: &mut Vec<u8>, start: usize| bytes[start + 51] ^= 1;
    let mut start = 0;
    let result = opened(&[file()], |bytes, at| {
        start = at;
        damage(bytes, at);
    });
    let error = result.expect_err("no signature");
    assert_eq!((error.kind, error.offset), (ErrorKind::Malformed, Some(start as u64 + 51)), "{error}");
    // One entry fewer than there are: the rest belongs to none.
    let result = opened(&[file()], |bytes, _| {
        let end = bytes.len() - 22;
        (bytes[end + 8], bytes[end + 10]) = (2, 2);
    });
    let error = refused(result, ErrorKind::BadLayout, "more than its entries");
    assert_eq!(error.offset, Some(start as u64 + 51 + 46 + 11));
    // The directory has 171 bytes. A comment so long that less than an entry's header is left, and one of which just
    // a header is left.
    let commented = |len: u8| opened(&[file()], |bytes, at| bytes[at + 32] = len);
    let error = refused(commented(110), ErrorKind::Truncated, "ends within an entry");
    assert_eq!((error.expected.as_str(), error.found.as_str()), ("46 bytes", "10"));
    assert_eq!(commented(171 - 51 - 46).expect_err("no signature").kind, ErrorKind::Malformed);
}

#[test]
fn several_end_records_are_named_to_the_byte() {
    let mut wanted = 0;
    let comment = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let result = opened(&[], |bytes, _| {
        let end = bytes.len() - 22;
        wanted = end as u64;
        bytes[end + 20] = 22;
        bytes.extend_from_slice(&comment);
    });
    let error = refused(result, ErrorKind::Malformed, "several end records");
    assert_eq!(error.offset, Some(wanted));
    assert!(
        error.expected == "one end record" && error.found.ends_with(&format!("byte {}", wanted + 22)),
        "{error}"
    );
}

#[test]
fn extra_fields_hold_what_they_say() {
    let with =
        |extra: &[u8]| only(Member { central_extra: extra.to_vec(), local_extra: extra.to_vec(), ..file() });
    // Unknown fields, and up to three bytes behind them.
    for extra in [&b"\x99\x99\x02\0ab"[..], b"\x99\x99\0\0\x98\x99\x01\0a", b"\x99\x99\0\0\0\0\0", b"\0\0\0"]
    {
        assert!(with(extra).is_ok(), "{extra:?}: {:?}", with(extra).err());
    }
    let error = refused(
        with(b"\x99\x99\x03\0ab"),
        ErrorKind::Malformed,
        "claims more bytes than its header has left",
    );
    assert_eq!((error.expected.as_str(), error.found.as_str()), ("3 bytes", "2"));
}

#[test]
fn a_local_header_says_what_the_directory_says() {
    let [crc, len, _] = file().figures();
    let local = |flags, local| only(Member { flags, local: Some(local), ..file() });
    assert!(local(0, [crc, len, len]).is_ok());
    for (figures, what) in [
        ([crc ^ 1, len, len], "CRC-32"),
        ([0, len, len], "CRC-32"),
        ([crc, len, len + 1], "length"),
        ([crc, len, 0], "length"),
        ([crc, len + 1, len], "compressed length"),
        ([crc, 0, len], "compressed length"),
    ] {
        let error = local(0, figures).expect_err(what);
        assert!(error.kind == ErrorKind::Malformed && error.to_string().contains(what), "{error}");
    }
    // With a descriptor behind the data it need not know yet, but what it says must be true.
    let descriptor =
        |local, descriptor: Vec<u8>| only(Member { flags: 8, local: Some(local), descriptor, ..file() });
    let sound = [crc.to_le_bytes(), len.to_le_bytes(), len.to_le_bytes()].concat();
    let signed = [b"PK\x07\x08", &sound[..]].concat();
    let long =
        [&crc.to_le_bytes()[..], &u64::from(len).to_le_bytes(), &u64::from(len).to_le_bytes()].concat();
    let long_signed = [b"PK\x07\x08", &long[..]].concat();
    for body in [&sound, &signed, &long, &long_signed] {
        assert!(descriptor([0, 0, 0], body.clone()).is_ok(), "{body:?}");
        assert!(descriptor([crc, len, len], body.clone()).is_ok(), "{body:?}");
        let error = descriptor([crc ^ 1, 0, 0], body.clone()).expect_err("another CRC-32");
        assert!(error.to_string().contains("CRC-32"), "{error}");
        let mut wrong = body.clone();
        *wrong.last_mut().expect("12 bytes or more") ^= 1;
        let error =
            refused(descriptor([0, 0, 0], wrong), ErrorKind::Malformed, "contradicts the central directory");
        assert_eq!(error.expected, format!("CRC-32 {crc:#010x}, 5 bytes stored, 5 bytes"));
        assert_ne!(error.found, error.expected);
    }
    for len in [1, 8, 11, 13, 15, 17, 19, 21, 23] {
        let error = descriptor([0, 0, 0], vec![0; len]).expect_err("no descriptor");
        assert_eq!(error.kind, ErrorKind::BadLayout, "{len}: {error}");
    }
    // Without the flag nothing may stand there.
    refused(only(Member { descriptor: sound, ..file() }), ErrorKind::BadLayout, "belong to no member");
}
