//! Zip archives that two readers would read as two.

use bitgauge_core::container::{Artifact, Root};
use bitgauge_core::{ErrorKind, limits};
use properties::write::{borrowed, zip};
use zip::write::SimpleFileOptions;

use crate::model::{Model, open};

/// The end record's signature.
const END: &[u8] = b"PK\x05\x06";

/// The model as a zip, with this comment behind its end record.
fn commented(comment: &[u8]) -> bitgauge_core::Result<Artifact> {
    let mut bytes = zip(&borrowed(&Model::dense().files()), SimpleFileOptions::default());
    let end = bytes.len() - 22;
    assert!(bytes[end..].starts_with(END));
    bytes[end + 20..].copy_from_slice(&(comment.len() as u16).to_le_bytes());
    bytes.extend_from_slice(comment);
    open(&[("m.zip".to_owned(), bytes)], Root::File)
}

#[test]
fn a_comment_may_hold_anything_but_the_signature_of_another_end_record() {
    for comment in [&b""[..], b"hello", b"PK\x05\x05", b"PK\x05", b"K\x05\x06 PK\x06\x06", &[0; 65_535]] {
        assert!(commented(comment).is_ok(), "{comment:?}");
    }
    let record = |comment_len: u16| [END, &[0; 16], &comment_len.to_le_bytes()].concat();
    let ambiguous = [
        // One that does not reach the end: no reader that asks for that takes it, but not all ask.
        ("the signature alone", END.to_vec()),
        ("the signature and a few bytes", [END, b"and more"].concat()),
        ("a record that ends before the comment does", [record(0), b"!".to_vec()].concat()),
        ("a record that would end behind the comment", record(9)),
        // One that does: a reader from the back finds this one first.
        ("a record that ends with the comment", record(0)),
        ("a record with a comment that ends with the comment", [record(3), b"abc".to_vec()].concat()),
        ("text in front of one", [b"see ".to_vec(), record(0)].concat()),
    ];
    for (what, comment) in ambiguous {
        let error = commented(&comment).expect_err(what);
        assert_eq!(error.kind, ErrorKind::Malformed, "{what}: {error}");
        assert!(error.what.contains("several end records"), "{what}: {error}");
    }
}

/// The fields of a zip64 end record, in their order; each is as long as its place says.
#[derive(Clone, Copy)]
struct Wide {
    signature: u32,
    /// What follows the length itself.
    length: u64,
    disks: [u32; 2],
    entries: [u64; 2],
    directory: [u64; 2],
    /// Of the locator: its signature, the disk of the record, where the record is, how many disks there are.
    locator: (u32, u32, u64, u32),
    /// Of the plain end record behind it: disks, entries, length and offset of the directory.
    plain: ([u16; 4], [u32; 2]),
}

/// A change of a zip64 end record or of what belongs to it.
type Change = fn(&mut Wide);

/// The model as a zip with a zip64 end record, changed.
fn wide(change: impl FnOnce(&mut Wide)) -> bitgauge_core::Result<Artifact> {
    let mut bytes = zip(&borrowed(&Model::dense().files()), SimpleFileOptions::default());
    let end = bytes.len() - 22;
    let word = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().expect("4 bytes")).into();
    let directory = [word(end + 12), word(end + 16)];
    let mut fields = Wide {
        signature: 0x0606_4b50,
        length: 44,
        disks: [0, 0],
        entries: [2, 2],
        directory,
        locator: (0x0706_4b50, 0, end as u64, 1),
        plain: ([u16::MAX; 4], [u32::MAX; 2]),
    };
    change(&mut fields);
    bytes.truncate(end);
    bytes.extend(fields.signature.to_le_bytes());
    bytes.extend(fields.length.to_le_bytes());
    bytes.extend([45, 0, 45, 0]);
    bytes.extend(fields.disks.iter().flat_map(|disk| disk.to_le_bytes()));
    bytes.extend(fields.entries.iter().chain(&fields.directory).flat_map(|field| field.to_le_bytes()));
    let (signature, disk, offset, disks) = fields.locator;
    bytes.extend(signature.to_le_bytes());
    bytes.extend(disk.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.extend(disks.to_le_bytes());
    bytes.extend(END);
    bytes.extend(fields.plain.0.iter().flat_map(|field| field.to_le_bytes()));
    bytes.extend(fields.plain.1.iter().flat_map(|field| field.to_le_bytes()));
    bytes.extend([0, 0]);
    open(&[("m.zip".to_owned(), bytes)], Root::File)
}

#[test]
fn a_zip64_end_record_and_the_plain_one_say_the_same() {
    let sound = wide(|_| ()).expect("all fields saturated");
    assert_eq!((sound.members.len(), sound.tensors.len()), (2, 25));
    let fine: [Change; 6] = [
        |wide| wide.plain.0 = [0, 0, 2, 2],
        |wide| wide.plain.0[2] = 2,
        |wide| wide.plain.1 = wide.directory.map(|field| field as u32),
        |wide| wide.plain.1[1] = wide.directory[1] as u32,
        // A writer may leave out how many disks there are.
        |wide| wide.locator.3 = 0,
        |wide| wide.plain.0[0] = 0,
    ];
    for (number, change) in fine.into_iter().enumerate() {
        assert!(wide(change).is_ok(), "change {number}: {:?}", wide(change).err());
    }
    let cases: [(Change, ErrorKind, &str); 21] = [
        (|wide| wide.plain.0[0] = 1, ErrorKind::Malformed, "differ in disk number"),
        (|wide| wide.plain.0[1] = 1, ErrorKind::Malformed, "differ in directory disk number"),
        (|wide| wide.plain.0[2] = 1, ErrorKind::Malformed, "differ in entries on this disk"),
        (|wide| wide.plain.0[3] = 3, ErrorKind::Malformed, "differ in entries"),
        (|wide| wide.plain.1[0] = 1, ErrorKind::Malformed, "differ in directory length"),
        (|wide| wide.plain.1[1] = 1, ErrorKind::Malformed, "differ in directory offset"),
        (|wide| wide.plain.1[0] = u16::MAX.into(), ErrorKind::Malformed, "differ in directory length"),
        (|wide| wide.disks[0] = 1, ErrorKind::Unsupported, "one of several parts"),
        (|wide| wide.disks[1] = 1, ErrorKind::Unsupported, "one of several parts"),
        (|wide| wide.entries[0] = 1, ErrorKind::Unsupported, "one of several parts"),
        (|wide| wide.locator.1 = 1, ErrorKind::Unsupported, "one of several parts"),
        (|wide| wide.locator.3 = 2, ErrorKind::Unsupported, "one of several parts"),
        (|wide| wide.locator.2 += 1, ErrorKind::BadLayout, "not in front of its locator"),
        (|wide| wide.locator.2 -= 1, ErrorKind::BadLayout, "not in front of its locator"),
        (|wide| wide.locator.2 = u64::MAX, ErrorKind::BadLayout, "not in front of its locator"),
        (|wide| wide.signature += 1, ErrorKind::Malformed, "zip64 end record is damaged"),
        (|wide| wide.length += 1, ErrorKind::Malformed, "zip64 end record is damaged"),
        (|wide| wide.directory[1] += 1, ErrorKind::BadLayout, "not at its place"),
        (|wide| wide.directory[1] = u64::MAX, ErrorKind::BadLayout, "not at its place"),
        // Without a locator the plain record's saturated fields are meant as they are.
        (|wide| wide.locator.0 += 1, ErrorKind::Unsupported, "one of several parts"),
        (
            |wide| (wide.locator.0, wide.plain.0) = (0, [0, 0, 2, 2]),
            ErrorKind::TooLarge,
            "directory is too long",
        ),
    ];
    for (change, kind, what) in cases {
        let error = wide(change).expect_err(what);
        assert_eq!(error.kind, kind, "{what}: {error}");
        assert!(error.what.contains(what), "not {what}: {error}");
    }
}

#[test]
fn caps_of_the_directory() {
    let of = |entries: u64, bytes: u64| {
        let error = wide(|wide| (wide.entries, wide.directory[0]) = ([entries; 2], bytes));
        error.expect_err("another directory").what.clone()
    };
    let (most, longest) = (limits::MEMBERS_COUNT, limits::ZIP_DIRECTORY_BYTES);
    assert_eq!(of(2, longest), "the zip's central directory is not at its place");
    assert_eq!(of(2, longest + 1), "the zip's central directory is too long");
    assert_eq!(of(most, longest), "the zip's central directory is not at its place");
    assert_eq!(of(most + 1, longest), "the zip has too many members");
    // 46 bytes for each entry, without its name.
    assert_eq!(of(most, 46 * most), "the zip's central directory is not at its place");
    assert_eq!(of(most, 46 * most - 1), "the zip's central directory is too short");
    assert_eq!(of(1 << 63, 0), "the zip has too many members");
}
